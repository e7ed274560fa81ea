//! Cleans words, and joins them by the rules of their script.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, GraphemeIncomplete};

use super::punctuation::{is_closing, is_hyphen, is_opening};

/// Appends `text` as one line: white space becomes single spaces, and control characters and the marks that change the
/// direction of all text after them are dropped.
///
/// Returns whether the text is plain, that is, only visible ASCII characters. Most words are plain.
pub(crate) fn clean(text: &str, out: &mut String) -> bool {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        out.push_str(text);
        return true;
    }
    let text = text.trim();
    let from = out.len();
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = true;
        } else if !is_dropped(c) {
            if space && out.len() > from {
                out.push(' ');
            }
            space = false;
            out.push(c);
        }
    }
    false
}

fn is_dropped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Joins the words of one turn.
#[derive(Debug, Default)]
pub(crate) struct TextJoiner {
    /// Whether `n't` and `'s` belong to the word before them. In Dutch, `'t` and `'s` are words.
    is_english: bool,
    /// Whether the last word was an opening bracket or a similar mark. The next word follows it without a space.
    after_opening: bool,
    /// Whether a straight double or single quotation mark that came as a separate word is open.
    double_quote_open: bool,
    single_quote_open: bool,
    /// Whether a guillemet is open. French writes «so», German »so«.
    guillemet_open: bool,
    single_guillemet_open: bool,
    /// Whether a low quotation mark is open. Then a high mark closes it, which would be an opening mark elsewhere.
    low_quote_open: bool,
}

/// The kind of a word that consists only of punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MarkKind {
    Closing,
    Opening,
}

impl TextJoiner {
    /// Joins words in this language. Without a language code, English is assumed.
    pub(crate) fn new(language_code: Option<&str>) -> Self {
        let is_english = |code: &str| code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("en"));
        Self { is_english: language_code.is_none_or(is_english), ..Self::default() }
    }

    /// Appends a word, and returns its range.
    pub(crate) fn push(&mut self, word: &str, text: &mut String) -> Range<usize> {
        if let Some(first) = word.chars().next() {
            let last = text.chars().next_back();
            let mark = self.mark_kind(word, first, last);
            let no_space =
                self.after_opening || mark == Some(MarkKind::Closing) || self.follows_directly(text, last, word, first);
            if !no_space && last.is_some() {
                text.push(' ');
            }
            self.after_opening = mark == Some(MarkKind::Opening);
        }
        let from = text.len();
        text.push_str(word);
        from..text.len()
    }

    fn mark_kind(&mut self, word: &str, first: char, last: Option<char>) -> Option<MarkKind> {
        if first.is_alphanumeric() || !word.chars().all(|c| matches!(c, '"' | '\'') || is_closing(c) || is_opening(c)) {
            return None;
        }
        let straight = |open: &mut bool| {
            *open = !*open;
            Some(if *open { MarkKind::Opening } else { MarkKind::Closing })
        };
        match first {
            '"' => straight(&mut self.double_quote_open),
            // After an s, an apostrophe is taken for a possessive: people say those more often than they quote.
            '\'' if !self.single_quote_open && last.is_some_and(|last| last.eq_ignore_ascii_case(&'s')) => {
                Some(MarkKind::Closing)
            }
            '\'' => straight(&mut self.single_quote_open),
            '«' | '»' => straight(&mut self.guillemet_open),
            '‹' | '›' => straight(&mut self.single_guillemet_open),
            '„' | '‚' => {
                self.low_quote_open = true;
                Some(MarkKind::Opening)
            }
            '“' | '‘' if self.low_quote_open => {
                self.low_quote_open = false;
                Some(MarkKind::Closing)
            }
            _ if is_opening(first) => Some(MarkKind::Opening),
            _ => Some(MarkKind::Closing),
        }
    }

    /// Returns whether a word follows this text without a space.
    fn follows_directly(&self, text: &str, last: Option<char>, word: &str, first: char) -> bool {
        let Some(last) = last else { return false };
        if self.is_english && last.is_alphanumeric() && is_clitic(word) {
            return true;
        }
        // Below U+0300 there are neither accents nor emoji.
        if first < '\u{300}' && last < '\u{300}' {
            return false;
        }
        match (spacing(last), spacing(first)) {
            (Spacing::Ideographic, Spacing::Hangul) | (Spacing::Hangul, Spacing::Ideographic) => false,
            (Spacing::Ideographic, _) | (_, Spacing::Ideographic) => true,
            (Spacing::SouthEastAsian, Spacing::SouthEastAsian) => true,
            _ => is_hyphen(last) || is_hyphen(first) || continues_grapheme(text, word, first),
        }
    }
}

/// Returns whether a word is a contraction that some recognizers write as a separate word: `'s`, `n’t`. No quotation
/// consists of these letters, and neither does a word that has lost its beginning, such as `'em` or `'cause`.
fn is_clitic(word: &str) -> bool {
    if !matches!(word.as_bytes().first(), Some(b'\'' | 0xE2 | b'n' | b'N')) {
        return false;
    }
    let Some((before, rest)) = word.split_once(['\'', '’']) else { return false };
    let letters = rest.trim_end_matches(|c| c != '’' && is_closing(c));
    match before {
        "n" => letters == "t",
        "N" => letters == "T",
        "" => ["s", "t", "m", "d", "ll", "re", "ve", "S", "T", "M", "D", "LL", "RE", "VE"].contains(&letters),
        _ => false,
    }
}

/// Returns whether the word continues the last character of the text as readers see it, with an accent or the next part
/// of an emoji. A letter never does, whatever ligature it would form, because it begins a word.
fn continues_grapheme(text: &str, word: &str, first: char) -> bool {
    let mut cursor = GraphemeCursor::new(text.len(), text.len() + word.len(), true);
    let mut boundary = cursor.is_boundary(word, text.len());
    if let Err(GraphemeIncomplete::PreContext(_)) = boundary {
        cursor.provide_context(text, 0);
        boundary = cursor.is_boundary(word, text.len());
    }
    boundary == Ok(false) && (!first.is_alphabetic() || extends_grapheme(first))
}

/// Returns whether a word consists only of marks that belong to the word before it.
pub(crate) fn is_closing_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(is_closing)
}

/// How a script uses spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Han and kana with their full-width punctuation: no spaces, not even next to Latin letters and digits.
    Ideographic,
    /// Thai, Lao, Khmer, Burmese, Tibetan and neighboring scripts: no spaces between their own words.
    SouthEastAsian,
    /// Korean: spaces, also next to Han.
    Hangul,
    /// All other scripts use spaces.
    Spaced,
}

/// Returns the spacing of a character by its block. Blocks never change, and also contain the newest characters of a
/// script.
pub(crate) fn spacing(c: char) -> Spacing {
    match c {
        '\0'..='\u{0DFF}' => Spacing::Spaced,
        // Tibetan has a space after the end of a phrase.
        '\u{0F0D}'..='\u{0F14}' => Spacing::Spaced,
        '\u{0E00}'..='\u{109F}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{1950}'..='\u{19FF}'
        | '\u{1A20}'..='\u{1AAF}'
        | '\u{1B00}'..='\u{1B7F}'
        | '\u{A980}'..='\u{A9FF}'
        | '\u{AA60}'..='\u{AADF}' => Spacing::SouthEastAsian,
        '\u{1100}'..='\u{11FF}'
        | '\u{3130}'..='\u{318F}'
        | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7FF}'
        | '\u{FFA0}'..='\u{FFDF}' => Spacing::Hangul,
        '\u{2E80}'..='\u{312F}'
        | '\u{3190}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE4F}'
        | '\u{FF00}'..='\u{FF9F}'
        | '\u{FFE0}'..='\u{FFEF}'
        | '\u{1AFF0}'..='\u{1B16F}'
        | '\u{1F200}'..='\u{1F2FF}'
        | '\u{20000}'..='\u{3FFFF}' => Spacing::Ideographic,
        _ => Spacing::Spaced,
    }
}

/// Returns whether a character needs one before it: an accent, a skin tone, a vowel sign.
pub(crate) fn extends_grapheme(c: char) -> bool {
    let mut bytes = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut bytes[1..]).len();
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    // The letters of most languages are below U+0300.
    c >= '\u{300}' && text.is_some_and(|text| !is_grapheme_boundary(text, 1))
}

/// Returns whether the next word may continue the last character: after a joiner, or after half of a flag.
pub(crate) fn ends_mid_grapheme(word: &str) -> bool {
    let half_flag = |c: &char| matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
    match word.chars().next_back() {
        Some('\u{200D}') => true,
        Some(last) if half_flag(&last) => word.chars().rev().take_while(half_flag).count() % 2 == 1,
        _ => false,
    }
}

/// Returns whether `text` may be cut here without splitting a character that readers see as one.
pub(crate) fn is_grapheme_boundary(text: &str, at: usize) -> bool {
    let boundary: Result<bool, GraphemeIncomplete> = GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0);
    boundary.unwrap_or(true)
}

#[cfg(test)]
mod tests;
