//! The files of a recording: where they are, for how long, and what refuses to serve them.

use anyhow::{Context as _, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Lab, keys_of, send, soon};
use crate::{
    recall::{FileFault, Meeting, MeetingFile, Platform, Status, Target, many_events},
    wire::Service,
};

pub(super) async fn shortcuts(lab: &Lab, recording: Uuid) -> Result<Value> {
    Ok(lab.get(&format!("/api/v1/recording/{recording}/")).await?.json()?["media_shortcuts"].take())
}

pub(super) async fn url(lab: &Lab, recording: Uuid, file: MeetingFile) -> Result<String> {
    let shown = shortcuts(lab, recording).await?;
    let url = &shown["participant_events"]["data"][format!("{}_download_url", file.name())];
    Ok(url.as_str().context("no URL")?.to_owned())
}

pub(super) async fn download(url: &str) -> Result<Answer> {
    send(Method::GET, url, &[], "").await
}

#[tokio::test]
async fn artifacts_have_the_documented_format() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(1));
    let shown = shortcuts(&lab, recording).await?;
    for (artifact, data) in [
        (
            "participant_events",
            vec!["participant_events_download_url", "participants_download_url", "speaker_timeline_download_url"],
        ),
        ("meeting_metadata", vec!["title", "zoom"]),
    ] {
        assert_eq!(keys_of(&shown[artifact]), ["created_at", "data", "id", "metadata", "status"]);
        assert_eq!(keys_of(&shown[artifact]["data"]), data);
        let status = &shown[artifact]["status"];
        assert_eq!((&status["code"], &status["sub_code"]), (&json!("done"), &Value::Null));
    }
    let data = &shown["meeting_metadata"]["data"];
    assert_eq!(data["title"], "Engineering sync");
    assert!(data["zoom"]["meeting_uuid"].is_string());
    let other = lab.recall.add_recording(Meeting::silent().on(Platform::GoogleMeet));
    assert_eq!(shortcuts(&lab, other).await?["meeting_metadata"]["data"], json!({"title": null, "zoom": null}));
    Ok(())
}

#[tokio::test]
async fn files_are_served_like_the_transcript() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::hour(7));
    for file in MeetingFile::OF_RECORDING {
        let url = url(&lab, recording, file).await?;
        assert!(url.starts_with("http://localhost:") && url.contains(&format!("/recordings/{recording}/")), "{url}");
        let answer = download(&url).await?;
        assert_eq!(
            (answer.status, Some(&answer.body)),
            (StatusCode::OK, lab.recall.file_bytes(recording, file).as_ref())
        );
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!(lab.wire.count(Service::Download, &format!("/{}.json", file.name())), 1);

        let leaked = lab.recall.keys_leaked();
        let key = [("authorization", "Token x")];
        assert_eq!(send(Method::GET, &url, &key, "").await?.status, StatusCode::BAD_REQUEST);
        assert_eq!(lab.recall.keys_leaked(), leaked + 1);
        assert_eq!(send(Method::HEAD, &url, &[], "").await?.status, StatusCode::FORBIDDEN);
        let forged = url.replace(file.name(), "transcript");
        assert_eq!(download(&forged).await?.status, StatusCode::FORBIDDEN);
        lab.recall.expire_urls();
        assert_eq!(download(&url).await?.status, StatusCode::FORBIDDEN);
    }
    let last = url(&lab, recording, MeetingFile::Participants).await?;
    lab.recall.delete_recording(recording);
    assert_eq!(download(&last).await?.status, StatusCode::NOT_FOUND);
    assert!(lab.recall.file_bytes(recording, MeetingFile::Participants).is_some());
    Ok(())
}

#[tokio::test]
async fn the_api_host_serves_files_for_a_token() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(7));
    for file in MeetingFile::OF_RECORDING {
        lab.recall.faults().file(Target::recording(recording), file, FileFault::OnApiHost);
        let url = url(&lab, recording, file).await?;
        let place = format!("{}/api/v1/download/{}?token=", lab.recall.base_url(), file.name());
        assert!(url.starts_with(&place), "{url}");
        assert_eq!(Some(download(&url).await?.body), lab.recall.file_bytes(recording, file));
        let key = [("authorization", "Token x")];
        assert_eq!(send(Method::GET, &url, &key, "").await?.status, StatusCode::BAD_REQUEST);
        // A token is for one file.
        for kind in ["transcript", "participants", "participant_events", "speaker_timeline"] {
            let other = url.replace(&format!("/{}?", file.name()), &format!("/{kind}?"));
            assert_eq!(download(&other).await?.status == StatusCode::OK, kind == file.name());
        }
        assert_eq!(download(&url.replace(file.name(), "other")).await?.status, StatusCode::NOT_FOUND);
    }
    let last = url(&lab, recording, MeetingFile::Events).await?;
    lab.recall.delete_recording(recording);
    assert_eq!(download(&last).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn provider_data_is_another_provider_s_answer() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::short(7));
    let data = async |transcript: Uuid| {
        let shown = lab.get(&format!("/api/v1/transcript/{transcript}/")).await?.json()?;
        anyhow::Ok(shown["data"]["provider_data_download_url"].clone())
    };
    let own = lab.transcribe(recording).await?;
    assert_eq!(data(own).await?, Value::Null);
    let other = lab.recall.add_transcript(recording, "deepgram_async", Default::default()).context("refused")?;
    soon(lab.recall.wait_for_status(other, Status::Done)).await?;
    let url = data(other).await?.as_str().context("no URL")?.to_owned();
    let answer = download(&url).await?;
    assert_eq!(Some(&answer.body), lab.recall.file_bytes(recording, MeetingFile::ProviderData).as_ref());
    let part = &answer.json()?["parts"][0];
    assert_eq!(keys_of(part), ["created_at", "data", "id", "source_audio", "type"]);
    assert_eq!(keys_of(&part["data"]), ["body", "status_code", "url"]);
    let faults = lab.recall.faults();
    faults.file(Target::transcript(other).times(1), MeetingFile::ProviderData, FileFault::NotFound);
    assert_eq!(download(&url).await?.status, StatusCode::NOT_FOUND);
    faults.file(Target::recording(recording).times(1), MeetingFile::ProviderData, FileFault::NoUrl);
    assert_eq!(data(other).await?, Value::Null);
    lab.recall.delete_transcript(other);
    assert_eq!(download(&url).await?.status, StatusCode::NOT_FOUND);
    assert!(faults.unstruck().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_large_file_arrives_whole() -> Result<()> {
    let lab = Lab::quick().await?;
    let events = many_events(1_000, 20_000_000);
    let recording = lab.recall.add_recording(Meeting::short(1).with_file(MeetingFile::Events, events.clone()));
    let answer = download(&url(&lab, recording, MeetingFile::Events).await?).await?;
    assert_eq!(answer.header("content-length"), events.len().to_string());
    assert!(answer.body == events.whole());
    Ok(())
}
