//! What the operator has chosen, and what the people of one recording wish for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the operator has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The providers that attempts name, the preferred one first. Never empty.
    pub providers: Vec<String>,
    /// Paid tries with one provider before the next.
    pub tries_per_provider: u32,
    /// No create is sent when this many transcripts exist, or may exist, on the recording.
    pub max_transcripts: u32,
    pub on_limit: OnLimit,
    /// Copy transcripts that somebody else asked for, too.
    pub copy_unrequested: bool,
    pub delete_after_store: DeleteAfterStore,
    /// Somebody listens to announcements.
    pub announces: bool,
    /// A recording that expires sooner than this and is not stored is worth an alarm.
    pub expiry_alarm: Duration,
}

/// What makes room at the limit of transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    Stop,
    /// A failed transcript is deleted at Recall.
    DeleteFailed,
    /// The oldest transcript whose copy in S3 is verified is deleted at Recall.
    DeleteStored,
}

/// What is deleted at Recall once its copy is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAfterStore {
    Nothing,
    Transcript,
    Recording,
}

/// What the metadata of the recording, or of its bot, asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// `transcript` = `skip`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
    /// `transcript_provider`: this one of the chain comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// `transcript_language`: the language option of the provider that comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// What a decision depends on besides the job and the input.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// A lease taken now ends here: later than this invocation can live.
    pub lease_until: Timestamp,
    /// This function copies, deletes and announces; the webhook only has that done.
    pub worker: bool,
    pub policy: &'a Policy,
}
