//! Follows Recall's format piece by piece, and looks only at what matters.
//!
//! A meeting has any number of turns, and a turn any number of words. So the file is followed down to these, and each
//! word, like every other value of a turn, is read by serde_json once all of it is there. A value that is not what it
//! should be costs nothing but itself: it is skipped and counted.

use std::borrow::Cow;

use job::time::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, value::RawValue};

use super::{
    MAX_VALUE_BYTES, Recorded,
    clock::Clock,
    values::{Given, Moment, OddWord, Part, RawParticipant, Word, odd_participant, string},
};
use crate::{Builder, Participant, millis, whole_millis};

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

#[derive(Default, Debug)]
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
    clock: Clock,
    entry: Entry,
}

/// The turn that is being read. Where a key is there twice, the last one counts, and so does only what is odd in that.
#[derive(Default, Debug)]
struct Entry {
    participant: Option<Participant>,
    odd_participant: bool,
    speaker: Option<Participant>,
    language: Option<u16>,
    odd_language: bool,
    /// A list of words has come.
    listed: bool,
    odd_words: bool,
    /// In that list.
    skipped: u64,
    lost_words: bool,
    text: Option<String>,
    odd_text: bool,
    start: Time,
    end: Time,
}

/// In milliseconds from the start of the recording, if it is known.
#[derive(Clone, Copy, Default, Debug)]
struct Time {
    ms: Option<u32>,
    odd: bool,
}

impl Reader {
    pub(super) fn new(recorded: Recorded) -> Self {
        let meeting = Builder::new(recorded.length_ms());
        Self { meeting, clock: Clock::new(recorded.started_at), ..Self::default() }
    }

    /// Takes what has come and was not read yet. Of it, so many bytes are read now; what is not complete comes again.
    pub(super) fn read(&mut self, text: &str) -> (usize, Result<(), Problem>) {
        let mut rest = text;
        if self.at == 0 {
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
        }
        let outcome = loop {
            let blanks =
                rest.bytes().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
            rest = rest.get(blanks..).unwrap_or_default();
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
                self.words_again();
                self.entry.listed = true;
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
        self.entry.skipped += 1;
        self.entry.lost_words = true;
        Next::AfterWord
    }

    /// The words of this turn come a second time, or do not come after all.
    fn words_again(&mut self) {
        if std::mem::take(&mut self.entry.listed) {
            self.meeting.begin_again();
        }
        (self.entry.odd_words, self.entry.skipped, self.entry.lost_words) = (false, 0, false);
    }

    fn part_of_turn(&mut self, key: Key, raw: &RawValue) -> Next {
        let is_odd = raw.get() != "null";
        match key {
            // Anything but an object.
            Key::Participant => drop(self.participant(None)),
            Key::Speaker => self.entry.speaker = speaker(raw),
            Key::LanguageCode => {
                let code = string(raw);
                self.entry.odd_language = code.is_none() && is_odd;
                self.entry.language = code.and_then(|code| self.meeting.language(&code));
            }
            // Anything but a list.
            Key::Words => {
                self.words_again();
                self.entry.odd_words = is_odd;
            }
            Key::Text => {
                self.entry.text = string(raw).map(Cow::into_owned);
                self.entry.odd_text = self.entry.text.is_none() && is_odd;
            }
            // Of two keys for one time, null says nothing.
            Key::StartTimestamp if is_odd => self.entry.start = self.time(Part::of(raw)),
            Key::EndTimestamp if is_odd => self.entry.end = self.time(Part::of(raw)),
            Key::StartTimestamp | Key::EndTimestamp | Key::Other => {}
        }
        Next::AfterValue
    }

    fn participant(&mut self, raw: Option<&RawParticipant<'_>>) -> Next {
        let (participant, usable) = raw.map(RawParticipant::read).unzip();
        (self.entry.participant, self.entry.odd_participant) = (participant, usable != Some(true));
        Next::AfterValue
    }

    fn word(&mut self, word: Word<'_>) -> Next {
        let (start, end) = (self.time(word.start_timestamp), self.time(word.end_timestamp));
        self.entry.skipped += u64::from(start.odd) + u64::from(end.odd);
        if let Part::Text(text) = word.text {
            self.meeting.text(&text);
        } else {
            self.entry.skipped += 1;
            self.entry.lost_words = true;
        }
        self.meeting.word(start.ms, end.ms);
        Next::AfterWord
    }

    fn time(&mut self, part: Part<'_>) -> Time {
        // Almost all are like this.
        if let Part::Moment(Moment { relative: Given::Value(raw), absolute: Given::Null }) = part
            && let Some(ms) = whole_millis(raw.get())
            && !self.clock.is_shifted()
        {
            return Time { ms: Some(ms), odd: false };
        }
        let (seconds, absolute, odd) = match part {
            Part::Absent | Part::Null => return Time::default(),
            Part::Number(seconds) => (Some(seconds), None, false),
            Part::Text(text) => match Timestamp::parse_rfc3339(&text) {
                None => (Some(number(&text)), None, false),
                absolute => (None, absolute, false),
            },
            Part::Moment(Moment { relative: Given::Absent, absolute: Given::Absent }) | Part::Other => {
                (None, None, true)
            }
            Part::Moment(Moment { relative, absolute }) => {
                let seconds = match relative {
                    Given::Absent | Given::Null => None,
                    Given::Value(raw) => {
                        let text = || string(raw).map_or(f64::NAN, |text| number(&text));
                        Some(raw.get().parse().unwrap_or_else(|_| text()))
                    }
                };
                match absolute {
                    Given::Absent | Given::Null => (seconds, None, false),
                    Given::Value(raw) => {
                        let absolute = string(raw).and_then(|text| Timestamp::parse_rfc3339(&text));
                        (seconds, absolute, absolute.is_none())
                    }
                }
            }
        };
        let relative = seconds.and_then(millis);
        let odd = odd || seconds.is_some() && relative.is_none();
        Time { ms: self.clock.tell(relative, absolute, |ms| self.meeting.is_within(ms)), odd }
    }

    fn turn_ends(&mut self) {
        let entry = std::mem::take(&mut self.entry);
        if !self.meeting.has_words() {
            for word in entry.text.iter().flat_map(|text| text.split_whitespace()) {
                self.meeting.text(word);
                self.meeting.word(None, None);
            }
        }
        self.meeting.lasted(entry.start.ms, entry.end.ms);
        let unread = !entry.listed && entry.text.is_none();
        self.lost_words |= unread || entry.lost_words;
        let odd = unread || entry.odd_language || entry.odd_words || entry.odd_text;
        let odd = [odd, entry.odd_participant, entry.start.odd, entry.end.odd];
        self.skipped += entry.skipped + odd.into_iter().map(u64::from).sum::<u64>();
        let participant = entry.participant.or(entry.speaker).unwrap_or_default();
        self.meeting.end(&participant, entry.language);
    }
}

/// Who spoke, where there is no participant: a name, an id, or both.
fn speaker(raw: &RawValue) -> Option<Participant> {
    match raw.get().as_bytes().first()? {
        b'"' => Some(Participant { name: string(raw).map(Cow::into_owned), ..Participant::default() }),
        b'-' | b'0'..=b'9' => Some(Participant { id: Some(raw.get().to_owned()), ..Participant::default() }),
        _ => odd_participant(raw).map(|raw| raw.read().0),
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
