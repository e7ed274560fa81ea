//! METADATA_KEYS: tags of objects, for policies, and entries of the line of a meeting, for queries.

use anyhow::{Context as _, Result};
use local::{
    recall::{Artifact, ArtifactFault, Meeting, Target},
    wire::{Fault, Service, When},
};
use serde_json::json;
use tests::{Pipeline, PipelineTest};

use super::{followed_up, logged, meeting_line, send};

/// Returns the number of objects, and checks that each of them has exactly these tags.
fn check_tags(pipeline: &Pipeline, tags: &[(&str, &str)]) -> Result<usize> {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let keys = pipeline.stack.s3.keys()?;
    for key in &keys {
        assert_eq!(pipeline.stack.s3.tags(key)?.as_ref(), Some(&tags), "{key}");
    }
    Ok(keys.len())
}

const ALL: [(&str, &str); 4] = [
    ("METADATA_KEYS", "tenant,deal, region ,none,aws"),
    ("MEETING_FILES", "participants,events,timeline"),
    ("PROVIDER_DATA", "true"),
    ("RENDITIONS", "jsonl,meetings,txt,md,vtt,srt,html,knowledge"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_object_has_the_tags_of_its_tenant() -> Result<()> {
    let test = PipelineTest::with_env(&[&ALL[..], &[("TRANSCRIPT_PROVIDERS", r#"[{"rev_async": {}}]"#)]].concat());
    test.run(async |pipeline| {
        let simulator = pipeline.simulator();
        simulator.faults().artifact(Target::next(1), Artifact::ParticipantEvents, ArtifactFault::Processing);
        let meeting = Meeting::large(6_000_000)
            .metadata("tenant", "Müller Söhne")
            .bot_metadata("tenant", "the bot's tenant")
            .bot_metadata("deal", "a+b=c/d e@f:1_2.3-4")
            .metadata("region", "north, east")
            .metadata("secret", "not one of the keys");
        let recording = simulator.play(meeting);
        pipeline.reaches(recording, "stored").await?;
        let tags = [("tenant", "Müller Söhne"), ("deal", "a+b=c/d e@f:1_2.3-4")];
        let first = check_tags(&pipeline, &tags)?;
        assert!(pipeline.stack.wire.count(Service::S3, "/transcript.json?uploads") == 1, "it is uploaded in parts");
        let manifest = followed_up(&pipeline, recording).await?;
        // The verbatim file, Recall's four files, nine renditions with the knowledge document, and the manifest.
        assert_eq!((first, check_tags(&pipeline, &tags)?), (12, 15), "{:?}", pipeline.stack.s3.keys()?);
        send(&pipeline, "render", recording).await?;
        check_tags(&pipeline, &tags)?;

        let line = meeting_line(&pipeline, &manifest)?;
        let metadata = json!({"tenant": "Müller Söhne", "deal": "a+b=c/d e@f:1_2.3-4", "region": "north, east"});
        assert_eq!(line["metadata"], metadata, "a value without a tag is still in the line");
        let skipped = logged(&pipeline, "tag.not_set");
        assert!(!skipped.is_empty() && skipped.iter().all(|line| line["key"] == "region"), "{skipped:?}");
        assert!(!pipeline.stack.logs().iter().any(|line| line.contains("north, east")), "values are not logged");
        let counted = || Ok(pipeline.stack.logs().iter().any(|line| line.contains("\"TagsNotSet\":1")));
        pipeline.wait_until("the metric", counted).await?;
        Ok(())
    })
    .await
}

/// A value that S3 does not accept must not keep the transcript from being stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_s3_refuses_gets_no_tag() -> Result<()> {
    let test = PipelineTest::with_env(&ALL[..1]);
    test.run(async |pipeline| {
        let two_units = "𐐀".repeat(129);
        let long = "v".repeat(257);
        for value in ["", " a", "a ", "a\tb", "a\nb", "a,b", "50%", "a&b", "😀", "a\u{0}b", &*two_units, &*long] {
            let meeting = Meeting::short(1).metadata("tenant", value).metadata("deal", "7");
            let recording = pipeline.simulator().play(meeting);
            let manifest = pipeline.ends_stored(recording).await.with_context(|| format!("{value:?}"))?;
            assert_eq!(meeting_line(&pipeline, &manifest)?["metadata"], json!({"tenant": value, "deal": "7"}));
            check_tags(&pipeline, &[("deal", "7")]).with_context(|| format!("{value:?}"))?;
        }
        // Right at the limits.
        for key in pipeline.stack.s3.keys()? {
            pipeline.stack.s3.remove(&key)?;
        }
        let (two_units, long) = ("𐐀".repeat(128), "v".repeat(256));
        let meeting = Meeting::short(1).metadata("tenant", &two_units).metadata("deal", &long);
        pipeline.ends_stored(pipeline.simulator().play(meeting)).await?;
        check_tags(&pipeline, &[("tenant", &two_units), ("deal", &long)])?;
        Ok(())
    })
    .await
}

/// What S3 accepts is not documented to the last character. If it refuses the tags of an object, the object is written
/// without them.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_tags_s3_refuses_is_written_without_them() -> Result<()> {
    let test = PipelineTest::with_env(&ALL[..1]);
    test.run(async |pipeline| {
        let refused = Fault::S3Error { status: 400, code: "InvalidTag" };
        for operation in ["/transcript.json?uploads", "/transcript.md?x-id=PutObject", "/manifest.json?x-id=PutObject"]
        {
            pipeline.stack.wire.inject(Service::S3, operation, When::Before, refused, 1);
        }
        let meeting = Meeting::large(6_000_000).metadata("tenant", "acme");
        let manifest = pipeline.ends_stored(pipeline.simulator().play(meeting)).await?;
        assert_eq!(manifest["rendering_error"], json!(null));
        for key in pipeline.stack.s3.keys()? {
            let is_untagged =
                ["/transcript.json", "/transcript.md", "/manifest.json"].iter().any(|end| key.ends_with(end));
            let tags = pipeline.stack.s3.tags(&key)?.with_context(|| key.clone())?;
            assert_eq!(tags.len(), usize::from(!is_untagged), "{key}");
        }
        let logs = logged(&pipeline, "tag.not_set");
        assert!(logs.len() == 3 && logs.iter().all(|line| line["object"].is_string()), "{logs:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_there_are_no_tags() -> Result<()> {
    tests::pipeline_test(async |pipeline| {
        let recording = pipeline.simulator().play(Meeting::short(1).metadata("tenant", "acme"));
        let manifest = pipeline.ends_stored(recording).await?;
        check_tags(&pipeline, &[])?;
        assert_eq!(meeting_line(&pipeline, &manifest)?["metadata"], json!({}));
        Ok(())
    })
    .await
}
