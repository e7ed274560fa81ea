//! Due jobs are woken, whatever else goes wrong.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::Meeting,
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{PipelineTest, in_hours, now, pipeline_test};
use uuid::Uuid;

use super::{add, answer, deaf, empty_the_queue, without_its_wake_up};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_wake_up_is_repeated() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = without_its_wake_up(&pipeline).await?;
        for _ in 0..2 {
            let report = pipeline.sweep().await?;
            assert_eq!((&report["due"], &report["woken"]), (&json!(1), &json!(1)), "due until a worker takes it up");
        }
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.sweep().await?["due"], 0);
        Ok(())
    })
    .await
}

/// A job with little time left must not wait behind a thousand others.
#[tokio::test(flavor = "multi_thread")]
async fn the_job_that_expires_first_is_woken_first() -> Result<()> {
    pipeline_test(async |pipeline| {
        pipeline.stack.event_source.pause();
        let mut jobs = Vec::new();
        for _ in 0..6 {
            jobs.push(without_its_wake_up(&pipeline).await?);
        }
        // The order differs from that of the ids.
        let soonest: Vec<Uuid> = [3, 0, 5, 1, 4, 2].map(|index| jobs[index]).into();
        for (days, recording) in (1..).zip(&soonest) {
            let mut row = pipeline.job(*recording)?.context("no job")?;
            row["expires_at"] = (in_hours(24 * days).unix_timestamp() * 1000).into();
            assert!(pipeline.stack.dynamodb.replace(JOBS_TABLE, &row)?);
        }
        assert_eq!(pipeline.sweep().await?["woken"], 6);
        let messages = pipeline.stack.queues.receive(WORK_QUEUE, 10).await?;
        let woken: Vec<Value> =
            messages.iter().map(|message| serde_json::from_str(&message.body)).collect::<Result<_, _>>()?;
        let woken: Vec<Uuid> = woken.iter().filter_map(|wake| wake["recording_id"].as_str()?.parse().ok()).collect();
        assert_eq!(woken, soonest);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn recall_errors_do_not_stop_the_waking() -> Result<()> {
    for (fault, refused, unanswered) in [(answer(401), 2, 0), (answer(503), 0, 2), (Fault::Drop, 0, 2)] {
        pipeline_test(async |pipeline| {
            let recording = without_its_wake_up(&pipeline).await?;
            pipeline.stack.wire.inject(Service::Recall, "GET /api/v1/", When::Before, fault, usize::MAX);
            assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 0, "found": 0}), "{fault:?}");
            let log = pipeline.stack.sweep.logs();
            assert_eq!(log.iter().filter(|line| line.contains("recall.credentials_rejected")).count(), refused);
            let stopped = log.iter().filter(|line| line.contains("SweepsStopped") && line.contains("unanswered"));
            assert_eq!(stopped.count(), unanswered);
            pipeline.stack.wire.calm();
            pipeline.stack.event_source.resume();
            pipeline.ends_stored(recording).await?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// A backlog without workers must not grow by the same messages every minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_gets_no_more_messages() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = without_its_wake_up(&pipeline).await?;
        add(&pipeline, 1);
        let message = json!({"recording_id": Uuid::nil(), "event": "wake"}).to_string();
        for _ in 0..500 {
            pipeline.stack.queues.send(WORK_QUEUE, &message, &[]).await?;
        }
        assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 0, "listed": 0, "found": 0}));
        // The same holds while most of the messages are in flight.
        for _ in 0..40 {
            assert_eq!(pipeline.stack.queues.receive(WORK_QUEUE, 10).await?.len(), 10);
        }
        assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 0, "listed": 0, "found": 0}));
        assert_eq!(pipeline.stack.queues.depth(WORK_QUEUE).await?, 500);
        pipeline.stack.queues.hurry(WORK_QUEUE).await?;
        empty_the_queue(&pipeline).await?;
        assert_eq!(pipeline.sweep().await?, json!({"due": 1, "woken": 1, "listed": 2, "found": 1}));
        pipeline.stack.event_source.resume();
        pipeline.ends_stored(recording).await?;
        Ok(())
    })
    .await
}

/// The sweep reports the table's failure, and still does everything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_cannot_query_fails_but_still_lists() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        let recording = add(&pipeline, 1)[0];
        pipeline.stack.wire.inject(Service::DynamoDb, "Query", When::Before, answer(500), 3 * 8);
        let error = pipeline.sweep().await.expect_err("it could not query").to_string();
        assert!(error.contains("not all that is due could be woken"), "{error}");
        pipeline.reaches(recording, "transcribing").await?;
        Ok(())
    })
    .await
}

/// The index takes three seconds for each of eight queries: longer than the waking may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_table_leaves_the_lists_their_turn() -> Result<()> {
    let test = PipelineTest::with(|config, _| config.sweep_timeout = Duration::from_secs(30));
    let test = test.without_webhooks();
    test.run(async |pipeline| {
        let recording = add(&pipeline, 1)[0];
        let slow = Fault::Delay(Duration::from_secs(3));
        pipeline.stack.wire.inject(Service::DynamoDb, "Query", When::Before, slow, usize::MAX);
        pipeline.sweep().await.expect_err("it has not queried every shard");
        pipeline.reaches(recording, "transcribing").await?;
        Ok(())
    })
    .await
}

/// A page of the index holds 100 jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_partition_of_the_index_is_read_to_its_end() -> Result<()> {
    const JOBS: usize = 105;
    pipeline_test(async |pipeline| {
        let stack = &pipeline.stack;
        stack.event_source.pause();
        let throttled = Fault::Answer { status: 429, retry_after: Some(1) };
        stack.wire.inject(Service::Recall, "/create_transcript/", When::Before, throttled, JOBS);
        for _ in 0..JOBS {
            let recording = pipeline.simulator().add_recording(Meeting::short(1));
            let body = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
            assert_eq!(pipeline.deliver(body.as_bytes()).await?.status, 503);
        }
        empty_the_queue(&pipeline).await?;
        let mut last_due = 0;
        for mut row in stack.dynamodb.items(JOBS_TABLE)? {
            last_due = last_due.max(row["due_at"].as_i64().context("it is not due")?);
            row["due_shard"] = "0".into();
            assert!(stack.dynamodb.replace(JOBS_TABLE, &row)?);
        }
        pipeline.wait_until("all to be due", || Ok(now() * 1000 > last_due)).await?;
        let report = pipeline.sweep().await?;
        assert_eq!((&report["due"], &report["woken"]), (&json!(JOBS), &json!(JOBS)));
        Ok(())
    })
    .await
}

/// No function takes messages, and the queue is full: the sweep still reports what expires soon, so that an operator
/// can act.
#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_recording_is_reported_without_workers() -> Result<()> {
    pipeline_test(async |pipeline| {
        let soon = without_its_wake_up(&pipeline).await?;
        let later = without_its_wake_up(&pipeline).await?;
        for (recording, hours) in [(soon, 23), (later, 25)] {
            let mut row = pipeline.job(recording)?.context("no job")?;
            row["expires_at"] = (in_hours(hours).unix_timestamp() * 1000).into();
            assert!(pipeline.stack.dynamodb.replace(JOBS_TABLE, &row)?);
        }
        let message = json!({"recording_id": Uuid::nil(), "event": "wake"}).to_string();
        for _ in 0..500 {
            pipeline.stack.queues.send(WORK_QUEUE, &message, &[]).await?;
        }
        for runs in 1..=2 {
            assert_eq!(pipeline.sweep().await?["woken"], 0);
            let logs = pipeline.stack.sweep.logs();
            let alarms: Vec<&String> = logs.iter().filter(|line| line.contains("expiry.noticed")).collect();
            assert_eq!(alarms.len(), runs, "one in each run: {alarms:?}");
            assert!(alarms.iter().all(|line| line.contains(&soon.to_string()) && line.contains("ERROR")), "{alarms:?}");
            assert_eq!(logs.iter().filter(|line| line.contains("\"RecordingsExpiring\":1")).count(), runs);
        }
        Ok(())
    })
    .await
}
