//! Tests the reader of the participant events.

use serde_json::json;

use super::*;
use crate::presence::{Presence, presence};

fn recording() -> RecordingTimes {
    let time = |text| Timestamp::parse_rfc3339(text);
    RecordingTimes { started_at: time("2026-11-23T09:30:00Z"), completed_at: time("2026-11-23T10:30:00Z") }
}

fn read(file: &[u8], step: usize, recording: RecordingTimes) -> Result<Presences, String> {
    let mut reader = EventsReader::new(recording);
    file.chunks(step).for_each(|chunk| reader.push(chunk));
    reader.finish()
}

/// The name, the join, the leave and the seconds of a participant.
type Seen<'a> = (Option<&'a str>, Option<String>, Option<String>, Option<u64>);

fn seen(presences: &Presences) -> Vec<Seen<'_>> {
    let all = presences.moves.iter().map(|(participant, moves)| {
        let Presence { joined_at, left_at, present_ms } = presence(std::slice::from_ref(moves), presences.recording);
        let (joined_at, left_at) = (joined_at.map(Timestamp::rfc3339), left_at.map(Timestamp::rfc3339));
        (participant.name.as_deref(), joined_at, left_at, present_ms.map(|ms| ms / 1000))
    });
    all.collect()
}

fn on(time: &str) -> Option<String> {
    Some(format!("2026-11-23T{time}.000Z"))
}

#[test]
fn absolute_times_win_over_relative_ones() {
    let file = json!([
        {"id": "a", "action": "join", "participant": {"id": 1, "name": "Ann"}, "data": null,
            "timestamp": {"absolute": "2026-11-23T09:29:00Z", "relative": 5.0}},
        {"id": "b", "action": "chat_message", "participant": {"id": 1, "name": "Ann"}, "timestamp": null,
            "data": {"text": "do not keep this", "to": "everyone"}},
        {"id": "c", "action": "join", "participant": {"id": 2, "name": "Bo"},
            "timestamp": {"absolute": null, "relative": 600.5}},
        {"id": "d", "action": "leave", "participant": {"id": 1, "name": "Ann"},
            "timestamp": {"absolute": "2026-11-23T11:00:00+01:00", "relative": null}},
        {"id": "e", "action": "join", "participant": {"id": 3, "name": "Cy"}, "timestamp": null},
        {"id": "f", "action": "leave", "participant": {"id": 3, "name": "Cy"}, "timestamp": {"relative": 60}},
    ])
    .to_string();
    let whole = read(file.as_bytes(), usize::MAX, recording()).expect("a list");
    assert_eq!(
        seen(&whole),
        [
            (Some("Ann"), on("09:29:00"), on("10:00:00"), Some(1800)),
            (Some("Bo"), Some("2026-11-23T09:40:00.500Z".to_owned()), on("10:30:00"), Some(2999)),
            (Some("Cy"), None, on("09:31:00"), None),
        ]
    );
    assert_eq!(whole.skipped_values(), 0);
    assert!(!format!("{whole:?}").contains("do not keep this"));
    for step in 1..50 {
        assert_eq!(read(file.as_bytes(), step, recording()).as_ref(), Ok(&whole), "in steps of {step}");
    }
}

#[test]
fn events_of_a_wrong_shape_are_skipped_and_counted() {
    let file = br#"[null, 7, {}, {"action": 5}, {"action": "update"}, {"action": "join"},
        {"action": "join", "participant": "Ann", "timestamp": {"relative": 1}},
        {"action": "join", "participant": {"id": 1}, "timestamp": {"absolute": "yesterday", "relative": 60}},
        {"action": "leave", "participant": {"id": 1}, "timestamp": {"absolute": null, "relative": 1e300}},
        {"action": "join", "participant": {"id": 2}, "timestamp": 120},
        {"action": "leave", "participant": {"id": 2}, "timestamp": {"relative": NaN}}]"#;
    let read = read(file, 2, recording()).expect("a list");
    assert_eq!(read.skipped_values(), 9);
    assert_eq!(seen(&read), [(None, on("09:31:00"), None, None), (None, on("09:32:00"), None, None)]);
}

#[test]
fn start_of_the_recording_follows_from_an_event_with_both_times() {
    let event = |id, action, timestamp| json!({"action": action, "participant": {"id": id}, "timestamp": timestamp});
    let file = json!([
        event(1, "join", json!({"relative": -5})),
        event(2, "join", json!({"relative": 60, "absolute": "2026-11-23T09:31:00Z"})),
        event(2, "leave", json!({"relative": 120})),
    ]);
    let read = read(file.to_string().as_bytes(), 5, RecordingTimes::default()).expect("a list");
    assert_eq!(seen(&read), [(None, None, None, None), (None, on("09:31:00"), on("09:32:00"), Some(60))]);
}

#[test]
fn memory_is_limited_for_a_large_file() {
    let mut reader = EventsReader::new(recording());
    reader.push(b"[{}");
    let mut event = |id: u32, n: u32, action: &str, data: &str| {
        let event = format!(
            r#",{{"action": "{action}", "participant": {{"id": {id}, "name": "P{id}"}}, "data": "{data}",
                "timestamp": {{"relative": {n}, "absolute": null}}}}"#
        );
        reader.push(event.as_bytes());
        assert!(reader.0.pending_bytes() < 1 << 10);
    };
    let chat = "x".repeat(300);
    for n in 0..20_000 {
        event(1, n % 3000, if n % 2 == 0 { "join" } else { "leave" }, "");
        event(n, 5, "join", "");
        event(n, n, "chat_message", &chat);
    }
    reader.push(b"]");
    let read = reader.finish().expect("a list");
    assert_eq!(read.moves.len(), MAX_KEPT);
    assert!(read.moves.iter().map(|(_, moves)| moves.len()).sum::<usize>() < MAX_ALL_MOVES);
}

#[test]
fn file_that_is_no_list_is_refused_with_a_reason() {
    let refused = read(b"{\"action\": \"join\"}", 4, recording());
    assert_eq!(refused, Err("not valid JSON of a list of events at byte 0: expected an array".to_owned()));
}
