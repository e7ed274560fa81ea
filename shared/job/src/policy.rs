//! What the operator has chosen, and what the metadata of one recording overrides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the operator has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The chain of providers, in the order in which attempts use them. Never empty.
    pub providers: Vec<String>,
    /// Paid tries with one provider before the next one is used.
    pub tries_per_provider: u32,
    /// No create is sent when this many transcripts exist, or may exist, on the recording.
    pub max_transcripts: u32,
    pub on_limit: OnLimit,
    /// Also copy transcripts that someone else requested.
    pub copy_unrequested: bool,
    pub delete_after_store: DeleteAfterStore,
    /// Announcements are sent to an event bus.
    pub announces: bool,
    /// Whether the newest transcript of a recording has a knowledge document.
    pub has_knowledge: bool,
    /// A recording that expires within this time and is not stored is worth an alarm.
    pub expiry_alarm: Duration,
}

/// What makes room at the limit of transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    Stop,
    /// A failed transcript is deleted at Recall.
    DeleteFailed,
    /// A transcript whose copy in S3 is verified is deleted at Recall: the one that the job learned of first.
    DeleteStored,
}

/// What is deleted at Recall once its copy is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAfterStore {
    Nothing,
    Transcript,
    Recording,
}

/// What the metadata of the recording, or of its bot, overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// `transcript` = `skip`: no transcript is requested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
    /// `transcript_provider`: this provider of the chain comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// `transcript_language`: the language option of the provider that comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// Which function asks the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Creates transcripts, and hands copies, deletions, and announcements over to the worker.
    Webhook,
    /// Does everything.
    Worker,
}

/// What a decision depends on, in addition to the job and the input.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// A lease that is taken now ends at this time: later than this invocation can live.
    pub lease_until: Timestamp,
    pub role: Role,
    pub policy: &'a Policy,
}
