//! What exists at Recall: bots, recordings, and transcripts.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    clock::now,
    config::Limits,
    meeting::{Files, Platform},
};

/// Custom metadata: strings, or null.
pub type Metadata = Map<String, Value>;

/// The state of a recording or a transcript.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Processing,
    Done,
    Failed,
    Deleted,
}

impl Status {
    /// Returns the status as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) status: Status,
    pub(super) sub_code: Option<String>,
    pub(super) updated_at: OffsetDateTime,
    pub(super) updated: Instant,
}

impl Progress {
    pub(super) fn now(status: Status, sub_code: Option<String>) -> Self {
        Self { status, sub_code, updated_at: now(), updated: Instant::now() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Bot {
    pub(super) id: Uuid,
    pub(super) metadata: Metadata,
    pub(super) meeting_url: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) id: Uuid,
    pub(super) order: u64,
    pub(super) bot: Option<Uuid>,
    pub(super) created_at: OffsetDateTime,
    pub(super) started_at: OffsetDateTime,
    pub(super) completed_at: Option<OffsetDateTime>,
    pub(super) progress: Progress,
    pub(super) metadata: Metadata,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) has_media: bool,
    pub(super) duration: std::time::Duration,
    pub(super) content: Bytes,
    pub(super) platform: Platform,
    pub(super) title: Option<String>,
    pub(super) files: Arc<Files>,
    /// In the order of their creation.
    pub(super) transcripts: Vec<Uuid>,
    pub(super) creates: usize,
}

impl Recording {
    /// Returns whether its media and its files exist.
    pub(super) fn has_files(&self) -> bool {
        self.has_media && self.progress.status == Status::Done
    }
}

#[derive(Clone, Debug)]
pub(super) struct Transcript {
    pub(super) id: Uuid,
    pub(super) order: u64,
    pub(super) recording: Uuid,
    pub(super) created_at: OffsetDateTime,
    pub(super) created: Instant,
    pub(super) progress: Progress,
    pub(super) metadata: Metadata,
    pub(super) provider: Metadata,
    pub(super) diarization: Value,
    pub(super) idempotency_key: Option<String>,
}

/// Everything in the workspace.
#[derive(Debug)]
pub(super) struct State {
    pub(super) api_key: String,
    pub(super) bots: HashMap<Uuid, Bot>,
    pub(super) recordings: HashMap<Uuid, Recording>,
    pub(super) transcripts: HashMap<Uuid, Transcript>,
    pub(super) random: fastrand::Rng,
    made: u64,
}

impl State {
    pub(super) fn new(api_key: String, seed: u64) -> Self {
        Self {
            api_key,
            bots: HashMap::new(),
            recordings: HashMap::new(),
            transcripts: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
            made: 0,
        }
    }

    pub(super) fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random.u128(..).to_be_bytes()).into_uuid()
    }

    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Returns the recording, unless it is deleted and therefore hidden.
    pub(super) fn recording(&self, id: Uuid, limits: &Limits) -> Option<&Recording> {
        self.recordings.get(&id).filter(|recording| shown(&recording.progress, limits))
    }

    /// Returns the transcript, unless it is deleted and therefore hidden.
    pub(super) fn transcript(&self, id: Uuid, limits: &Limits) -> Option<&Transcript> {
        self.transcripts.get(&id).filter(|transcript| shown(&transcript.progress, limits))
    }

    pub(super) fn bot_of(&self, recording: &Recording) -> Option<&Bot> {
        self.bots.get(&recording.bot?)
    }

    pub(super) fn transcripts_of<'a>(&'a self, recording: &'a Recording) -> impl Iterator<Item = &'a Transcript> {
        recording.transcripts.iter().filter_map(|id| self.transcripts.get(id))
    }
}

fn shown(progress: &Progress, limits: &Limits) -> bool {
    limits.deleted_shown || progress.status != Status::Deleted
}
