//! SubRip, for players that know nothing better. Lines end in a line feed; an empty meeting is an empty file.
//!
//! The format has no voices: where the speaker changes, the words begin with the name. It has no escapes: `<` and `>`
//! become `‹` and `›`, which look alike but are neither tags nor arrows, and the backslash of `{\` becomes `∖`.
//! It has no overlaps: when people talk at once, a cue is cut short to make room for the next, but not to less than
//! it takes to read; then the next one comes later, and is the shorter for it. The later it gets, the less time a cue
//! is given, until that is made up for.

use std::fmt::{self, Write};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Meeting, Renderer, Turn,
    cues::{Cue, Cues, GAP_MS, MIN_CUE_MS, SHORTEST_CUE_MS},
    pieces::columns,
};

/// A fast reader's columns in a second.
const COLUMNS_PER_S: usize = 25;
/// Once the words are shown this late, cues take no more than the shortest time that can be read.
const LATE_MS: u32 = 1500;
/// Once they are shown this late, cues only flash.
const VERY_LATE_MS: u32 = 5000;
/// More of a name is not shown.
const NAME_COLUMNS: usize = 24;

#[derive(Debug, Default)]
pub(super) struct Srt {
    cues: Cues,
    /// What each speaker's words begin with.
    prefixes: Vec<String>,
    shown: Shown,
}

#[derive(Debug, Default)]
struct Shown {
    number: u64,
    /// The last cue, whose end depends on the next one; and when its words were said.
    held: Option<(Cue, u32)>,
}

impl Renderer for Srt {
    fn begin(&mut self, meeting: &Meeting, _out: &mut String) {
        self.prefixes = meeting.speakers().iter().map(|speaker| prefix(&speaker.label)).collect();
    }

    fn turn(&mut self, _meeting: &Meeting, turn: &Turn, out: &mut String) {
        let Self { cues, prefixes, shown } = self;
        cues.turn(turn, |speaker| prefixes.get(speaker).map_or("", |prefix| prefix), |cue| shown.show(cue, out));
    }

    fn end(&mut self, _meeting: &Meeting, out: &mut String) {
        let Self { cues, prefixes, shown } = self;
        cues.end(|speaker| prefixes.get(speaker).map_or("", |prefix| prefix), |cue| shown.show(cue, out));
        if let Some((mut cue, _)) = shown.held.take() {
            cue.end_ms = cue.end_ms.max(cue.start_ms.saturating_add(MIN_CUE_MS));
            shown.write(&cue, out);
        }
    }
}

impl Shown {
    fn show(&mut self, mut next: Cue, out: &mut String) {
        let said_ms = next.start_ms;
        if let Some((mut cue, cue_said_ms)) = self.held.take() {
            let Cue { start_ms, end_ms, .. } = cue;
            let wanted_ms = end_ms.max(start_ms.saturating_add(MIN_CUE_MS));
            let reading_ms = u32::try_from(cue.columns * 1000 / COLUMNS_PER_S).unwrap_or(u32::MAX).max(MIN_CUE_MS);
            let least_ms = match start_ms.saturating_sub(cue_said_ms) {
                // They do not overlap.
                _ if next.start_ms >= end_ms => SHORTEST_CUE_MS,
                ..LATE_MS => reading_ms,
                LATE_MS..VERY_LATE_MS => MIN_CUE_MS,
                VERY_LATE_MS.. => SHORTEST_CUE_MS,
            };
            let least_ms = wanted_ms.min(start_ms.saturating_add(least_ms));
            cue.end_ms = wanted_ms.min(next.start_ms.saturating_sub(GAP_MS)).max(least_ms);
            next.start_ms = next.start_ms.max(cue.end_ms.saturating_add(GAP_MS));
            next.end_ms = next.end_ms.max(next.start_ms);
            self.write(&cue, out);
        }
        self.held = Some((next, said_ms));
    }

    fn write(&mut self, cue: &Cue, out: &mut String) {
        let before = if self.number > 0 { "\n" } else { "" };
        self.number += 1;
        let _ = writeln!(out, "{before}{}\n{} --> {}", self.number, At(cue.start_ms), At(cue.end_ms));
        neutral(&cue.text, out);
        out.push('\n');
    }
}

fn prefix(label: &str) -> String {
    let mut prefix = String::new();
    let mut used = 0;
    for grapheme in label.graphemes(true) {
        used += columns(grapheme);
        if used > NAME_COLUMNS {
            prefix.push('…');
            break;
        }
        prefix.push_str(grapheme);
    }
    prefix.push(':');
    prefix
}

fn neutral(text: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let neutral = match byte {
            b'<' => '‹',
            b'>' => '›',
            b'\\' if text.get(..at).is_some_and(|before| before.ends_with('{')) => '∖',
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push(neutral);
        from = at + 1;
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// `01:02:03,004`
struct At(u32);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{:03}", super::Clock(self.0), self.0 % 1000)
    }
}
