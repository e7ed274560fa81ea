//! Access, errors, and the formats of single resources.

use anyhow::{Context as _, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{KEY, Lab, keys_of, send, soon};
use crate::{
    recall::{Meeting, Status},
    wire::Service,
};

#[tokio::test]
async fn requests_need_the_key() -> Result<()> {
    let lab = Lab::quick().await?;
    let url = format!("{}/api/v1/transcript/", lab.recall.base_url());
    for good in [KEY.to_owned(), format!("Token {KEY}")] {
        let answer = send(Method::GET, &url, &[("authorization", &good)], "").await?;
        assert_eq!(answer.status, StatusCode::OK);
    }
    for bad in [format!("Bearer {KEY}"), "Token of-another-region".to_owned(), String::new()] {
        let answer = send(Method::GET, &url, &[("authorization", &bad)], "").await?;
        assert_eq!(
            (answer.status, answer.json()?["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("authentication_failed"))
        );
    }
    let answer = send(Method::GET, &url, &[], "").await?;
    assert_eq!((answer.status, answer.json()?["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("not_authenticated")));
    assert_eq!(answer.header("www-authenticate"), "Token");
    Ok(())
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_refused() -> Result<()> {
    let lab = Lab::quick().await?;
    for path in ["/api/v1/transcript", "/api/v1/recording/not-a-uuid/", "/"] {
        let answer = lab.get(path).await?;
        assert!(answer.status == StatusCode::NOT_FOUND && answer.is_html(), "{path}");
    }
    for kind in ["recording", "transcript", "bot"] {
        let answer = lab.get(&format!("/api/v1/{kind}/{}/", Uuid::new_v4())).await?;
        assert_eq!((answer.status, answer.json()?), (StatusCode::NOT_FOUND, json!({"detail": "Not found."})));
    }
    let answer = lab.call(Method::PUT, "/api/v1/transcript/", &[], "{}").await?;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}

#[tokio::test]
async fn the_firewall_blocks() -> Result<()> {
    let lab = Lab::quick().await?;
    let answer = lab.call(Method::GET, "/api/v1/transcript/", &[], "null").await?;
    assert!(answer.status == StatusCode::FORBIDDEN && answer.is_html());
    let recording = lab.recall.add_recording(Meeting::silent());
    let body = r#"{"provider": {"gladia_v2_async": {"callback_url": "http://localhost:3000/hook"}}}"#;
    let path = format!("/api/v1/recording/{recording}/create_transcript/");
    let answer = lab.call(Method::POST, &path, &[], body).await?;
    assert_eq!((answer.status, answer.json()?["code"].as_str()), (StatusCode::FORBIDDEN, Some("request_blocked")));
    Ok(())
}

#[tokio::test]
async fn a_transcript_from_processing_to_done() -> Result<()> {
    let lab = Lab::quick().await?;
    let meeting = Meeting::silent().metadata("customer", "42");
    let recording = lab.recall.add_recording(meeting);
    let created = lab.create(recording, None).await?;
    assert_eq!((created.status, created.header("content-type")), (StatusCode::OK, "application/json"));
    let created = created.json()?;
    let fields = ["created_at", "data", "diarization", "id", "metadata", "provider", "recording", "status"];
    assert_eq!(keys_of(&created), fields);
    assert_eq!(created["recording"], json!({"id": recording, "metadata": {"customer": "42"}}));
    assert_eq!(created["data"], json!({"download_url": null, "provider_data_download_url": null}));
    assert_eq!((&created["status"]["code"], &created["status"]["sub_code"]), (&json!("processing"), &Value::Null));
    assert_eq!((&created["metadata"], &created["diarization"]), (&json!({"attempt": "1"}), &Value::Null));
    assert_eq!(created["provider"]["recallai_async"], json!({}));

    let id = super::id_of(&created)?;
    soon(lab.recall.wait_for_status(id, Status::Done)).await?;
    let path = format!("/api/v1/transcript/{id}/");
    let (one, two) = (lab.get(&path).await?.json()?, lab.get(&path).await?.json()?);
    assert_eq!(keys_of(&one), fields);
    assert_eq!(one["status"]["code"], "done");
    let url = |artifact: &Value| artifact["data"]["download_url"].as_str().map(str::to_owned);
    assert_ne!(url(&one).context("no URL")?, url(&two).context("no URL")?);
    assert_eq!(lab.wire.count(Service::Recall, &format!("GET {path}")), 2);

    let changed = lab.call(Method::PATCH, &path, &[], r#"{"metadata": {"a": null}, "id": "b"}"#).await?;
    assert_eq!((changed.status, changed.json()?["metadata"].clone()), (StatusCode::OK, json!({"a": null})));
    assert_eq!(lab.delete(&path).await?.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.get(&path).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.delete(&path).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_recording_with_all_its_nulls() -> Result<()> {
    let lab = Lab::quick().await?;
    let recording = lab.recall.add_recording(Meeting::silent().without_bot());
    let path = format!("/api/v1/recording/{recording}/");
    let shown = lab.get(&path).await?.json()?;
    let fields = [
        "bot",
        "bot_id",
        "completed_at",
        "created_at",
        "desktop_sdk_upload",
        "expires_at",
        "id",
        "media_shortcuts",
        "metadata",
        "realtime_endpoints",
        "started_at",
        "status",
    ];
    assert_eq!(keys_of(&shown), fields);
    for absent in ["bot", "bot_id", "desktop_sdk_upload", "expires_at"] {
        assert_eq!(shown[absent], Value::Null, "{absent}");
    }
    let media = &shown["media_shortcuts"];
    assert_eq!(keys_of(media), ["audio_mixed", "meeting_metadata", "participant_events", "transcript", "video_mixed"]);
    assert_eq!(media["transcript"], Value::Null);
    assert_eq!(keys_of(&media["participant_events"]["data"]).len(), 3);

    let transcript = lab.transcribe(recording).await?;
    let shown = lab.get(&path).await?.json()?;
    let shortcut = &shown["media_shortcuts"]["transcript"];
    assert_eq!(shortcut["id"], json!(transcript));
    assert!(shortcut.get("recording").is_none() && shortcut["data"]["download_url"].is_string());

    assert_eq!(lab.delete(&path).await?.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.get(&path).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.get(&format!("/api/v1/transcript/{transcript}/")).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_bot_and_its_media() -> Result<()> {
    let lab = Lab::quick().await?;
    let bot = Uuid::new_v4();
    for _ in 0..2 {
        lab.recall.add_recording(Meeting::silent().by_bot(bot).bot_metadata("room", "blue"));
    }
    let shown = lab.get(&format!("/api/v1/bot/{bot}/")).await?.json()?;
    assert_eq!((shown["recordings"].as_array().map(Vec::len), &shown["metadata"]["room"]), (Some(2), &json!("blue")));
    assert!(shown["recordings"][0]["media_shortcuts"]["video_mixed"].is_object());
    let path = format!("/api/v1/bot/{bot}/delete_media/");
    assert_eq!(lab.call(Method::POST, &path, &[], "").await?.status, StatusCode::OK);
    assert_eq!(lab.call(Method::POST, &path, &[], "").await?.status, StatusCode::CONFLICT);
    Ok(())
}

#[tokio::test]
async fn deleted_things_may_still_be_shown() -> Result<()> {
    let lab = Lab::with_limits(|limits| limits.deleted_shown = true).await?;
    let recording = lab.recall.add_recording(Meeting::silent());
    let transcript = lab.transcribe(recording).await?;
    assert!(lab.recall.delete_recording(recording));
    let shown = lab.get(&format!("/api/v1/transcript/{transcript}/")).await?.json()?;
    assert_eq!((&shown["status"]["code"], &shown["data"]["download_url"]), (&json!("deleted"), &Value::Null));
    let shown = lab.get(&format!("/api/v1/recording/{recording}/")).await?.json()?;
    assert_eq!((&shown["status"]["code"], &shown["media_shortcuts"]["video_mixed"]), (&json!("deleted"), &Value::Null));
    assert_eq!(lab.create(recording, None).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.get("/api/v1/transcript/").await?.json()?["results"], json!([]));
    Ok(())
}
