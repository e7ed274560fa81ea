//! SubRip, for players that know nothing better. Lines end in a line feed; an empty meeting is an empty file.
//!
//! The format has no voices: where the speaker changes, the words begin with the name. It has no escapes: `<` and `>`
//! become `‹` and `›`, which look alike but are neither tags nor arrows, and the backslash of `{\` becomes `∖`.
//!
//! It has no overlaps either. Where cues of one line follow each other more closely than they can be read, two of them
//! become one: a line each, with a dash before each if two people speak. What does not fit comes later, and the later
//! it gets, the less time a cue is given, but never less than the shortest that can be read. So every cue can be read,
//! however many people talk at once: four who talk all the time are 4 s late. With more, it gets later until they talk
//! less, and then catches up.

use std::fmt::{self, Write};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Meeting, Renderer, Turn,
    cues::{Cue, Cues, GAP_MS, MAX_CUE_MS, MIN_CUE_MS},
    pieces::{LINE_COLUMNS, columns},
};

/// Words that are this late still seem to be on time.
const LATE_MS: u32 = 1000;
/// What stands before each line of a cue in which two people speak.
const DASH: &str = "- ";
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
    held: Option<Held>,
}

/// The last cue, whose end depends on the next one.
#[derive(Debug)]
struct Held {
    cue: Cue,
    /// When its words were said.
    said_ms: u32,
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
        if let Some(Held { mut cue, .. }) = shown.held.take() {
            cue.end_ms = cue.wanted_ms();
            shown.write(&cue, out);
        }
    }
}

impl Shown {
    fn show(&mut self, mut next: Cue, out: &mut String) {
        let said_ms = next.start_ms;
        if let Some(mut held) = self.held.take() {
            if held.takes(&next) {
                self.held = Some(held);
                return;
            }
            let Held { mut cue, said_ms: cue_said_ms } = held;
            let late_ms = cue.start_ms.saturating_sub(cue_said_ms).saturating_sub(LATE_MS);
            let overlaps = next.start_ms < cue.end_ms;
            let least_ms = if overlaps { cue.reading_ms().saturating_sub(late_ms) } else { 0 };
            let least_ms = cue.start_ms.saturating_add(least_ms.max(MIN_CUE_MS));
            cue.end_ms = cue.wanted_ms().min(next.start_ms.saturating_sub(GAP_MS)).max(least_ms);
            next.start_ms = next.start_ms.max(cue.end_ms.saturating_add(GAP_MS));
            next.end_ms = next.end_ms.max(next.start_ms);
            self.write(&cue, out);
        }
        self.held = Some(Held { cue: next, said_ms });
    }

    fn write(&mut self, cue: &Cue, out: &mut String) {
        let before = if self.number > 0 { "\n" } else { "" };
        self.number += 1;
        let _ = writeln!(out, "{before}{}\n{} --> {}", self.number, At(cue.start_ms), At(cue.end_ms));
        neutral(&cue.text, out);
        out.push('\n');
    }
}

impl Held {
    /// Takes the next cue in as a second line, if there is no time for two cues and it fits.
    fn takes(&mut self, next: &Cue) -> bool {
        let Self { cue, .. } = self;
        let close = next.start_ms < cue.start_ms.saturating_add(MIN_CUE_MS + GAP_MS);
        let dash = if cue.speaker == next.speaker { "" } else { DASH };
        let fits = |cue: &Cue| dash.len() + cue.columns <= LINE_COLUMNS && !cue.text.contains('\n');
        if !close || !fits(cue) || !fits(next) {
            return false;
        }
        cue.text = format!("{dash}{}\n{dash}{}", cue.text, next.text);
        cue.columns += next.columns;
        cue.speaker = next.speaker;
        cue.end_ms = cue.end_ms.max(next.end_ms).min(cue.start_ms.saturating_add(MAX_CUE_MS));
        true
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
