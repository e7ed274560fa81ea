//! Artifacts that come late or never, and files that are wrong.

use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    Lab,
    files::{download, shortcuts, url},
};
use crate::recall::{Artifact, ArtifactFault, DownloadFault, FileFault, Meeting, MeetingFile, Target};

const FILE: MeetingFile = MeetingFile::Participants;

#[tokio::test]
async fn artifacts_are_late_for_some_reads() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(1));
    let faults = lab.recall.faults();
    let target = Target::recording(recording).times(2);
    faults.artifact(target, Artifact::ParticipantEvents, ArtifactFault::Processing);
    faults.artifact(Target::next(1), Artifact::MeetingMetadata, ArtifactFault::Processing);
    for _ in 0..3 {
        // A list shows the same without a strike.
        let list = lab.get("/api/v1/recording/").await?.json()?;
        assert_eq!(list["results"][0]["media_shortcuts"]["participant_events"]["status"]["code"], "processing");
    }
    let first = shortcuts(&lab, recording).await?;
    for artifact in ["participant_events", "meeting_metadata"] {
        assert_eq!(first[artifact]["status"]["code"], "processing");
        let data = first[artifact]["data"].as_object().context("no data")?;
        assert!(data.values().all(Value::is_null) && data.len() >= 2, "{data:?}");
    }
    let second = shortcuts(&lab, recording).await?;
    assert_eq!(second["participant_events"]["status"]["code"], "processing");
    assert_eq!(second["meeting_metadata"]["status"]["code"], "done");
    assert_eq!(shortcuts(&lab, recording).await?["participant_events"]["status"]["code"], "done");
    assert!(faults.unstruck().is_empty());
    Ok(())
}

#[tokio::test]
async fn artifacts_are_late_for_some_time() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(1));
    let late = ArtifactFault::Late(Duration::from_secs(600));
    lab.recall.faults().artifact(Target::recording(recording), Artifact::ParticipantEvents, late);
    for (age_s, code) in [(0, "processing"), (590, "processing"), (10, "done")] {
        lab.recall.age(recording, Duration::from_secs(age_s));
        assert_eq!(shortcuts(&lab, recording).await?["participant_events"]["status"]["code"], code);
    }
    assert!(url(&lab, recording, FILE).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn artifacts_are_missing_or_failed() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(1));
    let faults = lab.recall.faults();
    for artifact in [Artifact::ParticipantEvents, Artifact::MeetingMetadata] {
        faults.artifact(Target::next(1), artifact, ArtifactFault::Null);
        faults.artifact(Target::next(1), artifact, ArtifactFault::Failed);
    }
    let (missing, failed) = (shortcuts(&lab, recording).await?, shortcuts(&lab, recording).await?);
    for artifact in ["participant_events", "meeting_metadata"] {
        assert_eq!((&missing[artifact], &failed[artifact]["status"]["code"]), (&Value::Null, &json!("failed")));
    }
    faults.file(Target::next(1), FILE, FileFault::NoUrl);
    assert!(url(&lab, recording, FILE).await.is_err());
    faults.file(Target::next(1), FILE, FileFault::Elsewhere);
    assert!(url(&lab, recording, FILE).await?.starts_with("http://[::ffff:7f00:1]:"));
    // The other files have none of these faults.
    faults.file(Target::next(1), FILE, FileFault::NotFound);
    assert_eq!(download(&url(&lab, recording, MeetingFile::Events).await?).await?.status, StatusCode::OK);
    let url = url(&lab, recording, FILE).await?;
    assert_eq!(download(&url).await?.status, StatusCode::NOT_FOUND);
    faults.file(Target::next(1), FILE, FileFault::Forbidden);
    assert_eq!(download(&url).await?.status, StatusCode::FORBIDDEN);
    assert_eq!(download(&url).await?.status, StatusCode::OK);
    assert!(faults.unstruck().is_empty());
    Ok(())
}

#[tokio::test]
async fn files_are_wrong_in_every_way() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(1));
    let url = url(&lab, recording, FILE).await?;
    let right = lab.recall.file_bytes(recording, FILE).context("no file")?;
    let entries: Vec<Value> = serde_json::from_slice(&right)?;
    let get = async |fault| {
        lab.recall.faults().file(Target::recording(recording).times(1), FILE, fault);
        download(&url).await
    };
    assert!(get(FileFault::NotJson).await?.json().is_err());
    assert_eq!(get(FileFault::Half).await?.body, right.slice(..right.len() / 2));
    assert_eq!(get(FileFault::Wrapped).await?.json()?, json!({"results": entries}));
    let odd = get(FileFault::WrongShapes).await?.json()?;
    assert_eq!(odd.as_array().map(Vec::len), Some(entries.len() + 5));
    assert!(odd[5]["name"].is_object() && odd[5]["id"].is_array() && odd[5]["is_host"] == "yes", "{odd}");
    let twice = get(FileFault::Twice).await?.json()?;
    assert_eq!((twice.as_array().map(Vec::len), &twice[0]), (Some(2 * entries.len()), &twice[1]));
    for stated in [true, false] {
        let padded = get(FileFault::Padded { bytes: 3_000_000, stated }).await?;
        assert_eq!((padded.body.len(), padded.json()?), (3_000_000, json!(entries)));
        assert_eq!(padded.header("content-length").is_empty(), !stated);
    }
    assert!(get(FileFault::Download(DownloadFault::Truncated { after: 100 })).await.is_err());
    for fault in [DownloadFault::Stalled { after: 10 }, DownloadFault::Trickle { every: Duration::from_millis(1) }] {
        let endless = tokio::time::timeout(Duration::from_millis(50), get(FileFault::Download(fault)));
        assert!(endless.await.is_err(), "{fault:?}");
    }
    assert_eq!(download(&url).await?.body, right);
    assert!(lab.recall.faults().unstruck().is_empty());
    Ok(())
}
