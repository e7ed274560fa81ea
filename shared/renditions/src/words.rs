//! Words: how they are cleaned, and how they are joined by the rules of their script.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, GraphemeIncomplete};

use super::marks::{binds, closes, opens};

/// Appends `text` as one line: white space becomes single spaces, control characters and the marks that turn the
/// direction of all the text after them are left out.
///
/// Whether it is plain: nothing but ASCII characters that leave a mark, as most words are.
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
        } else if !invisible(c) {
            if space && out.len() > from {
                out.push(' ');
            }
            space = false;
            out.push(c);
        }
    }
    false
}

fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Writes the words of one turn one after the other.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// `n't` and `'s` belong to the word before. In Dutch `'t` and `'s` are words.
    english: bool,
    /// The word before was an opening bracket or the like, which the next one follows without a space.
    attach: bool,
    /// Straight quotation marks that came as their own words are open.
    quoted: bool,
    single_quoted: bool,
    /// So are pointed ones. French writes «so», German »so«.
    pointed: bool,
    single_pointed: bool,
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
    /// For words in this language; without one, English is assumed.
    pub(crate) fn new(language_code: Option<&str>) -> Self {
        let is_english = |code: &str| code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("en"));
        Self { english: language_code.is_none_or(is_english), ..Self::default() }
    }

    /// Appends a word, and says where it is.
    pub(crate) fn push(&mut self, word: &str, text: &mut String) -> Range<usize> {
        if let Some(first) = word.chars().next() {
            let last = text.chars().next_back();
            let mark = self.mark(word, first, last);
            let together = self.attach || mark == Some(Mark::Closing) || self.joined(text, last, word, first);
            if !together && last.is_some() {
                text.push(' ');
            }
            self.attach = mark == Some(Mark::Opening);
        }
        let from = text.len();
        text.push_str(word);
        from..text.len()
    }

    fn mark(&mut self, word: &str, first: char, last: Option<char>) -> Option<Mark> {
        if first.is_alphanumeric() || !word.chars().all(|c| matches!(c, '"' | '\'') || closes(c) || opens(c)) {
            return None;
        }
        let straight = |open: &mut bool| {
            *open = !*open;
            Some(if *open { Mark::Opening } else { Mark::Closing })
        };
        match first {
            '"' => straight(&mut self.quoted),
            // Behind an s it is taken for a genitive: people say those more often than they quote.
            '\'' if !self.single_quoted && last.is_some_and(|last| last.eq_ignore_ascii_case(&'s')) => {
                Some(Mark::Closing)
            }
            '\'' => straight(&mut self.single_quoted),
            '«' | '»' => straight(&mut self.pointed),
            '‹' | '›' => straight(&mut self.single_pointed),
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

    /// Whether a word follows this text without a space.
    fn joined(&self, text: &str, last: Option<char>, word: &str, first: char) -> bool {
        let Some(last) = last else { return false };
        if self.english && last.is_alphanumeric() && is_clitic(word) {
            return true;
        }
        // Before these there are neither accents nor emoji.
        if first < '\u{300}' && last < '\u{300}' {
            return false;
        }
        match (spacing(last), spacing(first)) {
            (Spacing::Ideographic, Spacing::Hangul) | (Spacing::Hangul, Spacing::Ideographic) => false,
            (Spacing::Ideographic, _) | (_, Spacing::Ideographic) => true,
            (Spacing::SouthEastAsian, Spacing::SouthEastAsian) => true,
            _ => binds(last) || binds(first) || one_character(text, word, first),
        }
    }
}

/// Whether a word is the end of an English one, which some recognizers write as a word of its own: `'s`, `n’t`. No
/// quotation consists of these letters, and nothing that has lost its beginning: `'em`, `'cause`.
fn is_clitic(word: &str) -> bool {
    if !matches!(word.as_bytes().first(), Some(b'\'' | 0xE2 | b'n' | b'N')) {
        return false;
    }
    let Some((before, rest)) = word.split_once(['\'', '’']) else { return false };
    let letters = rest.trim_end_matches(|c| c != '’' && closes(c));
    match before {
        "n" => letters == "t",
        "N" => letters == "T",
        "" => ["s", "t", "m", "d", "ll", "re", "ve", "S", "T", "M", "D", "LL", "RE", "VE"].contains(&letters),
        _ => false,
    }
}

/// Whether the word goes on with the text's last character as people see it: an accent, or the next part of an emoji.
/// A letter never does, whatever ligature it would make: it begins a word.
fn one_character(text: &str, word: &str, first: char) -> bool {
    let mut cursor = GraphemeCursor::new(text.len(), text.len() + word.len(), true);
    let mut boundary = cursor.is_boundary(word, text.len());
    if let Err(GraphemeIncomplete::PreContext(_)) = boundary {
        cursor.provide_context(text, 0);
        boundary = cursor.is_boundary(word, text.len());
    }
    boundary == Ok(false) && (!first.is_alphabetic() || extends(first))
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
    /// Thai, Lao, Khmer, Burmese, Tibetan and their neighbours: no spaces between their own words.
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
        // Tibetan has a space behind the end of a phrase.
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

/// Whether a character cannot stand alone: an accent, a skin tone, a vowel sign.
pub(crate) fn extends(c: char) -> bool {
    let mut bytes = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut bytes[1..]).len();
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    // Below are the letters of most languages.
    c >= '\u{300}' && text.is_some_and(|text| !is_boundary(text, 1))
}

/// Whether the word after may be the rest of the last character: behind a joiner, or half a flag.
pub(crate) fn is_unfinished(word: &str) -> bool {
    let half_flag = |c: &char| matches!(c, '\u{1F1E6}'..='\u{1F1FF}');
    match word.chars().next_back() {
        Some('\u{200D}') => true,
        Some(last) if half_flag(&last) => word.chars().rev().take_while(half_flag).count() % 2 == 1,
        _ => false,
    }
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
        join_in(None, words)
    }

    fn join_in(language_code: Option<&str>, words: &[&str]) -> String {
        let mut joiner = Joiner::new(language_code);
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
            (&["का", "\u{94d}", "क"], "का\u{94d} क"),
            (&["བཀྲ་", "ཤིས", "།", "བདེ", "་", "ལེགས", "།"], "བཀྲ་ཤིས། བདེ་ལེགས།"),
            (&["มาก", "ๆ", "กรุงเทพ", "ฯ"], "มากๆกรุงเทพฯ"),
            (&["בית", "־", "ספר", "ו־", "אני"], "בית־ספר ו־אני"),
            (&["well", "‐", "known", "-", "yes"], "well‐known - yes"),
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
            (&["Er", "sagt", "»", "ja", "«", ",", "›", "so", "‹"], "Er sagt »ja«, ›so‹"),
            (&["il", "dit", "«", "oui", "»", "et"], "il dit «oui» et"),
            (&["「", "はい", "」", "と"], "「はい」と"),
            (&["ሰላም", "።", "ነው", "፤", "እሺ", "፧"], "ሰላም። ነው፤ እሺ፧"),
            (&["צה", "״", "רח", "׳", "כן"], "צה״ רח׳ כן"),
            (&["ինչ", "՞", "այո", "՝", "ոչ", "։"], "ինչ՞ այո՝ ոչ։"),
            (&["क्या", "?", "हाँ", "।", "ہاں", "۔", "نعم", "؛"], "क्या? हाँ। ہاں۔ نعم؛"),
            (&["τι", "\u{37e}", "ναι", "\u{387}"], "τι\u{37e} ναι\u{387}"),
        ] {
            assert_eq!(join(words), text);
        }
    }

    #[test]
    fn parts_of_one_character_stay_together() {
        for (words, text) in [
            (&["the", "👨", "\u{200d}", "👩", "\u{200d}👧", "went"][..], "the 👨\u{200d}👩\u{200d}👧 went"),
            (&["👨\u{200d}", "👩", "👩"], "👨\u{200d}👩 👩"),
            (&["🇩", "🇪", "🇯", "🇵", "🇫🇷"], "🇩🇪 🇯🇵 🇫🇷"),
            (&["ok", "👍", "🏽", "❤", "\u{fe0f}", "1", "\u{fe0f}", "\u{20e3}"], "ok 👍🏽 ❤\u{fe0f} 1\u{fe0f}\u{20e3}"),
            (&["🏴", "\u{200d}", "☠", "\u{fe0f}"], "🏴\u{200d}☠\u{fe0f}"),
            (&["\u{1112}", "한국", "क\u{94d}", "क"], "\u{1112} 한국 क\u{94d} क"),
            // Nothing that a joiner joins, however often.
            (&["a\u{200d}", "b", "\u{200d}", "\u{200d}", "c", "👩"], "a\u{200d} b\u{200d}\u{200d} c 👩"),
        ] {
            assert_eq!(join(words), text);
        }
    }

    #[test]
    fn apostrophes_tell_clitics_from_quotations() {
        for (words, text) in [
            (&["It", "'s", "what", "we", "do", "n't", ",", "is", "n’t", "it"][..], "It's what we don't, isn’t it"),
            (
                &["I", "’m", "sure", "they", "'ll", "see", "WE", "'VE", "won", "'t."],
                "I’m sure they'll see WE'VE won't.",
            ),
            (&["he", "said", "'sure", "and", "'Tis", "'em", "'Re:", "it'"], "he said 'sure and 'Tis 'em 'Re: it'"),
            (&["'s", "(", "'s", "…", "'s"], "'s ('s… 's"),
            (&["He", "said", "'", "go", "'", "and", "'", "wait", "'"], "He said 'go' and 'wait'"),
            (&["the", "teams", "'", "names"], "the teams' names"),
        ] {
            assert_eq!(join(words), text);
        }
        assert_eq!(join_in(Some("nl"), &["dat", "is", "'t", "en", "'s", "avonds"]), "dat is 't en 's avonds");
        assert_eq!(join_in(Some("EN_us"), &["that", "'s"]), "that's");
    }
}
