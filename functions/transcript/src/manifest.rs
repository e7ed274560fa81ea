//! Object keys, and the manifest that is written last.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

use crate::{
    render::Head,
    tally::{Counts, Summary},
    upload::Uploaded,
};

/// Readers refuse a schema that they do not know.
const SCHEMA: u32 = 1;
/// The verbatim file.
pub(crate) const VERBATIM: &str = "transcript.json";
pub(crate) const MANIFEST: &str = "manifest.json";

/// `manifest.json`. Whoever sees it sees everything it names.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub(crate) schema: u32,
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    pub(crate) language_codes: Vec<String>,
    pub(crate) recording: Recording,
    pub(crate) counts: Counts,
    pub(crate) empty: bool,
    pub(crate) rendering_error: Option<String>,
    pub(crate) stored_at: String,
    pub(crate) files: Vec<File>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Recording {
    pub(crate) started_at: Option<String>,
    pub(crate) metadata: Value,
}

/// One object of the set.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    pub(crate) content_type: String,
}

/// What is known of a transcript besides its file.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    /// Of the recording.
    pub(crate) started_at: Option<Timestamp>,
    /// Of the transcript.
    pub(crate) made_at: Option<Timestamp>,
    pub(crate) metadata: Value,
}

impl Manifest {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_else(|_| unreachable!("text keys and plain values"))
    }
}

impl File {
    pub(crate) fn new(name: &str, key: String, content_type: &str, uploaded: Uploaded) -> Self {
        let Uploaded { bytes, sha256, .. } = uploaded;
        Self { name: name.to_owned(), key, bytes, sha256, content_type: content_type.to_owned() }
    }
}

impl About {
    pub(crate) fn key(&self, prefix: &str, name: &str) -> String {
        key(prefix, self.recording_id, self.transcript_id, name)
    }

    /// Filed under the day of the recording, or, where that is not known, of the transcript.
    pub(crate) fn turns_key(&self, prefix: &str, now: Timestamp) -> String {
        turns_key(prefix, self.started_at.or(self.made_at).unwrap_or(now), self.transcript_id)
    }

    pub(crate) fn head(&self) -> Head {
        Head::new(self.recording_id, self.transcript_id, self.started_at, &self.metadata)
    }

    pub(crate) fn manifest(
        self,
        summary: Summary,
        files: Vec<File>,
        rendering_error: Option<String>,
        stored_at: Timestamp,
    ) -> Manifest {
        Manifest {
            schema: SCHEMA,
            recording_id: self.recording_id,
            transcript_id: self.transcript_id,
            bot_id: self.bot_id,
            attempt: self.attempt,
            provider: self.provider,
            language_codes: summary.language_codes.into_iter().collect(),
            recording: Recording { started_at: self.started_at.map(Timestamp::rfc3339), metadata: self.metadata },
            counts: summary.counts,
            empty: summary.empty,
            rendering_error,
            stored_at: stored_at.rfc3339(),
            files,
        }
    }
}

/// The key of one of a transcript's objects.
pub(crate) fn key(prefix: &str, recording_id: RecordingId, transcript_id: TranscriptId, name: &str) -> String {
    format!("{prefix}recordings/{recording_id}/{transcript_id}/{name}")
}

/// The key of a transcript's turns, which is a partition of a table for SQL by the day in UTC.
pub(crate) fn turns_key(prefix: &str, day: Timestamp, transcript_id: TranscriptId) -> String {
    let day = day.rfc3339();
    let day = day.split_once('T').map_or(&*day, |(day, _)| day);
    format!("{prefix}turns/date={day}/{transcript_id}.jsonl")
}
