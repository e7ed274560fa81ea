//! Splits a turn into the segments between which a line may break.
//!
//! A segment is a word together with its punctuation. A word is split further only at its own spaces, after the
//! punctuation of a script without spaces, and, if it is longer than a line, between two characters as readers see
//! them.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::{
    meeting::{Turn, Word},
    punctuation::{Ending, ending, is_closing, is_hyphen, is_opening},
    words::{Spacing, is_grapheme_boundary, spacing},
};

/// The columns of a line, as subtitle editors count them. A full-width character takes two.
pub(super) const LINE_COLUMNS: usize = 42;

#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The position in the text of the turn, in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) columns: usize,
    /// Whether there is a space before the segment.
    pub(super) space_before: bool,
    pub(super) start_ms: u32,
    pub(super) end_ms: u32,
    pub(super) ending: Ending,
    /// Whether the segment most likely belongs to the one before it: Japanese endings and particles are written in
    /// hiragana.
    pub(super) is_suffix: bool,
    /// Whether the segment belongs to the same phrase as the one before it, so that no cue may begin with it.
    pub(super) continues_phrase: bool,
}

/// Splits a turn into segments.
pub(super) fn segments(turn: &Turn) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(turn.words.len());
    let mut builder =
        SegmentBuilder { text: &turn.text, words: &turn.words, from: 0, space_before: false, segments: &mut segments };
    if turn.text.is_ascii() {
        // In ASCII text, lines break only at spaces.
        for (at, _) in turn.text.bytes().enumerate().filter(|(_, byte)| *byte == b' ') {
            builder.segment(at, at + 1);
        }
    } else {
        let mut words = turn.words.iter().filter(|word| !word.range.is_empty()).peekable();
        let mut before = ' ';
        for (at, c) in turn.text.char_indices() {
            while words.next_if(|word| word.range.start < at).is_some() {}
            if c == ' ' {
                builder.segment(at, at + 1);
            } else if at > 0 && before != ' ' && !c.is_ascii() | !before.is_ascii() {
                let word_begins = words.peek().is_some_and(|word| word.range.start == at);
                if (word_begins || is_closing(before)) && may_break(before, c) && is_grapheme_boundary(&turn.text, at) {
                    builder.segment(at, at);
                }
            }
            before = c;
        }
    }
    builder.segment(turn.text.len(), turn.text.len());
    segments
}

/// Returns whether a line may break between two characters without a space between them.
fn may_break(before: char, after: char) -> bool {
    let unspaced = |c| matches!(spacing(c), Spacing::Ideographic | Spacing::SouthEastAsian);
    (unspaced(before) || unspaced(after) || is_hyphen(before)) && !is_opening(before) && !cannot_begin_line(after)
}

/// Returns whether a character must not begin a line.
fn cannot_begin_line(c: char) -> bool {
    is_closing(c)
        || matches!(
            c,
            'ぁ' | 'ぃ'
                | 'ぅ'
                | 'ぇ'
                | 'ぉ'
                | 'っ'
                | 'ゃ'
                | 'ゅ'
                | 'ょ'
                | 'ゎ'
                | 'ァ'
                | 'ィ'
                | 'ゥ'
                | 'ェ'
                | 'ォ'
                | 'ッ'
                | 'ャ'
                | 'ュ'
                | 'ョ'
                | 'ヮ'
                | 'ヵ'
                | 'ヶ'
                | 'ー'
                | '々'
                | 'ゝ'
                | 'ゞ'
                | 'ヽ'
                | 'ヾ'
                | '・'
                | '～'
                | '〜'
                | 'ๆ'
                | 'ฯ'
                | 'ໆ'
        )
}

fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309F}')
}

pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Returns the characters as readers see them, with their positions. A character wider than a line is split into code
/// points: no language has such a character, but some letters can be combined without limit.
fn characters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.grapheme_indices(true).flat_map(|(at, grapheme)| {
        let whole = columns(grapheme) <= LINE_COLUMNS;
        let starts = grapheme.char_indices().take(if whole { 1 } else { usize::MAX });
        starts.filter_map(move |(start, c)| {
            let end = if whole { grapheme.len() } else { start + c.len_utf8() };
            Some((at + start, grapheme.get(start..end)?))
        })
    })
}

struct SegmentBuilder<'a> {
    text: &'a str,
    /// The words that end after `from`.
    words: &'a [Word],
    from: usize,
    space_before: bool,
    segments: &'a mut Vec<Segment>,
}

impl SegmentBuilder<'_> {
    /// Ends the segment at `to`. The next segment begins at `next`.
    fn segment(&mut self, to: usize, next: usize) {
        let text = self.text.get(self.from..to).unwrap_or_default();
        let columns = columns(text);
        if columns > LINE_COLUMNS {
            self.break_long(text);
        } else if !text.is_empty() {
            self.push(to, columns);
        }
        self.from = next;
        self.space_before = next > to;
    }

    /// Splits text that is longer than a line. If there is a choice, no line begins with punctuation.
    fn break_long(&mut self, text: &str) {
        let begin = self.from;
        let (mut used, mut good, mut better) = (0, None, None);
        let mut before = ' ';
        for (at, grapheme) in characters(text) {
            let (at, wide) = (begin + at, columns(grapheme));
            let first = grapheme.chars().next().unwrap_or(' ');
            if at > self.from && may_break(before, first) {
                good = Some((at, used));
                if !is_hiragana(first) {
                    better = good;
                }
            }
            if used + wide > LINE_COLUMNS && at > self.from {
                let far_enough = |cut: &(usize, usize)| cut.1 > LINE_COLUMNS / 2;
                let (cut, columns) = better.filter(far_enough).or(good.filter(far_enough)).unwrap_or((at, used));
                self.push(cut, columns);
                self.from = cut;
                self.space_before = false;
                (good, better) = (None, None);
                used -= columns;
            }
            used += wide;
            before = grapheme.chars().next_back().unwrap_or(' ');
        }
        self.push(begin + text.len(), used);
    }

    fn push(&mut self, to: usize, columns: usize) {
        let text = self.text.get(self.from..to).unwrap_or_default();
        let (start_ms, end_ms) = (self.time_at(self.from, true), self.time_at(to, false));
        let continues =
            !self.space_before && self.segments.last().is_some_and(|segment| segment.ending == Ending::None);
        self.segments.push(Segment {
            from: self.from,
            to,
            columns,
            space_before: self.space_before,
            start_ms,
            end_ms: end_ms.max(start_ms),
            ending: ending(text),
            is_suffix: continues && text.chars().next().is_some_and(is_hiragana),
            continues_phrase: false,
        });
    }

    /// Returns the time at which this position in the text is spoken. A word is spoken at a constant speed.
    fn time_at(&mut self, at: usize, starts: bool) -> u32 {
        while let [word, rest @ ..] = self.words
            && !rest.is_empty()
            && (word.range.is_empty() || word.range.end < at || starts && word.range.end == at)
        {
            self.words = rest;
        }
        let Some(word) = self.words.first() else { return 0 };
        let (done, whole) = (at.saturating_sub(word.range.start), word.range.len());
        let lasts_ms = word.span.end_ms.saturating_sub(word.span.start_ms);
        if done >= whole {
            return word.span.end_ms;
        }
        let part_ms = (u64::from(lasts_ms) * done as u64).checked_div(whole as u64).unwrap_or(0);
        word.span.start_ms.saturating_add(u32::try_from(part_ms).unwrap_or(lasts_ms))
    }
}
