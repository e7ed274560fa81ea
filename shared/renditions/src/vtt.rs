//! Writes WebVTT with a voice for every cue. The file of an empty meeting has only the header.
//!
//! Words that are spoken at the same time are shown at the same time: cues may overlap, but they start in order. Cues
//! that follow each other too closely also overlap, by just as much as the first one needs to be readable.

use std::fmt::{self, Write};

use super::{
    Hms, Meeting, Renderer, Turn,
    cues::{Cue, CueQueue, GAP_MS, MIN_CUE_MS},
};

#[derive(Debug, Default)]
pub(super) struct Vtt {
    cues: CueQueue,
    /// The last cue. Its end depends on the next cue.
    pending: Option<Cue>,
}

impl Renderer for Vtt {
    fn begin(&mut self, _meeting: &Meeting, out: &mut String) {
        out.push_str("WEBVTT\n");
    }

    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        let pending = &mut self.pending;
        self.cues.turn(turn, |_| "", |cue| write_pending(pending, Some(cue), meeting, out));
    }

    fn end(&mut self, meeting: &Meeting, out: &mut String) {
        let pending = &mut self.pending;
        self.cues.end(|_| "", |cue| write_pending(pending, Some(cue), meeting, out));
        write_pending(pending, None, meeting, out);
    }
}

/// Writes the pending cue, whose end is known now, and keeps the next one.
fn write_pending(pending: &mut Option<Cue>, next: Option<Cue>, meeting: &Meeting, out: &mut String) {
    if let Some(mut cue) = pending.take() {
        cue.end_ms = match &next {
            Some(next) if next.start_ms >= cue.end_ms => {
                let room_ms = next.start_ms.saturating_sub(GAP_MS);
                cue.preferred_end_ms().min(room_ms).max(cue.start_ms.saturating_add(MIN_CUE_MS))
            }
            _ => cue.preferred_end_ms(),
        };
        write(&cue, meeting, out);
    }
    *pending = next;
}

fn write(cue: &Cue, meeting: &Meeting, out: &mut String) {
    let _ = write!(out, "\n{} --> {}\n<v ", VttTime(cue.start_ms), VttTime(cue.end_ms));
    escape(meeting.speakers().get(cue.speaker).map_or("", |speaker| &speaker.label), out);
    out.push('>');
    escape(&cue.text, out);
    out.push('\n');
}

/// Escapes `>` as well, so that no arrow in the text is taken for the arrow between two times.
fn escape(text: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// A time as `01:02:03.004`.
struct VttTime(u32);

impl fmt::Display for VttTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", Hms(self.0), self.0 % 1000)
    }
}
