//! Keeps the phrases of captions together. In captions, an entry of `words[]` holds several words and has one time for
//! all of them. The times between its words are only estimates, so a phrase that fits one cue is never split between
//! two cues.

use super::{
    line_breaks::{LINE_COLUMNS, Segment},
    meeting::Word,
};

/// Marks the segments that stay in the same cue as the segment before them.
pub(super) fn mark(segments: &mut [Segment], words: &[Word]) {
    let mut from = 0;
    for word in words.iter().filter(|word| !word.range.is_empty()) {
        while segments.get(from).is_some_and(|segment| segment.to <= word.range.start) {
            from += 1;
        }
        let rest = segments.get_mut(from..).unwrap_or_default();
        let count = rest.iter().take_while(|segment| segment.from < word.range.end).count();
        let entry = rest.get_mut(..count).unwrap_or_default();
        if count > 1 && fits(entry, 0) {
            entry.iter_mut().skip(1).for_each(|segment| segment.continues_phrase = true);
        }
    }
}

/// Allows the first phrase to be split if it does not fit one cue together with the speaker's name.
pub(super) fn unmark_first_if_too_long(segments: &mut [Segment], prefix_columns: usize) {
    let count = 1 + segments.iter().skip(1).take_while(|segment| segment.continues_phrase).count();
    let first = segments.get_mut(..count).unwrap_or_default();
    if count > 1 && !fits(first, prefix_columns) {
        first.iter_mut().for_each(|segment| segment.continues_phrase = false);
    }
}

fn fits(segments: &[Segment], prefix_columns: usize) -> bool {
    let mut lines = CueLines::new(prefix_columns);
    segments.iter().enumerate().all(|(at, segment)| lines.add(at, segment))
}

/// The two lines of a cue, which are filled segment by segment.
pub(super) struct CueLines {
    is_second: bool,
    used: usize,
}

impl CueLines {
    pub(super) fn new(prefix_columns: usize) -> Self {
        Self { is_second: false, used: prefix_columns }
    }

    /// Adds a segment, and returns whether there was room for it. `at` is its index in the cue.
    pub(super) fn add(&mut self, at: usize, segment: &Segment) -> bool {
        let more = added_columns(self.used, at, segment);
        if self.used + more <= LINE_COLUMNS {
            self.used += more;
        } else if self.is_second {
            return false;
        } else {
            *self = Self { is_second: true, used: segment.columns };
        }
        true
    }
}

/// Returns how many columns a segment adds to a line with `used` columns. Before the first segment of a cue there is at
/// most the speaker's name.
pub(super) fn added_columns(used: usize, at: usize, segment: &Segment) -> usize {
    segment.columns + usize::from(if at == 0 { used > 0 } else { segment.space_before })
}
