//! Counts what is in a transcript while its bytes go by, in flat memory.
//!
//! The verbatim copy never depends on this: what cannot be parsed becomes a note in the manifest.

use std::{collections::BTreeSet, time::Duration};

use json_event_parser::{JsonEvent, LowLevelJsonParser};
use serde::Serialize;

/// The longest single token, such as one word's text.
const MAX_TOKEN_BYTES: usize = 1 << 20;
/// Recall's format is six levels deep; `extra_data` can be anything.
const MAX_DEPTH: usize = 128;
/// Distinct speakers and languages that are remembered.
const MAX_DISTINCT: usize = 10_000;

/// What a transcript holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    /// Entries of `words[]`, over all turns.
    pub(crate) words: u64,
    /// Distinct participants by id; those without one by name; all without either as one.
    pub(crate) speakers: usize,
    /// The end of the last word, in seconds from the start of the recording.
    pub(crate) duration_s: f64,
}

impl Counts {
    /// For the row, which holds whole numbers.
    pub(crate) fn rounded(&self) -> shared::job::Counts {
        // A meeting is shorter than a month; anything else is not a duration.
        let duration_s = self.duration_s.clamp(0.0, 31.0 * 24.0 * 60.0 * 60.0);
        shared::job::Counts {
            turns: self.turns,
            words: self.words,
            speakers: self.speakers as u64,
            duration_ms: u64::try_from(Duration::from_secs_f64(duration_s).as_millis()).unwrap_or_default(),
        }
    }
}

/// The result of a tally.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) counts: Counts,
    pub(crate) language_codes: BTreeSet<String>,
    /// Nobody said a word.
    pub(crate) empty: bool,
    /// Why the file could not be read to its end. What was counted until then stands.
    pub(crate) error: Option<String>,
}

/// Reads a transcript piece by piece.
pub(crate) struct Tally {
    parser: LowLevelJsonParser,
    /// Bytes of a token that is not complete yet.
    rest: Vec<u8>,
    /// The parser begins an incomplete token again; waiting until there is twice as much of it keeps that linear.
    worth_parsing: usize,
    reader: Reader,
    error: Option<String>,
}

/// Where in the file the parser is. `Other` is everything that is not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Turns,
    Turn,
    Participant,
    Words,
    Word,
    Stamp,
    Other,
}

/// The keys that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Participant,
    LanguageCode,
    Words,
    Id,
    Name,
    Text,
    Stamp,
    Relative,
    Other,
}

#[derive(Default)]
struct Reader {
    places: Vec<Place>,
    key: Option<Key>,
    counts: Counts,
    spoken: bool,
    speakers: BTreeSet<String>,
    languages: BTreeSet<String>,
    id: Option<String>,
    name: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            parser: LowLevelJsonParser::new().with_max_stack_size(MAX_DEPTH),
            rest: Vec::new(),
            worth_parsing: 0,
            reader: Reader::default(),
            error: None,
        }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.rest.extend_from_slice(bytes);
            if self.rest.len() >= self.worth_parsing {
                self.parse(false);
                self.worth_parsing = 2 * self.rest.len();
            }
        }
    }

    /// The file has ended.
    pub(crate) fn finish(mut self) -> Summary {
        if self.error.is_none() {
            self.parse(true);
        }
        let Reader { mut counts, spoken, speakers, languages, .. } = self.reader;
        counts.speakers = speakers.len();
        Summary { counts, language_codes: languages, empty: !spoken && self.error.is_none(), error: self.error }
    }

    fn parse(&mut self, ending: bool) {
        let mut from = 0;
        loop {
            let step = self.parser.parse_next(&self.rest[from..], ending);
            from += step.consumed_bytes;
            match step.event {
                None => break,
                Some(Ok(JsonEvent::Eof)) => break,
                Some(Ok(event)) => {
                    if let Err(problem) = self.reader.read(&event) {
                        self.error = Some(problem.to_owned());
                        break;
                    }
                }
                Some(Err(error)) => {
                    let at = error.location().start;
                    self.error = Some(format!("not valid JSON at line {} column {}", at.line + 1, at.column + 1));
                    break;
                }
            }
        }
        self.rest.drain(..from);
        if self.rest.len() > MAX_TOKEN_BYTES {
            self.error = Some(format!("a single value is longer than {MAX_TOKEN_BYTES} bytes"));
        }
        if self.error.is_some() {
            self.rest = Vec::new();
        }
    }
}

impl Reader {
    fn read(&mut self, event: &JsonEvent<'_>) -> Result<(), &'static str> {
        match event {
            JsonEvent::StartArray | JsonEvent::StartObject => self.enter(*event == JsonEvent::StartArray)?,
            JsonEvent::EndArray | JsonEvent::EndObject => {
                if self.places.pop() == Some(Place::Turn) {
                    self.turn_ends();
                }
            }
            JsonEvent::ObjectKey(key) => self.key = Some(self.key(key)),
            JsonEvent::String(text) => self.value(text, true)?,
            JsonEvent::Number(text) => self.value(text, false)?,
            JsonEvent::Null | JsonEvent::Boolean(_) => self.bare()?,
            JsonEvent::Eof => {}
        }
        Ok(())
    }

    fn enter(&mut self, array: bool) -> Result<(), &'static str> {
        let place = match (self.places.last(), self.key, array) {
            (None, _, true) => Place::Turns,
            (None, _, false) => return Err("the file is not an array of turns"),
            (Some(Place::Turns), _, false) => {
                self.counts.turns += 1;
                Place::Turn
            }
            (Some(Place::Turns), _, true) => return Err("a turn is not an object"),
            (Some(Place::Turn), Some(Key::Participant), false) => Place::Participant,
            (Some(Place::Turn), Some(Key::Words), true) => Place::Words,
            (Some(Place::Words), _, false) => {
                self.counts.words += 1;
                Place::Word
            }
            (Some(Place::Words), _, true) => return Err("a word is not an object"),
            (Some(Place::Word), Some(Key::Stamp), false) => Place::Stamp,
            (Some(_), _, _) => Place::Other,
        };
        self.places.push(place);
        self.key = None;
        Ok(())
    }

    fn key(&self, key: &str) -> Key {
        match (self.places.last(), key) {
            (Some(Place::Turn), "participant") => Key::Participant,
            (Some(Place::Turn), "language_code") => Key::LanguageCode,
            (Some(Place::Turn), "words") => Key::Words,
            (Some(Place::Participant), "id") => Key::Id,
            (Some(Place::Participant), "name") => Key::Name,
            (Some(Place::Word), "text") => Key::Text,
            (Some(Place::Word), "start_timestamp" | "end_timestamp") => Key::Stamp,
            (Some(Place::Stamp), "relative") => Key::Relative,
            (_, _) => Key::Other,
        }
    }

    fn value(&mut self, text: &str, quoted: bool) -> Result<(), &'static str> {
        match (self.key, quoted) {
            (Some(Key::Id), _) => self.id = Some(text.to_owned()),
            (Some(Key::Name), true) => self.name = Some(text.to_owned()),
            (Some(Key::LanguageCode), true) => remember(&mut self.languages, text.to_owned()),
            (Some(Key::Text), true) => self.spoken |= !text.trim().is_empty(),
            (Some(Key::Relative), false) => {
                let seconds = text.parse().unwrap_or(0.0);
                self.counts.duration_s = self.counts.duration_s.max(seconds);
            }
            (Some(_) | None, _) => self.bare()?,
        }
        Ok(())
    }

    /// A value that is not looked at is fine anywhere but where a turn or a word must be.
    fn bare(&self) -> Result<(), &'static str> {
        match self.places.last() {
            None => Err("the file is not an array of turns"),
            Some(Place::Turns) => Err("a turn is not an object"),
            Some(Place::Words) => Err("a word is not an object"),
            Some(Place::Turn | Place::Participant | Place::Word | Place::Stamp | Place::Other) => Ok(()),
        }
    }

    fn turn_ends(&mut self) {
        let speaker = match (self.id.take(), self.name.take()) {
            (Some(id), _) => format!("id {id}"),
            (None, Some(name)) => format!("name {name}"),
            (None, None) => String::new(),
        };
        remember(&mut self.speakers, speaker);
    }
}

fn remember(known: &mut BTreeSet<String>, value: String) {
    if known.len() < MAX_DISTINCT {
        known.insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(file: &[u8], step: usize) -> Summary {
        let mut tally = Tally::new();
        file.chunks(step).for_each(|chunk| tally.push(chunk));
        tally.finish()
    }

    const MEETING: &str = r#"[
        {"participant": {"id": 1, "name": "Ann", "is_host": true, "extra_data": {"words": [1], "id": 9}},
         "language_code": "en",
         "words": [{"text": "Hi\u0021", "start_timestamp": {"relative": 0.5, "absolute": null},
                    "end_timestamp": {"relative": 0.9, "absolute": null}},
                   {"text": "[{", "start_timestamp": null, "end_timestamp": {"relative": 12.25}}]},
        {"participant": {"id": 2, "name": "Ann"}, "language_code": "ja", "words": []},
        {"participant": {"id": null, "name": null}, "words": [{"text": "…"}]},
        {"words": [], "participant": null}
    ]"#;

    #[test]
    fn counts_are_right_wherever_the_bytes_are_cut() {
        let whole = tally(MEETING.as_bytes(), usize::MAX);
        assert_eq!(whole.error, None);
        assert_eq!(whole.counts, Counts { turns: 4, words: 3, speakers: 3, duration_s: 12.25 });
        assert_eq!(whole.language_codes, BTreeSet::from(["en".to_owned(), "ja".to_owned()]));
        assert!(!whole.empty);
        for step in 1..40 {
            assert_eq!(tally(MEETING.as_bytes(), step), whole, "in steps of {step}");
        }
    }

    #[test]
    fn a_silent_meeting_is_empty_and_no_error() {
        for silent in ["[]", " [ ] ", r#"[{"participant":{"id":1},"words":[]}]"#, r#"[{"words":[{"text":" "}]}]"#] {
            let summary = tally(silent.as_bytes(), 3);
            assert!(summary.empty && summary.error.is_none(), "{silent}: {summary:?}");
        }
    }

    #[test]
    fn what_is_not_a_transcript_is_an_error_that_quotes_nothing() {
        let deep = format!(r#"[{{"participant": {}"#, "[".repeat(1000));
        let long = format!(r#"[{{"words": [{{"text": "{}"#, "x".repeat(2 << 20));
        for bad in [
            "",
            "{}",
            "[1]",
            "[[]]",
            "5",
            "null",
            r#"[{"words": ["secret"]}]"#,
            "[{",
            "[] []",
            "<html>secret",
            &deep,
            &long,
        ] {
            let summary = tally(bad.as_bytes(), 1000);
            let error = summary.error.unwrap_or_else(|| panic!("{:.20} passed", bad));
            assert!(!error.contains("secret"), "{error}");
            assert!(!summary.empty);
        }
        assert!(tally(b"[{\"words\": [{\"text\": \"\xff\"}]}]", 7).error.is_some());
    }
}
