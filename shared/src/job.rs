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
//!    ▲                │  ▲ │ same key, or look-up            │              │ not ready yet
//!    │ next attempt   │  └─┘                 transcript.done │              │
//!    ├────────────────┤ 400, 404                             ▼              │
//!    │                ▼                                   Copying ──────────┘
//!    │             Refused                                   │  ▲ ▲
//!    │                            ┌──────────────┬───────────┴──┐ │ transcript.done after all
//!    │                            ▼              ▼          │   ▼ │
//!    │                         Stored         Failed ───────┘  Lost
//!    └───────────────────────────────────────────┘
//! ```
//!
//! Somebody else's transcript that the operator wants left alone is `Left`.
//!
//! A create that certainly had no effect (throttled, key refused, nothing found by the look-up) leaves the list;
//! the next attempt has a new number and so a new idempotency key.

mod answers;
mod attempts;
mod copies;
mod creates;
mod decision;
mod deletions;
mod events;
mod outbox;
mod policy;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::answers::{bounded, doubled, in_time};
pub use self::{
    answers::{Answer, CopyAnswer, CreateAnswer, Listed, LookUpAnswer},
    decision::{Command, Decision, Next, Reason},
    deletions::{DeleteAnswer, Deletion, Target, Why},
    events::{Event, Finished, Heard},
    outbox::{Announcement, Notice, Outbox},
    policy::{Context, DeleteAfterStore, OnLimit, Policy, Wishes},
    state::{Claim, Copying, Counts, Creating, Receipt, Refused, State, Transcript},
};
use crate::{
    ids::{BotId, RecordingId},
    time::Timestamp,
};

/// Recall's own limit of transcripts per recording.
pub const RECALL_MAX_TRANSCRIPTS: u32 = 10;

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
    /// When it was done, as far as Recall has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// When Recall deletes it, as far as Recall has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub wishes: Wishes,
    /// The language that the newest call of create_transcript asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_language: Option<String>,
    /// Wished languages that were refused. They are not asked for again, however often the metadata comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_languages: Vec<String>,
    /// The number of the newest attempt that was ever started; 0 before the first.
    pub attempts: u32,
    /// In the order in which we learned of them.
    pub transcripts: Vec<Transcript>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    #[serde(default)]
    pub outbox: Outbox,
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

/// Why no attempt may be started now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// Until then: Recall answered with this status; without one, the last attempt failed and the next is to come.
    Wait { until: Timestamp, status: Option<u16>, times: u32 },
    /// Another create would go over the limit of transcripts.
    LimitReached,
    /// The recording's metadata asks for no transcript.
    Skipped,
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
    Skipped,
    Failed,
    Lost,
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
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Nothing more is tried, and somebody has to know.
    pub fn is_bad_end(self) -> bool {
        match self {
            Self::LimitReached | Self::Failed | Self::Lost => true,
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting | Self::Stored | Self::Skipped => false,
        }
    }

    /// Something is still to be tried.
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting => true,
            Self::Stored | Self::LimitReached | Self::Skipped | Self::Failed | Self::Lost => false,
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
            done_at: None,
            expires_at: None,
            wishes: Wishes::default(),
            asked_language: None,
            refused_languages: Vec::new(),
            attempts: 0,
            transcripts: Vec::new(),
            hold: None,
            deletion: None,
            outbox: Outbox::default(),
            version: 0,
        }
    }

    /// Work under way comes before any result; among results the best one counts.
    pub fn status(&self) -> Status {
        let any = |test: fn(&State) -> bool| self.transcripts.iter().any(|transcript| test(&transcript.state));
        let left_alone = self.transcripts.iter().all(|transcript| matches!(transcript.state, State::Left { .. }));
        if self.is_creating() {
            Status::Creating
        } else if any(|state| matches!(state, State::Copying(_))) {
            Status::Copying
        } else if any(|state| matches!(state, State::Transcribing { .. })) {
            Status::Transcribing
        } else if self.waits_for_next() {
            Status::Waiting
        } else if any(|state| matches!(state, State::Stored { .. })) {
            Status::Stored
        } else if self.hold == Some(Hold::LimitReached) {
            Status::LimitReached
        } else if self.hold == Some(Hold::Skipped) {
            Status::Skipped
        } else if any(|state| matches!(state, State::Failed { .. } | State::Refused { .. }))
            || matches!(self.recording, Recording::Failed { .. })
        {
            Status::Failed
        } else if left_alone && !self.transcripts.is_empty() && self.recording != Recording::Deleted {
            Status::Skipped
        } else {
            Status::Lost
        }
    }

    /// How many transcripts exist, or may exist, on the recording.
    pub fn transcript_count(&self) -> u32 {
        let count = self.transcripts.iter().filter(|transcript| transcript.exists()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
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
            Some(Hold::Wait { .. } | Hold::LimitReached | Hold::Skipped) | None => None,
        };
        let deletion = self.deletion.map(|deletion| deletion.until);
        let outbox = Some(self.outbox.until).filter(|_| !self.outbox.notices.is_empty());
        let transcripts = self.transcripts.iter().filter_map(|transcript| transcript.state.due_at());
        transcripts.chain(hold).chain(deletion).chain(outbox).chain(self.outbox.expiry_at).min()
    }

    /// Whether the next attempt waits for its time, or for room.
    fn waits_for_next(&self) -> bool {
        matches!(self.hold, Some(Hold::Wait { .. })) || self.deletion.is_some_and(|deletion| deletion.why == Why::Room)
    }

    /// The job as it will be saved, with its next version. Whoever has nothing else to do next takes up what is left
    /// to announce and to delete.
    fn advanced(mut self, next: Next, context: Context<'_>) -> Decision {
        let kept = self.keep_what_is_needed(context);
        self.tell_end(context);
        let next = match next {
            Next::Nothing => {
                let next = kept.or_else(|| self.go_on_in_new_room(context));
                next.or_else(|| self.announce(context)).or_else(|| self.delete(context)).unwrap_or(Next::Nothing)
            }
            next @ (Next::Act(_) | Next::Again { .. }) => next,
        };
        self.outbox.expiry_at = self.expiry_alarm_at(context);
        self.version += 1;
        Decision::Apply { job: Box::new(self), next }
    }

    /// The name of a claim that the coming save takes.
    fn next_claim(&self) -> Claim {
        Claim(self.version + 1)
    }
}

impl Recording {
    /// Why there is no recording, in Recall's words.
    fn sub_code(&self) -> Option<String> {
        match self {
            Self::Failed { sub_code } => sub_code.clone(),
            Self::Unknown | Self::Done | Self::Deleted => None,
        }
    }
}
