//! Artifacts with absent fields and with unexpected values.

use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

#[test]
fn artifact_needs_nothing_but_its_id() {
    let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
    let bare = json!({"id": id, "status": {"code": "waiting"}, "recording": null, "new": []});
    let artifact: TranscriptArtifact = serde_json::from_value(bare).expect("readable");
    assert_eq!((artifact.status(), artifact.recording_id()), ("waiting", None));
    assert!(artifact.download_url().is_none() && artifact.provider().is_none());
    let with_url = json!({"id": id, "status": {"code": "done"}, "data": {"download_url": "https://x/?Signature=s"},
        "provider": {"rev_async": null, "recallai_async": {}}});
    let artifact: TranscriptArtifact = serde_json::from_value(with_url).expect("readable");
    assert_eq!(artifact.provider(), Some("recallai_async"));
    assert!(!format!("{artifact:?}").contains("Signature"));
}

/// Values that Recall may send instead of the documented ones, and values that are valid JSON but fit none of our
/// types.
const ODD_VALUES: [&str; 12] = [
    "null",
    "{}",
    r#"{"id":null}"#,
    r#"{"code":5,"id":[],"metadata":7,"data":{}}"#,
    "[]",
    r#"["x"]"#,
    "5",
    "-1e999",
    "true",
    r#""""#,
    r#""x""#,
    "DEEP",
];

fn read<T: DeserializeOwned>(full: &Value, field: &str, odd: &str) -> T {
    let mut with = full.clone();
    *with.pointer_mut(field).expect("a field") = json!("ODD");
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let text = with.to_string().replace(r#""ODD""#, &odd.replace("DEEP", &deep));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{field} {odd}: {error}"))
}

#[test]
fn transcript_is_read_in_spite_of_odd_optional_fields() {
    let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
    let full = json!({"id": id, "recording": {"id": id}, "created_at": "2026-11-23T09:30:00Z",
        "status": {"code": "done", "sub_code": "x"}, "metadata": {"job": id, "attempt": "1"},
        "provider": {"recallai_async": {}}, "data": {"download_url": "https://x/"}});
    for odd in ODD_VALUES {
        for field in [
            "/recording",
            "/recording/id",
            "/created_at",
            "/status",
            "/status/sub_code",
            "/metadata",
            "/provider",
            "/data",
            "/data/download_url",
            "/status/code",
        ] {
            let artifact: TranscriptArtifact = read(&full, field, odd);
            // The other fields are read nevertheless.
            assert_eq!(artifact.recording_id().is_some(), !field.starts_with("/recording"), "{field} {odd}");
            assert_eq!(artifact.status() == "done", !matches!(field, "/status" | "/status/code"), "{field} {odd}");
            assert_eq!(artifact.created_at().is_some(), field != "/created_at", "{field} {odd}");
            let recording_id = id.parse().expect("an id");
            assert_eq!(artifact.attempt(recording_id, None).is_some(), field != "/metadata", "{field} {odd}");
        }
    }
    for odd in ODD_VALUES {
        let mut with = full.clone();
        with["id"] = serde_json::from_str(odd).unwrap_or_default();
        assert!(serde_json::from_value::<TranscriptArtifact>(with).is_err(), "{odd} is not an id");
    }
}

#[test]
fn recording_is_read_in_spite_of_odd_optional_fields() {
    let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
    let at = "2026-11-23T09:30:00Z";
    let full = json!({"id": id, "status": {"code": "done"}, "started_at": at, "completed_at": at, "expires_at": at,
        "bot": {"id": id, "metadata": {"a": "b"}}, "metadata": {"c": "d"},
        "media_shortcuts": {"transcript": {"id": id, "status": {"code": "done"}}}});
    for odd in ODD_VALUES {
        for field in [
            "/status",
            "/status/code",
            "/started_at",
            "/completed_at",
            "/expires_at",
            "/bot",
            "/bot/id",
            "/bot/metadata",
            "/metadata",
            "/media_shortcuts",
            "/media_shortcuts/transcript",
        ] {
            let artifact: RecordingArtifact = read(&full, field, odd);
            assert_eq!(artifact.status() == Some("done"), !field.starts_with("/status"), "{field} {odd}");
            assert_eq!(artifact.started_at().is_some(), field != "/started_at", "{field} {odd}");
            assert_eq!(artifact.completed_at().is_some(), field != "/completed_at", "{field} {odd}");
            assert_eq!(artifact.expires_at().is_some(), field != "/expires_at", "{field} {odd}");
            assert_eq!(artifact.bot_id().is_some(), !matches!(field, "/bot" | "/bot/id"), "{field} {odd}");
            let of_bot = artifact.bot_metadata() == &full["bot"]["metadata"];
            assert_eq!(of_bot, !matches!(field, "/bot" | "/bot/metadata"), "{field} {odd}");
            assert_eq!(artifact.metadata == full["metadata"], field != "/metadata", "{field} {odd}");
            assert_eq!(artifact.transcript().is_some(), !field.starts_with("/media"), "{field} {odd}");
        }
    }
}

#[test]
fn recording_shows_a_transcript_if_it_can_be_read() {
    let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
    let with = |shortcuts: Value| {
        let recording = json!({"id": id, "media_shortcuts": shortcuts, "expires_at": "2026-11-23T09:30:00Z"});
        serde_json::from_str::<RecordingArtifact>(&recording.to_string()).expect("readable")
    };
    let shown = with(json!({"transcript": {"id": id, "status": {"code": "done"}}, "video_mixed": {"x": [1]}}));
    assert_eq!(shown.transcript().map(TranscriptArtifact::status), Some("done"));
    assert_eq!(shown.expires_at().map(Timestamp::rfc3339).as_deref(), Some("2026-11-23T09:30:00.000Z"));
    assert_eq!(shown.bot_metadata(), &Value::Null);
    for odd in [json!(null), json!({}), json!({"transcript": null}), json!({"transcript": 5}), json!([1])] {
        assert!(with(odd).transcript().is_none());
    }
}

#[test]
fn attempt_is_read_from_our_metadata_only() {
    let recording_id = RecordingId::from_u128(5);
    let ours = json!({"job": recording_id, "attempt": "2", "trace": "msg"});
    assert_eq!(attempt_of(&ours, recording_id, None), Some(2));
    assert_eq!(attempt_of(&ours, RecordingId::from_u128(6), None), None);
    for others in [json!(null), json!("x"), json!([1]), json!({"attempt": "2"}), json!({"job": 5, "attempt": 2})] {
        assert_eq!(attempt_of(&others, recording_id, None), None, "{others}");
    }
}

#[test]
fn attempts_of_another_deployment_are_not_ours() {
    let recording_id = RecordingId::from_u128(5);
    let made_by = |deployment: Value| json!({"job": recording_id, "attempt": "2", "deployment": deployment});
    for (deployment, ours, others) in [
        (None, vec![json!(null)], vec![json!("staging"), json!(""), json!(5)]),
        (Some("staging"), vec![json!("staging")], vec![json!(null), json!("production"), json!(["staging"])]),
    ] {
        for ours in ours {
            assert_eq!(attempt_of(&made_by(ours), recording_id, deployment), Some(2), "{deployment:?}");
        }
        for others in others {
            assert_eq!(attempt_of(&made_by(others), recording_id, deployment), None, "{deployment:?}");
        }
    }
}
