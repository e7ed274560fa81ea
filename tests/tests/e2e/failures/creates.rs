//! Create calls that are refused, throttled, or not answered.

use anyhow::{Context as _, Result};
use local::{
    recall::{EntryFault, Meeting, Order, Status, Target, WebhookFault},
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::json;
use tests::pipeline_test;

use super::{answer, done, logged};

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_create_waits_as_long_as_it_is_told() -> Result<()> {
    pipeline_test(async |pipeline| {
        let throttled = Fault::Answer { status: 429, retry_after: Some(3) };
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, 1);
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let body = done(recording);
        let reply = pipeline.deliver(&body).await?;
        assert_eq!((reply.status, reply.retry_after), (503, Some(3)), "{reply:?}");
        assert_eq!(pipeline.status(recording)?.as_deref(), Some("waiting"));
        assert_eq!(pipeline.deliver(&body).await?.status, 200);
        assert_eq!(pipeline.stack.wire.count(Service::Recall, "/create_transcript/"), 1);
        // The sender does not deliver it again: the job continues from the queue.
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(pipeline.deliver(&body).await?.body["outcome"], "ignored");
        let transcript = &pipeline.simulator().transcripts(recording)[0];
        // Recall may replay an error under a used key.
        assert_eq!(transcript.idempotency_key.as_deref(), Some(format!("{recording}:2").as_str()));
        pipeline.check_stored(recording)?;
        Ok(())
    })
    .await
}

/// Recall gives up on an endpoint that fails for days. The row has the event, so the job continues without its sender.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_throttle_is_not_passed_on_to_the_sender() -> Result<()> {
    pipeline_test(async |pipeline| {
        let throttled = Fault::Answer { status: 429, retry_after: Some(3600) };
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, 1);
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let reply = pipeline.deliver(&done(recording)).await?;
        assert_eq!((reply.status, reply.body["outcome"].as_str()), (200, Some("applied")), "{reply:?}");
        let reply = pipeline.deliver(&done(recording)).await?;
        assert_eq!((reply.status, reply.body["outcome"].as_str()), (200, Some("ignored")), "{reply:?}");
        let job = pipeline.job(recording)?.context("no job")?;
        assert!(job["status"] == "waiting" && job["due_at"].is_number(), "{job}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_pauses_the_job_and_ends_nothing() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, answer(402), 1);
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let reply = pipeline.deliver(&done(recording)).await?;
        assert_eq!((reply.status, reply.retry_after), (503, Some(300)), "{reply:?}");
        assert_eq!(pipeline.status(recording)?.as_deref(), Some("waiting"));
        Ok(())
    })
    .await
}

/// The 429 says nothing about the call before it, which was paid for.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_and_then_a_throttle_are_not_paid_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, wire) = (pipeline.simulator(), &pipeline.stack.wire);
        simulator.faults().webhook("transcript.", 2, WebhookFault::Held);
        wire.inject(Service::Recall, "/create_transcript/", When::After, Fault::Drop, 1);
        let recording = simulator.play(Meeting::short(1));
        pipeline.wait_until("the first call", || Ok(wire.count(Service::Recall, "/create_transcript/") == 1)).await?;
        let throttled = Fault::Answer { status: 429, retry_after: Some(1) };
        wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, 1).reach(1).await?;
        simulator.wait_for_held(2).await;
        pipeline
            .wait_until("the refusal in the row", || {
                Ok(pipeline.job(recording)?.is_some_and(|job| job["transcripts"][0]["errors"] == 3))
            })
            .await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["status"], &job["attempts"]), (&"creating".into(), &1.into()), "{job}");
        simulator.release_webhooks(Order::Sent).await;
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// A refusal says nothing about an earlier call under the same key. Only a look-up ends that attempt: it finds the paid
/// transcript, or that there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_and_then_a_refusal_end_in_a_look_up() -> Result<()> {
    const CREATE: &str = "/create_transcript/";
    for (status, lost, key) in
        [401, 402, 403, 429].into_iter().flat_map(|status| [(status, When::After, 1), (status, When::Before, 2)])
    {
        pipeline_test(async |pipeline| {
            let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
            let why = format!("{status}, {lost:?}");
            simulator.faults().webhook("transcript.", usize::MAX, WebhookFault::Dropped);
            stack.event_source.pause();
            stack.wire.inject(Service::Recall, CREATE, lost, Fault::Drop, 1);
            let recording = simulator.add_recording(Meeting::short(1));
            assert_eq!(pipeline.deliver(&done(recording)).await?.status, 503, "{why}");
            let mut refusal = stack.wire.inject(Service::Recall, CREATE, When::Before, answer(status), 1);
            pipeline.let_time_pass().await?;
            assert_eq!(pipeline.deliver(&done(recording)).await?.status, 503, "{why}");
            refusal.reach(1).await?;
            let job = pipeline.job(recording)?.context("no job")?;
            assert_eq!((&job["status"], &job["attempts"]), (&"creating".into(), &1.into()), "{why}: {job}");
            assert_eq!(stack.wire.count(Service::Recall, CREATE), 2, "{why}");

            for _ in 0..20 {
                stack.event_source.pause();
                pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
                pipeline.let_time_pass().await?;
                pipeline.sweep().await?;
                stack.event_source.resume();
                while !pipeline.is_idle() || stack.queues.visible(WORK_QUEUE).await? > 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                if pipeline.status(recording)?.as_deref() == Some("stored") {
                    break;
                }
            }
            // The delayed messages find nothing to do.
            stack.queues.hurry(WORK_QUEUE).await?;
            pipeline.ends_stored(recording).await.with_context(|| why.clone())?;
            let transcript = &simulator.transcripts(recording)[0];
            assert_eq!(transcript.idempotency_key, Some(format!("{recording}:{key}")), "{why}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// One entry of the list that shows whether a transcript was created is unreadable. The transcript is found by its id
/// alone. If the entry has no id, the pipeline does not pay before it can read the list.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_list_entry_is_no_reason_to_pay_again() -> Result<()> {
    for fault in [EntryFault::Deep, EntryFault::NoId, EntryFault::Null] {
        pipeline_test(async |pipeline| {
            let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
            simulator.faults().webhook("transcript.", usize::MAX, WebhookFault::Dropped);
            stack.event_source.pause();
            stack.wire.inject(Service::Recall, "/create_transcript/", When::After, answer(500), 1);
            let recording = simulator.add_recording(Meeting::short(1));
            simulator.faults().list_entry(Target::recording(recording).times(1), fault);
            assert_eq!(pipeline.deliver(&done(recording)).await?.status, 503, "{fault:?}");
            let made = simulator.wait_for_transcripts(recording, 1).await[0].id;
            simulator.wait_for_status(made, Status::Done).await;
            // Recall has forgotten the key, so only the list can tell.
            let mut row = pipeline.job(recording)?.context("no job")?;
            for name in ["first_call_at", "last_call_at"] {
                let at = row["transcripts"][0][name].as_i64().context("no call")?;
                row["transcripts"][0][name] = (at - 60 * 60 * 1000).into();
            }
            row["transcripts"][0]["retry_at"] = (tests::now() * 1000 - 1).into();
            assert!(stack.dynamodb.replace(JOBS_TABLE, &row)?);
            simulator.age(recording, std::time::Duration::from_secs(60 * 60));
            let listed = |count| stack.wire.count(Service::Recall, "GET /api/v1/transcript/") >= count;
            pipeline.deliver(&done(recording)).await?;
            assert!(listed(1), "{fault:?}: it was not looked up");
            let adopted =
                pipeline.job(recording)?.is_some_and(|job| job["transcripts"][0]["transcript_id"].is_string());
            assert_eq!(adopted, matches!(fault, EntryFault::Deep), "{fault:?}: {:?}", pipeline.job(recording)?);
            assert_eq!(stack.wire.count(Service::Recall, "/create_transcript/"), 1, "{fault:?}");
            pipeline.let_time_pass().await?;
            pipeline.deliver(&done(recording)).await?;
            stack.event_source.resume();
            pipeline.ends_stored(recording).await.with_context(|| format!("{fault:?}"))?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The transcript was created and paid for, but the answer is unreadable: the pipeline does not pay again.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_create_answer_is_not_paid_again() -> Result<()> {
    for fault in [Fault::Html { status: 200 }, Fault::Html { status: 502 }, answer(201)] {
        pipeline_test(async |pipeline| {
            pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::After, fault, 1);
            let recording = pipeline.simulator().play(Meeting::short(1));
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A firewall's page or an empty account: an operator has to act, and then the job continues by itself.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_that_an_operator_can_lift_pauses_the_job() -> Result<()> {
    for fault in [answer(401), answer(402), Fault::Html { status: 403 }] {
        pipeline_test(async |pipeline| {
            pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, fault, 1);
            let recording = pipeline.simulator().add_recording(Meeting::short(1));
            assert_eq!(pipeline.deliver(&done(recording)).await?.status, 503);
            let job = pipeline.job(recording)?.context("no job")?;
            assert_eq!((&job["status"], &job["hold"]["times"]), (&"waiting".into(), &1.into()), "{job}");
            assert!(job["due_at"].is_number() && logged(&pipeline, "recall.credentials_rejected"), "{job}");
            assert_eq!(pipeline.simulator().creates(recording), 0);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A 404 that is not the API's says that we reached another server, so it ends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_html_404_pauses_the_job() -> Result<()> {
    pipeline_test(async |pipeline| {
        let html = Fault::Html { status: 404 };
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, html, 1);
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let reply = pipeline.deliver(&done(recording)).await?;
        assert_eq!((reply.status, reply.retry_after), (503, Some(300)), "{reply:?}");
        assert_eq!(pipeline.status(recording)?.as_deref(), Some("waiting"));

        pipeline.stack.wire.inject(Service::Recall, "GET /api/v1/transcript/", When::Before, html, 1);
        let recording = pipeline.simulator().play(Meeting::short(2));
        pipeline.reaches(recording, "copying").await?;
        pipeline.wait_until("a failed copy", || Ok(logged(&pipeline, "recall.answer_rejected"))).await?;
        assert_eq!(pipeline.status(recording)?.as_deref(), Some("copying"));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_waits_for_new_options_and_continues() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, answer(400), 1);
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.wait_until("a refusal", || Ok(logged(&pipeline, "providers.refused"))).await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!((&job["status"], &job["hold"]["hold"]), (&json!("waiting"), &json!("all_refused")), "{job}");
        assert_eq!((&job["transcripts"][0]["status"], &job["transcript_count"]), (&json!(400), &json!(0)), "{job}");
        // An operator has fixed the options.
        let wake =
            json!({"recording_id": recording, "event": "wake", "now": true, "reason": "options fixed", "by": "ops"});
        pipeline.stack.queues.send(WORK_QUEUE, &wake.to_string(), &[]).await?;
        pipeline.reaches(recording, "stored").await?;
        assert!(logged(&pipeline, "message.requested") && logged(&pipeline, "options fixed"));
        pipeline.settles().await?;
        assert_eq!(pipeline.simulator().creates(recording), 1);
        Ok(())
    })
    .await
}
