//! Cuts the conversation into cues, by the rules of subtitle editors.
//!
//! - A cue has at most two lines of 42 columns. A full-width character takes two columns, so a Japanese line has 21
//!   characters.
//! - A cue lasts at most 7 s and at least 0.8 s, because a shorter cue cannot be read. If there is time, it stays as
//!   long as a fast reader needs, and ends 40 ms before the next cue.
//! - A cue ends with a sentence, or else with a clause, unless that makes it much shorter. It also ends at every pause.
//!   It never ends within a phrase that fits one cue (see [`phrases`]).
//! - A cue has visible text. A cue of invisible characters is left out.
//! - Cues start in order. If people talk at the same time, their cues alternate, in the order in which the words begin.
//!
//! If these rules conflict, the formats differ: WebVTT cues overlap, and SubRip cues are late.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    line_breaks::{LINE_COLUMNS, Segment, columns, segments},
    meeting::Turn,
    phrases::{self, CueLines, added_columns},
    punctuation::Ending,
    visible::has_visible,
};

/// The maximum duration of a cue, in milliseconds.
pub(super) const MAX_CUE_MS: u32 = 7000;
/// The minimum duration of a cue, in milliseconds. A shorter cue cannot be read.
pub(super) const MIN_CUE_MS: u32 = 800;
/// The reading speed of a fast reader, in columns per second.
const COLUMNS_PER_S: usize = 25;
/// The gap between two cues, in milliseconds. It is about one frame, so that the viewer notices the change.
pub(super) const GAP_MS: u32 = 40;
/// Within a turn, a pause of this many milliseconds ends the cue, so that no words are shown long before they are
/// spoken.
const CUE_PAUSE_MS: u32 = 1000;
/// How many columns of difference in length between the lines a break after a sentence or a clause is worth.
const SENTENCE_BONUS: usize = 20;
const CLAUSE_BONUS: usize = 14;
/// How many columns of difference a break between a word and its ending costs.
const SUFFIX_PENALTY: usize = 20;
/// The minimum width of the text that is left for the next cue, if there is a choice.
const MIN_REST_COLUMNS: usize = 20;
/// The number of turns that may wait at the same time. Beyond it, the next due turn is shown early, and a turn that
/// starts before it is late.
const MAX_PENDING_TURNS: usize = 100;

/// A text that is shown at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) start_ms: u32,
    pub(super) end_ms: u32,
    pub(super) speaker: usize,
    /// One line, or two lines separated by a line feed.
    pub(super) text: String,
    pub(super) columns: usize,
}

impl Cue {
    /// The time that a fast reader needs for the cue.
    pub(super) fn reading_ms(&self) -> u32 {
        u32::try_from(self.columns * 1000 / COLUMNS_PER_S).unwrap_or(MAX_CUE_MS).clamp(MIN_CUE_MS, MAX_CUE_MS)
    }

    /// The preferred end: not before the words end, and not before the cue can be read.
    pub(super) fn preferred_end_ms(&self) -> u32 {
        self.end_ms.max(self.start_ms.saturating_add(self.reading_ms()))
    }
}

/// A turn with text that is still to be shown.
#[derive(Debug)]
struct PendingTurn {
    turn: u64,
    speaker: usize,
    text: String,
    segments: Vec<Segment>,
    next: usize,
}

/// The pending turns, ordered by the start of their next cue.
#[derive(Debug, Default)]
pub(super) struct CueQueue {
    /// The pending turns. The key is the start of the next cue, then the index of the turn.
    pending: BinaryHeap<Reverse<(u32, u64, PendingTurn)>>,
    last_speaker: Option<usize>,
    last_ms: u32,
}

impl CueQueue {
    /// Adds a turn, and emits the cues that begin before it. `prefix_of` returns the text that precedes the words of a
    /// speaker when the speaker changes.
    pub(super) fn turn<'a>(&mut self, turn: &Turn, prefix_of: impl Fn(usize) -> &'a str, emit: impl FnMut(Cue)) {
        self.emit_until(turn.span.start_ms, prefix_of, emit);
        let (text, mut segments) = (turn.text.clone(), segments(turn));
        phrases::mark(&mut segments, &turn.words);
        self.enqueue(PendingTurn { turn: turn.index, speaker: turn.speaker, text, segments, next: 0 });
    }

    /// Emits the remaining cues.
    pub(super) fn end<'a>(&mut self, prefix_of: impl Fn(usize) -> &'a str, emit: impl FnMut(Cue)) {
        self.emit_until(u32::MAX, prefix_of, emit);
    }

    fn emit_until<'a>(&mut self, until_ms: u32, prefix_of: impl Fn(usize) -> &'a str, mut emit: impl FnMut(Cue)) {
        while self
            .pending
            .peek()
            .is_some_and(|Reverse((start_ms, ..))| *start_ms <= until_ms || self.pending.len() > MAX_PENDING_TURNS)
        {
            let Some(Reverse((_, _, mut pending))) = self.pending.pop() else { break };
            let changes = self.last_speaker != Some(pending.speaker);
            let prefix = if changes { prefix_of(pending.speaker) } else { "" };
            if let Some(mut cue) = pending.next_cue(prefix) {
                self.last_speaker = Some(pending.speaker);
                cue.start_ms = cue.start_ms.max(self.last_ms);
                cue.end_ms = cue.end_ms.max(cue.start_ms);
                self.last_ms = cue.start_ms;
                emit(cue);
            }
            self.enqueue(pending);
        }
    }

    fn enqueue(&mut self, pending: PendingTurn) {
        if let Some(segment) = pending.segments.get(pending.next) {
            self.pending.push(Reverse((segment.start_ms, pending.turn, pending)));
        }
    }
}

impl PendingTurn {
    /// Removes the next cue, or returns none if nothing in it is visible.
    fn next_cue(&mut self, prefix: &str) -> Option<Cue> {
        let prefix_columns = columns(prefix);
        phrases::unmark_first_if_too_long(self.segments.get_mut(self.next..)?, prefix_columns);
        let segments = self.segments.get(self.next..)?;
        let first = segments.first()?;
        let fits = count_fitting(segments, prefix_columns);
        let count = if fits < segments.len() { best_cut(segments, fits) } else { fits };
        let segments = segments.get(..count)?;
        let end_ms = segments.iter().map(|segment| segment.end_ms).max().unwrap_or(first.end_ms);
        let is_visible = segments.iter().map(|segment| self.segment_text(segment)).any(has_visible);
        let (text, columns) = self.lines(segments, prefix, prefix_columns);
        let cue = Cue {
            start_ms: first.start_ms,
            end_ms: end_ms.clamp(first.start_ms, first.start_ms.saturating_add(MAX_CUE_MS)),
            speaker: self.speaker,
            text,
            columns,
        };
        self.next += count;
        is_visible.then_some(cue)
    }

    fn segment_text(&self, segment: &Segment) -> &str {
        self.text.get(segment.from..segment.to).unwrap_or_default()
    }

    /// Returns the text of a cue. Text that does not fit one line is split into two lines of about the same length.
    fn lines(&self, segments: &[Segment], prefix: &str, prefix_columns: usize) -> (String, usize) {
        let whole = total_columns(segments, prefix_columns);
        let line_break = if whole > LINE_COLUMNS { line_break(segments, prefix_columns, whole) } else { usize::MAX };
        let mut text = String::with_capacity(prefix.len() + 2 * segments.len() + whole);
        text.push_str(prefix);
        for (at, segment) in segments.iter().enumerate() {
            if at == line_break {
                text.push('\n');
            } else if !text.is_empty() && (at == 0 || segment.space_before) {
                text.push(' ');
            }
            text.push_str(self.segment_text(segment));
        }
        (text, whole)
    }
}

/// The width of segments on one line.
fn total_columns(segments: &[Segment], prefix_columns: usize) -> usize {
    segments.iter().enumerate().fold(prefix_columns, |used, (at, segment)| used + added_columns(used, at, segment))
}

/// Returns how many segments fit one cue: at least one, and only whole phrases.
fn count_fitting(segments: &[Segment], prefix_columns: usize) -> usize {
    let start_ms = segments.first().map_or(0, |segment| segment.start_ms);
    let (mut lines, mut count, mut before_ms) = (CueLines::new(prefix_columns), 0, start_ms);
    for phrase in segments.chunk_by(|_, next| next.continues_phrase) {
        let (Some(first), Some(last)) = (phrase.first(), phrase.last()) else { continue };
        let late = last.end_ms.saturating_sub(start_ms) > MAX_CUE_MS;
        let pause = first.start_ms.saturating_sub(before_ms) >= CUE_PAUSE_MS;
        if count > 0 && (late || pause) {
            return count;
        }
        if !(count..).zip(phrase).all(|(at, segment)| lines.add(at, segment)) {
            return count.max(1);
        }
        count += phrase.len();
        before_ms = last.end_ms;
    }
    count
}

/// Returns the number of segments to put into a cue that cannot hold all of them.
fn best_cut(segments: &[Segment], fits: usize) -> usize {
    let Some(fitting) = segments.get(..fits) else { return fits };
    let whole = total_columns(fitting, 0);
    let (mut used, mut best) = (0, None);
    let ends = |count: usize| !segments.get(count).is_some_and(|next| next.continues_phrase);
    for (at, segment) in fitting.iter().enumerate() {
        used += added_columns(used, at, segment);
        let far_enough = match segment.ending {
            _ if !ends(at + 1) => false,
            Ending::Sentence => used * 3 >= whole,
            Ending::Clause => used * 5 >= whole * 2,
            Ending::None => false,
        };
        if far_enough && best.is_none_or(|(ending, _)| segment.ending >= ending) {
            best = Some((segment.ending, at + 1));
        }
    }
    if let Some((_, count)) = best {
        return count;
    }
    // Avoid leaving a single word, unless the cue ends at a pause.
    let (mut count, mut rest) = (fits, segments.get(fits..).unwrap_or_default());
    let pauses = match (fitting.last(), rest.first()) {
        (Some(last), Some(next)) => next.start_ms.saturating_sub(last.end_ms) >= CUE_PAUSE_MS,
        _ => true,
    };
    while !pauses && total_columns(rest.get(..MIN_REST_COLUMNS).unwrap_or(rest), 0) < MIN_REST_COLUMNS {
        let Some(fewer) = (1..count).rev().find(|fewer| ends(*fewer)) else { break };
        count = fewer;
        rest = segments.get(count..).unwrap_or_default();
    }
    // Keep a word and its ending together, unless that would cost half of the cue.
    let parts = |next: &Segment| next.is_suffix || next.continues_phrase;
    let whole_word = (1..=count).rev().find(|count| !segments.get(*count).is_some_and(parts));
    whole_word.filter(|whole_word| whole_word * 2 > count).unwrap_or(count)
}

/// Returns the index of the segment that begins the second line. The best break gives lines of equal length and is at
/// the end of a sentence or a clause.
fn line_break(segments: &[Segment], prefix_columns: usize, whole: usize) -> usize {
    let mut used = prefix_columns;
    let mut best = None;
    for (at, segment) in segments.iter().enumerate() {
        let ending =
            at.checked_sub(1).and_then(|before| segments.get(before)).map_or(Ending::None, |segment| segment.ending);
        let rest = whole.saturating_sub(used).saturating_sub(added_columns(used, at, segment) - segment.columns);
        if (at > 0 || used > 0) && used <= LINE_COLUMNS && rest <= LINE_COLUMNS {
            let bonus = match ending {
                Ending::Sentence => SENTENCE_BONUS,
                Ending::Clause => CLAUSE_BONUS,
                Ending::None => 0,
            };
            let penalty_of_suffix = if segment.is_suffix { SUFFIX_PENALTY } else { 0 };
            let penalty = (used.abs_diff(rest) + SENTENCE_BONUS + penalty_of_suffix).saturating_sub(bonus);
            if best.is_none_or(|(least, _)| penalty < least) {
                best = Some((penalty, at));
            }
        }
        used += added_columns(used, at, segment);
    }
    best.map_or(usize::MAX, |(_, at)| at)
}

/// Turns whose next cues start together are ordered by their index. Their text does not matter.
impl PartialEq for PendingTurn {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
    }
}

impl Eq for PendingTurn {}

impl PartialOrd for PendingTurn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PendingTurn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.turn.cmp(&other.turn)
    }
}
