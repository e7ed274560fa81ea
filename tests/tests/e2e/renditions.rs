//! The readable files beside the verbatim one.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::{
    recall::Meeting,
    s3::Algorithm,
    stack::{DEAD_LETTER_QUEUE, JOBS_TABLE, WORK_QUEUE},
    wire::{Fault, Service, When},
};
use serde_json::{Value, json};
use tests::{Exception, Pipeline, PipelineTest, pipeline_test};
use uuid::Uuid;

const FILES: [(&str, &str); 9] = [
    ("transcript.json", "application/json"),
    ("participants.json", "application/json"),
    ("meetings.jsonl", "application/x-ndjson"),
    ("turns.jsonl", "application/x-ndjson"),
    ("transcript.txt", "text/plain; charset=utf-8"),
    ("transcript.md", "text/markdown; charset=utf-8"),
    ("transcript.vtt", "text/vtt"),
    ("transcript.srt", "application/x-subrip"),
    ("transcript.html", "text/html; charset=utf-8"),
];

/// The files of a transcript that cannot be rendered.
const UNRENDERED: [&str; 3] = ["transcript.json", "participants.json", "meetings.jsonl"];

fn names(manifest: &Value) -> Vec<&str> {
    manifest["files"].as_array().into_iter().flatten().filter_map(|file| file["name"].as_str()).collect()
}

/// Returns the text of one file in the manifest.
fn text(pipeline: &Pipeline, manifest: &Value, name: &str) -> Result<String> {
    let files = manifest["files"].as_array().context("no files")?;
    let file = files.iter().find(|file| file["name"] == name).with_context(|| format!("no {name}"))?;
    let object = pipeline.stack.s3.object(file["key"].as_str().context("no key")?)?.context("no object")?;
    Ok(String::from_utf8(object.to_vec())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rendition_is_stored_beside_the_verbatim_file() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline
            .simulator()
            .play(Meeting::hour(3).metadata("title", "Quarterly review").bot_metadata("team", "sales"));
        let manifest = pipeline.ends_stored(recording).await?;
        let transcript = manifest["transcript_id"].as_str().context("no id")?;
        let started_at = manifest["recording"]["started_at"].as_str().context("no start")?;
        assert!(manifest["recording"]["completed_at"].as_str() > Some(started_at), "{manifest}");
        assert_eq!(manifest["recording"]["bot_metadata"], json!({"team": "sales"}));
        assert_eq!(manifest["rendered_by"], env!("CARGO_PKG_VERSION"));
        for ((name, content_type), file) in FILES.iter().zip(manifest["files"].as_array().context("no files")?) {
            assert_eq!((&file["name"], &file["content_type"]), (&json!(name), &json!(content_type)));
            let key = match *name {
                "turns.jsonl" => format!("turns/date={}/{transcript}.jsonl", &started_at[..10]),
                "meetings.jsonl" => format!("meetings/date={}/{transcript}.jsonl", &started_at[..10]),
                name => format!("recordings/{recording}/{transcript}/{name}"),
            };
            assert_eq!(file["key"], key);
            let attributes = pipeline.stack.s3.attributes(&key)?.context("no object")?;
            assert_eq!(attributes.content_type.as_deref(), Some(*content_type));
            assert_eq!(file["crc64nvme"].as_str(), attributes.checksums.get(&Algorithm::Crc64nvme).map(String::as_str));
        }
        assert_eq!(names(&manifest).len(), FILES.len());
        let lines = text(&pipeline, &manifest, "turns.jsonl")?;
        let turns: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let words: u64 = turns.iter().filter_map(|turn| turn["words"].as_u64()).sum();
        assert_eq!(json!(words), manifest["counts"]["words"]);
        for (index, turn) in turns.iter().enumerate() {
            assert_eq!((&turn["turn"], &turn["recording_id"]), (&json!(index), &json!(recording)));
        }
        assert!(text(&pipeline, &manifest, "transcript.md")?.contains("\n# Quarterly review\n"));
        assert!(text(&pipeline, &manifest, "transcript.vtt")?.starts_with("WEBVTT\n"));
        assert!(text(&pipeline, &manifest, "transcript.html")?.contains("<title>Quarterly review"));
        // Everything that a turn says is in the text, in one line.
        let plain = text(&pipeline, &manifest, "transcript.txt")?;
        assert_eq!(plain.lines().count(), turns.len());
        for (line, turn) in plain.lines().zip(&turns) {
            assert!(line.ends_with(turn["text"].as_str().context("no text")?), "{line}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_are_chosen_and_an_empty_meeting_has_no_subrip() -> Result<()> {
    let test = PipelineTest::with_env(&[("RENDITIONS", "vtt,jsonl")]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        assert_eq!(
            names(&pipeline.ends_stored(recording).await?),
            ["transcript.json", "participants.json", "meetings.jsonl", "turns.jsonl", "transcript.vtt"]
        );
        Ok(())
    })
    .await?;

    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::silent());
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!((&manifest["empty"], &manifest["rendering_error"]), (&json!(true), &Value::Null));
        assert_eq!(names(&manifest), names_without_subrip());
        assert!(!pipeline.stack.s3.keys()?.iter().any(|key| key.ends_with(".srt")));
        Ok(())
    })
    .await
}

fn names_without_subrip() -> Vec<&'static str> {
    FILES.map(|(name, _)| name).into_iter().filter(|name| *name != "transcript.srt").collect()
}

/// Stores an empty meeting as an older version did: with subtitles of 0 bytes, which the manifest names.
async fn with_empty_subrip(pipeline: &Pipeline) -> Result<(Uuid, Value, String)> {
    let recording = pipeline.simulator().play(Meeting::silent());
    let first = pipeline.ends_stored(recording).await?;
    let folder = format!("recordings/{recording}/{}", first["transcript_id"].as_str().context("no id")?);
    let key = format!("{folder}/transcript.srt");
    pipeline.stack.s3.put(&key, "application/x-subrip", b"")?;
    let mut old = first.clone();
    let files = old["files"].as_array_mut().context("no files")?;
    let nothing = files.iter().find(|file| file["name"] == "transcript.txt").context("no text")?;
    assert_eq!(nothing["bytes"], 0);
    let mut subrip = nothing.clone();
    subrip["name"] = json!("transcript.srt");
    subrip["key"] = json!(key);
    subrip["content_type"] = json!("application/x-subrip");
    files.push(subrip);
    pipeline.stack.s3.put(&format!("{folder}/manifest.json"), "application/json", old.to_string().as_bytes())?;
    Ok((recording, first, key))
}

/// Rendering again and copying again both remove the subtitles once no manifest names them.
#[tokio::test(flavor = "multi_thread")]
async fn subtitles_without_cues_are_removed() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (recording, first, key) = with_empty_subrip(&pipeline).await?;
        ask_to_render(&pipeline, recording, None).await?;
        assert_eq!(undated(&pipeline, recording)?, without_date(first));
        assert_eq!(pipeline.stack.s3.object(&key)?, None);
        pipeline.check_promises()?;

        let (recording, first, key) = with_empty_subrip(&pipeline).await?;
        // The row is lost, so the transcript is copied again.
        pipeline.stack.dynamodb.remove(JOBS_TABLE, &recording.to_string())?;
        let about = json!({"event": "transcript.done", "recording_id": recording,
        "transcript_id": first["transcript_id"], "attempt": 1});
        pipeline.stack.queues.send(WORK_QUEUE, &about.to_string(), &[]).await?;
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(names(&manifest), names_without_subrip());
        assert_eq!(pipeline.stack.s3.object(&key)?, None);
        Ok(())
    })
    .await
}

/// S3 does not remove the subtitles: the other renditions are still complete.
#[tokio::test(flavor = "multi_thread")]
async fn undeletable_subtitles_do_not_hold_up_the_renditions() -> Result<()> {
    pipeline_test(async |pipeline| {
        let (recording, first, key) = with_empty_subrip(&pipeline).await?;
        let refused = Fault::Answer { status: 403, retry_after: None };
        pipeline.stack.wire.inject(Service::S3, "/transcript.srt?x-id=DeleteObject", When::Before, refused, usize::MAX);
        ask_to_render(&pipeline, recording, None).await?;
        assert_eq!(undated(&pipeline, recording)?, without_date(first));
        assert!(pipeline.stack.s3.object(&key)?.is_some());
        assert!(pipeline.stack.logs().iter().any(|line| line.contains("rendition.not_removed")));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_is_stored_and_not_rendered() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::with_content(Bytes::from_static(b"[{\"words\": [ oops")));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(names(&manifest), UNRENDERED);
        let error = manifest["rendering_error"].as_str().context("no error")?;
        assert!(error.contains("not valid JSON"), "{error}");
        assert!(!pipeline.stack.s3.keys()?.iter().any(|key| key.starts_with("turns/")));
        Ok(())
    })
    .await
}

/// The manifest says how many values could not be used. The recording's length bounds the times.
#[tokio::test(flavor = "multi_thread")]
async fn odd_values_and_impossible_times_are_skipped_and_repaired() -> Result<()> {
    pipeline_test(async |pipeline| {
        let file = br#"[null, {"participant": {"id": 1, "name": "Ann"}, "words": [
        {"text": "We", "start_timestamp": {"relative": 10.0}, "end_timestamp": {"relative": NaN}},
        {"text": "do", "start_timestamp": 10.4, "end_timestamp": "10.6"},
        {"text": "not", "start_timestamp": {"relative": 95.2}, "end_timestamp": {"relative": 95.4}},
        {"text": "ship.", "start_timestamp": {"relative": 11.2}, "end_timestamp": {"relative": 359999}}]}]"#;
        let recording = pipeline.simulator().play(Meeting::with_content(Bytes::from_static(file)));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(
            (&manifest["rendering_error"], &manifest["skipped_values"]),
            (&Value::Null, &json!(2)),
            "{manifest}"
        );
        let counts = json!({"turns": 1, "words": 4, "speakers": 1, "speakers_over_limit": 0, "duration_s": 11.6});
        assert_eq!(manifest["counts"], counts);
        assert_eq!(text(&pipeline, &manifest, "transcript.txt")?, "[00:00:10] Ann: We do not ship.\n");
        let line: Value = serde_json::from_str(&text(&pipeline, &manifest, "turns.jsonl")?)?;
        assert_eq!(
            (&line["person"], &line["start_s"], &line["end_s"]),
            (&json!(0), &json!(10.0), &json!(11.6)),
            "{line}"
        );
        Ok(())
    })
    .await
}

/// S3 refuses a rendition: the copy is repeated, and the set is complete in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_that_s3_refuses_is_written_later() -> Result<()> {
    pipeline_test(async |pipeline| {
        let s3 = |fault, times| pipeline.stack.wire.inject(Service::S3, "PutObject", When::Before, fault, times);
        drop(s3(Fault::Delay(Duration::ZERO), 3));
        drop(s3(Fault::Answer { status: 503, retry_after: None }, 4));
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(names(&manifest), FILES.map(|(name, _)| name));
        Ok(())
    })
    .await
}

/// S3 takes so long over a rendition that the invocation runs out of time. The next invocation has time for all of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn renditions_that_ran_out_of_time_are_written_by_the_next_invocation() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let s3 = |operation| pipeline.stack.wire.inject(Service::S3, operation, When::Before, Fault::Hold, 1);
        let mut hits = s3("/transcript.vtt?x-id=PutObject");
        let recording = pipeline.simulator().play(Meeting::short(1));
        hits.reach(1).await?;
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(names(&manifest), FILES.map(|(name, _)| name));
        assert_eq!(manifest["rendering_error"], Value::Null);
        Ok(())
    })
    .await
}

/// Three broken downloads do not use up the tries of the first rendition that S3 refuses.
#[tokio::test(flavor = "multi_thread")]
async fn other_failures_use_up_no_tries_of_the_renditions() -> Result<()> {
    pipeline_test(async |pipeline| {
        let fault = |status| Fault::Answer { status, retry_after: None };
        pipeline.stack.wire.inject(Service::Download, "GET", When::Before, fault(503), 4);
        pipeline.stack.wire.inject(Service::S3, ".jsonl?x-id=PutObject", When::Before, fault(403), 1);
        let recording = pipeline.simulator().play(Meeting::short(1));
        let failed =
            || Ok(pipeline.job(recording)?.is_some_and(|job| job["transcripts"][0]["failures"]["transient"] != 0));
        pipeline.wait_until("a failed download", failed).await?;
        while pipeline.status(recording)?.as_deref() != Some("stored") {
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
            pipeline.sweep().await?;
        }
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(
            (names(&manifest), &manifest["rendering_error"]),
            (FILES.map(|(name, _)| name).to_vec(), &Value::Null)
        );
        Ok(())
    })
    .await
}

/// S3 refuses the renditions, for example because of a bucket policy, and accepts everything else.
#[tokio::test(flavor = "multi_thread")]
async fn renditions_that_s3_refuses_for_good_do_not_hold_up_the_transcript() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let refused = Fault::Answer { status: 403, retry_after: None };
        let s3 =
            |operation, fault, times| pipeline.stack.wire.inject(Service::S3, operation, When::Before, fault, times);
        let mut hits = s3("/transcript.txt?x-id=PutObject", refused, usize::MAX);
        let recording = pipeline.simulator().play(Meeting::short(1));
        for refusal in 1..=6 {
            hits.reach(refusal).await?;
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
        }
        pipeline.reaches(recording, "stored").await?;
        let manifests = pipeline.manifests(recording)?;
        let [manifest] = manifests.as_slice() else { panic!("{manifests:?}") };
        assert_eq!(names(manifest), UNRENDERED);
        assert!(manifest["rendering_error"].as_str().is_some_and(|error| error.contains("S3")), "{manifest}");
        Ok(())
    })
    .await
}

/// Something about a transcript kills every worker: it is still stored, but not rendered.
#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_kills_its_workers_is_stored_unread() -> Result<()> {
    let test = PipelineTest::hasty();
    test.run(async |pipeline| {
        let recording = pipeline.simulator().add_recording(Meeting::short(1));
        let mut hits = pipeline.stack.wire.inject(Service::S3, "PutObject", When::Before, Fault::Hold, 3);
        let done = json!({"event": "recording.done", "data": {"recording": {"id": recording}}});
        assert_eq!(pipeline.deliver(done.to_string().as_bytes()).await?.status, 200);
        for death in 1..=3 {
            hits.reach(death).await?;
            pipeline.stack.transcript.kill().await;
            pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
            pipeline.let_time_pass().await?;
        }
        pipeline.reaches(recording, "stored").await?;
        let manifests = pipeline.manifests(recording)?;
        let [manifest] = manifests.as_slice() else { panic!("{manifests:?}") };
        assert_eq!(names(manifest), UNRENDERED);
        assert!(manifest["rendering_error"].as_str().is_some_and(|error| error.contains("workers died")), "{manifest}");
        assert_eq!(pipeline.simulator().creates(recording), 1);
        Ok(())
    })
    .await
}

async fn ask_to_render(pipeline: &Pipeline, recording: Uuid, transcript: Option<&Value>) -> Result<()> {
    let mut message = json!({"event": "render", "recording_id": recording});
    if let Some(transcript) = transcript {
        message["transcript_id"] = transcript.clone();
    }
    pipeline.stack.queues.send(WORK_QUEUE, &message.to_string(), &[]).await?;
    pipeline.settles().await
}

/// Returns the recording's one manifest without the rendering time, which changes with every rendering.
fn undated(pipeline: &Pipeline, recording: Uuid) -> Result<Value> {
    let mut manifests = pipeline.manifests(recording)?;
    assert_eq!(manifests.len(), 1);
    Ok(without_date(manifests.remove(0)))
}

fn without_date(mut manifest: Value) -> Value {
    let at = manifest["rendered_at"].take();
    assert!(at.as_str() >= manifest["stored_at"].as_str(), "rendered at {at}");
    manifest
}

/// An old transcript gets the formats of today, from S3 alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_transcript_is_rendered_again_without_recall() -> Result<()> {
    pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let first = pipeline.ends_stored(recording).await?;
        let transcript = first["transcript_id"].clone();
        // The set is as it was before there were renditions.
        let mut old = first.clone();
        let is_verbatim =
            |file: &Value| ["transcript.json", "participants.json"].iter().any(|name| file["name"] == *name);
        old["files"].as_array_mut().context("no files")?.retain(is_verbatim);
        old["rendering_error"] = json!("there were none yet");
        for file in first["files"].as_array().context("no files")?.iter().filter(|file| !is_verbatim(file)) {
            pipeline.stack.s3.remove(file["key"].as_str().context("no key")?)?;
        }
        let manifest_key = format!("recordings/{recording}/{}/manifest.json", transcript.as_str().context("no id")?);
        pipeline.stack.s3.put(&manifest_key, "application/json", old.to_string().as_bytes())?;
        pipeline.simulator().delete_recording(recording);
        pipeline.settles().await?;
        let calls = pipeline.stack.wire.calls().iter().filter(|call| call.service == Service::Recall).count();

        ask_to_render(&pipeline, recording, Some(&transcript)).await?;
        assert_eq!(undated(&pipeline, recording)?, without_date(first.clone()));
        pipeline.check_promises()?;
        // Rendering again, and rendering all of the recording, changes nothing. A recording that is not stored gets no
        // files.
        ask_to_render(&pipeline, recording, None).await?;
        ask_to_render(&pipeline, Uuid::from_u128(7), None).await?;
        assert_eq!(undated(&pipeline, recording)?, without_date(first));
        let after = pipeline.stack.wire.calls().iter().filter(|call| call.service == Service::Recall).count();
        assert_eq!(after, calls, "Recall is not asked");
        assert_eq!(pipeline.dead_letters().await?.len(), 0);
        Ok(())
    })
    .await
}

/// A file that was changed in S3 is not rendered as if it were the transcript.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_not_rendered() -> Result<()> {
    let test = PipelineTest::default().allow(Exception::StoredFileChanged);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        let key = manifest["files"][0]["key"].as_str().context("no key")?;
        pipeline.stack.s3.put(key, "application/json", b"[]")?;
        ask_to_render(&pipeline, recording, None).await?;
        // Rendering is not tried again, and the alarm about renditions is raised.
        assert_eq!(pipeline.stack.queues.depth(DEAD_LETTER_QUEUE).await?, 0);
        assert!(pipeline.stack.logs().iter().any(|line| line.contains("RenderingErrors")));
        assert!(pipeline.job(recording)?.context("no job")?.get("due_at").is_none());
        assert_eq!(pipeline.manifests(recording)?, [manifest]);
        Ok(())
    })
    .await
}

/// An older version took a file of an unknown format for a silent meeting. Rendering again corrects only the manifest.
#[tokio::test(flavor = "multi_thread")]
async fn manifest_of_a_file_without_readable_words_no_longer_says_empty_after_rendering_again() -> Result<()> {
    pipeline_test(async |pipeline| {
        let file = br#"[{"participant": {"id": 1}, "tokens": ["Hi"]}, {"participant": {"id": 2}, "tokens": []}]"#;
        let recording = pipeline.simulator().play(Meeting::with_content(Bytes::from_static(file)));
        let first = pipeline.ends_stored(recording).await?;
        let transcript = first["transcript_id"].as_str().context("no id")?;
        let mut old = first.clone();
        (old["empty"], old["rendering_error"], old["skipped_values"]) = (json!(true), Value::Null, json!(0));
        let key = format!("recordings/{recording}/{transcript}/manifest.json");
        pipeline.stack.s3.put(&key, "application/json", old.to_string().as_bytes())?;
        let reports = || pipeline.stack.logs().iter().filter(|line| line.contains("\"SkippedValues\":2")).count();
        let reported = reports();

        ask_to_render(&pipeline, recording, None).await?;
        assert_eq!(undated(&pipeline, recording)?, without_date(first.clone()));
        assert_eq!((&first["empty"], &first["skipped_values"]), (&json!(false), &json!(2)));
        assert_eq!(first["rendering_error"], "no words were found in 2 entries");
        assert_eq!(reports(), reported + 1);
        assert!(pipeline.stack.logs().iter().any(|line| line.contains("transcript.not_rerendered")));
        assert!(!pipeline.job(recording)?.context("no job")?["rendering_stopped_at"].is_null());
        Ok(())
    })
    .await
}
