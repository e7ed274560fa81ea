//! What the manifest says about the meeting and its people. Later runs read it back.

use std::collections::HashSet;

use job::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    MeetingInfo, Speaker,
    meeting::{millis_of, seconds_of},
};

/// The `meeting` of a manifest. What is not known is null.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct MeetingRecord {
    pub title: Option<String>,
    pub title_source: Option<TitleSource>,
    pub platform: Option<String>,
    pub meeting_id: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub calendar_event_id: Option<String>,
    pub ical_uid: Option<String>,
    /// The people. The field `person` in JSON Lines is an index into this list.
    pub participants: Vec<ParticipantRecord>,
    /// The number of people who are not in the list.
    pub participants_over_limit: usize,
    pub sources: Sources,
}

/// One person of a meeting. Someone who left and came back is one person.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ParticipantRecord {
    /// Recall's participant ids.
    pub ids: Vec<i64>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub email_source: Option<EmailSource>,
    pub is_host: bool,
    /// When the person first joined, as RFC 3339.
    pub joined_at: Option<String>,
    /// When the person last left, as RFC 3339. Someone who stayed left at the end of the recording.
    pub left_at: Option<String>,
    /// How long the person was there during the recording, in seconds.
    pub present_s: Option<f64>,
    /// Whether the person said a word. This and the next fields are null if the transcript could not be read.
    pub spoke: Option<bool>,
    /// The length of the person's turns in seconds, including estimates.
    pub talk_s: Option<f64>,
    pub words: Option<u64>,
    pub turns: Option<u64>,
}

/// What became of each source of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Sources {
    pub participants: SourceState,
    pub events: SourceState,
    pub meeting_metadata: SourceState,
    pub bot: SourceState,
    /// `None` if the settings do not ask for the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<SourceState>,
    /// `None` if the settings do not ask for the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_data: Option<SourceState>,
}

/// What became of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// It was used, and its bytes are kept.
    Stored,
    /// It was used, and not kept.
    Read,
    /// Recall has none.
    #[default]
    Absent,
    Failed,
    NotYet,
}

/// Where a title is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TitleSource {
    /// The meeting platform, through Recall.
    Recall,
    /// The metadata of the recording or of the bot.
    Metadata,
}

/// Where an e-mail address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailSource {
    /// The participants file.
    Participants,
    /// The participants in the transcript.
    Transcript,
}

impl MeetingRecord {
    /// Describes a meeting whose transcript was read.
    pub(crate) fn new(info: &MeetingInfo, speakers: &[Speaker], over_limit: usize) -> Self {
        let people = speakers.iter().filter(|speaker| !speaker.is_overflow);
        Self {
            title: info.title().map(str::to_owned),
            title_source: info.title.as_ref().map(|title| title.source),
            platform: info.platform.clone(),
            meeting_id: info.meeting_id.clone(),
            started_at: info.started_at.map(Timestamp::rfc3339),
            ended_at: info.ended_at.map(Timestamp::rfc3339),
            calendar_event_id: info.calendar_event_id.clone(),
            ical_uid: info.ical_uid.clone(),
            participants: people.map(ParticipantRecord::of).collect(),
            participants_over_limit: over_limit,
            sources: info.sources,
        }
    }

    /// Returns the distinct e-mail addresses in lower case, in the order of the people.
    pub(crate) fn emails(&self) -> Vec<String> {
        distinct(self.participants.iter().filter_map(|participant| participant.email.as_deref()))
    }

    /// Returns the distinct domains of the e-mail addresses in lower case, in the order of the people.
    pub(crate) fn domains(&self) -> Vec<String> {
        let emails = self.participants.iter().filter_map(|participant| participant.email.as_deref());
        distinct(emails.filter_map(|email| email.rsplit_once('@')).map(|(_, domain)| domain))
    }

    /// Returns the distinct names of those who spoke, in the order of the people.
    pub(crate) fn speakers(&self) -> Vec<String> {
        let speakers = self.participants.iter().filter(|participant| participant.spoke == Some(true));
        let mut seen = HashSet::new();
        speakers.filter_map(|participant| participant.name.clone()).filter(|name| seen.insert(name.clone())).collect()
    }

    /// Removes everything that only a transcript can say.
    pub(crate) fn without_talk(mut self) -> Self {
        for participant in &mut self.participants {
            let ParticipantRecord { spoke, talk_s, words, turns, .. } = participant;
            (*spoke, *talk_s, *words, *turns) = (None, None, None, None);
        }
        self
    }
}

/// Returns the distinct texts in lower case.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.map(str::to_lowercase).filter(|text| seen.insert(text.clone())).collect()
}

impl ParticipantRecord {
    fn of(speaker: &Speaker) -> Self {
        let (email, email_source) = speaker.email.clone().unzip();
        Self {
            ids: speaker.ids.clone(),
            name: speaker.name.clone(),
            email,
            email_source,
            is_host: speaker.is_host,
            joined_at: speaker.presence.joined_at.map(Timestamp::rfc3339),
            left_at: speaker.presence.left_at.map(Timestamp::rfc3339),
            present_s: speaker.presence.present_ms.map(seconds_of),
            spoke: Some(speaker.words > 0),
            talk_s: Some(seconds_of(speaker.talk_ms)),
            words: Some(speaker.words),
            turns: Some(speaker.turns),
        }
    }

    /// Returns how long the person was there in milliseconds, if it is known and can be right.
    pub(crate) fn present_ms(&self) -> Option<u64> {
        self.present_s.and_then(millis_of)
    }
}
