//! Tests the irregularities of real files in any combination: wrong times, values of other types, repeated keys, people
//! who come back. Everything that can be read is rendered in the order of the file. The rest is counted.

use std::{collections::HashSet, ops::Range};

use job::time::Timestamp;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

use super::{info, properties::config, render, subtitles};
use crate::{
    Attendance, Format, Meeting, MeetingInfo, Outcome, has_visible,
    reader::{RecordingTimes, Summary, TranscriptReader},
};

/// The start of the recording in seconds: 2026-11-23T09:30:00Z.
const BEGAN_S: i64 = 1_795_426_200;
const LENGTH_MS: i64 = 3_600_000;

const NAMES: [&str; 10] = [
    r#""Ann""#,
    r#""Zo\u00eb""#,
    r#""Zoe\u0308""#,
    r#""\u3164\u2060""#,
    r#""Ann\u200b""#,
    r#""{\\an8}<b>\\N""#,
    "null",
    "NaN",
    "7",
    r#"["Ann"]"#,
];
const IDS: [&str; 8] = ["1", "2", "3", r#""B""#, "null", r#""01""#, "{}", "Infinity"];
const EXTRA_DATA: [&str; 7] = [
    "null",
    r#"{"google_meet": {"static_participant_id": "s1"}}"#,
    r#"{"google_meet": {"static_participant_id": "s2"}, "zoom": null}"#,
    r#"{"zoom": {"conf_user_id": 1}}"#,
    r#"{"microsoft_teams": {"user_id": "t"}, "score": NaN}"#,
    r#"{"google_meet": {"static_participant_id": null}}"#,
    r#""text""#,
];
/// Values in place of an entry, of a word, or of a word's text. Each of them is skipped.
const JUNK: [&str; 9] = ["null", "5", r#""junk""#, r#"["junk"]"#, "true", "NaN", "-Infinity", "1e999", "-0.5"];
/// Invisible texts.
const BLANK: [&str; 6] = ["", " ", r"\u3164", r"\u200b\u2060", r"\u2800", r"\u0000"];
/// The text before and after the mark of a word.
const AROUND: [(&str, &str); 8] = [
    ("", ""),
    ("", ""),
    ("", "."),
    ("", ","),
    ("<i>", "?"),
    (r"{\\an8}", r"\\N"),
    ("New ", " words."),
    (r"\u00ad", "!"),
];

/// The form of a correct time, or the fault of a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Plain,
    Bare,
    Text,
    Absolute,
    AbsoluteAlone,
    /// The key appears twice, and the first value is wrong.
    Twice,
    Null,
    Absent,
    Far,
    Back,
    PastTheEnd,
    // The times below are skipped.
    Negative,
    NotANumber,
    Junk,
}

const TIMES: [Time; 14] = [
    Time::Plain,
    Time::Bare,
    Time::Text,
    Time::Absolute,
    Time::AbsoluteAlone,
    Time::Twice,
    Time::Null,
    Time::Absent,
    Time::Far,
    Time::Back,
    Time::PastTheEnd,
    Time::Negative,
    Time::NotANumber,
    Time::Junk,
];

#[derive(Clone, Debug)]
enum Said {
    Word { around: (&'static str, &'static str), start: Time, end: Time, step_ms: i64, old_keys: bool, twice: bool },
    Blank(&'static str),
    Junk(&'static str),
    NoText(&'static str),
}

#[derive(Clone, Debug)]
enum Entry {
    Turn { who: Who, from_ms: i64, words: Vec<Said>, twice: bool, with_text: bool },
    TextAlone { who: Who, start: Time, from_ms: i64 },
    NoWords(Who),
    Junk(&'static str),
}

type Who = (&'static str, &'static str, &'static str);

fn said() -> impl Strategy<Value = Said> {
    let time = || prop_oneof![4 => Just(Time::Plain), 1 => select(&TIMES[..])];
    let word = (select(&AROUND[..]), time(), time(), 100..2000_i64, any::<bool>(), prop::bool::weighted(0.1));
    prop_oneof![
        8 => word.prop_map(|(around, start, end, step_ms, old_keys, twice)| {
            Said::Word { around, start, end, step_ms, old_keys, twice }
        }),
        1 => select(&BLANK[..]).prop_map(Said::Blank),
        1 => select(&JUNK[..]).prop_map(Said::Junk),
        1 => select(&JUNK[..]).prop_map(Said::NoText),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    (select(&IDS[..]), select(&NAMES[..]), select(&EXTRA_DATA[..]))
}

fn entry() -> impl Strategy<Value = Entry> {
    let turn = (who(), 0..LENGTH_MS, vec(said(), 0..30), any::<bool>(), any::<bool>());
    prop_oneof![
        8 => turn.prop_map(|(who, from_ms, words, twice, with_text)| {
            Entry::Turn { who, from_ms, words, twice, with_text }
        }),
        1 => (who(), select(&TIMES[..]), 0..LENGTH_MS)
            .prop_map(|(who, start, from_ms)| Entry::TextAlone { who, start, from_ms }),
        1 => who().prop_map(Entry::NoWords),
        1 => select(&JUNK[..]).prop_map(Entry::Junk),
    ]
}

/// A file and its contents.
#[derive(Default)]
struct File {
    text: String,
    /// The number of marks by which words are found, and the marks of each entry.
    marks: usize,
    entries: Vec<Range<usize>>,
    skipped: u64,
    lost_words: bool,
}

impl File {
    fn of(entries: &[Entry]) -> Self {
        let mut file = Self::default();
        let turns: Vec<_> = entries.iter().map(|entry| file.entry(entry)).collect();
        file.text = format!("[{}]", turns.join(", "));
        file
    }

    fn entry(&mut self, entry: &Entry) -> String {
        let from = self.marks;
        let text = match entry {
            Entry::Junk(junk) => {
                self.lose();
                (*junk).to_owned()
            }
            Entry::NoWords(who) => {
                self.lose();
                format!("{{{}, \"words\": null}}", self.participant(*who))
            }
            Entry::TextAlone { who, start, from_ms } => {
                let start = self.time("start_timestamp", *start, *from_ms);
                format!("{{{}, {start}\"text\": \" {} \"}}", self.participant(*who), self.mark())
            }
            Entry::Turn { who, from_ms, words, twice, with_text } => {
                let mut at_ms = *from_ms;
                let words: Vec<_> = words.iter().map(|said| self.said(said, &mut at_ms)).collect();
                let before = if *twice { r#""words": [{"text": "gone"}, {"text": "gone"}], "# } else { "" };
                let visible = self.marks > from;
                let text = if *with_text && visible { r#""text": "gone", "# } else { "" };
                let participant = self.participant(*who);
                format!("{{{before}{text}\"score\": NaN, {participant}, \"words\": [{}]}}", words.join(", "))
            }
        };
        self.entries.push(from..self.marks);
        text
    }

    fn said(&mut self, said: &Said, at_ms: &mut i64) -> String {
        match said {
            Said::Junk(junk) => {
                self.lose();
                (*junk).to_owned()
            }
            Said::NoText(junk) => {
                // This value is a valid text.
                if *junk == r#""junk""# {
                    return r#"{"text": " "}"#.to_owned();
                }
                self.lose();
                format!(r#"{{"text": {junk}, "confidence": NaN}}"#)
            }
            Said::Blank(blank) => format!(r#"{{"text": "{blank}", "start_timestamp": null}}"#),
            Said::Word { around: (before, after), start, end, step_ms, old_keys, twice } => {
                *at_ms += step_ms;
                let (start_key, end_key) =
                    if *old_keys { ("start_time", "end_time") } else { ("start_timestamp", "end_timestamp") };
                let start = self.time(start_key, *start, *at_ms);
                let end = self.time(end_key, *end, *at_ms + 80);
                let first = if *twice { r#""text": "gone", "# } else { "" };
                format!("{{{first}{start}{end}\"text\": \"{before}{}{after}\"}}", self.mark())
            }
        }
    }

    /// Returns the key and its value, followed by a comma.
    fn time(&mut self, key: &str, time: Time, ms: i64) -> String {
        self.skipped += u64::from(matches!(time, Time::Negative | Time::NotANumber | Time::Junk));
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let absolute = Timestamp::from_millis(BEGAN_S * 1000 + ms).rfc3339();
        let relative = |seconds: &str| format!(r#"{{"relative": {seconds}, "absolute": null}}"#);
        let value = match time {
            Time::Absent => return String::new(),
            Time::Plain => relative(&seconds(ms)),
            Time::Bare => seconds(ms),
            Time::Text => format!("\"{}\"", seconds(ms)),
            // The relative time restarted at zero.
            Time::Absolute => format!(r#"{{"relative": {}, "absolute": "{absolute}"}}"#, seconds(ms % 60_000)),
            Time::AbsoluteAlone => format!(r#"{{"relative": null, "absolute": "{absolute}"}}"#),
            Time::Twice => format!(r#"{{"relative": "x", "relative": {}}}"#, seconds(ms)),
            Time::Null => "null".to_owned(),
            Time::Far => relative(&seconds(ms + 85_000)),
            Time::Back => relative(&seconds((ms - 30_000).max(0))),
            Time::PastTheEnd => relative("359999.5"),
            Time::Negative => relative("-3"),
            Time::NotANumber => relative("NaN"),
            Time::Junk => "[1]".to_owned(),
        };
        format!("\"{key}\": {value}, ")
    }

    fn participant(&mut self, (id, name, extra_data): Who) -> String {
        let odd = ["{}", "Infinity"].contains(&id) || ["NaN", "7", r#"["Ann"]"#].contains(&name);
        self.skipped += u64::from(odd);
        format!(r#""participant": {{"id": 9, "id": {id}, "name": {name}, "extra_data": {extra_data}}}"#)
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        mark(self.marks - 1)
    }

    fn lose(&mut self) {
        self.skipped += 1;
        self.lost_words = true;
    }
}

fn mark(number: usize) -> String {
    format!("wd{number:04}q")
}

fn read(file: &str, recorded: RecordingTimes, step: usize) -> (Summary, Result<Meeting, String>) {
    let mut reader = TranscriptReader::new(recorded);
    file.as_bytes().chunks(step).for_each(|piece| reader.push(piece));
    let info = MeetingInfo { started_at: recorded.started_at, ..info() };
    let Outcome { summary, meeting, .. } = reader.finish(info, Attendance::default());
    (summary, meeting)
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn readable_parts_of_malformed_files_are_rendered_in_order(
        entries in vec(entry(), 0..8),
        length_known in any::<bool>(),
        step in option::of(1..100_usize),
    ) {
        let File { text, marks, entries, skipped, lost_words } = File::of(&entries);
        let started_at = Some(Timestamp::from_secs(BEGAN_S));
        let completed_at = length_known.then(|| Timestamp::from_millis(BEGAN_S * 1000 + LENGTH_MS));
        let (summary, meeting) = read(&text, RecordingTimes { started_at, completed_at }, step.unwrap_or(usize::MAX));
        let Summary { counts, skipped_values, empty, error, .. } = summary;
        prop_assert_eq!(skipped_values, skipped, "{}", text);
        prop_assert_eq!(counts.words, marks as u64);
        prop_assert_eq!(empty, marks == 0 && !lost_words);
        if marks == 0 && lost_words {
            prop_assert_eq!(error, Some(format!("no words were found in {} entries", entries.len())));
            return Ok(());
        }
        prop_assert_eq!(error, None);
        prop_assert!(!length_known || i64::from(counts.duration_ms) <= LENGTH_MS + 60_000, "{}", counts.duration_ms);
        let meeting = meeting.expect("a meeting");
        in_order(&meeting, counts.turns, &entries)?;
    }
}

/// Checks that each word appears once in every rendition and in the order of its entry, that times never decrease, and
/// that labels differ.
fn in_order(meeting: &Meeting, turns: u64, entries: &[Range<usize>]) -> Result<(), TestCaseError> {
    for format in Format::ALL {
        let rendition = render(meeting, format);
        prop_assert!(!rendition.contains("gone") && !rendition.contains("junk"), "{}", rendition);
        for entry in entries {
            let mut from = 0;
            for number in entry.clone() {
                let (mark, rest) = (mark(number), rendition.get(from..).unwrap_or_default());
                let Some(at) = rest.find(&mark) else {
                    return Err(TestCaseError::fail(format!("{format:?}: {mark} is out of order in\n{rendition}")));
                };
                from += at + mark.len();
                prop_assert_eq!(rendition.matches(&mark).count(), 1);
            }
        }
    }
    let mut starts = vec![0; entries.len()];
    for turn in meeting.turns() {
        prop_assert!(turn.words.iter().all(|word| has_visible(&turn.text[word.range.clone()])));
        let of = |word: &crate::meeting::Word| {
            let number =
                turn.text[word.range.clone()].split_once("wd").and_then(|(_, rest)| rest.get(..4)?.parse().ok())?;
            entries.iter().position(|entry| entry.contains(&number))
        };
        for word in &turn.words {
            prop_assert!(word.span.start_ms <= word.span.end_ms);
            let entry = of(word).expect("a mark");
            prop_assert!(starts[entry] <= word.span.start_ms, "{} then {:?} in {:?}", starts[entry], word, turn);
            starts[entry] = word.span.start_ms;
        }
    }
    let labels: HashSet<_> = meeting.speakers().iter().map(|speaker| &speaker.label).collect();
    prop_assert_eq!(labels.len(), meeting.speakers().len());
    prop_assert!(labels.iter().all(|label| has_visible(label)));
    let lines: Vec<Value> =
        render(meeting, Format::Jsonl).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    prop_assert_eq!(lines.len() as u64, turns);
    let persons: HashSet<_> = lines.iter().map(|line| (line["person"].as_u64(), line["speaker"].as_str())).collect();
    let distinct: HashSet<_> = persons.iter().map(|(person, _)| person).collect();
    prop_assert_eq!(persons.len(), distinct.len(), "one label for each person");
    subtitles::check(&subtitles::vtt(&render(meeting, Format::Vtt)), true);
    subtitles::check(&subtitles::srt(&render(meeting, Format::Srt)), false);
    Ok(())
}
