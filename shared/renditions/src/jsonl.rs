//! Writes one turn per line, for programs.

use std::time::Duration;

use job::ids::{RecordingId, TranscriptId};
use serde::Serialize;

use super::{Meeting, Renderer, Turn, meeting::seconds};

#[derive(Debug)]
pub(super) struct Jsonl;

/// The fields and their order are part of the contract.
#[derive(Serialize)]
struct Line<'a> {
    recording_id: RecordingId,
    transcript_id: TranscriptId,
    turn: u64,
    /// The index of the person, the same for all turns of one person. It is null for people beyond the limit.
    person: Option<usize>,
    speaker_id: Option<i64>,
    speaker: &'a str,
    speaker_email: Option<&'a str>,
    is_host: bool,
    language_code: Option<&'a str>,
    start_s: Option<f64>,
    end_s: Option<f64>,
    started_at: Option<String>,
    text: &'a str,
    words: usize,
}

impl Renderer for Jsonl {
    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        let info = meeting.info();
        let speaker = meeting.speakers().get(turn.speaker);
        let start = Duration::from_millis(turn.span.start_ms.into());
        let line = Line {
            recording_id: info.recording_id,
            transcript_id: info.transcript_id,
            turn: turn.index,
            person: speaker.filter(|speaker| !speaker.is_overflow).map(|_| turn.speaker),
            speaker_id: turn.speaker_id,
            speaker: meeting.label(turn),
            speaker_email: speaker.and_then(|speaker| speaker.email.as_ref()).map(|(email, _)| &**email),
            is_host: speaker.is_some_and(|speaker| speaker.is_host),
            language_code: turn.language_code.as_deref(),
            start_s: turn.timed.then(|| seconds(turn.span.start_ms)),
            end_s: turn.timed.then(|| seconds(turn.span.end_ms)),
            started_at: info.started_at.filter(|_| turn.timed).map(|started_at| started_at.plus(start).rfc3339()),
            text: &turn.text,
            words: turn.words.len(),
        };
        out.push_str(&serde_json::to_string(&line).unwrap_or_else(|_| unreachable!("text keys and plain values")));
        out.push('\n');
    }
}
