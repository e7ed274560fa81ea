//! Metrics in CloudWatch's embedded format, with the values that matter.

use anyhow::Result;
use local::recall::{Meeting, Status, Target};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, now};

use crate::sweep::{add, deaf, transcribed};

/// Returns the lines of one metric, from all functions.
fn metric(pipeline: &Pipeline, name: &str) -> Vec<Value> {
    let lines = pipeline.stack.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] == name).collect()
}

/// Returns the lines of one metric once there are this many. A line arrives a moment after the process writes it.
async fn metrics(pipeline: &Pipeline, name: &str, count: usize) -> Result<Vec<Value>> {
    pipeline.wait_until(name, || Ok(metric(pipeline, name).len() >= count)).await?;
    Ok(metric(pipeline, name))
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_times_to_stored_are_counted_once() -> Result<()> {
    let env = ("METRICS_NAMESPACE".to_owned(), "RecallTranscripts/staging".to_owned());
    let test = PipelineTest::with(|config, _| config.env.push(env));
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        // A repeated delivery is not counted.
        let job = pipeline.job(recording)?.unwrap_or_default();
        let done = json!({"event": "recording.done", "data": {"recording": {"id": recording}}}).to_string();
        pipeline.deliver(done.as_bytes()).await?;
        pipeline.settles().await?;
        let paid = metrics(&pipeline, "TranscriptsPaid", 1).await?;
        assert_eq!(paid.len(), 1, "{paid:?}");
        assert_eq!(paid[0]["provider"], "recallai_async");
        let about = &paid[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(about["Dimensions"], json!([[], ["provider"]]));
        assert_eq!(about["Namespace"], "RecallTranscripts/staging");
        let times = metrics(&pipeline, "TimeToStored", 1).await?;
        assert_eq!(times.len(), 1, "{times:?}");
        let stored_at = job["transcripts"][0]["receipt"]["stored_at"].as_i64();
        let took = stored_at.zip(job["done_at"].as_i64()).map(|(stored_at, done_at)| (stored_at - done_at) / 1000);
        assert_eq!(times[0]["TimeToStored"].as_i64(), took, "{job}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_provider_and_reason() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.env.push(("TRIES_PER_PROVIDER".to_owned(), "1".to_owned()));
    });
    test.run(async |pipeline| {
        pipeline.simulator().faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.reaches(recording, "failed").await?;
        pipeline.settles().await?;
        let failed = metrics(&pipeline, "AttemptsFailed", 1).await?;
        assert_eq!(failed.len(), 1, "{failed:?}");
        let reason = (&failed[0]["provider"], &failed[0]["sub_code"]);
        assert_eq!(reason, (&json!("recallai_async"), &json!("provider_connection_failed")));
        assert_eq!(metrics(&pipeline, "JobsFailed", 1).await?.len(), 1);
        assert_eq!(metric(&pipeline, "TimeToStored"), Vec::<Value>::new());
        Ok(())
    })
    .await
}

/// This job is neither due nor announced, so its alarm needs a metric of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_oldest_unfinished_job_is_measured_in_every_run() -> Result<()> {
    let test = deaf(100);
    test.run(async |pipeline| {
        let age = async |runs: usize| {
            pipeline.sweep().await?;
            let ages = metrics(&pipeline, "OldestUnfinishedAge", runs).await?;
            Ok::<_, anyhow::Error>(ages[runs - 1]["OldestUnfinishedAge"].as_i64().unwrap_or_default())
        };
        assert_eq!(age(1).await?, 0, "nothing is unfinished");
        let recording = add(&pipeline, 1)[0];
        age(2).await?;
        pipeline.reaches(recording, "transcribing").await?;
        let row = pipeline.job(recording)?.unwrap_or_default();
        let since = row["done_at"].as_i64().unwrap_or_default() / 1000;
        let measured = age(3).await?;
        let real = now() - since;
        assert!(since > 0 && (real - 60..=real).contains(&measured), "{measured} instead of {real}");
        transcribed(&pipeline, &[recording], Status::Done).await;
        age(4).await?;
        pipeline.ends_stored(recording).await?;
        assert_eq!(age(5).await?, 0, "it is stored");
        let row = pipeline.job(recording)?.unwrap_or_default();
        assert!(row.get("open_shard").is_none() && row.get("done_at").is_some(), "{row}");
        Ok(())
    })
    .await
}
