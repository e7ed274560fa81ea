//! The people of generated meetings: the same in the transcript and in Recall's other files.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::keys_of;
use crate::recall::{CHAT_MESSAGE, Content, Meeting, MeetingFile, Platform, many_events, many_participants};

const BEGUN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn read(meeting: &Meeting, file: MeetingFile) -> Result<Vec<Value>> {
    Ok(serde_json::from_slice(&meeting.files(BEGUN).content(file).whole())?)
}

fn names(participants: &[Value]) -> BTreeMap<String, String> {
    participants.iter().map(|one| (one["id"].to_string(), one["name"].to_string())).collect()
}

/// Returns the participants of the transcript by id.
fn speakers(meeting: &Meeting) -> Result<BTreeMap<String, String>> {
    let turns: Vec<Value> = serde_json::from_slice(meeting.content())?;
    Ok(names(&turns.into_iter().map(|mut turn| turn["participant"].take()).collect::<Vec<_>>()))
}

#[test]
fn people_are_those_of_the_transcript_and_silent_ones() -> Result<()> {
    for (meeting, silent) in [
        (Meeting::short(1), 2),
        (Meeting::hour(1), 4),
        (Meeting::japanese(1), 2),
        (Meeting::silent(), 2),
        (Meeting::rejoined(1), 2),
        (Meeting::crowd(10, 30, 1), 30),
        (Meeting::large(3_000_000), 2),
    ] {
        let (participants, speakers) = (read(&meeting, MeetingFile::Participants)?, speakers(&meeting)?);
        let fields = ["email", "extra_data", "id", "is_host", "name", "platform"];
        assert!(participants.iter().all(|one| keys_of(one) == fields));
        let known = names(&participants);
        assert_eq!((known.len(), participants.len()), (speakers.len() + silent, speakers.len() + silent));
        assert!(speakers.iter().all(|(id, name)| known.get(id) == Some(name)), "{known:?} {speakers:?}");
        let emails = participants.iter().filter(|one| one["email"].is_string()).count();
        assert!(0 < emails && emails < participants.len());
        assert!(participants.iter().any(|one| one["platform"] == "dial-in" && one["email"].is_null()));
        assert!(participants.iter().filter(|one| one["is_host"] == true).count() <= 1);
    }
    Ok(())
}

#[test]
fn someone_who_comes_back_has_a_new_id_and_the_same_static_id() -> Result<()> {
    for (meeting, speaks) in [(Meeting::rejoined(3), true), (Meeting::hour(3), false)] {
        let participants = read(&meeting, MeetingFile::Participants)?;
        let mut by_static_id: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for one in &participants {
            let id = &one["extra_data"]["google_meet"]["static_participant_id"];
            by_static_id.entry(id.as_str().context("no static id")?.to_owned()).or_default().push(one);
        }
        let back: Vec<_> = by_static_id.values().filter(|ids| ids.len() > 1).collect();
        let [back] = back.as_slice() else { anyhow::bail!("{back:?}") };
        assert_eq!((&back[0]["name"], &back[0]["email"]), (&back[1]["name"], &back[1]["email"]));
        let speakers = speakers(&meeting)?;
        assert!(back.iter().all(|one| speakers.contains_key(&one["id"].to_string()) == speaks));
        let stays: Vec<(String, f64)> = read(&meeting, MeetingFile::Events)?
            .iter()
            .filter(|event| back.iter().any(|one| one["id"] == event["participant"]["id"]))
            .filter(|event| event["action"] == "join" || event["action"] == "leave")
            .filter_map(|event| Some((event["action"].as_str()?.to_owned(), event["timestamp"]["relative"].as_f64()?)))
            .collect();
        let actions: Vec<&str> = stays.iter().map(|(action, _)| action.as_str()).collect();
        assert_eq!(actions[..3], ["join", "leave", "join"]);
        assert!(stays[1].1 + 1.0 < stays[2].1, "{stays:?}");
    }
    Ok(())
}

#[test]
fn events_are_in_order_and_everyone_joins() -> Result<()> {
    for meeting in [Meeting::short(2), Meeting::hour(2), Meeting::japanese(2), Meeting::large(3_000_000)] {
        let events = read(&meeting, MeetingFile::Events)?;
        let at = |event: &Value| event["timestamp"]["relative"].as_f64().unwrap_or(f64::NAN);
        assert!(events.is_sorted_by_key(at));
        assert!(events.iter().all(|event| keys_of(event) == ["action", "data", "id", "participant", "timestamp"]));
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        assert_eq!(ids.len(), events.len());
        let with = |action: &str| events.iter().filter(|event| event["action"] == action).collect::<Vec<_>>();
        let participants = read(&meeting, MeetingFile::Participants)?;
        assert_eq!(with("join").len(), participants.len());
        assert!((1..participants.len()).contains(&with("leave").len()), "some stay to the end");
        assert!(at(with("join")[0]) < 0.0, "the host is early");
        for action in ["webcam_on", "webcam_off", "screenshare_on", "screenshare_off", "update"] {
            assert!(!with(action).is_empty(), "{action}");
        }
        let chat = with("chat_message");
        assert!(chat.len() >= 2 && chat.iter().all(|event| event["data"]["text"] == CHAT_MESSAGE));
        assert!(chat.iter().all(|event| ["everyone", "only_bot"].map(Value::from).contains(&event["data"]["to"])));
        assert!(with("join").iter().all(|event| event["data"].is_null()));

        let turns: Vec<Value> = serde_json::from_slice(meeting.content())?;
        let timeline = read(&meeting, MeetingFile::Timeline)?;
        assert!(turns.len().abs_diff(timeline.len()) <= 1, "{} {}", turns.len(), timeline.len());
        assert_eq!((with("speech_on").len(), with("speech_off").len()), (timeline.len(), timeline.len()));
        let start = &turns[9]["words"][0]["start_timestamp"]["relative"];
        assert_eq!(
            (&timeline[9]["start_timestamp"]["relative"], &timeline[9]["participant"]["id"]),
            (start, &turns[9]["participant"]["id"])
        );
    }
    let absolute = |meeting| anyhow::Ok(read(&meeting, MeetingFile::Events)?[0]["timestamp"]["absolute"].clone());
    assert_eq!(absolute(Meeting::short(2))?, "1969-12-31T23:59:48.000000Z");
    assert_eq!(absolute(Meeting::japanese(2))?, Value::Null);
    Ok(())
}

#[test]
fn people_of_any_transcript_are_in_the_files() -> Result<()> {
    let participant = json!({"id": 7, "name": null, "is_host": true, "extra_data": {"a": 1}});
    let word = json!({"text": "a", "start_timestamp": {"relative": 1.5}, "end_timestamp": {"relative": 2.0}});
    let turn = json!({"participant": participant, "words": [word]});
    let content = json!([turn, turn, {"participant": null, "words": []}, 7]).to_string();
    let meeting = Meeting::with_content(content.into());
    assert_eq!(read(&meeting, MeetingFile::Participants)?, [participant]);
    assert_eq!(read(&meeting, MeetingFile::Timeline)?.len(), 2);
    for unreadable in ["", "[{", "{}", "[]"] {
        let meeting = Meeting::with_content(Bytes::from_static(unreadable.as_bytes()));
        for file in MeetingFile::OF_RECORDING {
            assert_eq!(read(&meeting, file)?, Vec::<Value>::new(), "{unreadable} {file:?}");
        }
    }
    Ok(())
}

#[test]
fn files_of_any_size_and_content_can_be_set() -> Result<()> {
    let begun = Instant::now();
    let (people, events) = (many_participants(100_000), many_events(100_000, 200_000_000));
    assert!(begun.elapsed().as_secs() < 20);
    assert!((20_000_000..25_000_000).contains(&people.len()), "{}", people.len());
    assert!((200_000_000..202_000_000).contains(&events.len()), "{}", events.len());
    let listed: Vec<Value> = serde_json::from_slice(&many_participants(300).whole())?;
    assert_eq!(names(&listed).len(), 300);
    let listed: Vec<Value> = serde_json::from_slice(&many_events(300, 2_500_000).whole())?;
    let with = |action: &str| listed.iter().filter(|event| event["action"] == action).count();
    assert_eq!((with("join"), with("leave")), (300, 300));
    assert!(with("chat_message") > 1_000);

    let meeting = Meeting::short(1)
        .with_file(MeetingFile::Events, json!([1]))
        .with_file(MeetingFile::Participants, b"first".to_vec())
        .with_file(MeetingFile::Participants, Content::of_pieces([Bytes::from("a"), Bytes::from("b")]));
    let files = meeting.files(BEGUN);
    assert_eq!(files.content(MeetingFile::Events).whole(), "[1]");
    assert_eq!(files.content(MeetingFile::Participants).whole(), "ab");
    assert!(files.content(MeetingFile::Timeline).len() > 1_000);
    Ok(())
}

#[test]
fn platforms_differ() {
    for (meeting, platform, has_title) in [
        (Meeting::short(1), Platform::Zoom, true),
        (Meeting::hour(1), Platform::GoogleMeet, false),
        (Meeting::japanese(1), Platform::MicrosoftTeams, false),
        (Meeting::silent(), Platform::Webex, false),
        (Meeting::silent().on(Platform::Zoom).titled(Some("Review")), Platform::Zoom, true),
    ] {
        assert_eq!((meeting.platform, meeting.has_title()), (platform, has_title));
        assert_eq!(meeting.meeting_url["platform"], platform.as_str());
    }
}
