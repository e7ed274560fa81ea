//! Readable files made from a transcript. Nothing in here does I/O or knows the time.
//!
//! The parser (`reader`) feeds a [`MeetingBuilder`]; what comes out is a [`Meeting`], whose turns go through one or more
//! [`Renderer`]s. The rules:
//!
//! **Memory.** The file is never held. A meeting is kept as text and time differences, about ten bytes a word, up to
//! [`MAX_MEETING_BYTES`]; beyond that there are no renditions, only the verbatim file and its counts.
//!
//! **Turns.** An entry of the file is one turn, unless it has a pause of three seconds: then it is several. A turn that
//! grows long ends with its sentence, a very long one with any word. Turns are in the order in which they start, those
//! that start together in the order of the file, so overlapping speech stays, and a file with one entry per participant
//! becomes a conversation. An entry without words is no turn.
//!
//! **Order.** Within an entry, words keep the order of the file. Times that cannot be right are unknown (see [`repair`]).
//!
//! **Times.** Relative seconds from 0 to a minute after the end of the recording are times, or to 31 days where its
//! length is not known; anything else is unknown.
//! - Unknown ones are spread evenly between the known ones of their entry, at most 1 s a word; before the first and
//!   after the last known one a word takes 0.4 s.
//! - A word ends when the next one of its entry starts, and starts no earlier than the one before.
//! - An entry without any known time follows the entry before it in the file at 0.4 s a word. It is marked as not
//!   timed, and its times are shown nowhere but in cues, which need some.
//!
//! **People.** One person is one speaker (see [`people`]).
//!
//! **Words.** They are joined as their script is written (see [`words`]). White space within a word is one space,
//! control characters are dropped. What has nothing to see is no word; joiners and the like belong to the word before.
//! Every word is in every rendition exactly once.

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

mod builder;
mod compact;
mod cues;
mod format;
mod html;
mod jsonl;
mod line_breaks;
mod md;
mod meeting;
mod people;
mod phrases;
mod punctuation;
mod reader;
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
pub(crate) use self::{
    builder::MeetingBuilder,
    meeting::Span,
    people::{Participant, Speaker},
    repair::CLOCK_TOLERANCE_MS,
    times::{Hms, millis_of_seconds, parse_whole_millis},
};
pub use self::{
    format::{Format, FormatSpec, Renderer},
    meeting::{Counts, Meeting, MeetingInfo, Turn},
    reader::{RecordingTimes, Summary, TranscriptReader},
};
