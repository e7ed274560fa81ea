//! Tests what the renditions of some meetings look like, and what must hold for the renditions of every meeting.

mod cues;
mod goldens;
mod html;
mod large;
mod malformed;
mod properties;
mod providers;
mod repair;

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

use super::{Meeting, MeetingInfo};
use crate::{
    fuzzing::{render, subtitles},
    reader::{RecordingTimes, TranscriptReader},
};

fn info() -> MeetingInfo {
    MeetingInfo {
        recording_id: RecordingId::from_u128(1),
        transcript_id: TranscriptId::from_u128(2),
        title: Some("Weekly sync".to_owned()),
        started_at: Timestamp::parse_rfc3339("2026-11-23T09:30:00Z"),
    }
}

/// Reads a file in pieces of this many bytes.
fn meeting(file: &[u8], step: usize) -> Result<Meeting, String> {
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    file.chunks(step).for_each(|chunk| reader.push(chunk));
    reader.finish(info()).1
}
