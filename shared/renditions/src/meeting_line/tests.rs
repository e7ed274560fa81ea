//! Tests the line of a meeting.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

use super::*;
use crate::{Attendance, EmailSource, SourceState, Title};

fn info() -> MeetingInfo {
    let time = |text| Timestamp::parse_rfc3339(text);
    MeetingInfo {
        bot_id: Some(BotId::from_u128(3)),
        title: Some(Title { text: "Weekly\nsync \u{2028}".to_owned(), source: TitleSource::Recall }),
        platform: Some("zoom".to_owned()),
        meeting_id: Some("123".to_owned()),
        started_at: time("2026-11-23T09:30:00Z"),
        ended_at: time("2026-11-23T10:00:00.5Z"),
        provider: Some("recallai_async".to_owned()),
        attempt: Some(2),
        created_at: Timestamp::parse_rfc3339("2026-11-23T10:05:00Z"),
        metadata: BTreeMap::from([("customer".to_owned(), "Acme \"&\" Co".to_owned())]),
        sources: Sources { bot: SourceState::Read, events: SourceState::NotYet, ..Sources::default() },
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned())
    }
}

fn summary() -> Summary {
    let counts = Counts { turns: 2, words: 3, speakers: 1, speakers_over_limit: 0, duration_ms: 4500 };
    let language_codes = BTreeSet::from(["en".to_owned(), "de".to_owned()]);
    Summary { counts, skipped_values: 0, language_codes, empty: false, error: None }
}

#[test]
fn line_has_the_fields_of_the_contract_in_their_order() {
    let info = Summary::unread(String::new(), info(), Attendance::default()).info;
    let mut record = MeetingRecord::new(&info, &[], 2);
    let person = |name: &str, email: Option<&str>, spoke| ParticipantRecord {
        ids: vec![1],
        name: Some(name.to_owned()),
        email: email.map(str::to_owned),
        email_source: email.map(|_| EmailSource::Participants),
        spoke: Some(spoke),
        talk_s: Some(1.5),
        words: Some(3),
        ..ParticipantRecord::default()
    };
    record.participants = vec![
        person("Ann", Some("Ann@X.example"), true),
        person("Bo", None, false),
        person("Ann", Some("ann@x.example"), false),
        person("Cy", Some("cy@x.example"), false),
    ];
    let expected = concat!(
        r#"{"recording_id":"00000000-0000-0000-0000-000000000001","#,
        r#""transcript_id":"00000000-0000-0000-0000-000000000002","#,
        r#""bot_id":"00000000-0000-0000-0000-000000000003","date":"2026-11-23","#,
        r#""status":"stored","created_at":"2026-11-23T10:05:00.000Z","attempt":2,"#,
        r#""title":"Weekly sync","title_source":"recall","platform":"zoom","meeting_id":"123","#,
        r#""started_at":"2026-11-23T09:30:00.000Z","ended_at":"2026-11-23T10:00:00.500Z","#,
        r#""calendar_event_id":null,"ical_uid":null,"participants_over_limit":2,"#,
        r#""sources":{"participants":"absent","events":"not_yet","meeting_metadata":"absent","bot":"read"},"#,
        r#""duration_s":1800.5,"language_codes":["de","en"],"provider":"recallai_async","#,
        r#""counts":{"turns":2,"words":3,"speakers":1,"speakers_over_limit":0,"duration_s":4.5},"#,
        r#""participants":["#,
        r#"{"name":"Ann","email":"Ann@X.example","is_host":false,"spoke":true,"talk_s":1.5,"words":3},"#,
        r#"{"name":"Bo","email":null,"is_host":false,"spoke":false,"talk_s":1.5,"words":3},"#,
        r#"{"name":"Ann","email":"ann@x.example","is_host":false,"spoke":false,"talk_s":1.5,"words":3},"#,
        r#"{"name":"Cy","email":"cy@x.example","is_host":false,"spoke":false,"talk_s":1.5,"words":3}],"#,
        r#""participant_emails":["ann@x.example","cy@x.example"],"participant_domains":["x.example"],"#,
        r#""metadata":{"customer":"Acme \"&\" Co"}}"#,
        "\n"
    );
    assert_eq!(meeting_line(&info, &record, &summary()), expected);
}

#[test]
fn meeting_of_which_nothing_is_known_has_every_field() {
    let info = MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned());
    let mut summary = summary();
    let read = |summary: &Summary| {
        let line = meeting_line(&info, &MeetingRecord::default(), summary);
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")
    };
    assert_eq!(read(&summary)["duration_s"], 4.5);
    summary.counts.duration_ms = 0;
    let line = read(&summary);
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(25));
    assert!(["title", "started_at", "duration_s", "bot_id", "provider"].iter().all(|key| line[key].is_null()));
    assert_eq!((&line["participants"], &line["metadata"]), (&serde_json::json!([]), &serde_json::json!({})));
}

#[test]
fn short_line_says_only_what_identifies_the_meeting() {
    let expected = concat!(
        r#"{"recording_id":"00000000-0000-0000-0000-000000000001","#,
        r#""transcript_id":"00000000-0000-0000-0000-000000000002","#,
        r#""bot_id":"00000000-0000-0000-0000-000000000003","date":"2026-11-23","#,
        r#""status":"stored","created_at":"2026-11-23T10:05:00.000Z","attempt":2}"#,
        "\n"
    );
    assert_eq!(short_meeting_line(&info()), expected);
}
