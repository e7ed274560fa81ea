//! Without a webhook or a wake-up, the sweep finds what has to be done, and finds nothing twice.

mod lists;
mod waking;

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Metadata, Status, Target},
    stack::WORK_QUEUE,
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, in_hours, now, past, pipeline_test};
use uuid::Uuid;

fn answer(status: u16) -> Fault {
    Fault::Answer { status, retry_after: None }
}

/// A test of a pipeline that no webhook ever reaches.
pub(crate) fn deaf(page_size: usize) -> PipelineTest {
    let test = PipelineTest::with(|config, simulator| {
        config.env = vec![("TRIES_PER_PROVIDER".to_owned(), "1".to_owned())];
        simulator.limits.page_size = page_size;
        simulator.limits.lists_per_minute = 10_000;
        simulator.limits.calls_per_minute = 10_000;
    });
    test.without_webhooks()
}

pub(crate) fn add(pipeline: &Pipeline, count: u64) -> Vec<Uuid> {
    (0..count).map(|seed| pipeline.simulator().add_recording(past(Meeting::short(seed)))).collect()
}

/// Waits until the one transcript of each recording has this status at Recall.
pub(crate) async fn transcribed(pipeline: &Pipeline, recordings: &[Uuid], status: Status) {
    for recording in recordings {
        let transcript = pipeline.simulator().wait_for_transcripts(*recording, 1).await[0].id;
        pipeline.simulator().wait_for_status(transcript, status).await;
    }
}

/// Makes a job that has waited and is due, and whose wake-up is gone. No function takes messages until the event source
/// is resumed.
async fn without_its_wake_up(pipeline: &Pipeline) -> Result<Uuid> {
    pipeline.stack.event_source.pause();
    let throttled = Fault::Answer { status: 429, retry_after: Some(1) };
    pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, 1);
    let recording = pipeline.simulator().add_recording(Meeting::short(1));
    let body = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
    assert_eq!(pipeline.deliver(body.as_bytes()).await?.status, 503);
    empty_the_queue(pipeline).await?;
    let due_at = pipeline.job(recording)?.context("no job")?["due_at"].as_i64().context("it is not due")?;
    pipeline.wait_until("it to be due", || Ok(now() * 1000 > due_at)).await?;
    assert_eq!(pipeline.status(recording)?.as_deref(), Some("waiting"));
    Ok(recording)
}

async fn empty_the_queue(pipeline: &Pipeline) -> Result<()> {
    let queues = &pipeline.stack.queues;
    while queues.depth(WORK_QUEUE).await? > 0 {
        for message in queues.receive(WORK_QUEUE, 10).await? {
            queues.delete(WORK_QUEUE, &message.receipt_handle).await?;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_stored_once_without_any_webhook() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        let recordings = add(&pipeline, 3);
        assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 3, "found": 3}));
        transcribed(&pipeline, &recordings, Status::Done).await;
        pipeline.settles().await?;
        assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 6, "found": 3}));
        for recording in &recordings {
            pipeline.ends_stored(*recording).await?;
            assert_eq!(pipeline.simulator().transcripts(*recording)[0].metadata["trace"], "sweep");
        }
        // The lists still contain the same entries, and the sweep sends no message.
        let sent = pipeline.stack.wire.count(Service::Sqs, "SendMessage");
        for _ in 0..3 {
            assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 6, "found": 0}));
        }
        assert_eq!(pipeline.stack.wire.count(Service::Sqs, "SendMessage"), sent);
        assert_eq!(pipeline.simulator().all_creates(), 3);
        for metric in ["JobsDue", "JobsWoken", "OldestDueAge", "SweepListed", "SweepFound"] {
            assert!(pipeline.stack.sweep.logs().iter().any(|line| line.contains(metric)), "{metric}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_alone_is_enough() -> Result<()> {
    let test = PipelineTest::with(|config, simulator| {
        config.sweep_every = Some(Duration::from_millis(200));
        simulator.limits.lists_per_minute = 10_000;
    });
    let test = test.without_webhooks();
    test.run(async |pipeline| {
        let recording = pipeline.simulator().add_recording(past(Meeting::hour(1)));
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recent_recording_is_left_to_its_webhook() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        pipeline.simulator().add_recording(Meeting::short(1));
        assert_eq!(pipeline.sweep().await?["found"], 0);
        // If both the webhook and the sweep arrive, one of them finds nothing to do.
        let recording = add(&pipeline, 1)[0];
        pipeline.simulator().set_webhook_url(Some(pipeline.stack.function_url.url().to_owned()));
        let body = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
        let (report, reply) = tokio::join!(pipeline.sweep(), pipeline.deliver(body.as_bytes()));
        report?;
        reply?;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_accepts_any_event() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        for event in ["null", "[]", "{}", "\"now\"", "{\"detail\": {\"a\": [1, null]}}"] {
            let report: Value = serde_json::from_slice(&pipeline.stack.sweep.invoke(event.into()).await?)?;
            assert_eq!(report, json!({"due": 0, "woken": 0, "listed": 0, "found": 0}), "{event}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_failure_is_found() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        pipeline.simulator().faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recordings = add(&pipeline, 1);
        pipeline.sweep().await?;
        transcribed(&pipeline, &recordings, Status::Failed).await;
        pipeline.settles().await?;
        assert_eq!(pipeline.sweep().await?["found"], 1);
        pipeline.reaches(recordings[0], "failed").await?;
        pipeline.settles().await?;
        let job = pipeline.job(recordings[0])?.context("no job")?;
        assert_eq!(job["transcripts"][0]["sub_code"], "provider_connection_failed");
        assert_eq!(pipeline.sweep().await?["found"], 0);
        assert_eq!(pipeline.simulator().all_creates(), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_recording_stays_skipped() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.env = vec![("COPY_UNREQUESTED".to_owned(), "false".to_owned())];
    });
    let test = test.without_webhooks();
    test.run(async |pipeline| {
        let skipped = pipeline.simulator().add_recording(past(Meeting::short(1).bot_metadata("transcript", "skip")));
        let theirs = pipeline.simulator().add_transcript(skipped, "deepgram_async", Metadata::new());
        pipeline.simulator().wait_for_status(theirs.context("no transcript")?, Status::Done).await;
        assert_eq!(pipeline.sweep().await?["found"], 2);
        pipeline.reaches(skipped, "skipped").await?;
        pipeline.settles().await?;
        for _ in 0..2 {
            assert_eq!(pipeline.sweep().await?, json!({"due": 0, "woken": 0, "listed": 2, "found": 0}));
        }
        assert_eq!(pipeline.simulator().all_creates(), 0);
        assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new());
        Ok(())
    })
    .await
}

/// No webhook tells when a recording expires. Without that time, no warning would be possible.
#[tokio::test(flavor = "multi_thread")]
async fn the_expiry_of_a_recording_is_learned_once() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.simulator().faults().never_transcribe(Target::next(1));
        let expires_at = in_hours(90);
        let recording = pipeline.simulator().play(past(Meeting::short(1)).expires_at(expires_at));
        pipeline.reaches(recording, "transcribing").await?;
        pipeline.settles().await?;
        assert_eq!(pipeline.sweep().await?["found"], 1);
        pipeline.settles().await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!(job["expires_at"], expires_at.unix_timestamp() * 1000, "{job}");
        assert_eq!(pipeline.sweep().await?["found"], 0);
        assert_eq!(pipeline.simulator().creates(recording), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_lists_can_be_turned_off() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.env = vec![("SWEEP_WINDOW_HOURS".to_owned(), "0".to_owned())];
    });
    test.run(async |pipeline| {
        let recording = without_its_wake_up(&pipeline).await?;
        add(&pipeline, 1);
        let before = pipeline.stack.wire.count(Service::Recall, "GET");
        assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 0, "found": 0}));
        assert_eq!(pipeline.stack.wire.count(Service::Recall, "GET"), before);
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}
