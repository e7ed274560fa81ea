//! Reads a transcript while its bytes stream past: counts its contents, and keeps the words in compact form.
//!
//! The verbatim copy never depends on the reader. If the file cannot be parsed, the manifest says so.

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

/// The maximum size of a single value, such as a word with its times.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// When the recording was made, as far as that is known before its transcript is read.
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

/// What was found in a transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub counts: Counts,
    /// The number of entries, words, participants and times with a part that could not be used.
    pub skipped_values: u64,
    pub language_codes: BTreeSet<String>,
    /// Whether the recording is silent: the file was read, and has no words.
    pub empty: bool,
    /// Why the file could not be read to its end, or why nothing in it could be read. The counts cover everything
    /// before the error.
    pub error: Option<String>,
}

impl Summary {
    /// Returns the summary of a file that was not read, and the reason why there are no renditions.
    pub fn unread(why: String) -> (Self, Result<Meeting, String>) {
        let (counts, language_codes) = (Counts::default(), BTreeSet::new());
        let summary = Self { counts, skipped_values: 0, language_codes, empty: false, error: Some(why.clone()) };
        (summary, Err(why))
    }
}

/// Reads a transcript piece by piece.
#[derive(Debug)]
pub struct TranscriptReader {
    /// The bytes of a value that is not complete yet.
    pending: Vec<u8>,
    /// Parsing waits until `pending` has this many bytes. An incomplete value is parsed from its beginning each time,
    /// so waiting for twice as many bytes keeps the total time linear.
    parse_at_bytes: usize,
    /// Replaces Python's non-finite numbers. It is set when the file turns out not to be JSON.
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

    /// Returns whether the bytes so far are a complete file.
    pub fn is_complete(&mut self) -> bool {
        if self.error.is_none() {
            self.parse();
        }
        if self.error.is_none() && !(self.json.is_complete() && self.pending.is_empty()) {
            self.error = Some("not valid JSON: the file is incomplete".to_owned());
        }
        self.error.is_none()
    }

    /// Ends the file. Returns a meeting if all of the file could be read and the meeting is not too large. Otherwise
    /// the error says why there is no meeting.
    pub fn finish(mut self, info: MeetingInfo) -> (Summary, Result<Meeting, String>) {
        self.is_complete();
        let JsonReader { entries, skipped, lost_words, meeting, .. } = self.json;
        let language_codes = meeting.languages().iter().map(|code| code.to_string()).collect();
        let (counts, meeting) = meeting.finish(info);
        let silent = counts.words == 0;
        // Recall may have changed its format, so this is an error and not a silent recording.
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
                    // A character at the end may be incomplete.
                    (text.unwrap_or_default(), error.error_len().is_none())
                }
            };
            // serde_json takes an incomplete number for a wrong one.
            let text = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
            let (bytes, outcome) = self.json.read(text);
            self.pending.drain(..bytes);
            if let Some(scanner) = &mut self.non_finite {
                scanner.drained(bytes);
            }
            match outcome {
                Ok(()) if valid => break,
                Ok(()) => self.error = Some("not valid JSON: the file is not UTF-8".to_owned()),
                // The remaining text begins with a value, so it begins outside of any string.
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
