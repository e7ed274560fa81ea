//! Follows Recall's format piece by piece, and looks only at what matters.
//!
//! A meeting has any number of turns, and a turn any number of words. So the file is followed down to these, and each
//! word, like every other value of a turn, is read by serde_json once all of it is there.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, value::RawValue};

use super::{
    Counts, MAX_VALUE_BYTES,
    values::{Moment, Part, Participant, RawWord, Word, string},
};
use crate::render::{Builder, millis};

/// Some write it before a file in UTF-8.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    File,
    TurnOrEnd,
    Turn,
    AfterTurn,
    KeyOrEnd,
    Key,
    Colon(Key),
    Value(Key),
    AfterValue,
    WordOrEnd,
    Word,
    AfterWord,
    Nothing,
}

/// The keys of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Participant,
    LanguageCode,
    Words,
    #[serde(other)]
    Other,
}

#[derive(Default)]
pub(super) struct Reader {
    next: Next,
    /// How far the file has been read, in bytes.
    at: usize,
    pub(super) counts: Counts,
    pub(super) spoken: bool,
    pub(super) meeting: Builder,
    // Of the turn that is being read.
    id: Option<String>,
    name: Option<String>,
    is_host: bool,
    language: Option<u16>,
}

impl Reader {
    /// Takes what has come and was not read yet, and says how much of it is read now. What is not complete comes again.
    pub(super) fn read(&mut self, text: &str) -> Result<usize, String> {
        let mut rest = text;
        if self.at == 0 {
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
        }
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let Some(first) = rest.bytes().next() else { break };
            let expected = self.next;
            match self.step(first, rest) {
                Ok(0) => break,
                Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                Err(Problem::TooLong) => return Err(super::too_long()),
                Err(Problem::Unexpected) => {
                    let at = self.at + text.len() - rest.len();
                    return Err(format!("not valid JSON of a transcript at byte {at}: {}", expected.name()));
                }
            }
        }
        let bytes = text.len() - rest.len();
        self.at += bytes;
        Ok(bytes)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Reads what begins with this byte: how long it is, or 0 if it is not complete yet.
    fn step(&mut self, first: u8, rest: &str) -> Result<usize, Problem> {
        self.next = match (self.next, first) {
            (Next::File, b'[') => Next::TurnOrEnd,
            (Next::TurnOrEnd | Next::Turn, b'{') => {
                self.counts.turns += 1;
                self.meeting.begin();
                Next::KeyOrEnd
            }
            (Next::AfterTurn, b',') => Next::Turn,
            (Next::TurnOrEnd | Next::AfterTurn, b']') => Next::Nothing,
            (Next::KeyOrEnd | Next::Key, b'"') => return self.value(rest, |_, key| Next::Colon(key)),
            (Next::Colon(key), b':') => Next::Value(key),
            (Next::Value(Key::Words), b'[') => Next::WordOrEnd,
            (Next::Value(Key::Participant), b'{') => return self.value(rest, Self::participant),
            (Next::Value(Key::LanguageCode), b'"') => return self.value(rest, Self::language),
            (Next::Value(_), _) => return self.value(rest, |_, IgnoredAny| Next::AfterValue),
            (Next::AfterValue, b',') => Next::Key,
            (Next::KeyOrEnd | Next::AfterValue, b'}') => {
                self.turn_ends();
                Next::AfterTurn
            }
            (Next::WordOrEnd | Next::Word, b'{') => {
                return match self.value(rest, Self::word) {
                    Err(Problem::Unexpected) => self.value(rest, Self::raw_word),
                    read => read,
                };
            }
            (Next::AfterWord, b',') => Next::Word,
            (Next::WordOrEnd | Next::AfterWord, b']') => Next::AfterValue,
            (_, _) => return Err(Problem::Unexpected),
        };
        Ok(1)
    }

    /// Hands a value over if all of it is there.
    fn value<'a, T: Deserialize<'a>>(
        &mut self,
        rest: &'a str,
        take: impl FnOnce(&mut Self, T) -> Next,
    ) -> Result<usize, Problem> {
        let mut values = Deserializer::from_str(rest).into_iter();
        match values.next() {
            // However long what had come was.
            Some(Ok(_)) if values.byte_offset() > MAX_VALUE_BYTES => Err(Problem::TooLong),
            Some(Ok(value)) => {
                self.next = take(self, value);
                Ok(values.byte_offset())
            }
            Some(Err(error)) if error.is_eof() => Ok(0),
            Some(Err(_)) => Err(Problem::Unexpected),
            None => Ok(0),
        }
    }

    fn participant(&mut self, participant: Participant<'_>) -> Next {
        let Participant { id, name, is_host } = participant;
        let number = id.map(RawValue::get).filter(|id| id.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
        self.id = number.map(str::to_owned).or(string(id).map(Cow::into_owned));
        self.name = string(name).map(Cow::into_owned);
        self.is_host = is_host.is_some_and(|is_host| is_host.get() == "true");
        Next::AfterValue
    }

    fn language(&mut self, code: &RawValue) -> Next {
        self.language = string(Some(code)).and_then(|code| self.meeting.language(&code));
        Next::AfterValue
    }

    fn word(&mut self, word: Word<'_>) -> Next {
        self.counts.words += 1;
        if let Part::Text(text) = word.text {
            self.spoken |= self.meeting.text(&text);
        }
        let (start, end) = (self.moment(word.start_timestamp), self.moment(word.end_timestamp));
        self.meeting.word(start, end);
        Next::AfterWord
    }

    fn raw_word(&mut self, word: RawWord<'_>) -> Next {
        let RawWord { text, start_timestamp, end_timestamp } = word;
        self.word(Word {
            text: Part::of(text),
            start_timestamp: Part::of(start_timestamp),
            end_timestamp: Part::of(end_timestamp),
        })
    }

    /// In milliseconds.
    fn moment(&mut self, part: Part<'_>) -> Option<u32> {
        let Part::Moment(Moment { relative: Some(seconds) }) = part else { return None };
        let seconds = seconds.get().parse().ok()?;
        let ms = millis(seconds)?;
        self.counts.duration_s = self.counts.duration_s.max(seconds);
        Some(ms)
    }

    fn turn_ends(&mut self) {
        let (id, name) = (self.id.take(), self.name.take());
        let (is_host, language) = (std::mem::take(&mut self.is_host), self.language.take());
        self.meeting.end(id.as_deref(), name.as_deref(), is_host, language);
    }
}

enum Problem {
    /// Something else should have come.
    Unexpected,
    TooLong,
}

impl Next {
    fn name(self) -> &'static str {
        match self {
            Self::File => "no array of turns",
            Self::TurnOrEnd | Self::Turn => "no turn",
            Self::WordOrEnd | Self::Word => "no word",
            Self::KeyOrEnd | Self::Key => "no key",
            Self::Colon(_) => "no colon",
            Self::Value(_) => "no value",
            Self::AfterTurn | Self::AfterValue | Self::AfterWord => "no comma, and no end",
            Self::Nothing => "more than one array",
        }
    }
}
