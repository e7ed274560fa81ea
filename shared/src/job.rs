//! The job of one recording: what we know of it, and what to do next.
//!
//! Pure: no clock, no I/O, no AWS or HTTP type. An event or an answer goes in, a [`Decision`] comes out, and it
//! cannot fail. The loop in `advance.rs` saves the decided job before it acts on the command.
//!
//! One transcript's states (`events.rs` and `answers.rs` list every pair of state and input):
//!
//! ```text
//!   recording.done                    answer, or any transcript.* with our attempt
//!  ────────────────► Creating ───────────────────────► Transcribing ◄───────┐
//!                     │  ▲ │ same key, or look-up            │              │ not ready yet
//!                     │  └─┘                 transcript.done │              │
//!                     │ 400, 404                             ▼              │
//!                     ▼                                   Copying ──────────┘
//!                  Refused                                   │
//!                                 ┌──────────────┬───────────┴──┐
//!                                 ▼              ▼              ▼
//!                              Stored         Failed          Lost
//! ```
//!
//! A create that certainly had no effect (throttled, key refused, nothing found by the look-up) leaves the list;
//! the next attempt has a new number and so a new idempotency key.

mod answers;
mod attempts;
mod decision;
mod events;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    answers::{Answer, CopyAnswer, CreateAnswer, LookUpAnswer},
    decision::{Command, Decision, Next, Reason},
    events::{Event, Heard},
};
use crate::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

/// How long one idempotency key is used. Recall forgets a key 60 minutes after its call ended, and a worker that
/// sends it may live for 15; so after this we look the transcript up instead.
pub const KEY_REUSE: Duration = Duration::from_secs(40 * 60);

/// After this many server errors under one key we look the transcript up: Recall may be replaying one error.
pub const ERRORS_BEFORE_LOOK_UP: u32 = 3;

/// A call that nobody waits for any more may still take effect, and Recall's lists may lag behind. A look-up counts
/// only if it comes this long after the last call.
pub const LIST_SETTLE: Duration = Duration::from_secs(120);

/// How long a transcript may be in the making before somebody asks Recall about it.
pub const TRANSCRIBING_CHECK: Duration = Duration::from_secs(60 * 60);

/// Everything known about one recording; one item of the jobs table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub recording_id: RecordingId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    pub recording: Recording,
    /// The number of the newest attempt that was ever started; 0 before the first.
    pub attempts: u32,
    /// In the order in which we learned of them.
    pub transcripts: Vec<Transcript>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Counts the saves. 0 means that the job is not in the table yet.
    pub version: u64,
}

/// What Recall has told us about the recording itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Recording {
    /// We heard of its transcripts only.
    Unknown,
    Done,
    Failed {
        sub_code: Option<String>,
    },
    Deleted,
}

/// One transcript of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The number of our attempt; `None` if somebody else asked for this transcript.
    pub attempt: Option<u32>,
    /// The provider our attempt named.
    pub provider: Option<String>,
    #[serde(flatten)]
    pub state: State,
    /// Recall has deleted it since; it no longer counts towards the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// Where one transcript is. `until` is the moment before which nobody else may act: the end of a worker's lease,
/// or of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// create_transcript was called, or is about to be; whether it took effect is not known.
    Creating(Creating),
    /// Recall is working on it. `checks` counts how often we asked and it was not done.
    Transcribing { transcript_id: TranscriptId, check_at: Timestamp, checks: u32 },
    /// It is being copied to S3, or waits to be tried again.
    Copying(Copying),
    /// Terminal: complete in S3, manifest included.
    Stored { transcript_id: TranscriptId, receipt: Receipt },
    /// Terminal: Recall could not make it.
    Failed { transcript_id: TranscriptId, sub_code: Option<String> },
    /// Terminal: Recall would not make it.
    Refused { status: u16, code: Option<String> },
    /// Terminal: deleted or expired before it was copied. If Recall merely did not know it any more, a later
    /// `transcript.done` takes it up again.
    Lost { transcript_id: TranscriptId },
}

/// A create whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creating {
    pub first_call_at: Timestamp,
    pub last_call_at: Timestamp,
    /// Calls made under this key so far.
    pub calls: u32,
    /// Server errors answered under this key so far.
    pub errors: u32,
    pub until: Timestamp,
    pub claim: Claim,
}

/// A copy that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub transcript_id: TranscriptId,
    pub until: Timestamp,
    /// The worker that is at it; `None` while it waits.
    pub claim: Option<Claim>,
    /// Copies that did not come about so far.
    pub tries: u32,
    /// How many of the last of them found that Recall does not know the transcript.
    pub missing: u32,
}

/// Names one claim of a lease: the version of the save that took it. An answer that comes with another claim is
/// from a worker whose lease had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(pub u64);

/// What stands in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub stored_at: Timestamp,
    pub manifest_key: String,
    /// Size of the verbatim file in bytes.
    pub bytes: u64,
    /// Of the verbatim file, in lower-case hexadecimal.
    pub sha256: String,
    /// Nobody spoke.
    pub empty: bool,
}

/// Why no attempt may be started now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// Recall asked us to wait, or an operator has to do something first.
    Wait { until: Timestamp, status: u16, times: u32 },
    /// Another create would go over the limit of transcripts.
    LimitReached,
}

/// What the job comes to, for people and programs that read the table. Derived, never stored by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Creating,
    Transcribing,
    Copying,
    Waiting,
    Stored,
    LimitReached,
    Failed,
    Lost,
}

/// What the operator has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The provider that attempts name.
    pub provider: String,
    /// No create is sent when this many transcripts exist, or may exist, on the recording.
    pub max_transcripts: u32,
    /// Copy transcripts that somebody else asked for, too.
    pub copy_unrequested: bool,
}

/// What a decision depends on besides the job and the input.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// A lease taken now ends here: later than this invocation can live.
    pub lease_until: Timestamp,
    pub policy: &'a Policy,
}

impl Status {
    /// The word in the table's `status` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Transcribing => "transcribing",
            Self::Copying => "copying",
            Self::Waiting => "waiting",
            Self::Stored => "stored",
            Self::LimitReached => "limit_reached",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

impl Job {
    /// A job that nothing is known of yet.
    pub fn new(recording_id: RecordingId) -> Self {
        Self {
            recording_id,
            bot_id: None,
            recording: Recording::Unknown,
            attempts: 0,
            transcripts: Vec::new(),
            hold: None,
            version: 0,
        }
    }

    /// Work under way comes before any result; among results the best one counts.
    pub fn status(&self) -> Status {
        let any = |test: fn(&State) -> bool| self.transcripts.iter().any(|transcript| test(&transcript.state));
        if self.is_creating() {
            Status::Creating
        } else if any(|state| matches!(state, State::Copying(_))) {
            Status::Copying
        } else if any(|state| matches!(state, State::Transcribing { .. })) {
            Status::Transcribing
        } else if matches!(self.hold, Some(Hold::Wait { .. })) {
            Status::Waiting
        } else if any(|state| matches!(state, State::Stored { .. })) {
            Status::Stored
        } else if matches!(self.hold, Some(Hold::LimitReached)) {
            Status::LimitReached
        } else if any(|state| matches!(state, State::Failed { .. } | State::Refused { .. }))
            || matches!(self.recording, Recording::Failed { .. })
        {
            Status::Failed
        } else {
            Status::Lost
        }
    }

    /// How many transcripts exist, or may exist, on the recording.
    pub fn transcript_count(&self) -> u32 {
        let count = self.transcripts.iter().filter(|transcript| !transcript.deleted && transcript.state.exists());
        u32::try_from(count.count()).unwrap_or(u32::MAX)
    }

    /// Whether two transcripts carry one and the same attempt of ours: Recall made, and charged, both.
    pub fn paid_twice(&self) -> bool {
        let made = self.transcripts.iter().filter(|transcript| transcript.state.transcript_id().is_some());
        let attempts: Vec<u32> = made.filter_map(|transcript| transcript.attempt).collect();
        attempts.iter().enumerate().any(|(index, attempt)| attempts[..index].contains(attempt))
    }

    /// When somebody must look again; `None` when nothing is to come.
    pub fn due_at(&self) -> Option<Timestamp> {
        let hold = match self.hold {
            Some(Hold::Wait { until, .. }) if !self.is_creating() => Some(until),
            Some(Hold::Wait { .. } | Hold::LimitReached) | None => None,
        };
        self.transcripts.iter().filter_map(|transcript| transcript.state.due_at()).chain(hold).min()
    }

    fn is_creating(&self) -> bool {
        self.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(_)))
    }

    /// The job as it will be saved, with its next version.
    fn advanced(mut self, next: Next) -> Decision {
        self.version += 1;
        Decision::Apply { job: Box::new(self), next }
    }

    /// The name of a claim that the coming save takes.
    fn next_claim(&self) -> Claim {
        Claim(self.version + 1)
    }
}

impl State {
    /// Recall's id, once it is known.
    pub fn transcript_id(&self) -> Option<TranscriptId> {
        match self {
            Self::Creating(_) | Self::Refused { .. } => None,
            Self::Transcribing { transcript_id, .. }
            | Self::Copying(Copying { transcript_id, .. })
            | Self::Stored { transcript_id, .. }
            | Self::Failed { transcript_id, .. }
            | Self::Lost { transcript_id } => Some(*transcript_id),
        }
    }

    fn copying(&self) -> Option<Copying> {
        match self {
            Self::Copying(copying) => Some(*copying),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. } => None,
        }
    }

    fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { until, .. }) | Self::Copying(Copying { until, .. }) => Some(*until),
            Self::Transcribing { check_at, .. } => Some(*check_at),
            Self::Stored { .. } | Self::Failed { .. } | Self::Refused { .. } | Self::Lost { .. } => None,
        }
    }

    /// Whether Recall has it, or may have it.
    fn exists(&self) -> bool {
        match self {
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. } => true,
            Self::Refused { .. } | Self::Lost { .. } => false,
        }
    }
}
