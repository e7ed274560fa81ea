//! `jobs` and `show`.

use anyhow::{Context as _, Result};
use local::{
    recall::{Meeting, Target},
    wire::Service,
};
use tests::{PipelineTest, pipeline_test};

use super::harness::{run, run_json};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_lists_what_needs_a_person_before_what_is_in_progress() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let empty = run_json(&pipeline, &["jobs"]).await?;
        assert_eq!((empty.status, empty.data.as_str()), (Some(0), ""));
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let failed = simulator.play(Meeting::short(1));
        pipeline.reaches(failed, "failed").await?;
        simulator.faults().never_transcribe(Target::next(1));
        let waiting = simulator.play(Meeting::short(1));
        pipeline.reaches(waiting, "transcribing").await?;
        let stored = simulator.play(Meeting::short(1));
        pipeline.ends_stored(stored).await?;

        let lines = run_json(&pipeline, &["jobs"]).await?.lines()?;
        let ids: Vec<_> = lines.iter().filter_map(|line| line["recording_id"].as_str()).collect();
        assert_eq!(ids, [failed.to_string(), waiting.to_string()], "what is stored is not listed");
        assert_eq!((&lines[0]["status"], &lines[0]["needs_attention"]), (&"failed".into(), &true.into()));
        assert_eq!((&lines[0]["paid_attempts"], &lines[0]["next"]), (&1.into(), &().into()));
        assert!(lines[1]["next"].as_str().is_some_and(|next| next.contains("ask Recall")), "{}", lines[1]);
        for (filter, expected) in [
            (&["--status", "failed"][..], Some(failed)),
            (&["--status", "transcribing,copying"], Some(waiting)),
            (&["--status", "lost"], None),
            (&["--older-than", "3d"], None),
            (&["--provider", "rev_async"], None),
            (&["--limit", "1"], Some(failed)),
        ] {
            let lines = run_json(&pipeline, &[&["jobs"], filter].concat()).await?.lines()?;
            let ids: Vec<_> = lines.iter().filter_map(|line| line["recording_id"].as_str()).collect();
            assert_eq!(ids, expected.map(|id| id.to_string()).as_slice(), "{filter:?}");
        }
        let table = run(&pipeline, &["jobs"]).await?;
        assert!(table.data.starts_with("RECORDING") && table.data.contains(&failed.to_string()), "{table:?}");
        assert_eq!(pipeline.stack.wire.count(Service::DynamoDb, "Scan"), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_by_the_indexes_and_says_what_it_cannot_see() -> Result<()> {
    let test = PipelineTest::with_env(&[("TRIES_PER_PROVIDER", "1")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().fail_transcription(Target::next(1), Some("provider_connection_failed"));
        let failed = simulator.play(Meeting::short(1));
        pipeline.reaches(failed, "failed").await?;
        simulator.faults().never_transcribe(Target::next(1));
        let waiting = simulator.play(Meeting::short(1));
        pipeline.reaches(waiting, "transcribing").await?;
        let status = run_json(&pipeline, &["status"]).await?.json()?;
        let jobs = &status["jobs"];
        assert_eq!((&jobs["in_progress"], &jobs["need_attention"]), (&"1".into(), &"1".into()), "{status}");
        assert!(jobs["oldest_unfinished_done_at"].is_string(), "{status}");
        assert_eq!((&status["switches"]["paused"], &status["queues"]["dead_letters"]), (&false.into(), &0.into()));
        for part in ["alarms", "paid_today", "expiring"] {
            assert_eq!(status[part]["skip"], "not available locally", "{status}");
        }
        let text = run(&pipeline, &["status"]).await?;
        for line in ["1 in progress, 0 overdue, 1 in need of attention", "running", "skip: not available locally"] {
            assert!(text.data.contains(line), "{line}: {text:?}");
        }
        assert_eq!(pipeline.stack.wire.count(Service::DynamoDb, "Scan"), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_the_story_of_a_recording() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        let id = recording.to_string();
        let shown = run_json(&pipeline, &["show", &id]).await?.json()?;
        let row = pipeline.job(recording)?.context("no row")?;
        for name in ["recording_id", "status", "attempts", "version", "transcript_count", "transcripts"] {
            assert_eq!(shown[name], row[name], "{name}");
        }
        let text = run(&pipeline, &["show", &id]).await?;
        let transcript = manifest["transcript_id"].as_str().context("no transcript")?;
        for part in ["stored", transcript, "/manifest.json", "Nothing is left to do.", "Engineering sync"] {
            assert!(text.data.contains(part), "{part}: {text:?}");
        }
        let missing = "00000000-0000-0000-0000-000000000001";
        assert_eq!(run_json(&pipeline, &["show", missing]).await?.error(3)?, "unknown_recording");
        assert_eq!(run(&pipeline, &["show", "no-id"]).await?.status, Some(2));
        Ok(())
    })
    .await
}
