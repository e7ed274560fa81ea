//! SIGKILL at the points that matter. Each recording ends stored, paid once, with nothing torn.

use anyhow::Result;
use local::{
    recall::{DownloadFault, Meeting, Target},
    wire::{Fault, Service, When},
};
use tests::Pipeline;

/// Kills the webhook function while its call of create_transcript hangs on one side of the effect.
async fn kill_the_webhook(when: When) -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    let mut hangs = pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", when, Fault::Hold, 1);
    let recording = pipeline.simulator().play(Meeting::short(1));
    hangs.reach(1).await?;
    assert_eq!(pipeline.status(recording)?.as_deref(), Some("creating"), "the intent is saved before the call");
    pipeline.stack.webhook.kill().await;
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_claim() -> Result<()> {
    kill_the_webhook(When::Before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_create() -> Result<()> {
    kill_the_webhook(When::After).await
}

/// The create took effect, its answer was recorded, but nobody told the sender.
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_recording_the_answer() -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    let mut hangs = pipeline.stack.wire.inject(
        Service::DynamoDb,
        "PutItem",
        When::After,
        Fault::Delay(std::time::Duration::ZERO),
        1,
    );
    let recording = pipeline.simulator().play(Meeting::short(1));
    hangs.reach(1).await?;
    let mut second = pipeline.stack.wire.inject(Service::DynamoDb, "PutItem", When::After, Fault::Hold, 1);
    second.reach(1).await?;
    pipeline.stack.webhook.kill().await;
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_the_copy() -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    pipeline.simulator().faults().download(Target::next(1), DownloadFault::Stalled { after: 6_000_000 });
    let recording = pipeline.simulator().play(Meeting::large(7_000_000));
    pipeline.wait_until("a part in S3", || Ok(pipeline.stack.wire.count(Service::S3, "partNumber=1") == 1)).await?;
    assert_eq!(pipeline.stack.s3.open_uploads()?.len(), 1);
    pipeline.stack.transcript.kill().await;
    assert_eq!(pipeline.stack.s3.keys()?, Vec::<String>::new(), "half a file is visible");
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_manifest() -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    let mut hangs = pipeline.stack.wire.inject(Service::S3, "/manifest.json", When::Before, Fault::Hold, 1);
    let recording = pipeline.simulator().play(Meeting::short(1));
    hangs.reach(1).await?;
    assert!(pipeline.manifests(recording)?.is_empty());
    pipeline.stack.transcript.kill().await;
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

/// The set is complete, but the row does not know it yet.
#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_manifest() -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    let mut hangs = pipeline.stack.wire.inject(Service::S3, "/manifest.json", When::After, Fault::Hold, 1);
    let recording = pipeline.simulator().play(Meeting::short(1));
    hangs.reach(1).await?;
    pipeline.stack.transcript.kill().await;
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}

/// A copy that takes too long stops by itself, with time left to clean up after it.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_time_in_the_middle_of_the_copy() -> Result<()> {
    let pipeline = Pipeline::start_hasty().await?;
    pipeline.simulator().faults().download(Target::next(1), DownloadFault::Stalled { after: 6_000_000 });
    let recording = pipeline.simulator().play(Meeting::large(7_000_000));
    pipeline
        .wait_until("the end of the copy", || Ok(pipeline.stack.logs().iter().any(|line| line.contains("time is up"))))
        .await?;
    assert!(pipeline.stack.s3.open_uploads()?.is_empty(), "it did not clean up");
    pipeline.ends_stored(recording).await?;
    pipeline.check_promises()
}
