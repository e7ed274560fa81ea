//! Object keys, and the manifest that is written last.

use serde::Serialize;
use serde_json::Value;
use shared::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

use crate::tally::{Counts, Summary};

/// Readers refuse a schema that they do not know.
const SCHEMA: u32 = 1;

/// `manifest.json`. Whoever sees it sees everything it names.
#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
pub(crate) struct Recording {
    pub(crate) started_at: Option<String>,
    pub(crate) metadata: Value,
}

/// One object of the set.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    pub(crate) content_type: &'static str,
}

/// What is known of a transcript besides its file.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) metadata: Value,
}

impl About {
    /// The key of one of this transcript's objects.
    pub(crate) fn key(&self, prefix: &str, name: &str) -> String {
        format!("{prefix}recordings/{}/{}/{name}", self.recording_id, self.transcript_id)
    }

    pub(crate) fn manifest(self, summary: Summary, files: Vec<File>, stored_at: Timestamp) -> Manifest {
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
            rendering_error: summary.error,
            stored_at: stored_at.rfc3339(),
            files,
        }
    }
}
