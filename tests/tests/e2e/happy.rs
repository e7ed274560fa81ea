//! The normal case works.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::{recall::Meeting, stack::JOBS_TABLE, wire::Service};
use serde_json::{Value, json};
use tests::{PipelineTest, binaries, pipeline_test};

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_recording_becomes_a_transcript_in_s3() -> Result<()> {
    pipeline_test(async |pipeline| {
        let meeting = Meeting::hour(1).metadata("customer", "acme").bot_metadata("team", "sales");
        let recording = pipeline.simulator().play(meeting);
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;

        let manifest = pipeline.check_stored(recording)?;
        let transcript = &pipeline.simulator().transcripts(recording)[0];
        let bot = pipeline.simulator().recording(recording).and_then(|view| view.bot_id).context("no bot")?;
        assert_eq!(manifest["schema"], 1);
        assert_eq!(manifest["recording_id"], recording.to_string());
        assert_eq!(manifest["bot_id"], bot.to_string());
        assert_eq!(manifest["attempt"], 1);
        assert_eq!(manifest["provider"], "recallai_async");
        assert_eq!(manifest["language_codes"], json!(["en"]));
        assert_eq!(manifest["recording"]["metadata"]["customer"], "acme");
        assert!(manifest["recording"]["started_at"].is_string() && manifest["stored_at"].is_string());
        assert_eq!(manifest["empty"], false);
        assert_eq!(manifest["rendering_error"], Value::Null);
        let file = &manifest["files"][0];
        let key = format!("recordings/{recording}/{}/transcript.json", transcript.id);
        assert_eq!((&file["name"], &file["key"]), (&json!("transcript.json"), &json!(key)));
        assert_eq!(file["content_type"], "application/json");
        let attributes = pipeline.stack.s3.attributes(&key)?.context("no object")?;
        assert_eq!(attributes.content_type.as_deref(), Some("application/json"));
        check_counts(&manifest, &pipeline.simulator().transcript_bytes(transcript.id).context("no file")?)?;

        // What the paid call carried.
        assert_eq!(transcript.idempotency_key.as_deref(), Some(format!("{recording}:1").as_str()));
        assert_eq!(transcript.metadata["job"], recording.to_string());
        assert_eq!(transcript.metadata["attempt"], "1");
        assert!(transcript.metadata["trace"].as_str().is_some_and(|trace| trace.starts_with("msg_")));

        // The columns that programs read in the table.
        let job = pipeline.job(recording)?.context("no job")?;
        assert_eq!(job["status"], "stored");
        assert!(job["version"].as_u64().is_some_and(|version| version >= 3), "{job}");
        assert!(job["updated_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{job}");
        assert!(!job.to_string().contains("http"), "a URL is in the row: {job}");
        Ok(())
    })
    .await
}

/// Counts the words and turns again in a simple way.
fn check_counts(manifest: &Value, file: &Bytes) -> Result<()> {
    let turns: Vec<Value> = serde_json::from_slice(file)?;
    let words = |turn: &Value| turn["words"].as_array().map_or(0, Vec::len);
    let speakers: std::collections::BTreeSet<_> =
        turns.iter().map(|turn| turn["participant"]["id"].to_string()).collect();
    assert_eq!(manifest["counts"]["turns"], turns.len());
    assert_eq!(manifest["counts"]["words"], turns.iter().map(words).sum::<usize>());
    assert_eq!(manifest["counts"]["speakers"], speakers.len());
    assert!(manifest["counts"]["duration_s"].as_f64().is_some_and(|seconds| (3000.0..4000.0).contains(&seconds)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_meeting_is_stored_and_empty() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::silent().without_bot());
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(manifest["empty"], true);
        assert_eq!(
            manifest["counts"],
            json!({"turns": 0, "words": 0, "speakers": 0, "speakers_over_limit": 0, "duration_s": 0.0})
        );
        assert_eq!(manifest["bot_id"], Value::Null);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transcript_goes_up_in_parts_and_arrives_whole() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::large(12_000_000));
        pipeline.ends_stored(recording).await?;
        assert_eq!(pipeline.stack.wire.count(Service::S3, "partNumber="), 3);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_recall_and_s3() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        let chain = r#"[{"assembly_ai_async": {"language_confidence_threshold": 0.25, "punctuate": true}}]"#;
        config.env = [("TRANSCRIPT_PROVIDERS", chain), ("SEPARATE_STREAMS", "true"), ("KEY_PREFIX", "team=a/raw/")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    });
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(2));
        pipeline.reaches(recording, "stored").await?;
        pipeline.settles().await?;
        let keys = pipeline.stack.s3.keys()?;
        let below = |folder: &str| keys.iter().filter(|key| key.starts_with(&format!("team=a/raw/{folder}"))).count();
        let found = ["recordings/", "meetings/date=", "turns/date="].map(below);
        assert_eq!((found, keys.len()), ([8, 1, 1], 10), "{keys:?}");
        let provider = &pipeline.simulator().transcripts(recording)[0].provider;
        assert_eq!(provider["assembly_ai_async"]["language_confidence_threshold"], 0.25);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_recordings_delivered_five_times_at_once_are_paid_twenty_times() -> Result<()> {
    let test = PipelineTest::with(|config, simulator| {
        config.concurrency = 100;
        simulator.limits.calls_per_minute = 10_000;
    });
    test.run(async |pipeline| {
        let copies = local::recall::WebhookFault::Copies(5);
        pipeline.simulator().faults().webhook("recording.done", 20, copies);
        let recordings: Vec<_> = (0..20).map(|seed| pipeline.simulator().play(Meeting::short(seed))).collect();
        for recording in &recordings {
            pipeline.reaches(*recording, "stored").await?;
        }
        pipeline.settles().await?;
        for recording in &recordings {
            pipeline.check_stored(*recording)?;
        }
        assert_eq!(pipeline.simulator().all_creates(), 20);
        assert_eq!(pipeline.stack.dynamodb.items(JOBS_TABLE)?.len(), 20);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_bad_settings_stops_and_names_them_all() -> Result<()> {
    let binaries = binaries().await?;
    for (binary, needs) in [
        (&binaries.webhook, ["RECALL_REGION", "JOBS_TABLE", "WORK_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"]),
        (&binaries.transcript, ["RECALL_REGION", "JOBS_TABLE", "WORK_QUEUE_URL", "TRANSCRIPTS_BUCKET"]),
        (&binaries.sweep, ["RECALL_REGION", "JOBS_TABLE", "WORK_QUEUE_URL", "AWS_REGION"]),
    ] {
        let output = tokio::process::Command::new(binary)
            .env_clear()
            .env("MAX_TRANSCRIPTS_PER_RECORDING", "11")
            .stdin(Stdio::null())
            .output()
            .await?;
        assert!(!output.status.success());
        let said = String::from_utf8(output.stdout)?;
        assert_eq!(said.lines().count(), 1, "{said}");
        for name in needs.into_iter().chain(["MAX_TRANSCRIPTS_PER_RECORDING", "RECALL_API_KEY"]) {
            assert!(said.contains(name), "{name} is not in: {said}");
        }
    }
    Ok(())
}
