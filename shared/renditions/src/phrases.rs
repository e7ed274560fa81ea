//! Captions come in phrases: an entry of `words[]` then holds several words and has one time for all of them. The times
//! between its words are ours, so a phrase that fits one cue is never split between two.

use super::{
    meeting::Word,
    pieces::{LINE_COLUMNS, Piece},
};

/// Snapshot the pieces that stay in the cue of the piece before them.
pub(super) fn join(pieces: &mut [Piece], words: &[Word]) {
    let mut from = 0;
    for word in words.iter().filter(|word| !word.range.is_empty()) {
        while pieces.get(from).is_some_and(|piece| piece.to <= word.range.start) {
            from += 1;
        }
        let rest = pieces.get_mut(from..).unwrap_or_default();
        let count = rest.iter().take_while(|piece| piece.from < word.range.end).count();
        let entry = rest.get_mut(..count).unwrap_or_default();
        if count > 1 && fits(entry, 0) {
            entry.iter_mut().skip(1).for_each(|piece| piece.joined = true);
        }
    }
}

/// Lets the first phrase be split if it does not fit one cue with the speaker's name before it.
pub(super) fn part_first(pieces: &mut [Piece], prefix_columns: usize) {
    let count = 1 + pieces.iter().skip(1).take_while(|piece| piece.joined).count();
    let first = pieces.get_mut(..count).unwrap_or_default();
    if count > 1 && !fits(first, prefix_columns) {
        first.iter_mut().for_each(|piece| piece.joined = false);
    }
}

fn fits(pieces: &[Piece], prefix_columns: usize) -> bool {
    let mut lines = Lines::new(prefix_columns);
    pieces.iter().enumerate().all(|(at, piece)| lines.take(at, piece))
}

/// The two lines of a cue, filled piece by piece.
pub(super) struct Lines {
    is_second: bool,
    used: usize,
}

impl Lines {
    pub(super) fn new(prefix_columns: usize) -> Self {
        Self { is_second: false, used: prefix_columns }
    }

    /// Whether there was room for the piece, which is the one with this index in its cue.
    pub(super) fn take(&mut self, at: usize, piece: &Piece) -> bool {
        let more = added(self.used, at, piece);
        if self.used + more <= LINE_COLUMNS {
            self.used += more;
        } else if self.is_second {
            return false;
        } else {
            *self = Self { is_second: true, used: piece.columns };
        }
        true
    }
}

/// What a piece adds to a line on which so much is used. Before the first one there is nothing but the prefix.
pub(super) fn added(used: usize, at: usize, piece: &Piece) -> usize {
    piece.columns + usize::from(if at == 0 { used > 0 } else { piece.spaced })
}
