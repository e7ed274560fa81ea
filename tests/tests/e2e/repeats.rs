//! Repeated, late, and reordered events change nothing.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Target, WebhookFault},
    stack::WORK_QUEUE,
    wire::{Fault, Service, When},
};
use tests::{PipelineTest, figure, pipeline_test};
use tokio::sync::Semaphore;

#[tokio::test(flavor = "multi_thread")]
async fn done_may_arrive_before_the_answer_to_its_create() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().done_before_answer(Target::next(1));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn redelivery_after_storing_changes_nothing() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let before = pipeline.ends_stored(recording).await?;
        let row = pipeline.job(recording)?;
        for _ in 0..3 {
            pipeline.simulator().redeliver_all(recording);
            pipeline.simulator().wait_until_delivered().await;
            pipeline.settles().await?;
        }
        assert_eq!(pipeline.check_stored(recording)?, before);
        assert_eq!(pipeline.job(recording)?, row);
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_in_triplicate_are_paid_once() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().webhook("", usize::MAX, WebhookFault::Copies(3));
        let recordings: Vec<_> = (0..5).map(|seed| pipeline.simulator().play(Meeting::short(seed))).collect();
        for recording in recordings {
            pipeline.ends_stored(recording).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_in_reverse_order_end_stored() -> Result<()> {
    pipeline_test(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().webhook("transcript.", 2, WebhookFault::Held);
        let recording = simulator.play(Meeting::short(1));
        simulator.wait_for_held(2).await;
        simulator.release_webhooks(local::recall::Order::Reversed).await;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_create_is_not_paid_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        let simulator = pipeline.simulator();
        // These webhooks would tell what the lost answers did not.
        simulator.faults().webhook("transcript.", 2, WebhookFault::Held);
        let mut lost = pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::After, Fault::Drop, 2);
        let recording = simulator.play(Meeting::short(1));
        lost.reach(2).await?;
        simulator.wait_for_held(2).await;
        simulator.release_webhooks(local::recall::Order::Sent).await;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_of_the_table_leave_the_count_right() -> Result<()> {
    pipeline_test(async |pipeline| {
        // The SDK tries each write twice: the write is applied, and both answers are lost.
        for _ in 0..4 {
            pipeline.stack.wire.inject(Service::DynamoDb, "PutItem", When::After, Fault::Drop, 2);
            let recording = pipeline.simulator().play(Meeting::short(1));
            pipeline.ends_stored(recording).await?;
            let job = pipeline.job(recording)?.context("no job")?;
            assert_eq!((&job["transcript_count"], &job["attempts"]), (&1.into(), &1.into()), "{job}");
            pipeline.stack.wire.calm();
        }
        Ok(())
    })
    .await
}

/// The worker may still die, so a sender of the same event has to retry.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_not_acknowledged_while_another_is_in_progress() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let body = serde_json::json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
        let slow = Fault::Delay(Duration::from_secs(2));
        let mut create = pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, slow, 1);
        let first = tokio::spawn({
            let (pipeline, body) = (pipeline.clone(), body.clone());
            async move { pipeline.deliver(body.as_bytes()).await }
        });
        create.reach(1).await?;
        let second = pipeline.deliver(body.as_bytes()).await?;
        assert!(second.status == 503 && second.retry_after.is_some_and(|after| after > 0), "{second:?}");
        assert!(!first.is_finished(), "the first was too fast");
        assert_eq!(first.await??.status, 200);
        assert_eq!(pipeline.deliver(body.as_bytes()).await?.status, 200);
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// A thousand senders deliver the same event at once. Those without a free process retry until the function itself
/// answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deliveries_at_once_are_one_create() -> Result<()> {
    const DELIVERIES: usize = 1000;
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let body = serde_json::json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
        // One permit for each process.
        let turns = Arc::new(Semaphore::new(30));
        let mut deliveries = tokio::task::JoinSet::new();
        for _ in 0..DELIVERIES {
            let (pipeline, body, turns) = (pipeline.clone(), body.clone(), turns.clone());
            deliveries.spawn(async move {
                let mut reply = pipeline.deliver(body.as_bytes()).await?;
                while reply.status == 429 {
                    let _turn = turns.acquire().await?;
                    reply = pipeline.deliver(body.as_bytes()).await?;
                }
                anyhow::Ok(reply)
            });
        }
        let mut taken = 0;
        while let Some(reply) = deliveries.join_next().await {
            let reply = reply??;
            assert!(matches!(reply.status, 200 | 503), "{reply:?}");
            taken += usize::from(reply.status == 200);
        }
        assert!(taken >= 1, "no sender was told that its event is accepted");
        let handled = |line: &&String| line.contains("webhook.handled") && line.contains("recording.done");
        let handled = pipeline.stack.webhook.logs().iter().filter(handled).count();
        assert_eq!(handled, DELIVERIES, "not all of them reached the function");
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.stack.wire.count(Service::Recall, "/create_transcript/"), 1);
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["transcript_count"], &job["attempts"]), (&1.into(), &1.into()), "{job}");
        Ok(())
    })
    .await?;
    figure("Deliveries of one `recording.done` at once", DELIVERIES)
}

/// The queue may hand one message to several workers at once: only one of them copies.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_received_several_times_is_copied_once() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().webhook("transcript.", 2, WebhookFault::Dropped);
        let recording = simulator.play(Meeting::short(1));
        pipeline.reaches(recording, "transcribing").await?;
        let transcript = simulator.transcripts(recording)[0].id;
        simulator.finish_transcription(transcript, Ok(()));
        let message = serde_json::json!({
            "recording_id": recording, "event": "transcript.done", "transcript_id": transcript, "attempt": 1,
        });
        for _ in 0..8 {
            pipeline.stack.queues.send(WORK_QUEUE, &message.to_string(), &[]).await?;
        }
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 1);
        Ok(())
    })
    .await
}
