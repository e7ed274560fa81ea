//! A meeting as the renderers see it. Its turns are in time order, and are made one by one from the compact form.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    compact::{CompactWords, Cursor},
    people::{ParticipantRef, Speaker, shorten},
    record::{Sources, TitleSource},
    times::Span,
    visible::has_visible,
    words::TextJoiner,
};

/// The average size of a word with its space, so that the text of a turn rarely has to grow.
const WORD_BYTES: usize = 8;

/// What is known about the meeting apart from its words and its people.
#[derive(Clone, Debug, PartialEq)]
pub struct MeetingInfo {
    pub recording_id: RecordingId,
    pub transcript_id: TranscriptId,
    pub bot_id: Option<BotId>,
    pub title: Option<Title>,
    pub platform: Option<String>,
    /// The id of the meeting on its platform.
    pub meeting_id: Option<String>,
    /// The start of the recording. Without it there are no absolute times.
    pub started_at: Option<Timestamp>,
    /// The end of the recording.
    pub ended_at: Option<Timestamp>,
    pub calendar_event_id: Option<String>,
    pub ical_uid: Option<String>,
    /// The provider of the transcript.
    pub provider: Option<String>,
    /// The number of our attempt that made the transcript, if one of ours did.
    pub attempt: Option<u32>,
    /// When Recall created the transcript.
    pub created_at: Option<Timestamp>,
    /// The day under which the meeting is filed, in UTC: `2026-11-23`.
    pub date: String,
    /// The values of METADATA_KEYS.
    pub metadata: BTreeMap<String, String>,
    pub sources: Sources,
}

/// The title of a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    pub text: String,
    pub source: TitleSource,
}

impl Title {
    /// Returns Recall's title, or else the key `meeting_title` or `title` of the first metadata that has one.
    pub fn find(recall: Option<&str>, metadata: &[&Value]) -> Option<Self> {
        let of = |text: Option<&str>, source| text.and_then(one_line).map(|text| Self { text, source });
        let keys = ["meeting_title", "title"];
        let mut texts = metadata.iter().flat_map(|metadata| keys.map(|key| metadata.get(key).and_then(Value::as_str)));
        of(recall, TitleSource::Recall).or_else(|| texts.find_map(|text| of(text, TitleSource::Metadata)))
    }
}

impl MeetingInfo {
    /// Describes a meeting about which nothing else is known.
    pub fn new(recording_id: RecordingId, transcript_id: TranscriptId, date: String) -> Self {
        Self {
            recording_id,
            transcript_id,
            bot_id: None,
            title: None,
            platform: None,
            meeting_id: None,
            started_at: None,
            ended_at: None,
            calendar_event_id: None,
            ical_uid: None,
            provider: None,
            attempt: None,
            created_at: None,
            date,
            metadata: BTreeMap::new(),
            sources: Sources::default(),
        }
    }

    /// The title as text.
    pub fn title(&self) -> Option<&str> {
        self.title.as_ref().map(|title| &*title.text)
    }

    /// The name of the platform for readers.
    pub(crate) fn platform_name(&self) -> Option<Cow<'_, str>> {
        let name = match self.platform.as_deref()? {
            "zoom" => "Zoom",
            "google_meet" => "Google Meet",
            "microsoft_teams" | "microsoft_teams_live" => "Microsoft Teams",
            "webex" => "Webex",
            "goto_meeting" => "GoTo Meeting",
            other => return Some(Cow::Owned(other.replace('_', " "))),
        };
        Some(Cow::Borrowed(name))
    }

    /// The length of the recording in milliseconds, if it is known.
    pub(crate) fn recording_ms(&self) -> Option<u64> {
        u64::try_from(self.ended_at?.since(self.started_at?).as_millis()).ok().filter(|length_ms| *length_ms > 0)
    }

    /// Makes every text of others one line of limited length. A text without visible characters is unknown.
    pub(crate) fn cleaned(mut self) -> Self {
        self.title = self.title.and_then(|title| Some(Title { text: one_line(&title.text)?, ..title }));
        let texts = [&mut self.platform, &mut self.meeting_id, &mut self.calendar_event_id, &mut self.ical_uid];
        for text in texts {
            *text = text.as_deref().and_then(one_line);
        }
        self
    }
}

/// Returns the text as one line of limited length, or none if nothing of it is visible.
pub(crate) fn one_line(text: &str) -> Option<String> {
    Some(shorten(text)).filter(|text| has_visible(text))
}

/// How much was said. If the file is truncated, the counts cover everything before that point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counts {
    /// The number of rendered turns, which is the number of lines in the JSON Lines file.
    pub turns: u64,
    /// The number of entries of `words[]` with a visible character.
    pub words: u64,
    /// The number of people. Someone who left and came back counts once. All people without an id and a name count as
    /// one.
    pub speakers: usize,
    /// How many of them exceed the number of speakers that are distinguished.
    #[serde(default)]
    pub speakers_over_limit: usize,
    /// The end of the last word, relative to the start of the recording.
    #[serde(rename = "duration_s", with = "seconds")]
    pub duration_ms: u32,
}

impl Counts {
    /// Returns the counts as the job stores them.
    pub fn job_counts(&self) -> job::Counts {
        let Self { turns, words, speakers, duration_ms, .. } = *self;
        job::Counts { turns, words, speakers: speakers as u64, duration_ms: duration_ms.into() }
    }
}

/// Serializes milliseconds as seconds.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(millis: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(super::seconds(*millis))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        Ok(crate::millis_of_seconds(f64::deserialize(deserializer)?).unwrap_or_default())
    }
}

/// Converts milliseconds to seconds with at most three decimals.
pub(crate) fn seconds_of(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// Converts seconds of a manifest to milliseconds, or returns none if they cannot be right.
pub(crate) fn millis_of(seconds: f64) -> Option<u64> {
    crate::millis_of_seconds(seconds).map(u64::from)
}

/// The result has at most three decimals, because the input is in whole milliseconds.
pub(crate) fn seconds(millis: u32) -> f64 {
    f64::from(millis) / 1000.0
}

/// One entry of `words[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The position of the word in `Turn::text`.
    pub(crate) range: Range<usize>,
    /// The time from the file, or an interpolation, or, if no time is known, an estimate. Starts never decrease within
    /// a turn.
    pub(crate) span: Span,
}

/// What one speaker says without a long pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The index of the turn in time order, from 0.
    pub(crate) index: u64,
    /// The index into `Meeting::speakers()`.
    pub(crate) speaker: usize,
    /// Recall's participant id, if it is an integer. One speaker may have several ids.
    pub(crate) speaker_id: Option<i64>,
    pub(crate) language_code: Option<Arc<str>>,
    /// The words, joined by the rules of their script. The text is plain, has one line, and is never empty.
    pub(crate) text: String,
    pub(crate) words: Vec<Word>,
    /// Whether Recall gave any time in the entry of this turn. Otherwise `span` is an estimate.
    pub(crate) timed: bool,
    pub(crate) span: Span,
}

/// One turn in compact form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnRecord {
    /// The position of the first word.
    pub(crate) cursor: Cursor,
    pub(crate) span: Span,
    /// The number of entries of `words[]`.
    pub(crate) words: u16,
    /// The index into the participants.
    pub(crate) participant: u16,
    /// The index into the languages.
    pub(crate) language: Option<u16>,
    pub(crate) timed: bool,
}

/// A whole meeting in compact form: text and times as bytes instead of one struct per word.
#[derive(Debug)]
pub struct Meeting {
    pub(super) info: MeetingInfo,
    pub(super) speakers: Vec<Speaker>,
    pub(super) participants: Vec<ParticipantRef>,
    /// The number of people beyond the limit, and how many of them are in the transcript.
    pub(super) participants_over_limit: usize,
    pub(super) speakers_over_limit: usize,
    pub(super) languages: Vec<Arc<str>>,
    pub(super) duration_ms: u32,
    pub(super) compact: CompactWords,
    /// The turns in time order. Turns that start together keep the order of the file.
    pub(super) records: Vec<TurnRecord>,
}

impl Meeting {
    pub fn info(&self) -> &MeetingInfo {
        &self.info
    }

    /// The people: the speakers in order of appearance, then those who never spoke.
    pub(crate) fn speakers(&self) -> &[Speaker] {
        &self.speakers
    }

    /// The language codes in order of appearance.
    pub(crate) fn language_codes(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(|code| &**code)
    }

    /// The end of the last word in milliseconds, or 0 for an empty meeting.
    pub(crate) fn duration_ms(&self) -> u32 {
        self.duration_ms
    }

    /// The length of the recording in milliseconds or, if it is not known, the end of the last word.
    pub(crate) fn length_ms(&self) -> u64 {
        self.info.recording_ms().unwrap_or(self.duration_ms.into())
    }

    /// The people who can be told apart, whether they spoke or not.
    pub(crate) fn attendees(&self) -> impl Iterator<Item = &Speaker> {
        self.speakers.iter().filter(|speaker| !speaker.is_overflow)
    }

    /// The number of people beyond the limit who are not represented by a speaker.
    pub(crate) fn silent_over_limit(&self) -> usize {
        self.participants_over_limit.saturating_sub(self.speakers_over_limit)
    }

    /// Returns whether the meeting has no words.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The size of the compact form in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.compact.bytes() + self.records.capacity() * size_of::<TurnRecord>()
    }

    /// Returns the turns in time order. Each call makes one pass over the compact form.
    pub fn turns(&self) -> impl Iterator<Item = Turn> + '_ {
        (0..).zip(&self.records).map(|(index, record)| self.turn(index, record))
    }

    /// Returns the speaker of every turn and, if it is known, its time. It does not read the words.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (usize, Option<Span>)> + '_ {
        self.records.iter().map(|record| (self.participant(record).speaker, record.timed.then_some(record.span)))
    }

    /// Returns the label of a turn's speaker.
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
