//! A meeting as renditions see it: turns in time order, made one by one from the compact form.

use std::{ops::Range, sync::Arc};

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    compact::{CompactWords, Cursor},
    people::{ParticipantRef, Speaker, shorten},
    words::TextJoiner,
};

/// A word has about this many bytes with its space, so a turn's text seldom has to grow.
const WORD_BYTES: usize = 8;

/// What is known of the meeting besides what was said.
#[derive(Clone, Debug)]
pub struct MeetingInfo {
    pub recording_id: RecordingId,
    pub transcript_id: TranscriptId,
    /// From the recording's metadata, key `title`; one line. None if there is none.
    pub title: Option<String>,
    /// When the recording began; absolute times are known only then.
    pub started_at: Option<Timestamp>,
}

impl MeetingInfo {
    pub fn new(
        recording_id: RecordingId,
        transcript_id: TranscriptId,
        started_at: Option<Timestamp>,
        metadata: &Value,
    ) -> Self {
        let title = metadata.get("title").and_then(Value::as_str).map(shorten).filter(|title| !title.is_empty());
        Self { recording_id, transcript_id, title, started_at }
    }
}

/// How much was said. What was counted until a file breaks off stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counts {
    /// As they are rendered: the lines of the JSON Lines.
    pub turns: u64,
    /// Entries of `words[]` with anything to see.
    pub words: u64,
    /// People: one who left and came back is one. All without an id and a name are one, too.
    pub speakers: usize,
    /// Those of them who are beyond the number that is told apart.
    #[serde(default)]
    pub speakers_over_limit: usize,
    /// The end of the last word, from the start of the recording.
    #[serde(rename = "duration_s", with = "seconds")]
    pub duration_ms: u32,
}

impl Counts {
    /// As the row has them.
    pub fn job_counts(&self) -> job::Counts {
        let Self { turns, words, speakers, duration_ms, .. } = *self;
        job::Counts { turns, words, speakers: speakers as u64, duration_ms: duration_ms.into() }
    }
}

/// Milliseconds, written as seconds.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(millis: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(super::seconds(*millis))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        Ok(crate::millis_of_seconds(f64::deserialize(deserializer)?).unwrap_or_default())
    }
}

/// The shortest number for whole milliseconds has at most three decimals.
pub(crate) fn seconds(millis: u32) -> f64 {
    f64::from(millis) / 1000.0
}

/// A span on the recording's time line, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start_ms: u32,
    pub(crate) end_ms: u32,
}

/// One entry of `words[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where its text is in `Turn::text`.
    pub(crate) range: Range<usize>,
    /// Stated, or interpolated, or, if nothing is known, estimated. Starts never run backwards within a turn.
    pub(crate) span: Span,
}

/// What one speaker says without a long pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// From 0, in time order.
    pub(crate) index: u64,
    /// Index into `Meeting::speakers()`.
    pub(crate) speaker: usize,
    /// Recall's participant id, where it is an integer. One speaker may have several.
    pub(crate) speaker_id: Option<i64>,
    pub(crate) language_code: Option<Arc<str>>,
    /// The words, joined by the rules of their script. Plain text, one line, never empty.
    pub(crate) text: String,
    pub(crate) words: Vec<Word>,
    /// Whether Recall stated any time in the entry that this is from; else `span` is an estimate.
    pub(crate) timed: bool,
    pub(crate) span: Span,
}

/// One turn in the compact form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnRecord {
    /// Where its first word is.
    pub(crate) cursor: Cursor,
    pub(crate) span: Span,
    /// Entries of `words[]`.
    pub(crate) words: u16,
    /// Index into the participants.
    pub(crate) participant: u16,
    /// Index into the languages.
    pub(crate) language: Option<u16>,
    pub(crate) timed: bool,
}

/// A whole meeting in compact form: text and times as bytes, not words as structs.
#[derive(Debug)]
pub struct Meeting {
    pub(super) info: MeetingInfo,
    pub(super) speakers: Vec<Speaker>,
    pub(super) participants: Vec<ParticipantRef>,
    pub(super) languages: Vec<Arc<str>>,
    pub(super) duration_ms: u32,
    pub(super) compact: CompactWords,
    /// In time order; file order among those that start together.
    pub(super) records: Vec<TurnRecord>,
}

impl Meeting {
    pub fn info(&self) -> &MeetingInfo {
        &self.info
    }

    /// In order of appearance.
    pub(crate) fn speakers(&self) -> &[Speaker] {
        &self.speakers
    }

    /// In order of appearance.
    pub(crate) fn language_codes(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(|code| &**code)
    }

    /// The end of the last word, in milliseconds; 0 for an empty meeting.
    pub(crate) fn duration_ms(&self) -> u32 {
        self.duration_ms
    }

    /// Nobody said a word.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What the compact form takes, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.compact.bytes() + self.records.capacity() * size_of::<TurnRecord>()
    }

    /// In time order. Each call makes one pass over the compact form.
    pub fn turns(&self) -> impl Iterator<Item = Turn> + '_ {
        (0..).zip(&self.records).map(|(index, record)| self.turn(index, record))
    }

    /// Of every turn the speaker and, where it is known, the time. The words are not looked at.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (usize, Option<Span>)> + '_ {
        self.records.iter().map(|record| (self.participant(record).speaker, record.timed.then_some(record.span)))
    }

    /// The label of a turn's speaker.
    pub(crate) fn label(&self, turn: &Turn) -> &str {
        self.speakers.get(turn.speaker).map_or("", |speaker| &speaker.label)
    }

    fn participant(&self, record: &TurnRecord) -> ParticipantRef {
        self.participants.get(usize::from(record.participant)).copied().unwrap_or_default()
    }

    fn turn(&self, index: u64, record: &TurnRecord) -> Turn {
        let ParticipantRef { id: speaker_id, speaker } = self.participant(record);
        let mut cursor = record.cursor;
        let language_code = record.language.and_then(|at| self.languages.get(usize::from(at)).cloned());
        let mut joiner = TextJoiner::new(language_code.as_deref());
        let mut text = String::with_capacity(WORD_BYTES * usize::from(record.words));
        let mut words = Vec::with_capacity(usize::from(record.words));
        let mut last_ms = record.span.start_ms;
        for _ in 0..record.words {
            let Some((word, said)) = self.compact.read(&mut cursor) else { break };
            let start_ms = said.start_ms.max(last_ms);
            let end_ms = said.end_ms.max(start_ms);
            last_ms = start_ms;
            words.push(Word { range: joiner.push(word, &mut text), span: Span { start_ms, end_ms } });
        }
        Turn { index, speaker, speaker_id, language_code, text, words, timed: record.timed, span: record.span }
    }
}
