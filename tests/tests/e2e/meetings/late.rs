//! What Recall has not made ready when the transcript is stored is fetched later.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::{
    recall::{Artifact, ArtifactFault, BotFault, DownloadFault, FileFault, Meeting, MeetingFile, Status, Target},
    stack::WORK_QUEUE,
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest, in_hours, pipeline_test};

use super::{
    KEPT, all_sources, check_verbatim, count, entry, followed_up, lines, logged, meeting_line, names, pass_time, send,
    sources, text,
};

/// How many times the data of a meeting is fetched after its transcript was stored.
const TRIES: usize = 6;

/// Waits until the transcript is stored and its worker has finished, and returns its manifest.
async fn first_manifest(pipeline: &Pipeline, recording: uuid::Uuid) -> Result<Value> {
    pipeline.reaches(recording, "stored").await?;
    pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
    let [manifest] = &pipeline.manifests(recording)?[..] else { panic!("not one manifest") };
    pipeline.check_bucket()?;
    Ok(manifest.clone())
}

fn announced(pipeline: &Pipeline) -> usize {
    pipeline.stack.bus.events().iter().filter(|event| event.detail_type == "Transcript Stored").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn late_people_and_a_late_title_complete_the_manifest_and_the_renditions() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, next) = (pipeline.simulator(), Target::next(usize::MAX));
        let late = ArtifactFault::Late(Duration::from_secs(90));
        simulator.faults().artifact(next, Artifact::ParticipantEvents, late);
        simulator.faults().artifact(next, Artifact::MeetingMetadata, late);
        let recording = simulator.play(Meeting::short(1));
        let first = first_manifest(&pipeline, recording).await?;
        assert_eq!(first["meeting"]["sources"], sources("not_yet", "not_yet", "not_yet", "read"));
        assert_eq!((&first["meeting"]["title"], entry(&first, "participants.json")), (&Value::Null, None));
        assert_eq!(first["meeting"]["platform"], "zoom");
        let people = |manifest: &Value| manifest["meeting"]["participants"].as_array().map_or(0, Vec::len);
        let speakers = people(&first);
        assert!(speakers > 1 && first["meeting"]["participants"][0]["joined_at"].is_null(), "{first}");
        assert!(lines(&pipeline, &first, "turns.jsonl")?.iter().all(|turn| turn["speaker_email"].is_null()));
        let row = pipeline.job(recording)?.context("no job")?;
        assert!(row["due_at"].is_number() && row["follow_up"]["retry_at"].is_number(), "{row}");
        assert_eq!(announced(&pipeline), 1, "no one waits for the people");

        let second = followed_up(&pipeline, recording).await?;
        assert_eq!(second["meeting"]["sources"], sources("stored", "read", "read", "read"));
        assert_eq!((&second["meeting"]["title"], people(&second)), (&json!("Engineering sync"), speakers + 2));
        assert_eq!((&second["meeting"]["platform"], &second["stored_at"]), (&json!("zoom"), &first["stored_at"]));
        assert!(second["rendered_at"].as_str() > first["rendered_at"].as_str());
        let everyone = second["meeting"]["participants"].as_array().context("no people")?;
        assert!(everyone.iter().all(|person| person["joined_at"].is_string() && person["present_s"].is_number()));
        check_verbatim(&pipeline, recording, &second, MeetingFile::Participants, "participants.json")?;
        assert!(lines(&pipeline, &second, "turns.jsonl")?.iter().any(|turn| turn["speaker_email"].is_string()));
        assert_eq!(meeting_line(&pipeline, &second)?["title"], "Engineering sync");
        let silent = everyone.last().and_then(|person| person["name"].as_str()).context("no name")?;
        for name in ["transcript.md", "transcript.html"] {
            assert!(text(&pipeline, &second, name)?.contains(silent), "{name}");
        }
        assert!(pipeline.job(recording)?.context("no job")?["follow_up"].is_null());
        assert_eq!((announced(&pipeline), count(&pipeline, "/bot/")), (1, 1), "what is known is not fetched again");
        assert_eq!(logged(&pipeline, "transcript.followed_up").len(), 1);
        // What was stored once stays: another copy of everything would be the same.
        assert_eq!(pipeline.stack.wire.count(Service::Download, "/transcript.json"), 1);
        Ok(())
    })
    .await
}

/// Each file that can be late, alone: it comes with the follow-up, under its own name.
#[tokio::test(flavor = "multi_thread")]
async fn each_file_that_is_late_is_kept_later() -> Result<()> {
    let test = PipelineTest::with_env(&[
        ("MEETING_FILES", "participants,events,timeline"),
        ("PROVIDER_DATA", "true"),
        ("TRANSCRIPT_PROVIDERS", r#"[{"deepgram_async": {}}]"#),
    ]);
    test.run(async |pipeline| {
        for (file, name) in KEPT {
            let truncated = FileFault::Download(DownloadFault::Truncated { after: 10 });
            pipeline.simulator().faults().file(Target::next(1), file, truncated);
            let recording = pipeline.simulator().play(Meeting::short(2));
            let first = first_manifest(&pipeline, recording).await?;
            assert!(!names(&first).contains(&name), "{name}");
            for (other, other_name) in KEPT.iter().filter(|(other, _)| *other != file) {
                check_verbatim(&pipeline, recording, &first, *other, other_name)?;
            }
            let second = followed_up(&pipeline, recording).await?;
            for (file, name) in KEPT {
                check_verbatim(&pipeline, recording, &second, file, name)?;
            }
            assert_eq!(second["meeting"]["sources"], all_sources("stored", "stored", "stored", "stored"));
            assert_eq!(names(&second).len(), names(&first).len() + 1);
        }
        assert_eq!(announced(&pipeline), KEPT.len());
        Ok(())
    })
    .await
}

/// An operator does not wait for the next try.
#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_ends_the_wait_for_late_people() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, next) = (pipeline.simulator(), Target::next(1));
        simulator.faults().artifact(next, Artifact::ParticipantEvents, ArtifactFault::Processing);
        let recording = simulator.play(Meeting::short(1));
        first_manifest(&pipeline, recording).await?;
        let wake = json!({"event": "wake", "now": true, "recording_id": recording, "reason": "it is ready"});
        pipeline.stack.queues.send(WORK_QUEUE, &wake.to_string(), &[]).await?;
        let done = || Ok(pipeline.job(recording)?.is_some_and(|row| row["follow_up"].is_null()));
        pipeline.wait_until("the follow-up", done).await?;
        pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
        pipeline.stack.queues.hurry(WORK_QUEUE).await?;
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(manifest["meeting"]["sources"], sources("stored", "read", "read", "read"));
        Ok(())
    })
    .await
}

/// After the last try, what is missing stays missing, and the manifest says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_never_comes_is_given_up() -> Result<()> {
    for (fault, words) in [
        (None, sources("not_yet", "not_yet", "read", "read")),
        (Some(FileFault::NotFound), sources("failed", "read", "read", "read")),
        (Some(FileFault::Forbidden), sources("failed", "read", "read", "read")),
    ] {
        pipeline_test(async |pipeline| {
            let (faults, always) = (pipeline.simulator().faults(), Target::next(usize::MAX));
            match fault {
                None => faults.artifact(always, Artifact::ParticipantEvents, ArtifactFault::Processing),
                Some(fault) => faults.file(always, MeetingFile::Participants, fault),
            }
            let recording = pipeline.simulator().play(Meeting::short(1));
            let first = first_manifest(&pipeline, recording).await?;
            assert_eq!(first["meeting"]["sources"]["participants"], "not_yet");
            let last = followed_up(&pipeline, recording).await?;
            assert_eq!(last["meeting"]["sources"], words);
            assert_eq!(count(&pipeline, &format!("GET /api/v1/recording/{recording}")), 1 + TRIES);
            assert!(!pipeline.stack.s3.keys()?.iter().any(|key| key.ends_with("participants.json")));
            // It does not begin again.
            send(&pipeline, "wake", recording).await?;
            send(&pipeline, "render", recording).await?;
            pipeline.sweep().await?;
            pipeline.settles().await?;
            assert_eq!(pipeline.manifests(recording)?[0]["meeting"], last["meeting"]);
            assert_eq!(count(&pipeline, &format!("GET /api/v1/recording/{recording}")), 1 + TRIES);
            assert_eq!(announced(&pipeline), 1);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Deleting at Recall would also delete what is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_what_is_late() -> Result<()> {
    for what in ["recording", "transcript"] {
        let test = PipelineTest::with_env(&[("DELETE_AFTER_STORE", what)]);
        test.run(async |pipeline| {
            let simulator = pipeline.simulator();
            simulator.faults().artifact(Target::next(3), Artifact::ParticipantEvents, ArtifactFault::Processing);
            let recording = simulator.play(Meeting::short(1));
            first_manifest(&pipeline, recording).await?;
            let transcript = simulator.transcripts(recording)[0].id;
            let status = || simulator.transcript(transcript).map(|one| one.status);
            while pipeline.job(recording)?.context("no job")?["follow_up"].is_object() {
                assert_eq!((status(), count(&pipeline, "DELETE ")), (Some(Status::Done), 0), "it waits");
                pass_time(&pipeline).await?;
                pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            }
            while pipeline.job(recording)?.context("no job")?.get("due_at").is_some() {
                pass_time(&pipeline).await?;
            }
            pipeline.settles().await?;
            assert_eq!((status(), count(&pipeline, "DELETE ")), (Some(Status::Deleted), 1), "{what}");
            let manifest = &pipeline.manifests(recording)?[0];
            assert_eq!(manifest["meeting"]["sources"], sources("stored", "read", "read", "read"));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The recording is gone before the follow-up comes: there is nothing to wait for any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_deleted_early_ends_quietly() -> Result<()> {
    for is_told in [true, false] {
        pipeline_test(async |pipeline| {
            let simulator = pipeline.simulator();
            simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
            let recording = simulator.play(Meeting::short(1));
            let first = first_manifest(&pipeline, recording).await?;
            if !is_told {
                simulator.set_webhook_url(None);
            }
            assert!(simulator.delete_recording(recording));
            while pipeline.job(recording)?.context("no job")?.get("due_at").is_some() {
                pass_time(&pipeline).await?;
            }
            pipeline.settles().await?;
            let row = pipeline.job(recording)?.context("no job")?;
            assert!(row["follow_up"].is_null() && row["status"] == "stored", "{row}");
            let [manifest] = &pipeline.manifests(recording)?[..] else { panic!("not one manifest") };
            assert_eq!(manifest["meeting"]["sources"], sources("absent", "absent", "read", "read"), "told: {is_told}");
            assert_eq!(
                (&manifest["meeting"]["title"], &first["counts"]),
                (&json!("Engineering sync"), &manifest["counts"])
            );
            assert_eq!((pipeline.dead_letters().await?.len(), announced(&pipeline)), (0, 1));
            assert!(!pipeline.stack.logs().iter().any(|line| line.contains("\"ERROR\"")), "it is no error");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Recall's API fails while the data is fetched later: the tries go on.
#[tokio::test(flavor = "multi_thread")]
async fn outages_during_a_follow_up_are_survived() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (simulator, wire) = (pipeline.simulator(), &pipeline.stack.wire);
        simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
        let recording = simulator.play(Meeting::short(1).expires_at(in_hours(48)));
        first_manifest(&pipeline, recording).await?;
        let get = format!("GET /api/v1/recording/{recording}");
        wire.inject(Service::Recall, &get, When::Before, Fault::Html { status: 502 }, 1);
        wire.inject(Service::Recall, &get, When::Before, Fault::Answer { status: 429, retry_after: Some(7) }, 1);
        let refused = Fault::Answer { status: 403, retry_after: None };
        wire.inject(Service::S3, "/participants.json?x-id=PutObject", When::Before, refused, 1);
        wire.inject(Service::S3, "/transcript.html?x-id=PutObject", When::Before, refused, 1);
        let manifest = followed_up(&pipeline, recording).await?;
        assert_eq!(manifest["meeting"]["sources"], sources("stored", "read", "read", "read"));
        assert_eq!(manifest["rendering_error"], Value::Null);
        assert!(names(&manifest).contains(&"transcript.html"));
        assert_eq!(announced(&pipeline), 1);
        Ok(())
    })
    .await
}

/// What failed for good is not fetched again while something else is late.
#[tokio::test(flavor = "multi_thread")]
async fn failed_files_are_not_fetched_again_with_late_ones() -> Result<()> {
    let test = PipelineTest::with_env(&[
        ("MEETING_FILES", "participants,events,timeline"),
        ("PROVIDER_DATA", "true"),
        ("TRANSCRIPT_PROVIDERS", r#"[{"deepgram_async": {}}]"#),
    ]);
    test.run(async |pipeline| {
        let (simulator, always) = (pipeline.simulator(), Target::next(usize::MAX));
        let redirected = FileFault::Download(DownloadFault::Redirected);
        for file in [MeetingFile::Timeline, MeetingFile::ProviderData] {
            simulator.faults().file(always, file, redirected);
        }
        simulator.faults().file(Target::next(1), MeetingFile::Participants, FileFault::NotFound);
        let recording = simulator.play(Meeting::short(2));
        let first = first_manifest(&pipeline, recording).await?;
        assert_eq!(first["meeting"]["sources"], all_sources("not_yet", "stored", "failed", "failed"));
        let second = followed_up(&pipeline, recording).await?;
        assert_eq!(second["meeting"]["sources"], all_sources("stored", "stored", "failed", "failed"));
        for file in ["timeline", "provider_data"] {
            assert_eq!(pipeline.stack.wire.count(Service::Download, file), 1, "{file}");
        }
        Ok(())
    })
    .await
}

/// The words have ended every worker that read them, so a follow-up must not read them.
#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_is_stored_unread_is_not_read_by_its_follow_up() -> Result<()> {
    PipelineTest::hasty()
        .run(async |pipeline| {
            let simulator = pipeline.simulator();
            let recording = simulator.add_recording(Meeting::short(1));
            // Three copies end with their workers, and the fourth stores the transcript.
            let copies = Target::recording(recording).times(4);
            simulator.faults().file(copies, MeetingFile::Participants, FileFault::NotFound);
            let mut hits = pipeline.stack.wire.inject(Service::S3, "PutObject", When::Before, Fault::Hold, 3);
            simulator.announce(recording);
            for death in 1..=3 {
                hits.reach(death).await?;
                pipeline.stack.transcript.kill().await;
                pass_time(&pipeline).await?;
            }
            let first = first_manifest(&pipeline, recording).await?;
            let second = followed_up(&pipeline, recording).await?;
            for (manifest, state) in [(&first, "not_yet"), (&second, "stored")] {
                assert_eq!(manifest["meeting"]["sources"]["participants"], state, "{manifest}");
                let error = manifest["rendering_error"].as_str().context("it has been read")?;
                assert!(error.contains("workers died"), "{error}");
                assert_eq!(manifest["counts"]["words"], 0);
            }
            Ok(())
        })
        .await
}

/// The bot is asked once. Nothing about it is worth another try.
#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_asked_only_once() -> Result<()> {
    for (fault, word) in [
        (BotFault::NotFound, "absent"),
        (BotFault::Throttled { retry_after: 1 }, "failed"),
        (BotFault::Broken, "failed"),
        (BotFault::NoMeetingUrl, "read"),
        (BotFault::NoPlatform, "read"),
        (BotFault::TextForMeetingUrl, "failed"),
    ] {
        pipeline_test(async |pipeline| {
            let simulator = pipeline.simulator();
            simulator.faults().bot(Target::next(1), fault);
            // Something else is late, so there is a follow-up, and there is a rendering after it.
            simulator.faults().artifact(Target::next(1), Artifact::MeetingMetadata, ArtifactFault::Processing);
            let recording = simulator.play(Meeting::short(1));
            let manifest = followed_up(&pipeline, recording).await?;
            assert_eq!(manifest["meeting"]["sources"], sources("stored", "read", "read", word), "{fault:?}");
            let has_id = matches!(fault, BotFault::NoPlatform);
            assert_eq!(manifest["meeting"]["platform"], Value::Null, "{fault:?}");
            assert_eq!(manifest["meeting"]["meeting_id"].is_string(), has_id, "{fault:?}");
            send(&pipeline, "render", recording).await?;
            assert_eq!(count(&pipeline, "/bot/"), 1, "{fault:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
