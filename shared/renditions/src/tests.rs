//! Tests what the renditions of some meetings look like, and what must hold for the renditions of every meeting.

mod cues;
mod goldens;
mod html;
mod large;
mod malformed;
mod properties;
mod providers;
mod repair;

pub(crate) use self::properties::config;
use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

use super::{Attendance, Meeting, MeetingInfo, Title, TitleSource};
use crate::{
    fuzzing::{render, subtitles},
    reader::{RecordingTimes, TranscriptReader},
};

pub(crate) fn info() -> MeetingInfo {
    MeetingInfo {
        title: Some(Title { text: "Weekly sync".to_owned(), source: TitleSource::Metadata }),
        started_at: Timestamp::parse_rfc3339("2026-11-23T09:30:00Z"),
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned())
    }
}

/// Reads a file in pieces of this many bytes.
pub(crate) fn meeting(file: &[u8], step: usize) -> Result<Meeting, String> {
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    file.chunks(step).for_each(|chunk| reader.push(chunk));
    reader.finish(info(), Attendance::default()).meeting
}
