//! "Send example" in Recall's dashboard: the first button that an operator presses.

use std::time::Duration;

use anyhow::{Result, bail};
use local::{
    recall::Meeting,
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::Value;
use tests::{Pipeline, pipeline_test};
use uuid::Uuid;

/// The metrics that raise an alarm when they are counted once, or often enough.
const ALARMING: [&str; 11] = [
    "AttemptsFailed",
    "AttemptsPaidTwice",
    "DeletionsStopped",
    "JobsFailed",
    "MessagesParked",
    "ProvidersRefused",
    "RecallRefusals",
    "RecordingsExpiring",
    "TranscriptsPaid",
    "WebhooksParked",
    "WebhooksRefused",
];
/// More rounds than a day of retries takes.
const MOST_WAITS: usize = 500;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Presses the button and returns the recording that the example names.
async fn send_example(pipeline: &Pipeline, event: &str) -> Uuid {
    let recording = pipeline.simulator().send_example(event);
    let of_it = |it: &local::recall::Simulator| {
        it.deliveries().into_iter().find(|delivery| delivery.recording_id == Some(recording))
    };
    let first = pipeline.simulator().wait_for(of_it).await;
    assert_eq!((first.attempt, first.status), (1, Some(200)), "{event}");
    recording
}

/// Lets time pass until no job waits for anything.
async fn until_nothing_is_due(pipeline: &Pipeline) -> Result<()> {
    let queues = &pipeline.stack.queues;
    for _ in 0..MOST_WAITS {
        while !pipeline.is_idle() || queues.visible(WORK_QUEUE).await? > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let is_due = pipeline.stack.dynamodb.items(JOBS_TABLE)?.iter().any(|row| row.get("due_at").is_some());
        if !is_due && queues.depth(WORK_QUEUE).await? == 0 {
            return Ok(());
        }
        pipeline.let_time_pass().await?;
        // A wait that is too long for a message is ended by the sweep alone.
        pipeline.sweep().await?;
    }
    bail!("the jobs wait forever: {:#?}", pipeline.stack.dynamodb.items(JOBS_TABLE)?)
}

/// Returns how many times the metric was counted.
fn counted(lines: &[Value], metric: &str) -> usize {
    let name = |line: &&Value| line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == metric;
    lines.iter().filter(name).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn example_events_are_accepted_and_announce_nothing() -> Result<()> {
    pipeline_test(async |pipeline| {
        let mut examples = Vec::new();
        for event in job::Event::names_from_recall() {
            examples.push((event, send_example(&pipeline, event).await));
        }
        until_nothing_is_due(&pipeline).await?;
        for (event, recording) in examples {
            let expected = match event {
                // The recording was unknown, and there is nothing to do.
                "recording.deleted" | "transcript.deleted" => None,
                _ => Some("skipped"),
            };
            assert_eq!(pipeline.status(recording)?.as_deref(), expected, "{event}: {:#?}", pipeline.job(recording)?);
        }
        assert_eq!(pipeline.simulator().all_creates(), 0);
        assert_eq!(pipeline.dead_letters().await?.len(), 0);
        let told: Vec<String> = pipeline.stack.bus.events().into_iter().map(|event| event.detail_type).collect();
        assert_eq!(told, Vec::<String>::new(), "nothing is announced");
        let lines: Vec<Value> =
            pipeline.stack.logs().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let errors: Vec<&Value> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for metric in ALARMING {
            assert_eq!(counted(&lines, metric), 0, "{metric}");
        }
        // Recall was asked about four of the recordings, and each of them counts once. The alarm fires at the fifth in
        // an hour.
        assert_eq!(counted(&lines, "RecordingsUnknown"), 4);
        Ok(())
    })
    .await
}

/// The same event about a recording that Recall knows, while Recall cannot be reached at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_recording_is_announced_once_recall_answers() -> Result<()> {
    pipeline_test(async |pipeline| {
        let fault = Fault::Answer { status: 503, retry_after: None };
        pipeline.stack.wire.inject(Service::Recall, "GET /api/v1/recording/", When::Before, fault, 2);
        let recording = pipeline.simulator().recording_failed(Meeting::short(1), Some("internal_error"));
        pipeline.reaches(recording, "failed").await?;
        until_nothing_is_due(&pipeline).await?;
        let told: Vec<_> =
            pipeline.stack.bus.events().into_iter().map(|event| (event.detail_type, event.detail)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].0.as_str(), &told[0].1["sub_code"]), ("Transcript Failed", &"internal_error".into()));
        assert_eq!(pipeline.simulator().all_creates(), 0);
        Ok(())
    })
    .await
}
