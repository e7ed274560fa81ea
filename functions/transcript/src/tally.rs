//! Reads a transcript while its bytes go by: counts what is in it, and keeps what was said in compact form.
//!
//! The verbatim copy never depends on this: what cannot be parsed becomes a note in the manifest.

mod reader;
mod values;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use self::reader::Reader;
use crate::render::{Head, Meeting};

/// The longest single value, such as a word with its times.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// What a transcript holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
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

impl Summary {
    /// Of a file that was not looked into, and why there are no renditions.
    pub(crate) fn unread(why: String) -> (Self, Result<Meeting, String>) {
        let error = Some(why.clone());
        (Self { counts: Counts::default(), language_codes: BTreeSet::new(), empty: false, error }, Err(why))
    }
}

/// Reads a transcript piece by piece.
pub(crate) struct Tally {
    /// Bytes of a value that is not complete yet.
    rest: Vec<u8>,
    /// An incomplete value is begun again; waiting until there is twice as much of it keeps that linear.
    worth_parsing: usize,
    reader: Reader,
    error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { rest: Vec::new(), worth_parsing: 0, reader: Reader::default(), error: None }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.rest.extend_from_slice(bytes);
            if self.rest.len() >= self.worth_parsing {
                self.parse();
                self.worth_parsing = 2 * self.rest.len();
            }
        }
    }

    /// Whether what was taken so far is a complete file.
    pub(crate) fn is_whole(&mut self) -> bool {
        if self.error.is_none() {
            self.parse();
        }
        if self.error.is_none() && !(self.reader.is_whole() && self.rest.is_empty()) {
            self.error = Some("not valid JSON: it breaks off".to_owned());
        }
        self.error.is_none()
    }

    /// The file has ended. There is a meeting only if all of it could be read and it is not too large, or else the
    /// reason why there is none.
    pub(crate) fn finish(mut self, head: Head) -> (Summary, Result<Meeting, String>) {
        self.is_whole();
        let Reader { mut counts, spoken, meeting, .. } = self.reader;
        counts.speakers = meeting.speakers();
        let language_codes = meeting.languages().iter().map(|code| code.to_string()).collect();
        let meeting = match &self.error {
            Some(error) => Err(error.clone()),
            None => meeting.finish(head),
        };
        (Summary { counts, language_codes, empty: !spoken && self.error.is_none(), error: self.error }, meeting)
    }

    fn parse(&mut self) {
        let (text, valid) = match str::from_utf8(&self.rest) {
            Ok(text) => (text, true),
            Err(error) => {
                let text = self.rest.get(..error.valid_up_to()).and_then(|text| str::from_utf8(text).ok());
                // A character at the end may only be incomplete.
                (text.unwrap_or_default(), error.error_len().is_none())
            }
        };
        // serde_json takes a number that breaks off for a wrong one.
        let text = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
        match self.reader.read(text) {
            Ok(_) if !valid => self.error = Some("not valid JSON: it is not UTF-8".to_owned()),
            Ok(bytes) => drop(self.rest.drain(..bytes)),
            Err(problem) => self.error = Some(problem),
        }
        if self.rest.len() > MAX_VALUE_BYTES {
            self.error = Some(too_long());
        }
        if self.error.is_some() {
            self.rest = Vec::new();
        }
    }
}

fn too_long() -> String {
    format!("a single value is longer than {MAX_VALUE_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::ids::{RecordingId, TranscriptId};

    use super::*;

    fn head() -> Head {
        Head::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), None, &Value::Null)
    }

    fn tally(file: &[u8], step: usize) -> Summary {
        let mut tally = Tally::new();
        file.chunks(step).for_each(|chunk| tally.push(chunk));
        tally.finish(head()).0
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
        for silent in [
            r#"[{"words":[{"text":"\u0000\u2066"}]}]"#,
            "[]",
            " [ ] ",
            "\u{feff}[]",
            r#"[{"participant":{"id":1},"words":[]}]"#,
            r#"[{"words":[{"text":" "}]}]"#,
        ] {
            let summary = tally(silent.as_bytes(), 3);
            assert!(summary.empty && summary.error.is_none(), "{silent}: {summary:?}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_no_duration() {
        for (relative, duration_s) in [("1e999", 0.0), ("1e300", 0.0), ("-5", 0.0), ("12.5", 12.5)] {
            let file = format!(r#"[{{"words": [{{"text": "a", "end_timestamp": {{"relative": {relative}}}}}]}}]"#);
            assert_eq!(tally(file.as_bytes(), 9).counts.duration_s, duration_s, "{relative}");
        }
    }

    #[test]
    fn what_is_of_another_type_is_as_good_as_absent() {
        for odd in ["null", "true", "5", "-5", "0.5", r#""x""#, r#"["x"]"#, r#"{"relative": "x", "y": [{}]}"#] {
            let file = format!(
                r#"[{{"participant": {odd}, "language_code": {odd}, "words": [
                    {{"text": "a", "start_timestamp": {odd}, "end_timestamp": {odd}}},
                    {{"text": {odd}, "start_timestamp": {{"relative": {odd}}}, "end_timestamp": {{"relative": 7}}}}]}},
                  {{"participant": {{"id": {odd}, "name": {odd}, "is_host": {odd}}}, "words": {odd}}}]"#
            );
            // The one that can be taken for a list of words, but has none.
            let no_words = odd == r#"["x"]"#;
            for step in [1, usize::MAX] {
                let summary = tally(file.as_bytes(), step);
                assert_eq!(summary.error.is_some(), no_words, "{odd}: {:?}", summary.error);
                assert_eq!((summary.counts.words, summary.counts.duration_s), (2, 7.0), "{odd}");
            }
        }
    }

    #[test]
    fn keys_and_texts_may_be_escaped() {
        let file = r#"[{"w\u006frds": [{"te\u0078t": "\"\ud83d\ude00\"", "end_timestamp": {"relat\u0069ve": 2}}]}]"#;
        for step in 1..20 {
            let summary = tally(file.as_bytes(), step);
            assert_eq!((summary.error, summary.counts.words, summary.counts.duration_s), (None, 1, 2.0));
        }
    }

    #[test]
    fn half_of_a_pair_costs_one_character_and_no_more() {
        let file = br#"[{"participant": {"name": "A\ud83d"}, "language_code": "en\udc00", "words": [
            {"text": "hi \ud83d", "start_timestamp": {"relative": 1e999}, "end_timestamp": {"relative": 2}, "x": 1e999}]}]"#;
        for step in 1..20 {
            let mut tally = Tally::new();
            file.chunks(step).for_each(|piece| tally.push(piece));
            let head = Head::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), None, &Value::Null);
            let (summary, meeting) = tally.finish(head);
            assert_eq!((summary.error, summary.counts.words, summary.counts.duration_s), (None, 1, 2.0));
            let meeting = meeting.expect("a meeting");
            let turn = meeting.turns().next().expect("a turn");
            assert!(turn.text.starts_with("hi \u{fffd}") && meeting.label(&turn).starts_with("A\u{fffd}"), "{turn:?}");
        }
    }

    #[test]
    fn a_value_has_one_limit_however_it_comes() {
        for (bytes, fits) in
            [(MAX_VALUE_BYTES, true), (MAX_VALUE_BYTES + 1, false), (2 * MAX_VALUE_BYTES + 9000, false)]
        {
            let word = format!(r#"{{"text": "{}"}}"#, "x".repeat(bytes - r#"{"text": ""}"#.len()));
            let file = format!(r#"[{{"words": [{word}, {{"text": "more"}}]}}]"#);
            for step in [1000, 65_536, 100_000, usize::MAX] {
                let error = tally(file.as_bytes(), step).error;
                assert_eq!(error, (!fits).then(too_long), "{bytes} bytes in steps of {step}");
            }
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
            r#"[{"words": [{"text": "a"}, "secret"]}]"#,
            r#"[{"words": [], "language_code": "en"}, "secret"]"#,
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
