//! Cuts the conversation into cues, as editors of subtitles do it.
//!
//! - At most two lines of 42 columns; a full-width character takes two columns, so a Japanese line has 21 characters.
//! - A cue lasts at most 7 s, and never less than 0.8 s: a shorter one cannot be read. Where there is time, it stays as
//!   long as a fast reader takes for it, and ends 40 ms before the next one.
//! - It ends with a sentence, or else with a clause, where that does not make it much shorter, and at every pause. It
//!   never ends within a phrase that fits one cue (see [`phrases`]).
//! - It has something to see: a cue of invisible characters is left out.
//! - Cues start in order. Where people talk at once their cues take turns, in the order in which the words begin.
//!
//! What gives way where these do not fit differs: in WebVTT cues overlap, in SubRip they are late.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    line_breaks::{LINE_COLUMNS, Segment, columns, segments},
    meeting::Turn,
    phrases::{self, CueLines, added_columns},
    punctuation::Ending,
    visible::has_visible,
};

/// Longer than this nobody looks at one cue, in milliseconds.
pub(super) const MAX_CUE_MS: u32 = 7000;
/// Nobody can read a shorter one.
pub(super) const MIN_CUE_MS: u32 = 800;
/// A fast reader's columns in a second.
const COLUMNS_PER_S: usize = 25;
/// Between one cue and the next, so that the eye sees the change: about a frame.
pub(super) const GAP_MS: u32 = 40;
/// Within a turn, a pause this long ends the cue, so that no words are shown long before they are said.
const CUE_PAUSE_MS: u32 = 1000;
/// By how many columns the lines may differ more for a break at the end of a sentence or a clause.
const SENTENCE_BONUS: usize = 20;
const CLAUSE_BONUS: usize = 14;
/// And by how many a break that parts a word from its ending is worse.
const SUFFIX_PENALTY: usize = 20;
/// Not less than this is left over for the next cue if there is a choice.
const MIN_REST_COLUMNS: usize = 20;
/// Turns that wait for their time at once. With more, what is due first is shown, and what comes in before it is late.
const MAX_PENDING_TURNS: usize = 100;

/// What is shown at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) start_ms: u32,
    pub(super) end_ms: u32,
    pub(super) speaker: usize,
    /// One line or two, with a line feed between them.
    pub(super) text: String,
    pub(super) columns: usize,
}

impl Cue {
    /// What it takes to read it.
    pub(super) fn reading_ms(&self) -> u32 {
        u32::try_from(self.columns * 1000 / COLUMNS_PER_S).unwrap_or(MAX_CUE_MS).clamp(MIN_CUE_MS, MAX_CUE_MS)
    }

    /// When it should end: with its words, and not before it is read.
    pub(super) fn preferred_end_ms(&self) -> u32 {
        self.end_ms.max(self.start_ms.saturating_add(self.reading_ms()))
    }
}

/// A turn of which something is still to be shown.
#[derive(Debug)]
struct PendingTurn {
    turn: u64,
    speaker: usize,
    text: String,
    segments: Vec<Segment>,
    next: usize,
}

/// All that is to be shown, in order.
#[derive(Debug, Default)]
pub(super) struct CueQueue {
    /// By the time at which each goes on.
    pending: BinaryHeap<Reverse<(u32, u64, PendingTurn)>>,
    last_speaker: Option<usize>,
    last_ms: u32,
}

impl CueQueue {
    /// Takes the next turn, and shows what begins before it. `prefix` is what a speaker's words begin with when it is
    /// another one than before.
    pub(super) fn turn<'a>(&mut self, turn: &Turn, prefix_of: impl Fn(usize) -> &'a str, emit: impl FnMut(Cue)) {
        self.emit_until(turn.span.start_ms, prefix_of, emit);
        let (text, segments) = (turn.text.clone(), segments(turn));
        self.enqueue(PendingTurn { turn: turn.index, speaker: turn.speaker, text, segments, next: 0 });
    }

    /// Shows the rest.
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
    /// Takes the next cue off; none if nothing of it can be seen.
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

    /// The text of a cue, on two lines of about the same length if one is too short for it.
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

/// The columns of segments on one line.
fn total_columns(segments: &[Segment], prefix_columns: usize) -> usize {
    segments.iter().enumerate().fold(prefix_columns, |used, (at, segment)| used + added_columns(used, at, segment))
}

/// How many segments fit into one cue: at least one, and no part of a phrase.
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

/// Where to end a cue into which not everything fits.
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
    // No single word is left over, unless a pause is what ends the cue.
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
    // Nor is a word parted from its ending, unless that would cost half of the cue.
    let parts = |next: &Segment| next.is_suffix || next.continues_phrase;
    let whole_word = (1..=count).rev().find(|count| !segments.get(*count).is_some_and(parts));
    whole_word.filter(|whole_word| whole_word * 2 > count).unwrap_or(count)
}

/// The segment with which the second line begins: the lines should be of one length, and break where the sense does.
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

/// The order among those that go on at the same time is that of the turns; what they say does not matter.
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
