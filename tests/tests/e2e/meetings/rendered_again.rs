//! Everything that the pipeline makes from Recall's files is made again from S3 alone.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::recall::{Artifact, ArtifactFault, Meeting, Target};
use serde_json::Value;
use tests::{Pipeline, PipelineTest};
use uuid::Uuid;

use super::{KEPT, count, entry, followed_up, logged, send};

const ALL: [(&str, &str); 5] = [
    ("RENDITIONS", "jsonl,meetings,txt,md,vtt,srt,html,knowledge"),
    ("MEETING_FILES", "participants,events,timeline"),
    ("PROVIDER_DATA", "true"),
    ("METADATA_KEYS", "tenant,deal"),
    ("TRANSCRIPT_PROVIDERS", r#"[{"deepgram_async": {}}]"#),
];

/// Returns every object with its bytes, its tags and its type. A manifest is without its date.
fn objects(pipeline: &Pipeline) -> Result<BTreeMap<String, (Bytes, String)>> {
    let s3 = &pipeline.stack.s3;
    let object = |key: String| {
        let mut bytes = s3.object(&key)?.context("gone")?;
        let attributes = s3.attributes(&key)?.context("no attributes")?;
        if key.ends_with("/manifest.json") {
            let mut manifest: Value = serde_json::from_slice(&bytes)?;
            manifest["rendered_at"] = Value::Null;
            let files = manifest["files"].as_array_mut().context("no files")?;
            files.sort_by_key(|file| file["name"].to_string());
            bytes = manifest.to_string().into();
        }
        Ok((key, (bytes, format!("{:?} {:?} {:?}", attributes.content_type, attributes.tags, attributes.checksums))))
    };
    s3.keys()?.into_iter().map(object).collect::<Result<BTreeMap<_, _>>>().map(|objects| {
        // The checksum of a manifest changes with its date.
        let plain = |(key, (bytes, about)): (String, (Bytes, String))| {
            let about = if key.ends_with("/manifest.json") { String::new() } else { about };
            (key, (bytes, about))
        };
        objects.into_iter().map(plain).collect()
    })
}

/// Returns whether an object is Recall's own, or the manifest that names these.
fn is_source(key: &str) -> bool {
    let kept = KEPT.map(|(_, name)| name);
    ["transcript.json", "manifest.json"].iter().chain(&kept).any(|name| key.ends_with(&format!("/{name}")))
}

async fn render_all(pipeline: &Pipeline, recordings: &[Uuid]) -> Result<()> {
    for recording in recordings {
        send(pipeline, "render", *recording).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_made_again_from_s3_alone() -> Result<()> {
    let test = PipelineTest::with_env(&ALL);
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
        let mut recordings = Vec::new();
        for meeting in [
            Meeting::short(1).metadata("title", "From metadata"),
            Meeting::rejoined(2).titled(Some("Two ids")),
            Meeting::hour(3),
            Meeting::japanese(4),
            Meeting::crowd(8, 30, 5),
            Meeting::silent(),
        ] {
            let recording = simulator.play(meeting.metadata("tenant", "acme").bot_metadata("deal", "7"));
            followed_up(&pipeline, recording).await?;
            recordings.push(recording);
        }
        let before = objects(&pipeline)?;
        for recording in &recordings {
            assert!(simulator.delete_recording(*recording));
        }
        pipeline.settles().await?;
        let (calls, mut removed) = (count(&pipeline, ""), 0);
        for key in before.keys().filter(|key| !is_source(key)) {
            pipeline.stack.s3.remove(key)?;
            removed += 1;
        }
        assert!(removed > 50, "{removed}");
        render_all(&pipeline, &recordings).await?;
        let after = objects(&pipeline)?;
        for (key, object) in &before {
            assert_eq!(after.get(key), Some(object), "{key}");
        }
        assert_eq!((after.len(), count(&pipeline, "")), (before.len(), calls), "Recall is not asked");
        // A second rendering changes nothing either.
        render_all(&pipeline, &recordings).await?;
        assert_eq!(objects(&pipeline)?, before);
        Ok(())
    })
    .await
}

/// A transcript of an older version has neither the line nor the people: it gains what its own file says.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_transcript_gains_a_line_about_its_meeting() -> Result<()> {
    let test = PipelineTest::with_env(&ALL[..1]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1).metadata("title", "Old"));
        let manifest = pipeline.ends_stored(recording).await?;
        for key in pipeline.stack.s3.keys()?.iter().filter(|key| {
            ["meetings/", "knowledge/"].iter().any(|folder| key.starts_with(folder))
                || key.ends_with("participants.json")
        }) {
            pipeline.stack.s3.remove(key)?;
        }
        let mut old = manifest.clone();
        old.as_object_mut().context("no object")?.remove("meeting");
        let files = old["files"].as_array_mut().context("no files")?;
        files.retain(|file| file["name"] != "meetings.jsonl" && file["name"] != "participants.json");
        let key = format!("recordings/{recording}/{}/manifest.json", super::transcript_of(&manifest)?);
        pipeline.stack.s3.put(&key, "application/json", old.to_string().as_bytes())?;
        let calls = count(&pipeline, "");
        send(&pipeline, "render", recording).await?;
        let rendered = pipeline.manifests(recording)?.remove(0);
        let meeting = &rendered["meeting"];
        assert_eq!(meeting["sources"], super::sources("absent", "absent", "absent", "absent"));
        assert_eq!((&meeting["title"], &meeting["title_source"]), (&"Old".into(), &"metadata".into()));
        let people = meeting["participants"].as_array().context("no people")?;
        assert!(people.len() > 1 && people.iter().all(|one| one["spoke"] == true && one["joined_at"].is_null()));
        assert_eq!(super::meeting_line(&pipeline, &rendered)?["title"], "Old");
        assert_eq!((count(&pipeline, ""), pipeline.stack.s3.keys()?.len()), (calls, 11));
        Ok(())
    })
    .await
}

/// A kept file that was changed in S3, perhaps because a person asked for that, is not used as if it were Recall's. The
/// people are those of the manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_of_the_meeting_is_not_used() -> Result<()> {
    let test = PipelineTest::with_env(&ALL[..2]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1));
        let manifest = pipeline.ends_stored(recording).await?;
        let key = entry(&manifest, "participants.json").and_then(|file| file["key"].as_str()).context("no file")?;
        pipeline.stack.s3.put(key, "application/json", b"[{\"id\": 1, \"name\": \"Mallory\"}]")?;
        send(&pipeline, "render", recording).await?;
        let rendered = pipeline.manifests(recording)?.remove(0);
        assert_eq!(rendered["meeting"], manifest["meeting"]);
        assert!(entry(&rendered, "participants.json").is_none(), "its bytes are not those that were stored");
        assert_eq!(logged(&pipeline, "meeting_file.not_read").len(), 1);
        Ok(())
    })
    .await
}
