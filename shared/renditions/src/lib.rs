//! Makes readable files from a transcript. This crate does no I/O and reads no clock.
//!
//! The [`TranscriptReader`] feeds a `MeetingBuilder`, which makes a [`Meeting`]. One or more [`Renderer`]s then write
//! the turns of the meeting. The rules:
//!
//! **Memory.** The file is never held in memory. A meeting is kept as text and time differences, at about ten bytes per
//! word, up to `compact::MAX_MEETING_BYTES`. Beyond that there are no renditions, only the verbatim file and its
//! counts.
//!
//! **Turns.** An entry of the file is one turn, unless it contains a pause of three seconds, which splits it. A long
//! turn ends with its sentence, a very long one with any word. Turns are sorted by start; turns that start together
//! keep the order of the file. So overlapping speech stays, and a file with one entry per participant becomes a
//! conversation. An entry without words makes no turn.
//!
//! **Order.** Within an entry, words keep the order of the file. Times that cannot be right are treated as unknown (see
//! `repair`).
//!
//! **Times.** Relative seconds are valid from 0 to one minute after the end of the recording, or to 31 days if its
//! length is not known. Anything else is unknown.
//! - Unknown times are spread evenly between the known times of their entry, at most 1 s per word. Before the first and
//!   after the last known time, a word takes 0.4 s.
//! - A word ends when the next word of its entry starts, and starts no earlier than the word before it.
//! - An entry without any known time follows the entry before it in the file, at 0.4 s per word. It is marked as
//!   untimed. Its times are shown only in cues, which need times.
//!
//! **People.** One person is one speaker (see `people`). Recall's participants file and participant events, or an
//! earlier manifest, say who else was there: see [`Attendance`]. The list of people has the speakers in order of
//! appearance, then everyone who never spoke.
//!
//! **Words.** Words are joined by the rules of their script (see `words`). White space within a word becomes one
//! space, and control characters are dropped. A word without any visible character is not a word; its joiners and
//! similar characters are added to the word before it. Every word appears in every rendition exactly once.

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

mod attendance;
mod builder;
mod compact;
mod cues;
mod format;
mod html;
mod jsonl;
mod knowledge;
mod line_breaks;
mod md;
mod meeting;
mod meeting_line;
mod people;
mod phrases;
mod presence;
mod punctuation;
mod reader;
mod record;
mod repair;
mod srt;
#[cfg(test)]
mod tests;
mod times;
mod txt;
mod visible;
mod vtt;
mod words;

#[cfg(any(test, fuzzing))]
pub(crate) use self::visible::has_visible;
pub use self::{
    attendance::Attendance,
    format::{Format, FormatSpec, Renderer, Rendition},
    knowledge::{knowledge_renderer, knowledge_sidecar},
    meeting::{Counts, Meeting, MeetingInfo, Title, Turn},
    meeting_line::{meeting_line, short_meeting_line},
    reader::{
        EventsReader, Outcome, Participants, ParticipantsReader, Presences, RecordingTimes, Summary, TranscriptReader,
    },
    record::{EmailSource, MeetingRecord, ParticipantRecord, SourceState, Sources, TitleSource},
};
pub(crate) use self::{
    builder::MeetingBuilder,
    people::{Participant, Speaker},
    repair::CLOCK_TOLERANCE_MS,
    times::{Hms, millis_of_seconds, parse_whole_millis},
};
