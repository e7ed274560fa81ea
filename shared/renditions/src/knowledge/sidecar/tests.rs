//! Tests the sidecar against the rules of Bedrock and of S3 Vectors.

use std::collections::{BTreeMap, BTreeSet};

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use proptest::{collection::btree_map, prelude::*};

use super::*;
use crate::{Counts, ParticipantRecord, tests::config};

fn info(metadata: &[(&str, &str)]) -> MeetingInfo {
    MeetingInfo {
        bot_id: Some(BotId::from_u128(3)),
        started_at: Timestamp::parse_rfc3339("2026-11-23T09:30:00.9Z"),
        provider: Some("recallai_async".to_owned()),
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned())
    }
}

fn record(people: usize, title: &str) -> MeetingRecord {
    let person = |n: usize| ParticipantRecord {
        name: Some(format!("Person {n}")),
        email: Some(format!("Person{n}@x.example")),
        spoke: Some(n.is_multiple_of(2)),
        ..ParticipantRecord::default()
    };
    MeetingRecord {
        title: Some(title.to_owned()),
        platform: Some("zoom".to_owned()),
        participants: (0..people).map(person).collect(),
        ..MeetingRecord::default()
    }
}

fn summary() -> Summary {
    let counts = Counts { duration_ms: 61_500, ..Counts::default() };
    Summary { counts, skipped_values: 0, language_codes: BTreeSet::from(["en".to_owned()]), empty: false, error: None }
}

/// Returns the attributes, after a check of all rules.
fn attributes(info: &MeetingInfo, record: &MeetingRecord) -> Option<Map<String, Value>> {
    let sidecar = knowledge_sidecar(info, record, &summary())?;
    let json = sidecar.strip_prefix("{\"metadataAttributes\":").and_then(|rest| rest.strip_suffix('}'));
    assert!(json.is_some_and(|json| json.len() <= 1000), "{sidecar}");
    let parsed: Value = serde_json::from_str(&sidecar).expect("JSON");
    assert_eq!(parsed.to_string().len(), sidecar.len(), "it is not minified");
    let attributes = parsed["metadataAttributes"].as_object().expect("attributes").clone();
    assert!(attributes.len() <= 35);
    for (key, value) in &attributes {
        assert!(!key.starts_with('_') && !key.starts_with("x-amz-bedrock"), "{key}");
        let is_list = |list: &Vec<Value>| !list.is_empty() && list.iter().all(Value::is_string);
        assert!(
            value.is_string() || value.is_number() || value.is_boolean() || value.as_array().is_some_and(is_list),
            "{key}"
        );
    }
    assert!(attributes["yyyymmdd"] == 20_261_123 && attributes["date"] == "2026-11-23");
    Some(attributes)
}

#[test]
fn sidecar_has_plain_values() {
    let attributes = attributes(&info(&[("customer", "Acme")]), &record(3, "Weekly sync")).expect("a sidecar");
    let expected = json!({
        "recording_id": "00000000-0000-0000-0000-000000000001",
        "transcript_id": "00000000-0000-0000-0000-000000000002",
        "bot_id": "00000000-0000-0000-0000-000000000003",
        "date": "2026-11-23", "yyyymmdd": 20_261_123, "started_at_epoch": 1_795_426_200,
        "title": "Weekly sync", "platform": "zoom", "provider": "recallai_async", "duration_s": 61.5,
        "language_codes": ["en"], "speakers": ["Person 0", "Person 2"], "customer": "Acme",
        "participant_emails": ["person0@x.example", "person1@x.example", "person2@x.example"],
        "participant_domains": ["x.example"],
    });
    assert_eq!(Value::Object(attributes), expected);
}

#[test]
fn long_attributes_are_left_out_in_order() {
    let keys = |people, title: &str, metadata: &[(&str, &str)]| {
        let attributes = attributes(&info(metadata), &record(people, title))?;
        let has = |key: &str| attributes.contains_key(key);
        assert_eq!(has("truncated"), !has("participant_emails"));
        Some([has("participant_emails"), has("speakers"), has("title"), has("platform"), has("bot_id")])
    };
    let long = "x".repeat(250);
    assert_eq!(keys(10, "Sync", &[]), Some([true; 5]));
    assert_eq!(keys(40, "Sync", &[]), Some([false, true, true, true, true]));
    assert_eq!(keys(160, "Sync", &[]), Some([false, false, true, true, true]));
    assert_eq!(keys(160, &long, &[("a", &long), ("b", &long)]), Some([false, false, false, true, true]));
    let three = [("a", &*long), ("b", &long), ("c", &long)];
    assert_eq!(keys(160, &long, &three), Some([false; 5]));
    assert_eq!(keys(160, &long, &[three[0], three[1], ("c", &long[..200])]), Some([false, false, false, false, true]));
    assert_eq!(keys(0, "", &[three[0], three[1], three[2], ("d", &long)]), None);
}

#[test]
fn keys_of_the_metadata_never_replace_ours() {
    let taken = [
        ("title", "a"),
        ("_x", "b"),
        ("x-amz-bedrock-kb", "c"),
        ("truncated", "d"),
        ("metadata_title", "e"),
        ("f", ""),
    ];
    let attributes = attributes(&info(&taken), &record(1, "Weekly sync")).expect("a sidecar");
    assert_eq!(attributes["title"], "Weekly sync");
    let found: Vec<_> = ["metadata__x", "metadata_x-amz-bedrock-kb", "metadata_truncated"]
        .map(|key| attributes[key].as_str())
        .into_iter()
        .collect();
    assert_eq!(found, [Some("b"), Some("c"), Some("d")]);
    let values: BTreeSet<_> = attributes.values().filter_map(Value::as_str).collect();
    assert!(values.contains("a") && values.contains("e") && !attributes.contains_key("f"));
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn metadata_is_never_left_out(
        metadata in btree_map("[a-z_]{1,8}", "\\PC{1,60}", 0..10),
        people in 0..60_usize,
        title in "\\PC{0,120}",
    ) {
        let info = MeetingInfo { metadata, ..info(&[]) };
        if let Some(attributes) = attributes(&info, &record(people, &title)) {
            let values: Vec<_> = attributes.values().filter_map(Value::as_str).collect();
            prop_assert!(info.metadata.values().all(|value| values.contains(&value.as_str())));
        } else {
            let bare = MeetingInfo { metadata: BTreeMap::new(), ..info.clone() };
            prop_assert!(attributes(&bare, &record(people, &title)).is_some());
        }
    }
}
