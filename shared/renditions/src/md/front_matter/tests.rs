//! Tests that a YAML parser reads the front matter back. `tests/formats` does the same with other parsers.

use std::collections::BTreeMap;

use job::ids::{BotId, RecordingId, TranscriptId};
use proptest::prelude::*;
use yaml_rust2::{Yaml, YamlLoader};

use crate::{
    Attendance, Format, MeetingInfo, ParticipantsReader, RecordingTimes, Title, TitleSource, TranscriptReader,
    fuzzing::render, tests::config,
};

/// Texts that a parser might take for something else.
const TEXTS: [&str; 34] = [
    "no",
    "on",
    "null",
    "~",
    "1e3",
    "0o17",
    "1:30",
    "1_000",
    ".inf",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "a: b",
    "#x",
    "x #y",
    "- a",
    "? a",
    "[a, b]",
    "{a: b}",
    "&a",
    "*a",
    "!!int 5",
    "|",
    ">",
    "%YAML 1.1",
    "---",
    "...",
    "\"'\"",
    "\\ \\n \\u0041",
    "a\u{2028}b\u{2029}c\u{85}d",
    "\u{0}\u{7}\u{1b}\u{7f}\u{9f}\ttab\nline\r\n",
    "👩\u{200d}🚀 \u{1f1e9}\u{1f1ea}",
    "日本語 مرحبا",
    "\u{feff}\u{fffe}\u{ffff}\u{fdd0}\u{1ffff}",
    " spaces  ",
];

/// Returns the front matter of a meeting with this title, this only participant, and these tags.
fn front_matter(title: &str, name: &str, tags: BTreeMap<String, String>) -> String {
    let info = MeetingInfo {
        bot_id: Some(BotId::from_u128(3)),
        title: Some(Title { text: title.to_owned(), source: TitleSource::Recall }),
        platform: Some("zoom".to_owned()),
        metadata: tags,
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned())
    };
    let mut people = ParticipantsReader::new();
    people.push(serde_json::json!([{"id": 1, "name": name}]).to_string().as_bytes());
    let attendance = Attendance::new(people.finish().ok(), None, None);
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    reader.push(b"[]");
    let document = render(&reader.finish(info, attendance).meeting.expect("a meeting"), Format::Md);
    assert!(!document.contains(|c: char| c.is_control() && c != '\n'), "{document:?}");
    let (front, _) = document.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("front matter");
    assert!(!front.contains(['\u{2028}', '\u{2029}', '\u{feff}']), "{front}");
    front.to_owned()
}

fn parsed(front: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(front).expect("YAML");
    assert_eq!(documents.len(), 1, "{front}");
    documents.remove(0)
}

#[test]
fn front_matter_has_everything_that_identifies_the_meeting() {
    let tags = BTreeMap::from([("customer".to_owned(), "Acme".to_owned()), ("no".to_owned(), "1e3".to_owned())]);
    let expected = "title: \"Weekly sync\"\ndate: \"2026-11-23\"\nplatform: \"zoom\"\n\
        recording_id: \"00000000-0000-0000-0000-000000000001\"\n\
        transcript_id: \"00000000-0000-0000-0000-000000000002\"\n\
        bot_id: \"00000000-0000-0000-0000-000000000003\"\n\
        participants:\n  - \"Ann\"\ntags:\n  \"customer\": \"Acme\"\n  \"no\": \"1e3\"";
    assert_eq!(front_matter("Weekly sync", "Ann", tags), expected);
}

fn check(text: &str) {
    let tags = BTreeMap::from([(text.to_owned(), text.to_owned())]);
    let yaml = parsed(&front_matter(text, text, tags));
    assert_eq!(yaml["tags"][text].as_str(), Some(text));
    // Titles and names are cleaned before.
    assert!(yaml["title"].is_badvalue() || yaml["title"].as_str().is_some());
    assert!(yaml["participants"].is_badvalue() || yaml["participants"][0].as_str().is_some());
}

#[test]
fn texts_are_read_back_as_texts() {
    TEXTS.iter().for_each(|text| check(text));
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn any_text_is_read_back(text in any::<String>()) {
        check(&text);
    }
}
