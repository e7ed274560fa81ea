//! Failures are retried and leave nothing half done.

mod copies;
mod creates;

use anyhow::{Context as _, Result};
use local::{
    recall::Meeting,
    wire::{Fault, Service, When},
};
use tests::{Pipeline, pipeline_test};

fn answer(status: u16) -> Fault {
    Fault::Answer { status, retry_after: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn recall_outages_delay_the_create() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, answer(503), 2);
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        // The sender was told to retry, and did.
        let deliveries = pipeline.simulator().deliveries();
        let first = deliveries.iter().find(|delivery| delivery.event == "recording.done").context("no delivery")?;
        assert_eq!(first.status, Some(503));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_acknowledged_once_they_are_durable() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.wire.inject(Service::DynamoDb, "GetItem", When::Before, answer(500), 3);
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let reply = pipeline.deliver(&done(recording)).await?;
        assert_eq!(reply.status, 503);
        assert!(reply.retry_after.is_some());
        assert_eq!(pipeline.simulator().creates(recording), 0);
        pipeline.stack.wire.calm();

        pipeline.stack.wire.inject(Service::Sqs, "SendMessage", When::Before, answer(500), 6);
        pipeline
            .simulator()
            .send_event(serde_json::json!({"event": "recording.done", "data": {"recording": {"id": recording}}}));
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        let refused = pipeline.simulator().deliveries().iter().filter(|delivery| delivery.status == Some(503)).count();
        assert!(refused >= 1, "no delivery was sent back");
        pipeline.check_stored(recording)?;
        Ok(())
    })
    .await
}

fn logged(pipeline: &Pipeline, text: &str) -> bool {
    pipeline.stack.logs().iter().any(|line| line.contains(text))
}

fn done(recording: uuid::Uuid) -> Vec<u8> {
    serde_json::json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string().into_bytes()
}
