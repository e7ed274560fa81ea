//! Which deliveries are read, and which are kept for a person.

use std::collections::BTreeSet;

use job::Overrides;
use serde_json::json;

use super::*;

const RECORDING: &str = "11111111-1111-4111-8111-111111111111";
const TRANSCRIPT: &str = "22222222-2222-4222-8222-222222222222";

fn read(body: &Value) -> Delivery {
    parse(Verified { delivery_id: "msg", body: body.to_string().as_bytes() }, &[], None)
}

fn event(name: &str, bot: Value, metadata: Value) -> Value {
    json!({"event": name, "data": {
        "data": {"code": "x", "sub_code": "why", "updated_at": "2026-11-23T00:00:00Z"},
        "recording": {"id": RECORDING, "metadata": metadata}, "bot": bot,
        "transcript": {"id": TRANSCRIPT, "metadata": {"job": RECORDING, "attempt": "3"}},
    }})
}

#[test]
fn handled_events_are_read() {
    let reference =
        TranscriptRef { transcript_id: TRANSCRIPT.parse().expect("an id"), attempt: Some(3), other_deployment: false };
    let sub_code = Some("why".to_owned());
    let done_at = Timestamp::parse_rfc3339("2026-11-23T00:00:00Z");
    let cases = [
        (
            "recording.done",
            Event::RecordingDone(RecordingInfo {
                overrides: Some(Overrides::default()),
                done_at,
                ..RecordingInfo::default()
            }),
        ),
        ("recording.failed", Event::RecordingFailed { sub_code: sub_code.clone() }),
        ("recording.deleted", Event::RecordingDeleted),
        ("transcript.processing", Event::TranscriptProcessing(reference)),
        ("transcript.done", Event::TranscriptDone(reference)),
        ("transcript.failed", Event::TranscriptFailed { reference, sub_code }),
        ("transcript.deleted", Event::TranscriptDeleted(reference)),
    ];
    assert_eq!(cases.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), Event::names_from_recall());
    for (name, expected) in cases {
        let known = Delivery::Known { recording_id: RECORDING.parse().expect("an id"), event: expected };
        let bot = json!({"id": null, "metadata": {}});
        assert_eq!(read(&event(name, bot, json!({}))), known, "{name}");
    }
}

#[test]
fn optional_fields_may_be_missing_or_of_any_type() {
    let mut absent = event("recording.done", Value::Null, json!(null));
    absent["data"].as_object_mut().expect("an object").remove("bot");
    absent["data"].as_object_mut().expect("an object").remove("data");
    absent["new"] = json!([1, 2]);
    assert!(matches!(read(&absent), Delivery::Known { .. }));
    for metadata in [json!("text"), json!([1, {"a": 1.5}]), json!({"a": {"b": null}}), json!(7)] {
        let odd = event("transcript.done", json!({"id": RECORDING, "metadata": metadata}), metadata);
        assert!(matches!(read(&odd), Delivery::Known { .. }), "{odd}");
    }
}

#[test]
fn metadata_may_be_nested_too_deeply_to_parse() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = event("transcript.done", Value::Null, json!("DEEP")).to_string().replace("\"DEEP\"", &deep);
    let delivery = parse(Verified { delivery_id: "msg", body: body.as_bytes() }, &[], None);
    assert!(matches!(delivery, Delivery::Known { .. }));
}

#[test]
fn other_events_are_unhandled_with_any_data() {
    let other = json!({"event": "bot.done", "data": 5});
    assert_eq!(read(&other), Delivery::Unhandled { name: "bot.done".to_owned() });
}

#[test]
fn unreadable_bodies_are_reported_without_quoting_them() {
    let mut no_transcript = event("transcript.done", Value::Null, json!({}));
    no_transcript["data"].as_object_mut().expect("an object").remove("transcript");
    let bad_id = json!({"event": "recording.done", "data": {"recording": {"id": "../secret"}}});
    // serde alone would read these arrays as structs, by the order of the fields.
    let array = json!(["recording.done", [null, [RECORDING, {}], null]]);
    let inner_array = json!({"event": "recording.done", "data": {"recording": [RECORDING, {}]}});
    for body in [
        json!("secret"),
        json!({"event": 5}),
        json!({"event": "recording.done"}),
        bad_id,
        no_transcript,
        array,
        inner_array,
    ] {
        let Delivery::Unreadable { why } = read(&body) else { panic!("{body} was read") };
        assert!(!why.contains("secret"), "{why}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", br#"{"event":"recording.done","event":"recording.done"}"#] {
        assert!(
            matches!(parse(Verified { delivery_id: "msg", body }, &[], None), Delivery::Unreadable { .. }),
            "{body:?}"
        );
    }
}

#[test]
fn overrides_come_from_metadata_of_recording_and_bot() {
    let bot = json!({"id": RECORDING, "metadata": {"transcript": "skip", "transcript_provider": "b_async"}});
    let body = event("recording.done", bot, json!({"transcript_provider": "a_async"}));
    let chain = ["a_async", "b_async"].map(str::to_owned);
    let delivery = parse(Verified { delivery_id: "msg", body: body.to_string().as_bytes() }, &chain, None);
    let Delivery::Known { event: Event::RecordingDone(info), .. } = delivery else { panic!("not read") };
    let overrides = Overrides { skip: true, provider: Some("a_async".to_owned()), language: None };
    assert_eq!(info.overrides, Some(overrides));
}

/// Returns, for each optional field, its path and the event with `odd` in the place of the field.
fn odd(name: &str, odd: &Value) -> Vec<(&'static str, Value)> {
    let bot = json!({"id": RECORDING, "metadata": {}});
    let with = |pointer: &'static str| {
        let mut event = event(name, bot.clone(), json!({}));
        *event.pointer_mut(pointer).expect("a field") = odd.clone();
        (pointer, event)
    };
    [
        "/data/data",
        "/data/data/code",
        "/data/data/sub_code",
        "/data/data/updated_at",
        "/data/bot",
        "/data/bot/id",
        "/data/bot/metadata",
        "/data/recording/metadata",
        "/data/transcript/metadata",
    ]
    .map(with)
    .into()
}

#[test]
fn sub_code_that_is_long_is_cut() {
    let mut long = event("transcript.failed", Value::Null, json!({}));
    long["data"]["data"]["sub_code"] = json!("é".repeat(5000));
    let Delivery::Known { event: Event::TranscriptFailed { sub_code, .. }, .. } = read(&long) else {
        panic!("not read")
    };
    assert_eq!(sub_code.expect("a code").chars().count(), 200);
}

#[test]
fn optional_fields_never_stop_an_event() {
    let odd_ones = [
        json!(null),
        json!({}),
        json!({"id": null}),
        json!({"id": 7, "metadata": [], "sub_code": {}, "updated_at": {}}),
        json!([]),
        json!(["x"]),
        json!(5),
        json!(-1.5),
        json!(true),
        json!(""),
        json!("secret"),
    ];
    for (value, name) in
        odd_ones.iter().flat_map(|value| Event::names_from_recall().into_iter().map(move |name| (value, name)))
    {
        for (pointer, body) in odd(name, value) {
            let Delivery::Known { recording_id, event } = read(&body) else {
                panic!("{name} with {value} at {pointer} is not read")
            };
            assert_eq!((recording_id.to_string().as_str(), event.name()), (RECORDING, name));
        }
    }
    // A number that fits into none of our types is still JSON.
    let body = event("transcript.failed", json!({"id": RECORDING}), json!({})).to_string();
    for field in [r#""why""#, r#""2026-11-23T00:00:00Z""#, r#"{"id":"11111111-1111-4111-8111-111111111111"}"#] {
        assert!(body.contains(field), "{body}");
        let body = body.replacen(field, "1e999", 1);
        let delivery = parse(Verified { delivery_id: "msg", body: body.as_bytes() }, &[], None);
        assert!(matches!(delivery, Delivery::Known { .. }), "{body}");
    }
}

#[test]
fn sub_code_that_is_not_text_is_none() {
    for odd in [json!(null), json!(7), json!({"code": "x"}), json!(["x"])] {
        let mut failed = event("recording.failed", Value::Null, json!({}));
        failed["data"]["data"]["sub_code"] = odd;
        let Delivery::Known { event, .. } = read(&failed) else { panic!("not read") };
        assert_eq!(event, Event::RecordingFailed { sub_code: None });
    }
}

#[test]
fn overrides_are_known_only_from_metadata_that_was_read() {
    let nothing = Some(Overrides::default());
    let skip = Some(Overrides { skip: true, ..Overrides::default() });
    let full = json!({"id": RECORDING, "metadata": {}});
    let skips = json!({"transcript": "skip"});
    // The recording's metadata (`None`: the key is missing), the bot, and the expected overrides.
    for (of_recording, bot, expected) in [
        (Some(json!({})), full.clone(), nothing.clone()),
        (Some(json!(null)), full.clone(), nothing.clone()),
        (Some(json!({})), json!({"metadata": null}), nothing.clone()),
        (Some(json!({})), json!({"id": null, "metadata": {"transcript": "skip"}}), skip.clone()),
        (Some(json!({})), json!({"id": RECORDING}), None),
        (Some(json!({})), json!({}), None),
        (Some(json!({})), json!(null), None),
        (Some(json!({})), json!([RECORDING, {}]), None),
        (Some(json!({"transcript_provider": "x_async"})), json!(null), None),
        (None, full.clone(), None),
        (None, json!({"id": RECORDING, "metadata": skips}), None),
        (None, json!(null), None),
        // A skip of the recording holds with any metadata of the bot.
        (Some(skips.clone()), full, skip.clone()),
        (Some(skips.clone()), json!({}), skip.clone()),
        (Some(skips.clone()), json!(null), skip.clone()),
    ] {
        let mut body = event("recording.done", bot, json!(null));
        match of_recording {
            Some(metadata) => body["data"]["recording"]["metadata"] = metadata,
            None => drop(body["data"]["recording"].as_object_mut().expect("an object").remove("metadata")),
        }
        let Delivery::Known { event: Event::RecordingDone(info), .. } = read(&body) else { panic!("not read") };
        assert_eq!(info.overrides, expected, "{body}");
    }
    let mut no_bot = event("recording.done", json!(null), json!({}));
    no_bot["data"].as_object_mut().expect("an object").remove("bot");
    let Delivery::Known { event: Event::RecordingDone(info), .. } = read(&no_bot) else { panic!("not read") };
    assert_eq!((info.overrides, info.bot_id), (None, None));
}

/// These are deliveries that the team has received.
#[test]
fn deliveries_from_the_field_are_events() {
    let example: Value =
        serde_json::from_str(include_str!("fixtures/webhook_example_recording_done.json")).expect("JSON");
    let empty: Value = serde_json::from_str(include_str!("fixtures/webhook_bot_empty.json")).expect("JSON");
    for (body, overrides) in [(example, Some(Overrides::default())), (empty, None)] {
        let Delivery::Known { event: Event::RecordingDone(info), .. } = read(&body) else { panic!("{body}") };
        assert_eq!(info.overrides, overrides);
        assert!(info.done_at.is_some());
    }
}
