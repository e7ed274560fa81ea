//! Writes one turn per line, for readers and for `grep`. The file of an empty meeting is empty.

use std::fmt::Write;

use super::{Hms, Meeting, Renderer, Turn};

#[derive(Debug)]
pub(super) struct Txt;

impl Renderer for Txt {
    fn turn(&mut self, meeting: &Meeting, turn: &Turn, out: &mut String) {
        let label = meeting.label(turn);
        let _ = if turn.timed {
            writeln!(out, "[{}] {label}: {}", Hms(turn.span.start_ms), turn.text)
        } else {
            writeln!(out, "[--:--:--] {label}: {}", turn.text)
        };
    }
}
