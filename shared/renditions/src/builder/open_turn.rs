//! Cuts an entry into turns.

use crate::{
    compact::Cursor,
    meeting::Span,
    punctuation::{Ending, ending},
    words::{ends_mid_grapheme, extends_grapheme, is_closing_word},
};

/// A silence this long ends a turn, in milliseconds.
const TURN_PAUSE_MS: u32 = 3000;
/// A turn this long ends with its sentence, in bytes of text: about 40 seconds of talking.
const SOFT_TURN_BYTES: usize = 600;
/// A turn this long ends with any word.
pub(super) const HARD_TURN_BYTES: usize = 1200;
/// So does one of this many words, whatever is in them.
const MAX_TURN_WORDS: u16 = 4096;

/// The turn that is being cut from an entry.
pub(super) struct OpenTurn {
    pub(super) cursor: Cursor,
    pub(super) span: Span,
    pub(super) words: u16,
    bytes: usize,
    ending: Ending,
    /// The last character may go on with the next word.
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

    pub(super) fn ends_before(&self, word: &str, span: Span) -> bool {
        let long = self.bytes + word.len();
        if self.words >= MAX_TURN_WORDS || long > 2 * HARD_TURN_BYTES {
            return self.words > 0;
        }
        // What belongs to the word before stays with it.
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
        // A closing quotation mark that is a word of its own leaves the sentence ended.
        self.ending = ending(word).max(if is_closing_word(word) { self.ending } else { Ending::None });
        self.word_end_ms = span.end_ms;
        self.span.end_ms = self.span.end_ms.max(span.end_ms);
    }
}
