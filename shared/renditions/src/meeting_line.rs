//! Writes a whole meeting as one line, for queries over many meetings.

use std::collections::{BTreeMap, BTreeSet};

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::Serialize;

use super::{
    Counts, MeetingInfo, MeetingRecord, ParticipantRecord, Sources, Summary, TitleSource,
    meeting::{seconds, seconds_of},
};

/// The status of a transcript that has a line.
const STORED: &str = "stored";

/// The fields and their order are part of the contract.
#[derive(Serialize)]
struct Line<'a> {
    recording_id: RecordingId,
    transcript_id: TranscriptId,
    bot_id: Option<BotId>,
    date: &'a str,
    #[serde(flatten)]
    version: Version,
    title: Option<&'a str>,
    title_source: Option<TitleSource>,
    platform: Option<&'a str>,
    meeting_id: Option<&'a str>,
    started_at: Option<&'a str>,
    ended_at: Option<&'a str>,
    calendar_event_id: Option<&'a str>,
    ical_uid: Option<&'a str>,
    participants_over_limit: usize,
    sources: Sources,
    /// The length of the recording or, if it is not known, the end of the last word.
    duration_s: Option<f64>,
    language_codes: &'a BTreeSet<String>,
    provider: Option<&'a str>,
    counts: Counts,
    participants: Vec<Person<'a>>,
    participant_emails: Vec<String>,
    participant_domains: Vec<String>,
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Person<'a> {
    name: Option<&'a str>,
    email: Option<&'a str>,
    is_host: bool,
    spoke: Option<bool>,
    talk_s: Option<f64>,
    words: Option<u64>,
}

/// The line of a meeting about which readers want to know nothing else.
#[derive(Serialize)]
struct ShortLine<'a> {
    recording_id: RecordingId,
    transcript_id: TranscriptId,
    bot_id: Option<BotId>,
    date: &'a str,
    #[serde(flatten)]
    version: Version,
}

/// Which of several transcripts of a recording it is. Readers count a recording once, by its newest transcript.
#[derive(Serialize)]
struct Version {
    status: &'static str,
    /// When Recall created the transcript, as RFC 3339.
    created_at: Option<String>,
    attempt: Option<u32>,
}

/// Returns the line of a meeting, with its line feed.
pub fn meeting_line(info: &MeetingInfo, record: &MeetingRecord, summary: &Summary) -> String {
    line(&Line {
        recording_id: info.recording_id,
        transcript_id: info.transcript_id,
        bot_id: info.bot_id,
        date: &info.date,
        version: Version::of(info),
        title: record.title.as_deref(),
        title_source: record.title_source,
        platform: record.platform.as_deref(),
        meeting_id: record.meeting_id.as_deref(),
        started_at: record.started_at.as_deref(),
        ended_at: record.ended_at.as_deref(),
        calendar_event_id: record.calendar_event_id.as_deref(),
        ical_uid: record.ical_uid.as_deref(),
        participants_over_limit: record.participants_over_limit,
        sources: record.sources,
        duration_s: duration_s(info, summary),
        language_codes: &summary.language_codes,
        provider: info.provider.as_deref(),
        counts: summary.counts,
        participants: record.participants.iter().map(Person::of).collect(),
        participant_emails: record.emails(),
        participant_domains: record.domains(),
        metadata: &info.metadata,
    })
}

/// Returns the line of a meeting without its content, with its line feed: only its ids, its date and its version.
pub fn short_meeting_line(info: &MeetingInfo) -> String {
    let MeetingInfo { recording_id, transcript_id, bot_id, .. } = *info;
    line(&ShortLine { recording_id, transcript_id, bot_id, date: &info.date, version: Version::of(info) })
}

/// Returns the length of the recording or, if it is not known, the end of the last word, if there is one.
pub(crate) fn duration_s(info: &MeetingInfo, summary: &Summary) -> Option<f64> {
    let last_word_ms = Some(summary.counts.duration_ms).filter(|end_ms| *end_ms > 0);
    info.recording_ms().map(seconds_of).or(last_word_ms.map(seconds))
}

fn line(line: &impl Serialize) -> String {
    let mut line = serde_json::to_string(line).unwrap_or_else(|_| unreachable!("text keys and plain values"));
    line.push('\n');
    line
}

impl Version {
    fn of(info: &MeetingInfo) -> Self {
        Self { status: STORED, created_at: info.created_at.map(Timestamp::rfc3339), attempt: info.attempt }
    }
}

impl<'a> Person<'a> {
    fn of(participant: &'a ParticipantRecord) -> Self {
        Self {
            name: participant.name.as_deref(),
            email: participant.email.as_deref(),
            is_host: participant.is_host,
            spoke: participant.spoke,
            talk_s: participant.talk_s,
            words: participant.words,
        }
    }
}

#[cfg(test)]
mod tests;
