//! Follows Recall's format piece by piece, and looks only at what matters.
//!
//! A meeting has any number of turns, and a turn any number of words. So the file is followed down to these, and each
//! word, like every other value of a turn, is read by serde_json once all of it is there.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Deserializer, value::RawValue};

use super::{Counts, MAX_VALUE_BYTES};
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

/// Values are raw as long as they can be of any type: what is not of the right one is as good as absent. A key that is
/// there twice is an error.
#[derive(Deserialize)]
struct Participant<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    is_host: Option<&'a RawValue>,
}

/// Words are most of the file, so their values are looked at only once, if serde_json can read them all.
#[derive(Deserialize)]
struct Word<'a> {
    #[serde(borrow, default)]
    text: Part<'a>,
    #[serde(borrow, default)]
    start_timestamp: Part<'a>,
    #[serde(borrow, default)]
    end_timestamp: Part<'a>,
}

/// A word with something in it that serde_json takes for no value: half of a surrogate pair, a number beyond all bounds.
#[derive(Deserialize)]
struct RawWord<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    start_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    end_timestamp: Option<&'a RawValue>,
}

/// What a word consists of.
#[derive(Default)]
enum Part<'a> {
    Text(Cow<'a, str>),
    Moment(Moment<'a>),
    #[default]
    Other,
}

#[derive(Deserialize)]
struct Moment<'a> {
    #[serde(borrow)]
    relative: Option<&'a RawValue>,
}

/// Borrowed where nothing is escaped. What is no character becomes U+FFFD.
struct Text<'a>(Cow<'a, str>);

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

    fn language(&mut self, Text(code): Text<'_>) -> Next {
        self.language = self.meeting.language(&code);
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

/// A text, unescaped.
fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text = raw.map(RawValue::get).filter(|text| text.starts_with('"'))?;
    serde_json::from_str(text).map(|Text(text)| text).ok()
}

impl<'a> Part<'a> {
    fn of(raw: Option<&'a RawValue>) -> Self {
        let moment = || serde_json::from_str(raw?.get()).ok();
        string(raw).map(Self::Text).or_else(|| moment().map(Self::Moment)).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only as bytes does serde_json hand over half of a surrogate pair.
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Part<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Part::Text(Cow::Borrowed(text)))
    }

    /// Something in it was escaped.
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Part::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Moment::deserialize(MapAccessDeserializer::new(map)).map(Part::Moment)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Part::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }
}
