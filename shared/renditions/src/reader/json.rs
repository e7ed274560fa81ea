//! Follows the structure of Recall's format piece by piece, and looks only at the values that matter.
//!
//! A file has any number of entries, and an entry any number of words. So the reader follows the structure down to the
//! words. Each word, and every other value of an entry, is read by serde_json when all of its bytes have arrived. A
//! value of the wrong type costs only itself: it is skipped and counted.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    RecordingTimes,
    clock::RecordingClock,
    expected::{EntryKey, Expected},
    pieces::{Grammar, JsonError, read_value},
    values::{
        Clocks, FieldValue, LenientWord, OptionalValue, RawParticipant, RawTime, Word, lenient_participant, text_of,
    },
};
use crate::{MeetingBuilder, Participant, millis_of_seconds, parse_whole_millis};

#[derive(Default, Debug)]
pub(super) struct JsonReader {
    expected: Expected,
    pub(super) entries: u64,
    /// The number of entries, words, participants and times with a part that could not be used.
    pub(super) skipped: u64,
    /// Whether any skipped value may have contained words.
    pub(super) lost_words: bool,
    pub(super) meeting: MeetingBuilder,
    clock: RecordingClock,
    entry: EntryFields,
}

/// The entry that is being read. If a key appears twice, the last value counts, and only that value can be unusable.
#[derive(Default, Debug)]
struct EntryFields {
    participant: Option<Participant>,
    participant_unusable: bool,
    speaker: Option<Participant>,
    language: Option<u16>,
    language_unusable: bool,
    /// Whether the entry has a list of words.
    has_word_list: bool,
    words_unusable: bool,
    /// The number of skipped values in that list.
    skipped: u64,
    lost_words: bool,
    text: Option<String>,
    text_unusable: bool,
    start: Time,
    end: Time,
}

/// A time in milliseconds from the start of the recording, if it is known.
#[derive(Clone, Copy, Default, Debug)]
struct Time {
    ms: Option<u32>,
    unusable: bool,
}

impl JsonReader {
    pub(super) fn new(recording: RecordingTimes) -> Self {
        let meeting = MeetingBuilder::new(recording.duration_ms());
        Self { meeting, clock: RecordingClock::new(recording.started_at), ..Self::default() }
    }
}

impl Grammar for JsonReader {
    const FILE: &'static str = "a transcript";

    fn step(&mut self, first: u8, rest: &str) -> Result<usize, JsonError> {
        self.expected = match (self.expected, first) {
            (Expected::Array, b'[') => Expected::EntryOrEnd,
            (Expected::EntryOrEnd | Expected::Entry, b'{') => {
                self.entries += 1;
                self.meeting.begin_entry();
                Expected::KeyOrEnd
            }
            (Expected::AfterEntry, b',') => Expected::Entry,
            (Expected::EntryOrEnd | Expected::AfterEntry, b']') => Expected::End,
            (Expected::EntryOrEnd | Expected::Entry, _) => return self.read_value(rest, Self::skip_entry),
            (Expected::KeyOrEnd | Expected::Key, b'"') => return self.read_value(rest, |_, key| Expected::Colon(key)),
            (Expected::Colon(key), b':') => Expected::Value(key),
            (Expected::Value(EntryKey::Words), b'[') => {
                self.restart_words();
                self.entry.has_word_list = true;
                Expected::WordOrEnd
            }
            (Expected::Value(EntryKey::Participant), b'{') => {
                let known = self.read_value(rest, |json, raw: RawParticipant<'_>| json.participant(Some(&raw)));
                return match known {
                    Err(JsonError::Unexpected) => {
                        self.read_value(rest, |json, raw| json.participant(lenient_participant(raw).as_ref()))
                    }
                    read => read,
                };
            }
            (Expected::Value(EntryKey::Other), _) => {
                return self.read_value(rest, |_, IgnoredAny| Expected::AfterValue);
            }
            (Expected::Value(key), _) => return self.read_value(rest, |json, raw| json.entry_value(key, raw)),
            (Expected::AfterValue, b',') => Expected::Key,
            (Expected::KeyOrEnd | Expected::AfterValue, b'}') => {
                self.end_entry();
                Expected::AfterEntry
            }
            (Expected::WordOrEnd | Expected::Word, b'{') => {
                return match self.read_value(rest, Self::word) {
                    Err(JsonError::Unexpected) => self.read_value(rest, |json, LenientWord(word)| json.word(word)),
                    read => read,
                };
            }
            (Expected::AfterWord, b',') => Expected::Word,
            (Expected::WordOrEnd | Expected::AfterWord, b']') => Expected::AfterValue,
            (Expected::WordOrEnd | Expected::Word, _) => return self.read_value(rest, Self::skip_word),
            (_, _) => return Err(JsonError::Unexpected),
        };
        Ok(1)
    }

    fn is_complete(&self) -> bool {
        self.expected == Expected::End
    }

    fn expected(&self) -> &'static str {
        self.expected.message()
    }
}

impl JsonReader {
    /// Reads a value and passes it to `take` if all of it has arrived.
    fn read_value<'a, T: Deserialize<'a>>(
        &mut self,
        rest: &'a str,
        take: impl FnOnce(&mut Self, T) -> Expected,
    ) -> Result<usize, JsonError> {
        let Some((value, bytes)) = read_value(rest)? else { return Ok(0) };
        self.expected = take(self, value);
        Ok(bytes)
    }

    /// Counts an entry that is not an object.
    fn skip_entry(&mut self, _: IgnoredAny) -> Expected {
        self.entries += 1;
        self.skipped += 1;
        self.lost_words = true;
        Expected::AfterEntry
    }

    /// Counts a word that is not an object.
    fn skip_word(&mut self, _: IgnoredAny) -> Expected {
        self.entry.skipped += 1;
        self.entry.lost_words = true;
        Expected::AfterWord
    }

    /// Drops the words of this entry, because the key `words` appears again.
    fn restart_words(&mut self) {
        if std::mem::take(&mut self.entry.has_word_list) {
            self.meeting.restart_entry();
        }
        (self.entry.words_unusable, self.entry.skipped, self.entry.lost_words) = (false, 0, false);
    }

    /// Takes the value of a key of the entry.
    fn entry_value(&mut self, key: EntryKey, raw: &RawValue) -> Expected {
        let is_not_null = raw.get() != "null";
        match key {
            // The value is not an object.
            EntryKey::Participant => drop(self.participant(None)),
            EntryKey::Speaker => self.entry.speaker = speaker(raw),
            EntryKey::LanguageCode => {
                let code = text_of(raw);
                self.entry.language_unusable = code.is_none() && is_not_null;
                self.entry.language = code.and_then(|code| self.meeting.language_index(&code));
            }
            // The value is not a list.
            EntryKey::Words => {
                self.restart_words();
                self.entry.words_unusable = is_not_null;
            }
            EntryKey::Text => {
                self.entry.text = text_of(raw).map(Cow::into_owned);
                self.entry.text_unusable = self.entry.text.is_none() && is_not_null;
            }
            // A time may have two keys. Then a null says nothing about the other one.
            EntryKey::StartTimestamp if is_not_null => self.entry.start = self.time(FieldValue::of(raw)),
            EntryKey::EndTimestamp if is_not_null => self.entry.end = self.time(FieldValue::of(raw)),
            EntryKey::StartTimestamp | EntryKey::EndTimestamp | EntryKey::Other => {}
        }
        Expected::AfterValue
    }

    fn participant(&mut self, raw: Option<&RawParticipant<'_>>) -> Expected {
        let (participant, usable) = raw.map(RawParticipant::parse).unzip();
        (self.entry.participant, self.entry.participant_unusable) = (participant, usable != Some(true));
        Expected::AfterValue
    }

    fn word(&mut self, word: Word<'_>) -> Expected {
        let (start, end) = (self.time(word.start_timestamp), self.time(word.end_timestamp));
        self.entry.skipped += u64::from(start.unusable) + u64::from(end.unusable);
        if let FieldValue::Text(text) = word.text {
            self.meeting.set_word_text(&text);
        } else {
            self.entry.skipped += 1;
            self.entry.lost_words = true;
        }
        self.meeting.end_word(start.ms, end.ms);
        Expected::AfterWord
    }

    fn time(&mut self, value: FieldValue<'_>) -> Time {
        // Almost all times have this form.
        if let FieldValue::Time(RawTime { relative: OptionalValue::Value(raw), absolute: OptionalValue::Null }) = value
            && let Some(ms) = parse_whole_millis(raw.get())
            && !self.clock.is_shifted()
        {
            return Time { ms: Some(ms), unusable: false };
        }
        let Clocks { seconds, absolute, unusable } = value.clocks();
        let relative = seconds.and_then(millis_of_seconds);
        let unusable = unusable || seconds.is_some() && relative.is_none();
        Time { ms: self.clock.resolve(relative, absolute, |ms| self.meeting.is_within(ms)), unusable }
    }

    /// Ends an entry. If it has no words, the words of its text count.
    fn end_entry(&mut self) {
        let entry = std::mem::take(&mut self.entry);
        if !self.meeting.has_words() {
            for word in entry.text.iter().flat_map(|text| text.split_whitespace()) {
                self.meeting.set_word_text(word);
                self.meeting.end_word(None, None);
            }
        }
        self.meeting.set_entry_times(entry.start.ms, entry.end.ms);
        let has_no_words = !entry.has_word_list && entry.text.is_none();
        self.lost_words |= has_no_words || entry.lost_words;
        let unusable = has_no_words || entry.language_unusable || entry.words_unusable || entry.text_unusable;
        let unusable = [unusable, entry.participant_unusable, entry.start.unusable, entry.end.unusable];
        self.skipped += entry.skipped + unusable.into_iter().map(u64::from).sum::<u64>();
        let participant = entry.participant.or(entry.speaker).unwrap_or_default();
        self.meeting.end_entry(&participant, entry.language);
    }
}

/// Returns the speaker of an entry without a participant: a name, an id, or both.
fn speaker(raw: &RawValue) -> Option<Participant> {
    match raw.get().as_bytes().first()? {
        b'"' => Some(Participant { name: text_of(raw).map(Cow::into_owned), ..Participant::default() }),
        b'-' | b'0'..=b'9' => Some(Participant { id: Some(raw.get().to_owned()), ..Participant::default() }),
        _ => lenient_participant(raw).map(|raw| raw.parse().0),
    }
}
