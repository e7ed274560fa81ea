//! Recall's files about a meeting go wrong in every way. The transcript is always stored.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{Artifact, ArtifactFault, DownloadFault, FileFault, Meeting, MeetingFile, Target},
    wire::Service,
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, pipeline_test};
use uuid::Uuid;

use super::{bytes, check_verbatim, count, entry, followed_up, logged, names, sources};

const MIB: usize = 1 << 20;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// As if nothing had gone wrong, without another try.
    Same,
    /// It is complete after another try.
    Later,
    /// Recall has none, and is not asked again.
    Absent,
    /// It cannot be used, and Recall is not asked again. With `true`, its bytes are kept.
    Failed(bool),
}

/// Each fault, and what follows from it if it strikes once.
fn faults(limit: usize) -> Vec<(FileFault, End)> {
    let padded = |stated| (FileFault::Padded { bytes: limit + 1, stated }, End::Failed(false));
    let mut faults = vec![
        (FileFault::NoUrl, End::Absent),
        (FileFault::Elsewhere, End::Failed(false)),
        (FileFault::OnApiHost, End::Same),
        (FileFault::NotFound, End::Later),
        (FileFault::Forbidden, End::Later),
        (FileFault::NotJson, End::Failed(true)),
        (FileFault::Wrapped, End::Failed(true)),
        (FileFault::Half, End::Failed(true)),
        padded(true),
        padded(false),
    ];
    let downloads = [
        (DownloadFault::Truncated { after: 300 }, End::Later),
        (DownloadFault::CutChunked { after: 300 }, End::Later),
        (DownloadFault::Redirected, End::Failed(false)),
        (DownloadFault::Gzip, End::Same),
        (DownloadFault::GzipCut { after: 100 }, End::Later),
        (DownloadFault::GzipWrongChecksum, End::Later),
        (DownloadFault::Unframed { gzip: true, after: usize::MAX }, End::Same),
        (DownloadFault::Unframed { gzip: false, after: usize::MAX }, End::Later),
        (DownloadFault::Empty, End::Failed(true)),
        (DownloadFault::Bomb { mib: limit / MIB + 1 }, End::Failed(false)),
        (DownloadFault::Stalled { after: 300 }, End::Later),
        (DownloadFault::Trickle { every: Duration::from_millis(50) }, End::Later),
    ];
    faults.extend(downloads.map(|(fault, end)| (FileFault::Download(fault), end)));
    faults
}

/// Plays a meeting in which the file goes wrong once.
fn play(pipeline: &Pipeline, file: MeetingFile, fault: FileFault) -> Uuid {
    let simulator = pipeline.simulator();
    let recording = simulator.add_recording(Meeting::short(1));
    simulator.faults().file(Target::recording(recording).times(1), file, fault);
    simulator.announce(recording);
    recording
}

/// What the manifest says about the people, apart from times, which differ from recording to recording.
fn people(manifest: &Value) -> Value {
    let people = manifest["meeting"]["participants"].as_array().cloned().unwrap_or_default();
    let dated = ["joined_at", "left_at", "present_s"];
    let undated = people.into_iter().map(|mut person| {
        for field in dated {
            person[field] = json!(person[field].is_null());
        }
        person
    });
    undated.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_list_of_people_is_noted_and_nothing_else_suffers() -> Result<()> {
    let test = PipelineTest::with(|config, _| config.transcript_timeout = Duration::from_secs(25));
    test.run(async |pipeline| {
        let whole = pipeline.ends_stored(pipeline.simulator().play(Meeting::short(1))).await?;
        let faults = faults(32 * MIB);
        let recordings: Vec<_> =
            faults.iter().map(|(fault, _)| play(&pipeline, MeetingFile::Participants, *fault)).collect();
        let mut firsts = Vec::new();
        for recording in recordings {
            pipeline.reaches(recording, "stored").await?;
            firsts.push((recording, pipeline.manifests(recording)?.remove(0)));
        }
        for ((fault, end), (recording, first)) in faults.into_iter().zip(firsts) {
            let manifest = followed_up(&pipeline, recording).await.with_context(|| format!("{fault:?}"))?;
            let word = match end {
                End::Same | End::Later => "stored",
                End::Absent => "absent",
                End::Failed(_) => "failed",
            };
            let found = &manifest["meeting"]["sources"];
            assert_eq!(*found, sources(word, "read", "read", "read"), "{fault:?}");
            assert_eq!(first["meeting"]["sources"]["participants"] == "not_yet", end == End::Later, "{fault:?}");
            assert_eq!(manifest["rendering_error"], Value::Null, "{fault:?}");
            let tries = count(&pipeline, &format!("GET /api/v1/recording/{recording}"));
            assert_eq!(tries, if end == End::Later { 2 } else { 1 }, "{fault:?}");
            let is_kept = entry(&manifest, "participants.json").is_some();
            match end {
                End::Same | End::Later => {
                    check_verbatim(&pipeline, recording, &manifest, MeetingFile::Participants, "participants.json")
                        .with_context(|| format!("{fault:?}"))?;
                    assert_eq!(people(&manifest), people(&whole), "{fault:?}");
                }
                End::Absent | End::Failed(_) => {
                    assert_eq!(is_kept, end == End::Failed(true), "{fault:?}: {:?}", names(&manifest));
                    // The events name everyone who joined.
                    let with_times = |manifest: &Value| {
                        let people = people(manifest);
                        people.as_array().into_iter().flatten().filter(|person| person["joined_at"] == false).count()
                    };
                    assert_eq!(with_times(&manifest), with_times(&whole), "{fault:?}: {}", manifest["meeting"]);
                    assert!(people(&manifest).as_array().into_iter().flatten().all(|one| one["email"].is_null()));
                }
            }
            assert_eq!(manifest["counts"], whole["counts"]);
        }
        assert_eq!(pipeline.stack.s3.open_uploads()?.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_events_are_noted_and_nothing_else_suffers() -> Result<()> {
    let test = PipelineTest::with(|config, _| config.transcript_timeout = Duration::from_secs(25));
    test.run(async |pipeline| {
        let whole = pipeline.ends_stored(pipeline.simulator().play(Meeting::short(1))).await?;
        // The limit of events is eight times as high, which takes too long here.
        let faults = faults(32 * MIB).into_iter().filter(|(fault, _)| {
            !matches!(fault, FileFault::Padded { .. } | FileFault::Download(DownloadFault::Bomb { .. }))
        });
        let faults: Vec<_> = faults.collect();
        let recordings: Vec<_> = faults.iter().map(|(fault, _)| play(&pipeline, MeetingFile::Events, *fault)).collect();
        for ((fault, end), recording) in faults.into_iter().zip(recordings) {
            let manifest = followed_up(&pipeline, recording).await.with_context(|| format!("{fault:?}"))?;
            let word = match end {
                End::Same | End::Later => "read",
                End::Absent => "absent",
                End::Failed(_) => "failed",
            };
            assert_eq!(manifest["meeting"]["sources"], sources("stored", word, "read", "read"), "{fault:?}");
            check_verbatim(&pipeline, recording, &manifest, MeetingFile::Participants, "participants.json")?;
            assert!(entry(&manifest, "events.json").is_none(), "{fault:?}");
            let mut expected = people(&whole);
            if word != "read" {
                for person in expected.as_array_mut().into_iter().flatten() {
                    for field in ["joined_at", "left_at", "present_s"] {
                        person[field] = json!(true);
                    }
                }
            }
            assert_eq!(people(&manifest), expected, "{fault:?}");
        }
        Ok(())
    })
    .await
}

/// Values of other types count as absent, and an entry that comes twice is one person.
#[tokio::test(flavor = "multi_thread")]
async fn odd_values_in_the_files_are_skipped() -> Result<()> {
    pipeline_test(async |pipeline| {
        let whole = pipeline.ends_stored(pipeline.simulator().play(Meeting::short(1))).await?;
        for file in [MeetingFile::Participants, MeetingFile::Events] {
            for fault in [FileFault::WrongShapes, FileFault::Twice] {
                let recording = play(&pipeline, file, fault);
                let manifest = pipeline.ends_stored(recording).await?;
                let found = &manifest["meeting"]["sources"];
                assert_eq!(*found, sources("stored", "read", "read", "read"), "{file:?} {fault:?}");
                let speakers = |manifest: &Value| {
                    let people = people(manifest);
                    let spoke = people.as_array().cloned().unwrap_or_default().into_iter();
                    let named = spoke.filter(|person| person["spoke"] == true).map(|person| person["name"].clone());
                    named.collect::<Vec<_>>()
                };
                assert_eq!(speakers(&manifest), speakers(&whole), "{file:?} {fault:?}");
                if matches!(fault, FileFault::Twice) {
                    assert_eq!(people(&manifest), people(&whole), "{file:?}");
                }
                assert_eq!(manifest["skipped_values"], whole["skipped_values"], "only values of the transcript count");
            }
        }
        Ok(())
    })
    .await
}

/// The artifacts themselves are missing, broken, or of another form.
#[tokio::test(flavor = "multi_thread")]
async fn artifacts_that_are_missing_or_failed_are_not_waited_for() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, faults) = (pipeline.simulator(), pipeline.simulator().faults());
        let meeting = || Meeting::short(1).bot_metadata("meeting_title", "From the calendar");
        for (artifact, fault, words) in [
            (Artifact::ParticipantEvents, ArtifactFault::Null, sources("absent", "absent", "read", "read")),
            (Artifact::ParticipantEvents, ArtifactFault::Failed, sources("failed", "failed", "read", "read")),
            (Artifact::MeetingMetadata, ArtifactFault::Null, sources("stored", "read", "absent", "read")),
            (Artifact::MeetingMetadata, ArtifactFault::Failed, sources("stored", "read", "failed", "read")),
        ] {
            faults.artifact(Target::next(1), artifact, fault);
            let recording = simulator.play(meeting());
            let manifest = pipeline.ends_stored(recording).await?;
            assert_eq!(manifest["meeting"]["sources"], words, "{artifact:?} {fault:?}");
            let title = (&manifest["meeting"]["title"], &manifest["meeting"]["title_source"]);
            match artifact {
                Artifact::MeetingMetadata => assert_eq!(title, (&json!("From the calendar"), &json!("metadata"))),
                Artifact::ParticipantEvents => assert_eq!(title, (&json!("Engineering sync"), &json!("recall"))),
            }
        }
        for (pointer, value, participants) in [
            ("/media_shortcuts/participant_events", json!(7), "failed"),
            ("/media_shortcuts/meeting_metadata", json!("x"), "stored"),
            ("/media_shortcuts/participant_events/data", json!([]), "failed"),
            ("/media_shortcuts/participant_events/data", json!(null), "absent"),
            ("/media_shortcuts/participant_events/data/participants_download_url", json!({"a": 1}), "failed"),
            ("/media_shortcuts/participant_events/data/participants_download_url", json!("no URL"), "failed"),
            ("/media_shortcuts/participant_events/status", json!("done"), "failed"),
            ("/media_shortcuts/participant_events/status", json!(null), "not_yet"),
            ("/media_shortcuts/participant_events/status/code", json!("deleted"), "absent"),
            ("/media_shortcuts", json!(null), "absent"),
            ("/media_shortcuts", json!("x"), "failed"),
        ] {
            let recording = simulator.add_recording(meeting());
            faults.show_recording_with(Target::recording(recording), &[(pointer, value.clone())]);
            simulator.announce(recording);
            let manifest = followed_up(&pipeline, recording).await?;
            assert_eq!(manifest["meeting"]["sources"]["participants"], participants, "{pointer} {value}");
            let is_logged =
                logged(&pipeline, "meeting_file.not_read").iter().any(|line| line["recording.id"] == json!(recording));
            let sources = manifest["meeting"]["sources"].as_object().context("no sources")?;
            assert_eq!(is_logged, sources.values().any(|state| state == "failed"), "{pointer} {value}");
        }
        Ok(())
    })
    .await
}

/// A file of an unknown host is not even asked for, and the log does not show its URL.
#[tokio::test(flavor = "multi_thread")]
async fn files_from_other_hosts_are_refused() -> Result<()> {
    let test = PipelineTest::with_env(&[
        ("MEETING_FILES", "participants,events,timeline"),
        ("PROVIDER_DATA", "true"),
        ("TRANSCRIPT_PROVIDERS", r#"[{"deepgram_async": {}}]"#),
    ]);
    test.run(async |pipeline| {
        for (file, _) in super::KEPT {
            pipeline.simulator().faults().file(Target::next(usize::MAX), file, FileFault::Elsewhere);
        }
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(manifest["meeting"]["sources"], super::all_sources("failed", "failed", "failed", "failed"));
        assert_eq!(pipeline.stack.wire.count(Service::Download, "GET"), 1, "only the transcript");
        let lines = logged(&pipeline, "meeting_file.not_read");
        assert_eq!(lines.len(), 4, "{lines:?}");
        let failed = |name: &str| pipeline.stack.logs().iter().filter(|line| line.contains(name)).count();
        pipeline.wait_until("the metric", || Ok(failed("\"MeetingFilesFailed\":1") == 4)).await?;
        assert_eq!(bytes(&pipeline, &manifest, "transcript.json")?.len() as u64, manifest["files"][0]["bytes"]);
        Ok(())
    })
    .await
}
