//! What is known of a transcript besides its file, and the manifest that is made from it.

use std::collections::BTreeSet;

use job::{
    Receipt,
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use pipeline::{
    keys,
    manifest::{BEING_REPLACED, File, Manifest, Recording, SCHEMA},
};
use renditions::{
    Counts, MeetingInfo, MeetingRecord, RecordingTimes, SourceState, Sources, Summary, Title, TitleSource,
};
use serde_json::Value;

use crate::{tags::Labels, upload::Uploaded};

/// What is known of a transcript besides its file.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptInfo {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    /// When Recall created the transcript.
    pub(crate) created_at: Option<Timestamp>,
    /// When the recording started and was completed.
    pub(crate) times: RecordingTimes,
    /// The day under which the turns and the meeting are filed: that of the recording or, if it is not known, of the
    /// transcript.
    pub(crate) day: String,
    /// The metadata of the recording.
    pub(crate) metadata: Value,
    pub(crate) bot_metadata: Value,
    pub(crate) labels: Labels,
}

/// What Recall says about a meeting, apart from its people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// The title that the platform gave the meeting.
    pub(crate) title: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) meeting_id: Option<String>,
    pub(crate) sources: Sources,
}

impl Facts {
    /// Returns what an earlier manifest says.
    pub(crate) fn of_record(record: &MeetingRecord) -> Self {
        let is_recalls = record.title_source == Some(TitleSource::Recall);
        Self {
            title: record.title.clone().filter(|_| is_recalls),
            platform: record.platform.clone(),
            meeting_id: record.meeting_id.clone(),
            sources: record.sources,
        }
    }
}

impl Facts {
    /// Returns whether Recall was asked about the bot, and answered or failed to.
    pub(crate) fn has_bot(&self) -> bool {
        matches!(self.sources.bot, SourceState::Read | SourceState::Failed)
    }

    /// Returns only what the bot told.
    pub(crate) fn only_of_bot(self) -> Self {
        let Self { platform, meeting_id, sources, .. } = self;
        let sources = Sources { bot: sources.bot, ..Sources::default() };
        Self { title: None, platform, meeting_id, sources }
    }
}

impl TranscriptInfo {
    /// Returns what a manifest and the row say. `day`: the day under which its turns and its meeting are filed.
    pub(crate) fn of_manifest(manifest: &Manifest, receipt: &Receipt, day: String, metadata_keys: &[String]) -> Self {
        let Recording { metadata, bot_metadata, .. } = &manifest.recording;
        Self {
            recording_id: manifest.recording_id,
            transcript_id: manifest.transcript_id,
            bot_id: manifest.bot_id,
            attempt: manifest.attempt,
            provider: manifest.provider.clone(),
            created_at: receipt.created_at,
            times: manifest.recording.times(),
            day,
            labels: Labels::new(metadata_keys, metadata, bot_metadata),
            metadata: metadata.clone(),
            bot_metadata: bot_metadata.clone(),
        }
    }

    pub(crate) fn key(&self, prefix: &str, name: &str) -> String {
        keys::key(prefix, self.recording_id, self.transcript_id, name)
    }

    pub(crate) fn tags(&self) -> Option<String> {
        self.labels.tags.clone()
    }

    /// Describes the meeting for the renderers.
    pub(crate) fn meeting_info(&self, facts: Facts) -> MeetingInfo {
        let Facts { title, platform, meeting_id, sources } = facts;
        let text = |key: &str| {
            let mut texts = [&self.metadata, &self.bot_metadata].into_iter().map(|metadata| metadata.get(key));
            texts.find_map(|value| value.and_then(Value::as_str)).map(str::to_owned)
        };
        MeetingInfo {
            bot_id: self.bot_id,
            title: Title::find(title.as_deref(), &[&self.metadata, &self.bot_metadata]),
            platform,
            meeting_id,
            started_at: self.times.started_at,
            ended_at: self.times.completed_at,
            calendar_event_id: text("calendar_event_id"),
            ical_uid: text("ical_uid"),
            provider: self.provider.clone(),
            attempt: self.attempt,
            created_at: self.created_at,
            metadata: self.labels.metadata.clone(),
            sources,
            ..MeetingInfo::new(self.recording_id, self.transcript_id, self.day.clone())
        }
    }

    pub(crate) fn manifest(
        self,
        summary: Summary,
        meeting: MeetingRecord,
        files: Vec<File>,
        rendering_error: Option<String>,
        stored_at: Timestamp,
    ) -> Manifest {
        let rfc3339 = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
        let mut manifest = Manifest {
            schema: SCHEMA,
            recording_id: self.recording_id,
            transcript_id: self.transcript_id,
            bot_id: self.bot_id,
            attempt: self.attempt,
            provider: self.provider,
            language_codes: summary.language_codes.into_iter().collect(),
            recording: Recording {
                started_at: rfc3339(self.times.started_at),
                completed_at: rfc3339(self.times.completed_at),
                metadata: self.metadata,
                bot_metadata: self.bot_metadata,
            },
            counts: summary.counts,
            skipped_values: summary.skipped_values,
            meeting,
            empty: summary.empty,
            rendering_error,
            stored_at: stored_at.rfc3339(),
            rendered_at: None,
            rendered_by: None,
            files,
            replaced_day: None,
        };
        manifest.rendered_now(stored_at);
        manifest
    }

    /// Returns a manifest that names no files. It replaces a manifest that cannot be read.
    pub(crate) fn withdrawn_manifest(&self, now: Timestamp) -> Manifest {
        let error = BEING_REPLACED.to_owned();
        let (counts, language_codes) = (Counts::default(), BTreeSet::new());
        let summary = Summary { counts, skipped_values: 0, language_codes, empty: false, error: Some(error.clone()) };
        self.clone().manifest(summary, MeetingRecord::default(), Vec::new(), Some(error), now)
    }
}

/// Returns the manifest's entry for a complete object.
pub(crate) fn file_entry(name: &str, key: String, content_type: &str, uploaded: Uploaded) -> File {
    let Uploaded { bytes, sha256, crc64nvme } = uploaded;
    let (name, content_type) = (name.to_owned(), content_type.to_owned());
    File { name, key, bytes, sha256, crc64nvme: Some(crc64nvme), content_type }
}
