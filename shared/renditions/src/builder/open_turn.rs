//! Cuts an entry into turns.

use crate::{
    compact::Cursor,
    punctuation::{Ending, ending},
    times::Span,
    words::{ends_mid_grapheme, extends_grapheme, is_closing_word},
};

/// A silence of this many milliseconds ends a turn.
const TURN_PAUSE_MS: u32 = 3000;
/// A turn with this many bytes of text (about 40 seconds of speech) ends with its sentence.
const SOFT_TURN_BYTES: usize = 600;
/// A turn with this many bytes of text ends with any word.
pub(super) const HARD_TURN_BYTES: usize = 1200;
/// A turn with this many words ends, whatever the words are.
const MAX_TURN_WORDS: u16 = 4096;

/// A turn that is being cut from an entry.
pub(super) struct OpenTurn {
    pub(super) cursor: Cursor,
    pub(super) span: Span,
    pub(super) words: u16,
    bytes: usize,
    ending: Ending,
    /// Whether the next word may continue the last character.
    ends_mid_grapheme: bool,
    word_end_ms: u32,
}

impl OpenTurn {
    pub(super) fn new(cursor: Cursor, span: Span) -> Self {
        Self {
            cursor,
            span,
            words: 0,
            bytes: 0,
            ending: Ending::None,
            ends_mid_grapheme: false,
            word_end_ms: span.end_ms,
        }
    }

    /// Returns whether the turn ends before this word.
    pub(super) fn ends_before(&self, word: &str, span: Span) -> bool {
        let long = self.bytes + word.len();
        if self.words >= MAX_TURN_WORDS || long > 2 * HARD_TURN_BYTES {
            return self.words > 0;
        }
        // A word that belongs to the word before it stays in the same turn.
        if self.ends_mid_grapheme || is_closing_word(word) || word.chars().next().is_some_and(extends_grapheme) {
            return false;
        }
        let pause_ms = span.start_ms.saturating_sub(self.word_end_ms);
        pause_ms >= TURN_PAUSE_MS
            || long > HARD_TURN_BYTES
            || self.bytes >= SOFT_TURN_BYTES && self.ending == Ending::Sentence
    }

    pub(super) fn push(&mut self, word: &str, span: Span) {
        self.words += 1;
        self.bytes += word.len() + 1;
        self.ends_mid_grapheme = ends_mid_grapheme(word);
        // A closing quotation mark that is a separate word does not reopen the sentence.
        self.ending = ending(word).max(if is_closing_word(word) { self.ending } else { Ending::None });
        self.word_end_ms = span.end_ms;
        self.span.end_ms = self.span.end_ms.max(span.end_ms);
    }
}
