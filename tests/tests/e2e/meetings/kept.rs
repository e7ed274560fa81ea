//! Which of Recall's files are kept, and under which names.

use anyhow::{Context as _, Result};
use local::{
    recall::{CHAT_MESSAGE, Meeting},
    wire::Service,
};
use serde_json::{Value, json};
use tests::PipelineTest;

use super::{KEPT, all_sources, check_verbatim, count, entry, meeting_line, names, objects_with, send, sources};

const ALL: [(&str, &str); 3] = [
    ("MEETING_FILES", "participants,events,timeline"),
    ("PROVIDER_DATA", "true"),
    ("TRANSCRIPT_PROVIDERS", r#"[{"deepgram_async": {}}]"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_kept_as_it_is_if_configured() -> Result<()> {
    let test = PipelineTest::with_env(&ALL);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::hour(3));
        let manifest = pipeline.ends_stored(recording).await?;
        for (file, name) in KEPT {
            check_verbatim(&pipeline, recording, &manifest, file, name)?;
        }
        assert_eq!(manifest["meeting"]["sources"], all_sources("stored", "stored", "stored", "stored"));
        assert_eq!(meeting_line(&pipeline, &manifest)?["sources"], manifest["meeting"]["sources"]);
        // Chat messages are only in Recall's own file, and so is the URL of the provider's answer.
        let only_in =
            |file: &str| Ok::<_, anyhow::Error>(vec![entry(&manifest, file).context("no file")?["key"].clone()]);
        assert_eq!(json!(objects_with(&pipeline, CHAT_MESSAGE)?), json!(only_in("events.json")?));
        assert_eq!(json!(objects_with(&pipeline, "token=pt-51b7")?), json!(only_in("provider.json")?));
        assert_eq!(pipeline.stack.wire.count(Service::Download, "GET"), 1 + KEPT.len());
        Ok(())
    })
    .await
}

/// Recall's own engine has no raw response.
#[tokio::test(flavor = "multi_thread")]
async fn provider_data_that_does_not_exist_is_not_waited_for() -> Result<()> {
    let test = PipelineTest::with_env(&ALL[..2]);
    test.run(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(3));
        let manifest = pipeline.ends_stored(recording).await?;
        assert!(entry(&manifest, "timeline.json").is_some() && entry(&manifest, "provider.json").is_none());
        assert_eq!(manifest["meeting"]["sources"], all_sources("stored", "stored", "stored", "absent"));
        assert!(pipeline.job(recording)?.context("no job")?["follow_up"].is_null(), "nothing is late");
        Ok(())
    })
    .await
}

/// Nothing is kept, so a later rendering takes what it needs from the manifest.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_is_rendered_from_the_manifest() -> Result<()> {
    let test = PipelineTest::with_env(&[("MEETING_FILES", "none")]);
    test.run(async |pipeline| {
        for meeting in [Meeting::short(4), Meeting::rejoined(4), Meeting::hour(4), Meeting::japanese(4)] {
            let recording = pipeline.simulator().play(meeting);
            let first = pipeline.ends_stored(recording).await?;
            assert_eq!(first["meeting"]["sources"], sources("read", "read", "read", "read"));
            assert!(!names(&first).iter().any(|name| KEPT.iter().any(|(_, kept)| kept == name)), "{first}");
            let people = first["meeting"]["participants"].as_array().context("no people")?;
            assert!(people.iter().all(|person| person["joined_at"].is_string() && person["present_s"].is_number()));
            assert!(people.iter().any(|person| person["spoke"] == false), "{first}");
            assert!(people.iter().any(|person| person["email_source"] == "participants"), "{first}");
            pipeline.simulator().delete_recording(recording);
            pipeline.settles().await?;
            let calls = count(&pipeline, "");
            send(&pipeline, "render", recording).await?;
            assert_eq!(count(&pipeline, ""), calls, "Recall is not asked");
            let [second] = &pipeline.manifests(recording)?[..] else { panic!("several manifests") };
            assert_eq!(undated(second), undated(&first));
            assert_ne!(second["rendered_at"], first["rendered_at"]);
        }
        Ok(())
    })
    .await
}

fn undated(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    manifest["rendered_at"] = Value::Null;
    manifest
}
