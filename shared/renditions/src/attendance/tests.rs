//! Tests how people are combined across the transcript, Recall's files, and an earlier manifest.

use job::ids::{RecordingId, TranscriptId};
use serde_json::{Value, json};

use super::*;
use crate::{EventsReader, MeetingInfo, Outcome, ParticipantsReader, Summary, TranscriptReader};

fn recording() -> RecordingTimes {
    let time = |text| Timestamp::parse_rfc3339(text);
    RecordingTimes { started_at: time("2026-11-23T09:30:00Z"), completed_at: time("2026-11-23T10:30:00Z") }
}

fn info() -> MeetingInfo {
    let RecordingTimes { started_at, completed_at: ended_at } = recording();
    let info = MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned());
    MeetingInfo { started_at, ended_at, ..info }
}

fn participants(file: &Value) -> Participants {
    let mut reader = ParticipantsReader::new();
    reader.push(file.to_string().as_bytes());
    reader.finish().expect("a list")
}

fn presences(file: &Value) -> Presences {
    let mut reader = EventsReader::new(recording());
    reader.push(file.to_string().as_bytes());
    reader.finish().expect("a list")
}

fn read(transcript: &Value, attendance: Attendance) -> Outcome {
    let mut reader = TranscriptReader::new(recording());
    reader.push(transcript.to_string().as_bytes());
    reader.finish(info(), attendance)
}

/// Returns an entry of one word that lasts a second.
fn said(participant: Value, at_s: u32) -> Value {
    let time = |seconds| json!({"relative": seconds, "absolute": null});
    json!({"participant": participant,
        "words": [{"text": "Yes.", "start_timestamp": time(at_s), "end_timestamp": time(at_s + 1)}]})
}

fn event(action: &str, id: u32, at_s: u32) -> Value {
    json!({"action": action, "participant": {"id": id, "name": "?"}, "timestamp": {"relative": at_s, "absolute": null}})
}

fn google(id: &str) -> Value {
    json!({"google_meet": {"static_participant_id": id}})
}

/// Ann left and came back with another id, Bo never spoke, and Cy's name is only in the participants file.
fn meeting() -> (Value, Value, Value) {
    let transcript = json!([
        said(json!({"id": 3, "name": null, "email": "cy@old.example"}), 5),
        said(json!({"id": 1, "name": "Ann Lee", "is_host": null, "email": "ann@old.example"}), 10),
        said(json!({"id": 4, "name": "Ann"}), 20),
        said(json!({"id": 1, "name": "Ann Lee"}), 30),
    ]);
    let people = json!([
        {"id": 2, "name": "Bo", "is_host": false, "email": null, "extra_data": google("b")},
        {"id": 1, "name": "A. Lee", "is_host": true, "email": "ann@x.example", "extra_data": google("a")},
        {"id": 3, "name": "Cy", "is_host": false, "email": "no address", "extra_data": null},
        {"id": 4, "name": "A. Lee", "is_host": null, "email": null, "extra_data": google("a")},
    ]);
    let events = json!([
        event("join", 1, 0),
        event("join", 2, 60),
        event("leave", 1, 600),
        event("join", 4, 590),
        event("leave", 4, 1200),
        event("leave", 2, 120)
    ]);
    (transcript, people, events)
}

#[test]
fn people_are_one_list_whatever_the_source() {
    let (transcript, people, events) = meeting();
    let attendance = Attendance::new(Some(participants(&people)), Some(presences(&events)), None);
    let Outcome { summary, record, meeting, .. } = read(&transcript, attendance);
    assert_eq!(
        json!(record.participants),
        json!([
            {"ids": [3], "name": "Cy", "email": "cy@old.example", "email_source": "transcript", "is_host": false,
                "joined_at": null, "left_at": null, "present_s": null,
                "spoke": true, "talk_s": 1.0, "words": 1, "turns": 1},
            {"ids": [1, 4], "name": "Ann Lee", "email": "ann@x.example", "email_source": "participants",
                "is_host": true, "joined_at": "2026-11-23T09:30:00.000Z", "left_at": "2026-11-23T09:50:00.000Z",
                "present_s": 1200.0, "spoke": true, "talk_s": 3.0, "words": 3, "turns": 3},
            {"ids": [2], "name": "Bo", "email": null, "email_source": null, "is_host": false,
                "joined_at": "2026-11-23T09:31:00.000Z", "left_at": "2026-11-23T09:32:00.000Z", "present_s": 60.0,
                "spoke": false, "talk_s": 0.0, "words": 0, "turns": 0},
        ])
    );
    // Only people in the transcript are counted as speakers.
    assert_eq!((summary.counts.speakers, record.participants_over_limit), (2, 0));
    let meeting = meeting.expect("a meeting");
    let people: Vec<_> = meeting.turns().map(|turn| turn.speaker).collect();
    assert_eq!(people, [0, 1, 1, 1]);
}

#[test]
fn earlier_manifest_replaces_what_is_not_there() {
    let (transcript, people, events) = meeting();
    let attendance = Attendance::new(Some(participants(&people)), Some(presences(&events)), None);
    let earlier = read(&transcript, attendance).record;
    let earlier: MeetingRecord = serde_json::from_value(json!(earlier)).expect("a record");
    for (has_people, has_events) in [(false, false), (true, false), (false, true), (true, true)] {
        let people = has_people.then(|| participants(&people));
        let events = has_events.then(|| presences(&events));
        let again = read(&transcript, Attendance::new(people, events, Some(&earlier))).record;
        assert_eq!(again, earlier, "participants {has_people}, events {has_events}");
    }
    // Without a transcript, the people are the same, and nothing is known about their words.
    let unread = Summary::unread("gone".to_owned(), info(), Attendance::new(None, None, Some(&earlier)));
    assert_eq!(unread.record, earlier.without_talk());
    assert_eq!((unread.summary.error.as_deref(), unread.meeting.is_err()), (Some("gone"), true));
    assert_eq!(Summary::unread(String::new(), info(), Attendance::default()).record.participants, []);
}

/// Without the events, the manifest is the only one that knows.
#[test]
fn host_of_the_events_stays_a_host() {
    let (transcript, people, mut events) = meeting();
    for person in [&people[0], &events[1]["participant"]] {
        assert_eq!(person["id"], 2, "Bo");
    }
    events[1]["participant"]["is_host"] = json!(true);
    let attendance = Attendance::new(Some(participants(&people)), Some(presences(&events)), None);
    let earlier = read(&transcript, attendance).record;
    let again = read(&transcript, Attendance::new(Some(participants(&people)), None, Some(&earlier))).record;
    let bo = again.participants.iter().find(|person| person.name.as_deref() == Some("Bo")).expect("Bo");
    assert!(bo.is_host);
    assert_eq!(again, earlier);
}

#[test]
fn id_of_two_recorded_people_says_nothing() {
    let person = |name: &str, email: &str| ParticipantRecord {
        ids: vec![1],
        name: Some(name.to_owned()),
        email: Some(email.to_owned()),
        email_source: Some(EmailSource::Participants),
        ..ParticipantRecord::default()
    };
    let participants = vec![person("Ann", "ann@x.example"), person("Bo", "bo@x.example")];
    let earlier = MeetingRecord { participants, ..MeetingRecord::default() };
    let transcript = json!([
        said(json!({"id": 1, "name": "Ann", "extra_data": google("a")}), 1),
        said(json!({"id": 1, "name": "Bo", "extra_data": google("b")}), 2),
    ]);
    let record = read(&transcript, Attendance::new(None, None, Some(&earlier))).record;
    let emails: Vec<_> =
        record.participants.iter().map(|person| (person.name.as_deref(), person.email.as_deref())).collect();
    assert_eq!(emails, [(Some("Ann"), Some("ann@x.example")), (Some("Bo"), Some("bo@x.example"))]);
}

/// Returns the name, the ids, and the presence of each person.
fn listed(record: &MeetingRecord) -> Vec<(Option<&str>, &[i64], Option<f64>)> {
    record.participants.iter().map(|person| (person.name.as_deref(), &*person.ids, person.present_s)).collect()
}

fn joined(id: Value, name: Value, at_s: u32) -> Value {
    json!({"action": "join", "participant": {"id": id, "name": name}, "timestamp": {"relative": at_s}})
}

#[test]
fn recorded_person_without_an_own_id_is_found_by_name() {
    let ann = json!({"id": 7, "name": "Ann", "extra_data": google("a")});
    let bob = |id: Value| json!({"id": id, "name": "Bob", "extra_data": google("b")});
    let long = json!("\u{958}".repeat(90));
    let cases = [
        (json!([{"id": "abc", "name": "Bob"}, ann]), json!([joined(json!("abc"), json!("Bob"), 5)])),
        (json!([{"id": null, "name": "Bob"}, ann]), json!([joined(Value::Null, json!("Bob"), 5)])),
        (
            json!([ann, bob(json!(7))]),
            json!([
                {"action": "join", "participant": ann, "timestamp": {"relative": 5}},
                {"action": "join", "participant": bob(json!(7)), "timestamp": {"relative": 50}},
            ]),
        ),
        // Only the events know these people, or their names.
        (json!([ann]), json!([joined(json!("abc"), json!("Bob"), 5), joined(json!(8), json!("Di"), 9)])),
        (json!([ann, {"id": 8, "name": null}]), json!([joined(json!(8), json!("Di"), 5)])),
        // Someone else of that name has an id.
        (
            json!([{"id": 8, "name": "Bob"}, {"id": "abc", "name": "Bob"}]),
            json!([joined(json!("abc"), json!("Bob"), 5)]),
        ),
        // The name is cut, and it is longer when it is composed.
        (json!([{"id": "abc", "name": long}]), json!([joined(json!("abc"), long.clone(), 5)])),
    ];
    let transcript = json!([said(json!({"id": 9, "name": "Cy"}), 5)]);
    for (people, events) in cases {
        let (people, events) = (participants(&people), presences(&events));
        let first = read(&transcript, Attendance::new(Some(people.clone()), Some(events.clone()), None)).record;
        let again = |has_people: bool, has_events: bool| {
            let (people, events) = (people.clone(), events.clone());
            let attendance =
                Attendance::new(Some(people).filter(|_| has_people), Some(events).filter(|_| has_events), Some(&first));
            read(&transcript, attendance).record
        };
        assert_eq!(listed(&again(true, false)), listed(&first), "without events");
        assert_eq!(listed(&again(false, true)), listed(&first), "without participants");
        let names = |record: &MeetingRecord| {
            let names = record.participants.iter().map(|person| person.name.clone().unwrap_or_default());
            names.map(|name| name.chars().take(80).collect::<String>()).collect::<Vec<_>>()
        };
        assert_eq!(names(&again(false, false)), names(&first), "without both");
    }
}

#[test]
fn recorded_names_that_are_not_clear_add_no_one() {
    let people = json!([{"id": "a", "name": "Ann"}, {"id": "b", "name": "Ann"}, {"id": "c", "name": "Bo"}]);
    let events = json!([joined(json!("a"), json!("Ann"), 5), joined(json!("b"), json!("Ann"), 60)]);
    let by_id = |ids: &[&str], name: Value| {
        json!(ids.iter().zip([5, 15]).map(|(id, at)| said(json!({"id": id, "name": name}), at)).collect::<Vec<_>>())
    };
    for (transcript, expected) in [
        // It is not known who of the two is who.
        (by_id(&["a", "b"], json!("Ann")), [("Ann", None), ("Ann", None), ("Bo", None)]),
        (by_id(&["a"], json!("Ann")), [("Ann", None), ("Ann", Some(3540.0)), ("Bo", None)]),
        // Someone without a name may be any of them.
        (by_id(&["a"], Value::Null), [("", None), ("Ann", Some(3540.0)), ("Bo", None)]),
        (by_id(&["x", "y"], json!("Cy")), [("Cy", None), ("Cy", None), ("Ann", Some(3595.0))]),
    ] {
        let attendance = Attendance::new(Some(participants(&people)), Some(presences(&events)), None);
        let first = read(&transcript, attendance).record;
        let again = read(&transcript, Attendance::new(None, None, Some(&first))).record;
        assert_eq!(again.participants.len(), first.participants.len(), "{:?} {:?}", listed(&first), listed(&again));
        let found: Vec<_> =
            listed(&again).into_iter().map(|(name, _, present)| (name.unwrap_or_default(), present)).collect();
        assert_eq!(found[..3], expected);
    }
    // No one is registered without an id and a name.
    let nameless = ParticipantRecord { name: Some(" ".to_owned()), present_s: Some(1.0), ..Default::default() };
    let earlier = MeetingRecord { participants: vec![nameless], ..MeetingRecord::default() };
    for people in [None, Some(participants(&json!([])))] {
        assert_eq!(read(&json!([]), Attendance::new(people, None, Some(&earlier))).record.participants, []);
    }
}

#[test]
fn speakers_come_first_and_others_are_counted_beyond_the_limit() {
    let silent = |id: u32| json!({"id": id, "name": format!("P{id}")});
    let people = json!((0..1500).map(silent).collect::<Vec<_>>());
    let transcript = json!([said(json!({"id": 1400, "name": null}), 1), said(json!({"id": 9000, "name": "Zoe"}), 2)]);
    let outcome = read(&transcript, Attendance::new(Some(participants(&people)), None, None));
    let names: Vec<_> = outcome.record.participants.iter().filter_map(|person| person.name.as_deref()).collect();
    assert_eq!((names.len(), &names[..3], names[999]), (1000, &["P1400", "Zoe", "P0"][..], "P997"));
    assert_eq!((outcome.summary.counts.speakers, outcome.summary.counts.speakers_over_limit), (2, 0));
    assert_eq!(outcome.record.participants_over_limit, 501);
    // A manifest keeps the number of people whom it does not list.
    let again = read(&transcript, Attendance::new(None, None, Some(&outcome.record))).record;
    assert_eq!(again, outcome.record);
    let crowd = json!((0..1200).map(|id| said(json!({"id": id}), id)).collect::<Vec<_>>());
    let record = read(&crowd, Attendance::default()).record;
    let again = read(&crowd, Attendance::new(None, None, Some(&record))).record;
    assert_eq!((record.participants_over_limit, again.participants_over_limit), (200, 200));
}

#[test]
fn people_beyond_the_kept_part_of_the_file_count_once() {
    let people = json!((0..11_000).map(|id| json!({"id": id, "name": format!("P{id}")})).collect::<Vec<_>>());
    let events = json!((0..11_000).map(|id| event("join", id, 0)).collect::<Vec<_>>());
    let transcript = json!([said(json!({"id": 10_500, "name": "Ann"}), 1), said(json!({"id": 5, "name": "P5"}), 2)]);
    let record = read(&transcript, Attendance::new(Some(participants(&people)), Some(presences(&events)), None)).record;
    assert_eq!((record.participants.len(), record.participants_over_limit), (1000, 10_000));
    assert_eq!(record.participants[0].name.as_deref(), Some("Ann"));
}

#[test]
fn people_without_a_name_have_a_label_and_no_name() {
    let people = json!([{"id": 7, "name": null, "extra_data": google("g")}, {"id": null, "name": "Ann"}]);
    let transcript = json!([said(json!({"id": 1, "name": "Ann"}), 1), said(json!({"id": null, "name": null}), 2)]);
    let outcome = read(&transcript, Attendance::new(Some(participants(&people)), None, None));
    let names: Vec<_> =
        outcome.record.participants.iter().map(|person| (&person.ids[..], person.name.as_deref())).collect();
    assert_eq!(names, [(&[1][..], Some("Ann")), (&[], None), (&[7], None)]);
    let meeting = outcome.meeting.expect("a meeting");
    let labels: Vec<_> = meeting.speakers().iter().map(|speaker| &*speaker.label).collect();
    assert_eq!(labels, ["Ann", "Unknown speaker", "Participant 7"]);
}

#[test]
fn participants_with_different_static_ids_stay_apart() {
    let people = json!([
        {"id": 1, "name": "Ann", "extra_data": google("a"), "email": "ann.one@x.example"},
        {"id": 1, "name": "Ann", "extra_data": google("b"), "email": "ann.two@x.example"},
    ]);
    let transcript = json!([
        said(json!({"id": 1, "name": "Ann", "extra_data": google("b")}), 1),
        said(json!({"id": 1, "name": "Ann", "extra_data": google("a")}), 2),
    ]);
    let record = read(&transcript, Attendance::new(Some(participants(&people)), None, None)).record;
    let emails: Vec<_> = record.participants.iter().filter_map(|person| person.email.as_deref()).collect();
    assert_eq!(emails, ["ann.two@x.example", "ann.one@x.example"]);
}

#[test]
fn static_ids_without_visible_characters_say_nothing() {
    let long = "a".repeat(300);
    for id in ["", " ", "\u{200b}", "\n\t", &long] {
        for (platform, key) in
            [("microsoft_teams", "user_id"), ("zoom", "conf_user_id"), ("google_meet", "static_participant_id")]
        {
            let who = |at: u32, name: &str| json!({"id": at, "name": name, "extra_data": {platform: {key: id}}});
            let (ann, bo) = (who(1, "Ann"), who(2, "Bo"));
            let attendance = Attendance::new(Some(participants(&json!([ann, bo]))), None, None);
            let record = read(&json!([said(ann, 5), said(bo, 10)]), attendance).record;
            assert_eq!(listed(&record), [(Some("Ann"), &[1][..], None), (Some("Bo"), &[2], None)], "{platform} {id:?}");
        }
    }
}

#[test]
fn lines_of_a_person_have_the_address_from_any_source() {
    let (transcript, people, _) = meeting();
    let meeting =
        read(&transcript, Attendance::new(Some(participants(&people)), None, None)).meeting.expect("a meeting");
    let lines = crate::fuzzing::render(&meeting, crate::Format::Jsonl);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seen: Vec<_> =
        lines.iter().map(|line| json!([line["person"], line["speaker_email"], line["is_host"]])).collect();
    let (cy, ann) = (json!([0, "cy@old.example", false]), json!([1, "ann@x.example", true]));
    assert_eq!(seen, [&cy, &ann, &ann, &ann].map(Clone::clone));
}
