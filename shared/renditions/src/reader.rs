//! Reads a transcript while its bytes go by: counts what is in it, and keeps what was said in compact form.
//!
//! The verbatim copy never depends on this: what cannot be parsed becomes a note in the manifest.

mod clock;
mod expected;
mod json;
mod non_finite;
mod values;

use std::collections::BTreeSet;

use job::time::Timestamp;

use self::{
    json::{JsonError, JsonReader},
    non_finite::NonFiniteScanner,
};
use crate::{Counts, Meeting, MeetingInfo};

/// The longest single value, such as a word with its times.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// What is known of the recording before its transcript is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordingTimes {
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
}

impl RecordingTimes {
    fn duration_ms(self) -> Option<u32> {
        let length = self.completed_at?.since(self.started_at?);
        u32::try_from(length.as_millis()).ok().filter(|length_ms| *length_ms > 0)
    }
}

/// The result of reading a transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub counts: Counts,
    /// Entries, words, participants and times of which something could not be used.
    pub skipped_values: u64,
    pub language_codes: BTreeSet<String>,
    /// Nobody said a word.
    pub empty: bool,
    /// Why the file could not be read to its end, or why nothing in it could be read. What was counted until then
    /// stands.
    pub error: Option<String>,
}

impl Summary {
    /// Of a file that was not looked into, and why there are no renditions.
    pub fn unread(why: String) -> (Self, Result<Meeting, String>) {
        let (counts, language_codes) = (Counts::default(), BTreeSet::new());
        let summary = Self { counts, skipped_values: 0, language_codes, empty: false, error: Some(why.clone()) };
        (summary, Err(why))
    }
}

/// Reads a transcript piece by piece.
#[derive(Debug)]
pub struct TranscriptReader {
    /// Bytes of a value that is not complete yet.
    pending: Vec<u8>,
    /// An incomplete value is begun again; waiting until there is twice as much of it keeps that linear.
    parse_at_bytes: usize,
    /// Python's numbers that are none are looked for as soon as there is something that is not JSON.
    non_finite: Option<NonFiniteScanner>,
    json: JsonReader,
    error: Option<String>,
}

impl TranscriptReader {
    pub fn new(recording: RecordingTimes) -> Self {
        Self { pending: Vec::new(), parse_at_bytes: 0, non_finite: None, json: JsonReader::new(recording), error: None }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.pending.extend_from_slice(bytes);
            if self.pending.len() >= self.parse_at_bytes {
                self.parse();
                self.parse_at_bytes = 2 * self.pending.len();
            }
        }
    }

    /// Whether what was taken so far is a complete file.
    pub fn is_complete(&mut self) -> bool {
        if self.error.is_none() {
            self.parse();
        }
        if self.error.is_none() && !(self.json.is_complete() && self.pending.is_empty()) {
            self.error = Some("not valid JSON: it breaks off".to_owned());
        }
        self.error.is_none()
    }

    /// The file has ended. There is a meeting only if all of it could be read and it is not too large, or else the
    /// reason why there is none.
    pub fn finish(mut self, info: MeetingInfo) -> (Summary, Result<Meeting, String>) {
        self.is_complete();
        let JsonReader { entries, skipped, lost_words, meeting, .. } = self.json;
        let language_codes = meeting.languages().iter().map(|code| code.to_string()).collect();
        let (counts, meeting) = meeting.finish(info);
        let silent = counts.words == 0;
        // Recall may have changed its format: that is no silence.
        let unreadable = || (silent && lost_words).then(|| format!("no words were found in {entries} entries"));
        let error = self.error.or_else(unreadable);
        let meeting = error.clone().map_or(meeting, Err);
        let empty = silent && error.is_none();
        (Summary { counts, skipped_values: skipped, language_codes, empty, error }, meeting)
    }

    fn parse(&mut self) {
        while self.error.is_none() {
            let ready = self.non_finite.as_mut().map_or(self.pending.len(), |scanner| {
                scanner.overwrite(&mut self.pending);
                scanner.scanned
            });
            let ready = self.pending.get(..ready).unwrap_or_default();
            let (text, valid) = match str::from_utf8(ready) {
                Ok(text) => (text, true),
                Err(error) => {
                    let text = ready.get(..error.valid_up_to()).and_then(|text| str::from_utf8(text).ok());
                    // A character at the end may only be incomplete.
                    (text.unwrap_or_default(), error.error_len().is_none())
                }
            };
            // serde_json takes a number that breaks off for a wrong one.
            let text = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
            let (bytes, outcome) = self.json.read(text);
            self.pending.drain(..bytes);
            if let Some(scanner) = &mut self.non_finite {
                scanner.drained(bytes);
            }
            match outcome {
                Ok(()) if valid => break,
                Ok(()) => self.error = Some("not valid JSON: it is not UTF-8".to_owned()),
                // What is left begins with a value, so outside of any text.
                Err(JsonError::Unexpected) if self.non_finite.is_none() => {
                    self.non_finite = Some(NonFiniteScanner::default())
                }
                Err(JsonError::Unexpected) => self.error = Some(self.json.unexpected()),
                Err(JsonError::TooLong) => self.error = Some(too_long()),
            }
        }
        if self.error.is_none() && self.pending.len() > MAX_VALUE_BYTES {
            self.error = Some(too_long());
        }
        if self.error.is_some() {
            self.pending = Vec::new();
        }
    }
}

fn too_long() -> String {
    format!("a single value is longer than {MAX_VALUE_BYTES} bytes")
}

#[cfg(test)]
mod tests;
