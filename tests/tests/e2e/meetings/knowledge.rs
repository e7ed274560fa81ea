//! Documents for knowledge bases, which read every object again that is written.

use anyhow::{Context as _, Result};
use local::{
    recall::{Artifact, ArtifactFault, Meeting, MeetingFile, Metadata, Status, Target},
    stack::WORK_QUEUE,
    wire::Service,
};
use serde_json::{Value, json};
use tests::{Pipeline, PipelineTest};
use uuid::Uuid;

use super::{followed_up, logged, pass_time, send, transcript_of};

const KNOWLEDGE: (&str, &str) = ("RENDITIONS", "jsonl,meetings,md,knowledge");

fn document(transcript: &str) -> String {
    format!("knowledge/{transcript}.md")
}

/// Returns the objects below `knowledge/`.
fn stored(pipeline: &Pipeline) -> Result<Vec<String>> {
    Ok(pipeline.stack.s3.keys()?.into_iter().filter(|key| key.starts_with("knowledge/")).collect())
}

/// Returns the document and its sidecar.
fn both(transcript: &str) -> Vec<String> {
    vec![document(transcript), format!("{}.metadata.json", document(transcript))]
}

/// Returns what was done to the objects below `knowledge/`: a method with a D for a document or an S for a sidecar.
fn effects(pipeline: &Pipeline) -> Vec<String> {
    let calls = super::calls(pipeline, Service::S3).into_iter();
    let calls = calls.filter(|call| call.operation.contains("/knowledge/") && !call.operation.starts_with("HEAD"));
    let short = |operation: String| {
        let kind = if operation.contains(".metadata.json") { "S" } else { "D" };
        format!("{} {kind}", operation.split(' ').next().unwrap_or_default())
    };
    calls.map(|call| short(call.operation)).collect()
}

fn attributes(pipeline: &Pipeline, transcript: &str) -> Result<Value> {
    let sidecar = pipeline.stack.s3.object(&both(transcript)[1])?.context("no sidecar")?;
    let mut sidecar: Value = serde_json::from_slice(&sidecar)?;
    Ok(sidecar["metadataAttributes"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_written_after_its_sidecar_and_only_if_it_changes() -> Result<()> {
    let test = PipelineTest::with_env(&[KNOWLEDGE, ("METADATA_KEYS", "tenant")]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
        let recording = simulator.play(Meeting::hour(1).titled(Some("Roadmap")).metadata("tenant", "acme"));
        pipeline.reaches(recording, "stored").await?;
        let first = pipeline.manifests(recording)?.remove(0);
        let transcript = transcript_of(&first)?;
        assert_eq!((effects(&pipeline), stored(&pipeline)?), (vec!["PUT S".into(), "PUT D".into()], both(transcript)));
        let order: Vec<String> = super::calls(&pipeline, Service::S3).into_iter().map(|call| call.operation).collect();
        let position = |part: &str| order.iter().position(|operation| operation.contains(part)).context("no call");
        assert!(position("/transcript.json?x-id=PutObject")? < position("/knowledge/")?, "{order:?}");
        assert!(!first["files"].to_string().contains("knowledge"), "the manifest does not name it");
        assert_eq!(attributes(&pipeline, transcript)?.get("participant_emails"), None);

        // The people come late. The document names those who did not speak.
        let manifest = followed_up(&pipeline, recording).await?;
        assert_eq!(effects(&pipeline)[2..], ["PUT S", "PUT D"]);
        let attributes = attributes(&pipeline, transcript)?;
        assert!(attributes["participant_emails"].as_array().is_some_and(|emails| !emails.is_empty()), "{attributes}");
        for (key, value) in [("tenant", json!("acme")), ("title", json!("Roadmap")), ("platform", json!("google_meet"))]
        {
            assert_eq!(attributes[key], value, "{key}");
        }
        let day = manifest["recording"]["started_at"].as_str().and_then(|at| at.get(..10)).context("no start")?;
        assert_eq!((&attributes["date"], &attributes["recording_id"]), (&json!(day), &json!(recording)));
        assert_eq!(attributes["yyyymmdd"].to_string(), day.replace('-', ""));

        // Rendering again writes neither of them.
        for _ in 0..2 {
            send(&pipeline, "render", recording).await?;
        }
        assert_eq!(effects(&pipeline).len(), 4);
        // What was changed by hand is written again, and nothing else.
        pipeline.stack.s3.put(&document(transcript), "text/markdown", b"changed by hand")?;
        send(&pipeline, "render", recording).await?;
        assert_eq!(effects(&pipeline)[4..], ["PUT D"]);

        let text = pipeline.stack.s3.object(&document(transcript))?.context("no document")?;
        let text = String::from_utf8(text.to_vec())?;
        let headings: Vec<usize> = text.match_indices("\n#").map(|(at, _)| at).collect();
        let longest = headings.windows(2).map(|pair| text[pair[0]..pair[1]].chars().count()).max();
        assert!(longest.is_some_and(|longest| longest < 1_200), "{longest:?}");
        assert!(text.contains(day), "the headings have the day");
        Ok(())
    })
    .await
}

/// Returns the people of a transcript as Recall's list of them, with e-mail addresses, which the transcript lacks.
fn speakers_with_emails(meeting: &Meeting) -> Result<Value> {
    let turns: Vec<Value> = serde_json::from_slice(meeting.content())?;
    let mut people: Vec<Value> = Vec::new();
    for mut turn in turns {
        let mut person = turn["participant"].take();
        if !people.iter().any(|known| known["id"] == person["id"]) {
            person["email"] = json!(format!("guest{}@example.com", person["id"]));
            people.push(person);
        }
    }
    Ok(people.into())
}

/// A knowledge base pays for each document that it reads again, so a document with the same bytes is not written.
#[tokio::test(flavor = "multi_thread")]
async fn late_addresses_change_only_the_sidecar() -> Result<()> {
    let test = PipelineTest::with_env(&[KNOWLEDGE]);
    test.run(async |pipeline| {
        let meeting = Meeting::short(1);
        let people = speakers_with_emails(&meeting)?;
        let meeting = meeting.with_file(MeetingFile::Participants, people).with_file(MeetingFile::Events, json!([]));
        let simulator = pipeline.simulator();
        simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
        let recording = simulator.play(meeting);
        let manifest = followed_up(&pipeline, recording).await?;
        assert_eq!(effects(&pipeline), ["PUT S", "PUT D", "PUT S"]);
        let attributes = attributes(&pipeline, transcript_of(&manifest)?)?;
        assert_eq!(attributes["participant_domains"], json!(["example.com"]));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_or_unreadable_meeting_has_no_document() -> Result<()> {
    let test = PipelineTest::with_env(&[KNOWLEDGE]);
    test.run(async |pipeline| {
        for meeting in [Meeting::silent(), Meeting::with_content(bytes::Bytes::from_static(b"[{\"words\": [ oops"))] {
            let recording = pipeline.simulator().play(meeting);
            pipeline.ends_stored(recording).await?;
        }
        assert_eq!(stored(&pipeline)?, Vec::<String>::new());
        assert!(!effects(&pipeline).contains(&"PUT S".to_owned()), "{:?}", effects(&pipeline));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_written_or_removed() -> Result<()> {
    tests::pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        pipeline.ends_stored(recording).await?;
        send(&pipeline, "render", recording).await?;
        assert_eq!(pipeline.stack.wire.count(Service::S3, "knowledge"), 0);
        Ok(())
    })
    .await
}

/// The metadata must be complete, so they are not cut.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_do_not_fit_leave_no_document() -> Result<()> {
    let keys = "k0,k1,k2,k3,k4,k5,k6,k7,k8,k9";
    let test = PipelineTest::with_env(&[KNOWLEDGE, ("METADATA_KEYS", keys)]);
    test.run(async |pipeline| {
        // Long names are left out, the metadata are not.
        let long = |length: usize| {
            keys.split(',').fold(Meeting::crowd(24, 10, 1), |meeting, key| meeting.metadata(key, &"v".repeat(length)))
        };
        let recording = pipeline.simulator().play(long(40));
        let manifest = pipeline.ends_stored(recording).await?;
        let fitted = attributes(&pipeline, transcript_of(&manifest)?)?;
        assert!(fitted.to_string().len() <= 1_000 && fitted["truncated"] == true, "{fitted}");
        assert!(keys.split(',').all(|key| fitted[key] == "v".repeat(40)), "{fitted}");
        assert!(logged(&pipeline, "knowledge.not_written").is_empty());

        let recording = pipeline.simulator().play(long(120));
        let manifest = pipeline.ends_stored(recording).await?;
        assert_eq!(manifest["rendering_error"], Value::Null);
        assert_eq!(stored(&pipeline)?.len(), 2, "only that of the first recording");
        assert_eq!(logged(&pipeline, "knowledge.not_written").len(), 1);
        let counted = || Ok(pipeline.stack.logs().iter().any(|line| line.contains("\"KnowledgeNotWritten\":1")));
        pipeline.wait_until("the metric", counted).await?;
        Ok(())
    })
    .await
}

/// Requests a transcript as another client, and waits until it is stored as well.
async fn add(pipeline: &Pipeline, recording: Uuid) -> Result<String> {
    let simulator = pipeline.simulator();
    let id = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
    simulator.wait_for_status(id, Status::Done).await;
    let key = format!("recordings/{recording}/{id}/manifest.json");
    pipeline.wait_until("the other manifest", || Ok(pipeline.stack.s3.object(&key)?.is_some())).await?;
    finish(pipeline, recording).await?;
    Ok(id.to_string())
}

/// Lets time pass until nothing is left to do.
async fn finish(pipeline: &Pipeline, recording: Uuid) -> Result<()> {
    pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
    while pipeline.job(recording)?.context("no job")?.get("due_at").is_some() {
        pass_time(pipeline).await?;
    }
    pipeline.settles().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_transcript_has_a_document() -> Result<()> {
    let test = PipelineTest::with_env(&[KNOWLEDGE]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        let ours = transcript_of(&manifest)?.to_owned();
        assert_eq!(stored(&pipeline)?, both(&ours));
        let newest = add(&pipeline, recording).await?;
        assert_eq!(stored(&pipeline)?, both(&newest));
        // A knowledge base never sees a document without its sidecar.
        assert_eq!(effects(&pipeline), ["PUT S", "PUT D", "PUT S", "PUT D", "DELETE D", "DELETE S"]);

        // Copying or rendering the older one again does not bring its document back.
        let copy = json!({"event": "copy", "recording_id": recording, "transcript_id": ours});
        pipeline.stack.queues.send(WORK_QUEUE, &copy.to_string(), &[]).await?;
        pipeline.settles().await?;
        finish(&pipeline, recording).await?;
        send(&pipeline, "render", recording).await?;
        assert_eq!(stored(&pipeline)?, both(&newest));
        assert!(!effects(&pipeline)[6..].iter().any(|effect| effect.starts_with("PUT")), "{:?}", effects(&pipeline));

        // Both still have their lines, and readers count the newer one.
        let lines = pipeline.stack.s3.keys()?.into_iter().filter(|key| key.starts_with("meetings/")).count();
        assert_eq!(lines, 2);
        let retry = json!({"event": "retry", "recording_id": recording, "after_attempt": 1});
        pipeline.stack.queues.send(WORK_QUEUE, &retry.to_string(), &[]).await?;
        let stored_ones = || pipeline.manifests(recording).map(|manifests| manifests.len() == 3);
        pipeline.wait_until("the third manifest", stored_ones).await?;
        finish(&pipeline, recording).await?;
        let newest = pipeline.simulator().transcripts(recording).last().context("no transcript")?.id.to_string();
        assert_eq!(stored(&pipeline)?, both(&newest));
        Ok(())
    })
    .await
}

/// An older transcript may be stored after a newer one.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_transcript_that_is_stored_later_has_no_document() -> Result<()> {
    let test = PipelineTest::with_env(&[KNOWLEDGE]);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        let recording = simulator.add_recording(Meeting::short(1));
        simulator.faults().never_transcribe(Target::next(1));
        let older = simulator.add_transcript(recording, "deepgram_async", Metadata::new()).context("no transcript")?;
        simulator.announce(recording);
        let first = || Ok(pipeline.manifests(recording)?.len() == 1);
        pipeline.wait_until("our manifest", first).await?;
        let newer = simulator.transcripts(recording).last().context("no transcript")?.id;
        assert!(newer != older && simulator.finish_transcription(older, Ok(())));
        let key = format!("recordings/{recording}/{older}/manifest.json");
        pipeline.wait_until("the other manifest", || Ok(pipeline.stack.s3.object(&key)?.is_some())).await?;
        finish(&pipeline, recording).await?;
        assert_eq!(stored(&pipeline)?, both(&newer.to_string()));
        Ok(())
    })
    .await
}
