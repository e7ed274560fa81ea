//! Words: how they are cleaned, and how they are joined by the rules of their script.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, GraphemeIncomplete};

use super::marks::{closes, opens};

/// Appends `text` as one line: white space becomes single spaces, control characters and the marks that turn the
/// direction of all the text after them are left out.
pub(crate) fn clean(text: &str, out: &mut String) {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return out.push_str(text);
    }
    let from = out.len();
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = true;
        } else if !invisible(c) {
            if space && out.len() > from {
                out.push(' ');
            }
            space = false;
            out.push(c);
        }
    }
}

fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Writes the words of one turn one after the other.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// The word before was an opening bracket or the like, which the next one follows without a space.
    attach: bool,
    /// A straight quotation mark that came as its own word is open.
    quoted: bool,
    /// A low quotation mark is open, which a high one closes that would open elsewhere.
    low: bool,
}

/// What a word is that has no letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Closing,
    Opening,
}

impl Joiner {
    /// Appends a word, and says where it is.
    pub(crate) fn push(&mut self, word: &str, text: &mut String) -> Range<usize> {
        if let (Some(first), Some(last)) = (word.chars().next(), text.chars().next_back()) {
            let mark = self.mark(word, first);
            let together = self.attach || mark == Some(Mark::Closing) || joined(last, first);
            if !together {
                text.push(' ');
            }
            self.attach = mark == Some(Mark::Opening);
        } else if let Some(first) = word.chars().next() {
            self.attach = self.mark(word, first) == Some(Mark::Opening);
        }
        let from = text.len();
        text.push_str(word);
        from..text.len()
    }

    fn mark(&mut self, word: &str, first: char) -> Option<Mark> {
        if first.is_alphanumeric() || !word.chars().all(|c| c == '"' || closes(c) || opens(c)) {
            return None;
        }
        match first {
            '"' => {
                self.quoted = !self.quoted;
                Some(if self.quoted { Mark::Opening } else { Mark::Closing })
            }
            '„' | '‚' => {
                self.low = true;
                Some(Mark::Opening)
            }
            '“' | '‘' if self.low => {
                self.low = false;
                Some(Mark::Closing)
            }
            _ if opens(first) => Some(Mark::Opening),
            _ => Some(Mark::Closing),
        }
    }
}

/// Whether a word is nothing but marks that belong to the word before.
pub(crate) fn is_closing(word: &str) -> bool {
    !word.is_empty() && word.chars().all(closes)
}

/// How a script is written, as far as spaces go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Han and kana with their full-width marks: no spaces, not even next to Latin letters and digits.
    Ideographic,
    /// Thai, Lao, Khmer, Burmese: no spaces between their own words.
    SouthEastAsian,
    /// Korean: with spaces, also next to Han.
    Hangul,
    /// Everything else has spaces.
    Spaced,
}

/// By block: blocks never change, and the newest characters of a script are in them.
pub(crate) fn spacing(c: char) -> Spacing {
    match c {
        '\0'..='\u{0DFF}' => Spacing::Spaced,
        '\u{0E00}'..='\u{0EFF}'
        | '\u{1000}'..='\u{109F}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{19E0}'..='\u{19FF}'
        | '\u{A9E0}'..='\u{A9FF}'
        | '\u{AA60}'..='\u{AA7F}' => Spacing::SouthEastAsian,
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

/// Whether two words that end and begin like this stand together without a space.
fn joined(last: char, first: char) -> bool {
    if first.is_ascii() && last.is_ascii() {
        return false;
    }
    match (spacing(last), spacing(first)) {
        (Spacing::Ideographic, Spacing::Hangul) | (Spacing::Hangul, Spacing::Ideographic) => false,
        (Spacing::Ideographic, _) | (_, Spacing::Ideographic) => true,
        (Spacing::SouthEastAsian, Spacing::SouthEastAsian) => true,
        _ => extends(first),
    }
}

/// Whether a character cannot stand alone: an accent, a skin tone, a vowel sign.
pub(crate) fn extends(c: char) -> bool {
    let mut bytes = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut bytes[1..]).len();
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    // Below are the letters of most languages.
    c >= '\u{300}' && text.is_some_and(|text| !is_boundary(text, 1))
}

/// Whether `text` may be cut here without taking a character apart that people see as one.
pub(crate) fn is_boundary(text: &str, at: usize) -> bool {
    let boundary: Result<bool, GraphemeIncomplete> = GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0);
    boundary.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(words: &[&str]) -> String {
        let mut joiner = Joiner::default();
        let mut text = String::new();
        for word in words {
            let range = joiner.push(word, &mut text);
            assert_eq!(&text[range], *word);
        }
        text
    }

    #[test]
    fn white_space_and_control_characters_are_collapsed() {
        for (raw, cleaned) in [
            ("plain", "plain"),
            ("  two \t\r\n words ", "two words"),
            ("a\u{0}b\u{202E}c\u{FEFF}", "abc"),
            ("\u{1}\n", ""),
            ("a\u{2028}b\u{A0}c", "a b c"),
            ("👨\u{200D}👩\u{200D}👧 e\u{301}", "👨\u{200D}👩\u{200D}👧 e\u{301}"),
        ] {
            let mut out = String::new();
            clean(raw, &mut out);
            assert_eq!(out, cleaned, "{raw:?}");
        }
    }

    #[test]
    fn every_script_is_joined_its_own_way() {
        for (words, text) in [
            (&["Hello", "there"][..], "Hello there"),
            (&["", "a", "", "b"], "a b"),
            (&["今日", "は", "AWS", "の", "2", "回目", "です", "。"], "今日はAWSの2回目です。"),
            (&["東京", "서울", "부산"], "東京 서울 부산"),
            (&["안녕", "하세요"], "안녕 하세요"),
            (&["สวัสดี", "ครับ", "Ann", "ครับ"], "สวัสดีครับ Ann ครับ"),
            (&["ເຈົ້າ", "ຢູ່"], "ເຈົ້າຢູ່"),
            (&["សួស្តី", "បង"], "សួស្តីបង"),
            (&["မင်္ဂလာ", "ပါ", "။"], "မင်္ဂလာပါ။"),
            (&["مرحبا", "،", "كيف", "حالك", "؟"], "مرحبا، كيف حالك؟"),
            (&["cafe", "\u{301}", "ok"], "cafe\u{301} ok"),
            (&["👍", "🏽", "yes"], "👍🏽 yes"),
            (&["अर्थात्", "जब"], "अर्थात् जब"),
        ] {
            assert_eq!(join(words), text);
        }
    }

    #[test]
    fn marks_that_come_alone_go_where_they_belong() {
        for (words, text) in [
            (&["Well", ",", "yes", "(", "no", ")", "?!"][..], "Well, yes (no)?!"),
            (&["¿", "Qué", "?", "¡", "Sí", "!"], "¿Qué? ¡Sí!"),
            (&["He", "said", "\"", "go", "\"", "."], "He said \"go\"."),
            (&["“", "go", "”", "he", "said"], "“go” he said"),
            (&["Er", "sagte", "„", "geh", "“", "."], "Er sagte „geh“."),
            (&["50", "%", "…", "a", "-", "b"], "50%… a - b"),
            (&["「", "はい", "」", "と"], "「はい」と"),
        ] {
            assert_eq!(join(words), text);
        }
    }
}
