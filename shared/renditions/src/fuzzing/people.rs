//! Checks that files about people are read the same way however they arrive, that what is kept is bounded, and that
//! everything that is made from them can be read back.

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use serde_json::Value;

use super::transcript::{render, render_with};
use crate::{
    Attendance, EventsReader, Format, MeetingInfo, MeetingRecord, Outcome, Participants, ParticipantsReader, Presences,
    RecordingTimes, Summary, Title, TitleSource, TranscriptReader, knowledge_renderer, knowledge_sidecar, meeting_line,
};

/// A transcript in which participants 1 and 2 speak.
const TRANSCRIPT: &str = r#"[
    {"participant": {"id": 1, "name": "Ann"}, "words": [{"text": "Hi.", "start_timestamp": {"relative": 1}}]},
    {"participant": {"id": 2, "name": null}, "words": [{"text": "Hi.", "start_timestamp": {"relative": 2}}]}]"#;

/// The first byte decides how the file is cut into pieces. The rest is the file, which is read as participants and as
/// events.
pub fn people(input: &[u8]) {
    let Some((choice, file)) = input.split_first() else { return };
    let step = 1 + usize::from(*choice) % 61;
    let (participants, presences) = (participants(file, usize::MAX), presences(file, usize::MAX));
    check_cut(participants.as_ref(), self::participants(file, step).as_ref());
    check_cut(presences.as_ref(), self::presences(file, step).as_ref());
    check_list(file, participants.as_ref().map(Participants::skipped_values));
    check_list(file, presences.as_ref().map(Presences::skipped_values));

    let attendance = || Attendance::new(participants.clone().ok(), presences.clone().ok(), None);
    let mut reader = TranscriptReader::new(recording());
    reader.push(TRANSCRIPT.as_bytes());
    let Outcome { summary, info, record, meeting } = reader.finish(info(), attendance());
    let meeting = meeting.expect("a meeting");
    check_record(&record);
    assert_eq!(summary.counts.words, 2);
    assert!(record.participants.iter().filter_map(|person| person.words).sum::<u64>() == 2, "a word is lost");

    // A later run without these files knows the same people, as far as an id tells them apart.
    let unread = Summary::unread(String::new(), self::info(), attendance());
    check_record(&unread.record);
    let again = Summary::unread(String::new(), self::info(), Attendance::new(None, None, Some(&unread.record)));
    assert!(again.record.participants.len() <= unread.record.participants.len());
    let ids =
        |record: &MeetingRecord| record.participants.iter().flat_map(|person| person.ids.clone()).collect::<Vec<_>>();
    let (before, after) = (ids(&unread.record), ids(&again.record));
    let is_unique = |id: &&i64| before.iter().filter(|other| other == id).count() == 1;
    assert!(before.iter().filter(is_unique).all(|id| after.contains(id)), "{before:?} {after:?}");

    let line = meeting_line(&info, &record, &summary);
    assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
    assert!(serde_json::from_str::<Value>(&line).is_ok());
    let sidecar = knowledge_sidecar(&info, &record, &summary).expect("there is no metadata");
    assert!(sidecar.len() <= 1000 + r#"{"metadataAttributes":}"#.len());
    let documents = Format::ALL.map(|format| render(&meeting, format));
    for document in documents.into_iter().chain([render_with(&meeting, &mut *knowledge_renderer())]) {
        assert!(!document.contains(|c: char| c.is_control() && c != '\n'), "control characters");
        assert!(document.len() < (64 << 10) + 64 * file.len());
    }
}

fn recording() -> RecordingTimes {
    let time = Timestamp::from_secs;
    RecordingTimes { started_at: Some(time(1_700_000_000)), completed_at: Some(time(1_700_003_600)) }
}

fn info() -> MeetingInfo {
    let RecordingTimes { started_at, completed_at: ended_at } = recording();
    MeetingInfo {
        title: Some(Title { text: "Weekly sync".to_owned(), source: TitleSource::Recall }),
        started_at,
        ended_at,
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2023-11-14".to_owned())
    }
}

fn participants(file: &[u8], step: usize) -> Result<Participants, String> {
    let mut reader = ParticipantsReader::new();
    file.chunks(step).for_each(|piece| reader.push(piece));
    reader.finish()
}

fn presences(file: &[u8], step: usize) -> Result<Presences, String> {
    let mut reader = EventsReader::new(recording());
    file.chunks(step).for_each(|piece| reader.push(piece));
    reader.finish()
}

fn check_cut<T: PartialEq>(whole: Result<&T, &String>, cut: Result<&T, &String>) {
    assert!(whole.ok() == cut.ok(), "the result depends on where the file is cut");
    assert!(whole.err().is_none_or(|why| why.len() < 200), "{whole:?}", whole = whole.err());
}

/// Compares with another parser.
fn check_list(file: &[u8], skipped: Result<u64, &String>) {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    // Another parser may reject files which are nested too deeply, or which contain half of a surrogate pair.
    let Ok(value) = serde_json::from_slice::<Value>(file) else { return };
    match value.as_array() {
        None => assert!(skipped.is_err(), "a file without an array was accepted"),
        Some(list) => {
            let others = list.iter().filter(|element| !element.is_object()).count() as u64;
            let skipped = skipped.expect("a list");
            assert!(skipped >= others && skipped <= list.len() as u64, "{skipped} of {} elements", list.len());
        }
    }
}

/// Checks that a record is bounded, can be read back, and says nothing impossible.
fn check_record(record: &MeetingRecord) {
    assert!(record.participants.len() <= 1000);
    let json = serde_json::to_string(record).expect("JSON");
    assert_eq!(serde_json::from_str::<MeetingRecord>(&json).expect("a record"), *record);
    for person in &record.participants {
        assert!(person.name.as_ref().is_none_or(|name| name.len() < 800 && !name.contains('\n')));
        assert!(person.email.as_ref().is_none_or(|email| email.contains('@') && email.len() <= 254));
        assert!(person.email.is_some() == person.email_source.is_some());
        assert!(person.present_s.is_none_or(|present_s| (0.0..=3600.0).contains(&present_s)));
    }
}
