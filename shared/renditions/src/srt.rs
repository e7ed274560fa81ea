//! Writes SubRip, for players that support no other format. Lines end with a line feed. An empty meeting has no such
//! file.
//!
//! The format has no voices: when the speaker changes, the words begin with the name. The format has no escapes either,
//! and every player interprets other commands: tags, `{\an8}`, `{y:i}`, `\N`, HTML entities, two times in one line. So
//! the characters that such commands need are replaced by similar-looking ones (see [`look_alike`]).
//!
//! The format has no overlaps. If one-line cues follow each other faster than they can be read, two of them become one
//! cue: one line each, with a dash before each line if two people speak. Cues that do not fit are shown later. The
//! later they are, the less time each cue gets, but never less than the shortest time in which it can be read. So every
//! cue can be read, however many people talk at the same time. Four people who talk all the time are 4 s late. With
//! more people the delay grows until they talk less, and then shrinks again.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt::{self, Write},
};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Hms, Meeting, Renderer, Turn,
    cues::{Cue, CueQueue, GAP_MS, MAX_CUE_MS, MIN_CUE_MS},
    line_breaks::{LINE_COLUMNS, columns},
    md::is_entity,
    meeting::Word,
};

/// Words with this delay still seem to be on time.
const TOLERATED_DELAY_MS: u32 = 1000;
/// The text before each line of a cue in which two people speak.
const DASH: &str = "- ";
/// Longer names are cut off.
const MAX_NAME_COLUMNS: usize = 24;

#[derive(Debug, Default)]
pub(super) struct Srt {
    cues: CueQueue,
    /// The text before the words of each speaker.
    prefixes: Vec<String>,
    writer: CueWriter,
}

#[derive(Debug, Default)]
struct CueWriter {
    number: u64,
    pending: Option<PendingCue>,
}

/// The last cue. Its end depends on the next cue.
#[derive(Debug)]
struct PendingCue {
    cue: Cue,
    /// The time at which the words of the cue were spoken.
    spoken_ms: u32,
}

impl Renderer for Srt {
    fn begin(&mut self, meeting: &Meeting, _out: &mut String) {
        self.prefixes = name_prefixes(meeting.speakers().iter().map(|speaker| neutralize(&speaker.label).into_owned()));
    }

    fn turn(&mut self, _meeting: &Meeting, turn: &Turn, out: &mut String) {
        let Self { cues, prefixes, writer } = self;
        // The turn is neutralized before it is cut into cues, because look-alikes can be wider.
        cues.turn(
            &neutralize_turn(turn),
            |speaker| prefixes.get(speaker).map_or("", |prefix| prefix),
            |cue| writer.add(cue, out),
        );
    }

    fn end(&mut self, _meeting: &Meeting, out: &mut String) {
        let Self { cues, prefixes, writer } = self;
        cues.end(|speaker| prefixes.get(speaker).map_or("", |prefix| prefix), |cue| writer.add(cue, out));
        if let Some(PendingCue { mut cue, .. }) = writer.pending.take() {
            cue.end_ms = cue.preferred_end_ms();
            join_trailing_number(&mut cue.text);
            writer.write(&cue, out);
        }
    }
}

impl CueWriter {
    fn add(&mut self, mut next: Cue, out: &mut String) {
        let spoken_ms = next.start_ms;
        if let Some(mut pending) = self.pending.take() {
            if pending.merge(&next) {
                self.pending = Some(pending);
                return;
            }
            let PendingCue { mut cue, spoken_ms: cue_spoken_ms } = pending;
            let late_ms = cue.start_ms.saturating_sub(cue_spoken_ms).saturating_sub(TOLERATED_DELAY_MS);
            let overlaps = next.start_ms < cue.end_ms;
            let least_ms = if overlaps { cue.reading_ms().saturating_sub(late_ms) } else { 0 };
            let least_ms = cue.start_ms.saturating_add(least_ms.max(MIN_CUE_MS));
            cue.end_ms = cue.preferred_end_ms().min(next.start_ms.saturating_sub(GAP_MS)).max(least_ms);
            next.start_ms = next.start_ms.max(cue.end_ms.saturating_add(GAP_MS));
            next.end_ms = next.end_ms.max(next.start_ms);
            self.write(&cue, out);
        }
        self.pending = Some(PendingCue { cue: next, spoken_ms });
    }

    fn write(&mut self, cue: &Cue, out: &mut String) {
        let before = if self.number > 0 { "\n" } else { "" };
        self.number += 1;
        let _ = writeln!(out, "{before}{}\n{} --> {}", self.number, SrtTime(cue.start_ms), SrtTime(cue.end_ms));
        for line in cue.text.split('\n') {
            write_line(line, out);
        }
    }
}

impl PendingCue {
    /// Adds the next cue as a second line if there is no time for two cues and both fit. Returns whether it did.
    fn merge(&mut self, next: &Cue) -> bool {
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

/// Returns the text before the words of each speaker. Long names are shortened but stay unique.
fn name_prefixes(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut prefixes = Vec::new();
    for label in labels {
        let mut name = shortened(&label, MAX_NAME_COLUMNS);
        for number in 2.. {
            if taken.insert(name.clone()) {
                break;
            }
            let number = format!(" ({number})");
            name = shortened(&label, MAX_NAME_COLUMNS - number.len()) + &number;
        }
        prefixes.push(name + ":");
    }
    prefixes
}

fn shortened(name: &str, most: usize) -> String {
    let mut short = String::new();
    let mut used = 0;
    for grapheme in name.graphemes(true) {
        used += columns(grapheme);
        if used > most {
            short.push('…');
            break;
        }
        short.push_str(grapheme);
    }
    short
}

/// Moves a number from the last line to a line with a word, if there is room. Some readers take a last line that is
/// only a number for the number of a missing cue.
fn join_trailing_number(text: &mut String) {
    let Some((line, number)) = text.split_once('\n').filter(|(_, last)| last.chars().all(char::is_numeric)) else {
        return;
    };
    let fits = |before: &str| columns(before) + 1 + columns(number) <= LINE_COLUMNS;
    if fits(line) {
        *text = format!("{line} {number}");
    } else if let Some((rest, word)) = line.rsplit_once(' ').filter(|(_, word)| fits(word)) {
        *text = format!("{rest}\n{word} {number}");
    }
}

/// Returns the look-alike for this byte of the text if a player could take the byte for a part of a command. Each
/// look-alike has [`LOOK_ALIKE_BYTES`] bytes.
fn look_alike(text: &str, at: usize, byte: u8) -> Option<char> {
    match byte {
        b'<' => Some('‹'),
        b'>' => Some('›'),
        b'{' => Some('❴'),
        b'}' => Some('❵'),
        b'\\' => Some('∖'),
        b'&' if text.get(at..).is_some_and(is_entity) => Some('＆'),
        _ => None,
    }
}

const LOOK_ALIKE_BYTES: usize = 3;

/// Writes a line of a cue. For some readers, two times such as `00:00:01,000` in one line begin a cue, with or without
/// an arrow between them. So such times are written with another colon.
fn write_line(line: &str, out: &mut String) {
    let is_in_time = |at: usize| is_in_time(line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
    let colons = || line.bytes().enumerate().filter(|(_, byte)| *byte == b':').map(|(at, _)| at);
    let mut from = 0;
    if colons().count() >= 4 && colons().filter(|at| is_in_time(*at)).count() >= 2 {
        for at in colons().filter(|at| is_in_time(*at)) {
            out.push_str(line.get(from..at).unwrap_or_default());
            out.push('∶');
            from = at + 1;
        }
    }
    out.push_str(line.get(from..).unwrap_or_default());
    out.push('\n');
}

/// Returns whether the colon between the two texts is the second colon of a time.
fn is_in_time(before: &str, after: &str) -> bool {
    let (hours, seconds) = (before.trim_end_matches(char::is_numeric), after.trim_start_matches(char::is_numeric));
    let is_number = |rest: &str, whole: &str| rest.len() < whole.len();
    let has_hours = hours.strip_suffix(':').is_some_and(|hours| hours.ends_with(char::is_numeric));
    let has_fraction = seconds.strip_prefix(['.', ',']).is_some_and(|rest| rest.starts_with(char::is_numeric));
    is_number(hours, before) && is_number(seconds, after) && has_hours && has_fraction
}

/// Returns the positions that need a look-alike, and the look-alikes.
fn look_alikes(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.bytes().enumerate().filter_map(|(at, byte)| Some((at, look_alike(text, at, byte)?)))
}

/// Returns the text without anything that a player could take for a command.
fn neutralize(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'{' | b'}' | b'\\' | b'&')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut from = 0;
    for (at, shown) in look_alikes(text) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push(shown);
        from = at + 1;
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

fn neutralize_turn(turn: &Turn) -> Cow<'_, Turn> {
    let Cow::Owned(text) = neutralize(&turn.text) else { return Cow::Borrowed(turn) };
    let replaced: Vec<usize> = look_alikes(&turn.text).map(|(at, _)| at).collect();
    let moved = |at: usize| at + (LOOK_ALIKE_BYTES - 1) * replaced.partition_point(|before| *before < at);
    let word = |word: &Word| Word { range: moved(word.range.start)..moved(word.range.end), span: word.span };
    let words = turn.words.iter().map(word).collect();
    Cow::Owned(Turn { text, words, language_code: turn.language_code.clone(), ..*turn })
}

/// A time as `01:02:03,004`.
struct SrtTime(u32);

impl fmt::Display for SrtTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{:03}", Hms(self.0), self.0 % 1000)
    }
}

#[cfg(test)]
mod tests;
