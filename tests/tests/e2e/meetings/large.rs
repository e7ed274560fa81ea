//! Memory stays flat whatever the size of Recall's files.

use std::time::Duration;

use anyhow::{Result, bail};
use local::recall::{Content, Meeting, MeetingFile, many_events, many_participants};
use serde_json::Value;
use tests::{Pipeline, PipelineTest, measure::peak_mib};

use super::{followed_up, names, sources};

/// The number of people who are remembered of each file, so that someone with several ids is one person.
const REMEMBERED: usize = 10_000;
/// How much memory these people may take, and the parts of an upload.
const MAX_MORE_MIB: f64 = 32.0;
/// Files beyond the limits: larger ones only take longer.
const PEOPLE: usize = 100_000;
const PEOPLE_OF_EVENTS: usize = 20_000;
const EVENTS_BYTES: usize = 50_000_000;
/// How much more memory a file beyond the limits may take than a file at the limits: on a
/// busy machine, it is too late for the copy, and a follow-up reads more files.
const TOLERANCE_MIB: f64 = 12.0;

/// Has a new process store a meeting. Returns its manifest, and the process's peak memory.
async fn store(pipeline: &Pipeline, meeting: Meeting) -> Result<(Value, f64)> {
    pipeline.stack.transcript.kill().await;
    let recording = pipeline.simulator().play(meeting);
    let manifest = followed_up(pipeline, recording).await?;
    let [pid] = pipeline.stack.transcript.pids()[..] else { bail!("not one process") };
    Ok((manifest, peak_mib(pid)?))
}

/// Not all of the people are listed, but all are counted.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_for_a_hundred_thousand_people() -> Result<()> {
    let test = PipelineTest::with(|config, _| {
        config.concurrency = 1;
        config.transcript_timeout = Duration::from_secs(120);
        config.visibility_s = 120;
        config.env = vec![("MEETING_FILES".to_owned(), "participants,events".to_owned())];
    });
    test.run(async |pipeline| {
        let with_files = |people: Content, events: Content| {
            let meeting = Meeting::short(1).with_file(MeetingFile::Participants, people);
            meeting.with_file(MeetingFile::Events, events)
        };
        let (plain, usual_mib) = store(&pipeline, Meeting::short(1)).await?;
        let meeting = with_files(many_participants(REMEMBERED), many_events(REMEMBERED, 10_000_000));
        let (_, limit_mib) = store(&pipeline, meeting).await?;
        assert!(limit_mib < usual_mib + MAX_MORE_MIB, "{limit_mib} MiB instead of {usual_mib} MiB");
        let meeting = with_files(many_participants(PEOPLE), many_events(PEOPLE_OF_EVENTS, EVENTS_BYTES));
        let (large, large_mib) = store(&pipeline, meeting).await?;
        assert!(large_mib < limit_mib + TOLERANCE_MIB, "{large_mib} MiB instead of {limit_mib} MiB");
        for manifest in [&plain, &large] {
            assert_eq!(manifest["meeting"]["sources"], sources("stored", "stored", "read", "read"));
            assert_eq!((manifest["rendering_error"].is_null(), names(manifest)), (true, names(&plain)));
        }
        let listed = large["meeting"]["participants"].as_array().map_or(0, Vec::len);
        let others = large["meeting"]["participants_over_limit"].as_u64();
        assert_eq!((listed, others), (1_000, Some(PEOPLE as u64 - 1_000)));
        Ok(())
    })
    .await
}
