//! What is known of a transcript besides its file, and the manifest that is made from it.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use pipeline::{
    keys,
    manifest::{BEING_REPLACED, File, Manifest, Recording, SCHEMA},
};
use renditions::{MeetingInfo, RecordingTimes, Summary};
use serde_json::Value;

use crate::upload::Uploaded;

/// What is known of a transcript besides its file.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptInfo {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    /// When the recording started.
    pub(crate) started_at: Option<Timestamp>,
    /// When the recording was completed.
    pub(crate) completed_at: Option<Timestamp>,
    /// When the transcript was made.
    pub(crate) made_at: Option<Timestamp>,
    /// The metadata of the recording.
    pub(crate) metadata: Value,
    pub(crate) bot_metadata: Value,
}

impl TranscriptInfo {
    pub(crate) fn key(&self, prefix: &str, name: &str) -> String {
        keys::key(prefix, self.recording_id, self.transcript_id, name)
    }

    /// Returns the key of the turns. They are filed under the day of the recording or, if it is not known, of the
    /// transcript.
    pub(crate) fn turns_key(&self, prefix: &str, now: Timestamp) -> String {
        keys::turns_key(prefix, self.started_at.or(self.made_at).unwrap_or(now), self.transcript_id)
    }

    pub(crate) fn meeting_info(&self) -> MeetingInfo {
        MeetingInfo::new(self.recording_id, self.transcript_id, self.started_at, &self.metadata)
    }

    pub(crate) fn recording_times(&self) -> RecordingTimes {
        RecordingTimes { started_at: self.started_at, completed_at: self.completed_at }
    }

    pub(crate) fn manifest(
        self,
        summary: Summary,
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
                started_at: rfc3339(self.started_at),
                completed_at: rfc3339(self.completed_at),
                metadata: self.metadata,
                bot_metadata: self.bot_metadata,
            },
            counts: summary.counts,
            skipped_values: summary.skipped_values,
            empty: summary.empty,
            rendering_error,
            stored_at: stored_at.rfc3339(),
            rendered_at: None,
            rendered_by: None,
            files,
            replaced_turns: None,
        };
        manifest.rendered_now(stored_at);
        manifest
    }

    /// Returns a manifest that names no files. It replaces a manifest that cannot be read.
    pub(crate) fn withdrawn_manifest(&self, now: Timestamp) -> Manifest {
        let error = BEING_REPLACED.to_owned();
        let (summary, _) = Summary::unread(error.clone());
        self.clone().manifest(summary, Vec::new(), Some(error), now)
    }
}

/// Returns the manifest's entry for a complete object.
pub(crate) fn file_entry(name: &str, key: String, content_type: &str, uploaded: Uploaded) -> File {
    let Uploaded { bytes, sha256, crc64nvme } = uploaded;
    let (name, content_type) = (name.to_owned(), content_type.to_owned());
    File { name, key, bytes, sha256, crc64nvme: Some(crc64nvme), content_type }
}
