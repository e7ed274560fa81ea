//! Reads a transcript while its bytes stream past: counts its contents, and keeps the words in compact form.
//!
//! The verbatim copy never depends on the reader. If the file cannot be parsed, the manifest says so.

mod clock;
mod events;
mod expected;
mod json;
mod list;
mod non_finite;
mod participants;
mod pieces;
mod values;

use std::collections::BTreeSet;

use job::time::Timestamp;

pub use self::{
    events::{EventsReader, Presences},
    participants::{Participants, ParticipantsReader},
};
use self::{json::JsonReader, pieces::Pieces};
use crate::{Attendance, Counts, Meeting, MeetingBuilder, MeetingInfo, MeetingRecord};

/// When the recording was made, as far as that is known before its transcript is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// A transcript that was read, or the reason why it was not.
#[derive(Debug)]
pub struct Outcome {
    pub summary: Summary,
    /// What was passed in, with every text of others made one line of limited length.
    pub info: MeetingInfo,
    pub record: MeetingRecord,
    /// The meeting if all of the file could be read and the meeting is not too large. Otherwise the error says why
    /// there is no meeting.
    pub meeting: Result<Meeting, String>,
}

impl Summary {
    /// Returns the outcome of a file that was not read, and the reason why there are no renditions. What is known about
    /// the people is from elsewhere.
    pub fn unread(why: String, info: MeetingInfo, attendance: Attendance) -> Outcome {
        let info = info.cleaned();
        let (_, record, _) = MeetingBuilder::default().finish(info.clone(), attendance);
        let (counts, language_codes) = (Counts::default(), BTreeSet::new());
        let summary = Self { counts, skipped_values: 0, language_codes, empty: false, error: Some(why.clone()) };
        Outcome { summary, info, record: record.without_talk(), meeting: Err(why) }
    }
}

/// Reads a transcript piece by piece.
#[derive(Debug)]
pub struct TranscriptReader(Pieces<JsonReader>);

impl TranscriptReader {
    pub fn new(recording: RecordingTimes) -> Self {
        Self(Pieces::new(JsonReader::new(recording)))
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Returns whether the bytes so far are a complete file.
    pub fn is_complete(&mut self) -> bool {
        self.0.is_complete()
    }

    /// Ends the file. `attendance` is what is known about the people from elsewhere.
    pub fn finish(mut self, info: MeetingInfo, attendance: Attendance) -> Outcome {
        self.is_complete();
        let Pieces { grammar, error, .. } = self.0;
        let JsonReader { entries, skipped, lost_words, meeting, .. } = grammar;
        let language_codes = meeting.languages().iter().map(|code| code.to_string()).collect();
        let info = info.cleaned();
        let (counts, record, meeting) = meeting.finish(info.clone(), attendance);
        let silent = counts.words == 0;
        // Recall may have changed its format, so this is an error and not a silent recording.
        let unreadable = || (silent && lost_words).then(|| format!("no words were found in {entries} entries"));
        let error = error.or_else(unreadable);
        let meeting = error.clone().map_or(meeting, Err);
        let record = if meeting.is_ok() { record } else { record.without_talk() };
        let empty = silent && error.is_none();
        let summary = Summary { counts, skipped_values: skipped, language_codes, empty, error };
        Outcome { summary, info, record, meeting }
    }
}

#[cfg(test)]
mod tests;
