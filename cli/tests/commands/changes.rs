//! `retry`, `wake`, `dismiss` and `render`: what they check, ask, and change.

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Target},
    stack::WORK_QUEUE,
    wire::Service,
};
use serde_json::json;
use tests::{PipelineTest, pipeline_test};

use super::harness::{run, run_json};

const UNKNOWN: &str = "00000000-0000-0000-0000-000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_states_its_cost_asks_and_pays_once() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = simulator.play(Meeting::short(1));
        let id = recording.to_string();
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        let declined = run(&pipeline, &["retry", &id]).await?;
        assert!(declined.status == Some(7) && declined.messages.contains("USD 0.15"), "{declined:?}");
        let dry = run_json(&pipeline, &["retry", &id, "--dry-run"]).await?.json()?;
        assert_eq!((&dry["sent"], &dry["event"]), (&json!(false), &json!({"event": "retry", "after_attempt": 1})));
        let own = run(&pipeline, &["retry", &id, "--dry-run", "--price", "0.4"]).await?;
        assert!(own.messages.contains("USD 0.40") && own.messages.contains("your own price"), "{own:?}");
        let other = run_json(&pipeline, &["retry", &id, "--yes", "--provider", "rev_async"]).await?;
        assert_eq!(other.error(1)?, "not_possible", "the chain has no such provider");
        assert_eq!(simulator.creates(recording), 1, "nothing was paid for so far");

        let sent = run_json(&pipeline, &["retry", &id, "--yes", "--reason", "the outage is over"]).await?.json()?;
        assert_eq!(sent["sent"], true);
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        assert_eq!(simulator.creates(recording), 2);
        let logged = pipeline.stack.logs().iter().any(|line| line.contains("the outage is over"));
        assert!(logged, "the function logs the reason");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_ends_a_wait() -> Result<()> {
    pipeline_test(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = simulator.play(Meeting::short(1));
        pipeline.reaches(recording, "waiting").await?;
        let id = recording.to_string();
        let ran = run(&pipeline, &["wake", &id, "--yes"]).await?;
        assert!(ran.status == Some(0) && ran.data.contains("wake sent"), "{ran:?}");
        pipeline.reaches(recording, "stored").await?;
        // The message for the end of the wait is still on its way.
        pipeline.stack.queues.hurry(WORK_QUEUE).await?;
        pipeline.settles().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dismissed_job_is_not_listed_any_more() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = simulator.play(Meeting::short(1));
        let id = recording.to_string();
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        assert_eq!(run(&pipeline, &["dismiss", &id, "--yes"]).await?.status, Some(2), "a reason is needed");
        let several = run(&pipeline, &["dismiss", &id, UNKNOWN, "--yes", "--reason", "a test call"]).await?;
        assert!(several.status == Some(5) && several.data.contains("dismiss sent"), "{several:?}");
        assert!(several.messages.contains(UNKNOWN), "{several:?}");
        pipeline.settles().await?;
        assert!(run_json(&pipeline, &["jobs"]).await?.lines()?.is_empty());
        let again = run_json(&pipeline, &["dismiss", &id, "--yes", "--reason", "a test call"]).await?;
        assert_eq!(again.error(1)?, "not_possible");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_makes_the_files_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let before = pipeline.ends_stored(recording).await?;
        let id = recording.to_string();
        let written = || pipeline.stack.wire.count(Service::S3, "/transcript.html?x-id=PutObject");
        assert_eq!((run(&pipeline, &["render", &id]).await?.status, written()), (Some(7), 1));
        assert_eq!(run(&pipeline, &["render", &id, "--yes"]).await?.status, Some(0));
        pipeline.settles().await?;
        let [after] = &pipeline.manifests(recording)?[..] else { panic!("several manifests") };
        assert!(written() == 2 && after["rendered_at"].as_str() > before["rendered_at"].as_str(), "{after}");
        assert_eq!(run_json(&pipeline, &["render", UNKNOWN, "--yes"]).await?.error(3)?, "unknown_recording");
        let _ = after["transcript_id"].as_str().context("no transcript")?;
        Ok(())
    })
    .await
}
