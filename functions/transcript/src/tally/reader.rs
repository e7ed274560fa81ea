//! Follows Recall's format piece by piece, and looks only at what matters.
//!
//! A meeting has any number of turns, and a turn any number of words. So the file is followed down to these, and each
//! word, like every other value of a turn, is read by serde_json once all of it is there. A value that is not what it
//! should be costs nothing but itself: it is skipped and counted.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, value::RawValue};
use shared::time::Timestamp;

use super::{
    MAX_VALUE_BYTES, Recorded,
    values::{Moment, OddWord, Part, RawParticipant, Word, odd_participant, string},
};
use crate::render::{Builder, CLOCKS_DIFFER_MS, Participant, millis};

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
    /// A name, where there is no participant.
    Speaker,
    LanguageCode,
    Words,
    /// Stands in for words where there are none.
    Text,
    #[serde(alias = "start_time")]
    StartTimestamp,
    #[serde(alias = "end_time")]
    EndTimestamp,
    #[serde(other)]
    Other,
}

#[derive(Default)]
pub(super) struct Reader {
    next: Next,
    /// How far the file has been read, in bytes.
    at: usize,
    pub(super) entries: u64,
    /// Entries, words, participants and times of which something could not be used.
    pub(super) skipped: u64,
    /// Some of these may have held what somebody said.
    pub(super) lost_words: bool,
    pub(super) meeting: Builder,
    /// When the relative times begin, by the absolute ones: milliseconds since the epoch.
    began_ms: Option<i64>,
    entry: Entry,
}

/// The turn that is being read.
#[derive(Default)]
struct Entry {
    participant: Option<Participant>,
    speaker: Option<String>,
    language: Option<u16>,
    /// A list of words has come.
    listed: bool,
    text: Option<String>,
    start: Option<u32>,
    end: Option<u32>,
    /// Something in it could not be used.
    odd: bool,
}

impl Reader {
    pub(super) fn new(recorded: Recorded) -> Self {
        let began_ms = recorded.started_at.map(Timestamp::as_millis);
        Self { meeting: Builder::new(recorded.length_ms()), began_ms, ..Self::default() }
    }

    /// Takes what has come and was not read yet. Of it, so many bytes are read now; what is not complete comes again.
    pub(super) fn read(&mut self, text: &str) -> (usize, Result<(), Problem>) {
        let mut rest = text;
        if self.at == 0 {
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
        }
        let outcome = loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let Some(first) = rest.bytes().next() else { break Ok(()) };
            match self.step(first, rest) {
                Ok(0) => break Ok(()),
                Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                Err(problem) => break Err(problem),
            }
        };
        let bytes = text.len() - rest.len();
        self.at += bytes;
        (bytes, outcome)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Where something came that should not have come, and what should have.
    pub(super) fn unexpected(&self) -> String {
        format!("not valid JSON of a transcript at byte {}: {}", self.at, self.next.name())
    }

    /// Reads what begins with this byte: how long it is, or 0 if it is not complete yet.
    fn step(&mut self, first: u8, rest: &str) -> Result<usize, Problem> {
        self.next = match (self.next, first) {
            (Next::File, b'[') => Next::TurnOrEnd,
            (Next::TurnOrEnd | Next::Turn, b'{') => {
                self.entries += 1;
                self.meeting.begin();
                Next::KeyOrEnd
            }
            (Next::AfterTurn, b',') => Next::Turn,
            (Next::TurnOrEnd | Next::AfterTurn, b']') => Next::Nothing,
            (Next::TurnOrEnd | Next::Turn, _) => return self.value(rest, Self::no_turn),
            (Next::KeyOrEnd | Next::Key, b'"') => return self.value(rest, |_, key| Next::Colon(key)),
            (Next::Colon(key), b':') => Next::Value(key),
            (Next::Value(Key::Words), b'[') => {
                if std::mem::replace(&mut self.entry.listed, true) {
                    self.meeting.begin_again();
                }
                Next::WordOrEnd
            }
            (Next::Value(Key::Participant), b'{') => {
                let known = self.value(rest, |reader, raw: RawParticipant<'_>| reader.participant(Some(&raw)));
                return match known {
                    Err(Problem::Unexpected) => {
                        self.value(rest, |reader, raw| reader.participant(odd_participant(raw).as_ref()))
                    }
                    read => read,
                };
            }
            (Next::Value(Key::Other), _) => return self.value(rest, |_, IgnoredAny| Next::AfterValue),
            (Next::Value(key), _) => return self.value(rest, |reader, raw| reader.part_of_turn(key, raw)),
            (Next::AfterValue, b',') => Next::Key,
            (Next::KeyOrEnd | Next::AfterValue, b'}') => {
                self.turn_ends();
                Next::AfterTurn
            }
            (Next::WordOrEnd | Next::Word, b'{') => {
                return match self.value(rest, Self::word) {
                    Err(Problem::Unexpected) => self.value(rest, |reader, OddWord(word)| reader.word(word)),
                    read => read,
                };
            }
            (Next::AfterWord, b',') => Next::Word,
            (Next::WordOrEnd | Next::AfterWord, b']') => Next::AfterValue,
            (Next::WordOrEnd | Next::Word, _) => return self.value(rest, Self::no_word),
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

    fn no_turn(&mut self, _: IgnoredAny) -> Next {
        self.entries += 1;
        self.skipped += 1;
        self.lost_words = true;
        Next::AfterTurn
    }

    fn no_word(&mut self, _: IgnoredAny) -> Next {
        self.skipped += 1;
        self.lost_words = true;
        Next::AfterWord
    }

    fn part_of_turn(&mut self, key: Key, raw: &RawValue) -> Next {
        let is_null = raw.get() == "null";
        match key {
            // Anything but an object.
            Key::Participant => drop(self.participant(None)),
            Key::Speaker => self.entry.speaker = string(raw).map(Cow::into_owned),
            Key::LanguageCode => {
                let code = string(raw);
                self.entry.odd |= code.is_none() && !is_null;
                self.entry.language = code.and_then(|code| self.meeting.language(&code));
            }
            // Anything but a list.
            Key::Words => self.entry.odd |= !is_null,
            Key::Text => {
                self.entry.text = string(raw).map(Cow::into_owned);
                self.entry.odd |= self.entry.text.is_none() && !is_null;
            }
            Key::StartTimestamp => self.entry.start = self.moment(Part::of(raw)),
            Key::EndTimestamp => self.entry.end = self.moment(Part::of(raw)),
            Key::Other => {}
        }
        Next::AfterValue
    }

    fn participant(&mut self, raw: Option<&RawParticipant<'_>>) -> Next {
        let (participant, usable) = raw.map(RawParticipant::read).unzip();
        self.entry.participant = participant;
        self.skipped += u64::from(usable != Some(true));
        Next::AfterValue
    }

    fn word(&mut self, word: Word<'_>) -> Next {
        if let Part::Text(text) = word.text {
            self.meeting.text(&text);
        } else {
            self.skipped += 1;
            self.lost_words = true;
        }
        let (start, end) = (self.moment(word.start_timestamp), self.moment(word.end_timestamp));
        self.meeting.word(start, end);
        Next::AfterWord
    }

    /// In milliseconds from the start of the recording; none if it is not known.
    fn moment(&mut self, part: Part<'_>) -> Option<u32> {
        let (seconds, absolute) = match part {
            Part::Absent | Part::Null => return None,
            Part::Number(seconds) => (Some(seconds), None),
            Part::Text(text) => match Timestamp::parse_rfc3339(&text) {
                None => (Some(number(&text)), None),
                absolute => (None, absolute),
            },
            Part::Moment(Moment { relative, absolute }) => {
                // Almost always a number, and then nothing else has to be tried.
                let seconds = relative.map(|raw| {
                    raw.get().parse().unwrap_or_else(|_| string(raw).map_or(f64::NAN, |text| number(&text)))
                });
                let absolute = absolute.and_then(string).and_then(|text| Timestamp::parse_rfc3339(&text));
                (seconds, absolute)
            }
            Part::Other => (Some(f64::NAN), None),
        };
        let relative = seconds.and_then(millis);
        self.skipped += u64::from(seconds.is_some() && relative.is_none());
        match absolute {
            Some(absolute) => self.absolute(absolute.as_millis(), relative),
            None => relative,
        }
    }

    /// The relative time, unless it began again at zero.
    fn absolute(&mut self, absolute_ms: i64, relative: Option<u32>) -> Option<u32> {
        let began_ms = match (self.began_ms, relative) {
            (Some(began_ms), _) => began_ms,
            (None, Some(relative)) => *self.began_ms.insert(absolute_ms - i64::from(relative)),
            (None, None) => return None,
        };
        let told = u32::try_from(absolute_ms.saturating_sub(began_ms)).ok().filter(|ms| self.meeting.is_within(*ms));
        match (relative, told) {
            (Some(relative), Some(told)) if relative.abs_diff(told) <= CLOCKS_DIFFER_MS => Some(relative),
            // One that is outside of the recording is of another clock.
            (relative, told) => told.or(relative),
        }
    }

    fn turn_ends(&mut self) {
        let Entry { participant, speaker, language, listed, text, start, end, odd } = std::mem::take(&mut self.entry);
        if !self.meeting.has_words()
            && let Some(text) = &text
        {
            self.meeting.text(text);
            self.meeting.word(start, end);
        }
        let unread = !listed && text.is_none();
        self.lost_words |= unread;
        self.skipped += u64::from(unread || odd);
        let participant = participant.unwrap_or_else(|| Participant { name: speaker, ..Participant::default() });
        self.meeting.end(&participant, language);
    }
}

/// Anything that is no number is not one.
fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

pub(super) enum Problem {
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
