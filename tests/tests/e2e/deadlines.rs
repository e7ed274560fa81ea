//! An invocation ends by itself before Lambda ends it, whatever hangs, and reports how far it came.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Status},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest};
use uuid::Uuid;

/// A test whose transcript function receives no message until the event source is resumed.
fn by_hand(settings: &[(&str, &str)]) -> PipelineTest {
    let env = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let test = PipelineTest::with(|config, _| {
        config.env = env;
        config.transcript_timeout = Duration::from_secs(8);
    });
    test.paused()
}

/// Hands these messages over in one batch. Returns those that are to come back. Fails if the process had to be killed.
async fn hand(pipeline: &Pipeline, messages: &[Value]) -> Result<Vec<String>> {
    let record = |(id, message): (usize, &Value)| {
        json!({
            "messageId": id.to_string(), "body": message.to_string(), "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
        })
    };
    let records: Vec<Value> = messages.iter().enumerate().map(record).collect();
    let answer = pipeline.stack.transcript.invoke(json!({"Records": records}).to_string().into()).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let failures = answer["batchItemFailures"].as_array().context("no partial batch response")?;
    Ok(failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_enough_time_are_handed_back() -> Result<()> {
    let test = by_hand(&[]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let [slow, next] = [1, 2].map(|seed| simulator.add_recording(Meeting::short(seed)));
        let done = |recording: Uuid| json!({"recording_id": recording, "event": "recording.done"});
        let create = "/create_transcript/";
        let slowly = Fault::Delay(Duration::from_millis(3_500));
        pipeline.stack.wire.inject(Service::Recall, create, When::Before, slowly, 1);
        assert_eq!(hand(&pipeline, &[done(slow), done(next)]).await?, ["1"]);
        assert_eq!((simulator.creates(slow), simulator.creates(next)), (1, 0));
        assert_eq!(pipeline.job(next)?, None, "it was begun");
        assert_eq!(hand(&pipeline, &[done(next)]).await?, Vec::<String>::new());
        assert_eq!(simulator.creates(next), 1);
        pipeline.stack.event_source.resume();
        for recording in [slow, next] {
            pipeline.ends_stored(recording).await?;
        }
        Ok(())
    })
    .await
}

/// Returns a recording whose transcript is done at Recall, and the message that says so.
async fn transcribed(pipeline: &Pipeline) -> Result<(Uuid, Value)> {
    let simulator = pipeline.simulator();
    let recording = simulator.play(Meeting::short(1));
    let transcript = simulator.wait_for_transcripts(recording, 1).await[0].id;
    simulator.wait_for_status(transcript, Status::Done).await;
    simulator.wait_until_delivered().await;
    let message = json!({
        "recording_id": recording, "event": "transcript.done", "transcript_id": transcript, "attempt": 1,
    });
    Ok((recording, message))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_hangs_is_cut_off_in_time() -> Result<()> {
    let test = by_hand(&[("DELETE_AFTER_STORE", "transcript")]);
    test.run(async |pipeline| {
        let (recording, message) = transcribed(&pipeline).await?;
        let mut hangs = pipeline.stack.wire.inject(Service::Recall, "DELETE ", When::Before, Fault::Hold, 1);
        assert_eq!(hand(&pipeline, &[message]).await?, Vec::<String>::new(), "it ended by itself");
        hangs.reach(1).await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert!(job["status"] == "stored" && job["due_at"].is_number(), "it is tried again: {job}");
        pipeline.let_time_pass().await?;
        pipeline.stack.event_source.resume();
        let gone = || Ok(pipeline.simulator().transcripts(recording)[0].status == Status::Deleted);
        pipeline.wait_until("the transcript to be gone", gone).await?;
        pipeline.settles().await?;
        Ok(())
    })
    .await
}

/// The SDK would keep retrying for longer than the invocation lasts.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_that_hangs_is_cut_off_in_time() -> Result<()> {
    let test = by_hand(&[]);
    test.run(async |pipeline| {
        let (recording, message) = transcribed(&pipeline).await?;
        let mut hangs =
            pipeline.stack.wire.inject(Service::EventBridge, "PutEvents", When::Before, Fault::Hold, usize::MAX);
        assert_eq!(hand(&pipeline, &[message]).await?, Vec::<String>::new(), "it ended by itself");
        hangs.reach(1).await?;
        let job = pipeline.job(recording)?.context("no job")?;
        assert!(job["status"] == "stored" && job["due_at"].is_number(), "it is tried again: {job}");
        pipeline.stack.wire.calm();
        pipeline.let_time_pass().await?;
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.stack.bus.events().len(), 1);
        Ok(())
    })
    .await
}
