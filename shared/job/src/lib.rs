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
mod deleting;
mod deletions;
mod events;
pub mod ids;
mod limit;
mod outbox;
mod policy;
mod reading;
mod reconcile;
mod requests;
mod state;
mod status;
#[cfg(test)]
mod tests;
pub mod time;
mod transcripts;
mod waits;
mod wake;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    answers::{Answer, CopyAnswer, CreateAnswer, ListedTranscript, LookUpAnswer, RecordingAnswer, RenderAnswer},
    decision::{Command, Decision, Next, Reason},
    deleting::{Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, Deleting, Presence},
    deletions::{Deletion, DeletionReason, DeletionTarget},
    events::{Event, RecordingInfo, TranscriptRef},
    outbox::{Announcement, Notice, Outbox},
    policy::{Context, DeleteAfterStore, OnLimit, Overrides, Policy},
    reconcile::{EntryStatus, HEAD_START, RecordingEntry, TranscriptEntry},
    requests::{Rendering, Retry},
    state::{
        Claim, Contradiction, Copying, Counts, Creating, Failures, KeepReason, Receipt, State, Transcript,
        UnexplainedRefusal,
    },
    status::Status,
    waits::{JITTER_PART, chosen_wait},
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

/// How long a transcript may take before Recall is asked about it.
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
    /// What its metadata asks for; `None` while that was never read, and then nothing may be paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// Since when Recall has answered that it does not know the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Every provider that had tries left was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusals: Option<Refusals>,
    /// Another attempt that a person asked for, and that has not started yet, or had no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<Rendering>,
    /// When the newest request to render was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering_stopped_at: Option<Timestamp>,
    /// The language that the newest call of create_transcript asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_language: Option<String>,
    /// Wished languages that were refused. They are not asked for again, even when the metadata comes again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_languages: Vec<String>,
    /// When an attempt of ours that was paid for last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
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
    /// `times`: how many times in a row it was trouble of the same kind; `since`: when the first of them was.
    Wait { retry_at: Timestamp, status: Option<u16>, times: u32, since: Timestamp },
    /// The metadata of the recording has never been read. `claim`: the worker that retrieves it; `None` while it waits.
    /// `trouble`: what kept it from being read last; `times` and `since` are of that kind, too.
    Unread {
        retry_at: Timestamp,
        claim: Option<Claim>,
        #[serde(default)]
        cause: HoldCause,
        times: u32,
        since: Timestamp,
    },
    /// Every provider of the chain that had tries left was refused; then the chain starts again.
    AllRefused { retry_at: Timestamp },
    /// Another create would go over the limit of transcripts. `until`: when the job looks for room again.
    LimitReached { retry_at: Option<Timestamp> },
    /// The recording's metadata asks for no transcript, or Recall has not known the recording for a day.
    Skipped,
}

/// What Recall holds us off with. Each kind is counted by itself, and says nothing of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// Server errors, or no answer that makes sense.
    #[default]
    Errors,
    /// 400 although the row has room.
    Full,
    /// 401, 402, 403.
    Operator,
    /// 404.
    Unknown,
    /// 429.
    Throttled,
}

impl HoldCause {
    fn of(status: u16) -> Self {
        match status {
            400 => Self::Full,
            401..=403 => Self::Operator,
            404 => Self::Unknown,
            429 => Self::Throttled,
            _ => Self::Errors,
        }
    }
}

impl Hold {
    /// What Recall holds us off with, how many times in a row, and since when.
    fn cause(&self) -> Option<(HoldCause, u32, Timestamp)> {
        match self {
            Self::Wait { status: Some(status), times, since, .. } => Some((HoldCause::of(*status), *times, *since)),
            Self::Unread { cause, times, since, .. } => Some((*cause, *times, *since)),
            Self::Wait { status: None, .. } | Self::AllRefused { .. } | Self::LimitReached { .. } | Self::Skipped => {
                None
            }
        }
    }

    /// When it must be looked at again.
    fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Wait { retry_at, .. } | Self::Unread { retry_at, .. } | Self::AllRefused { retry_at } => {
                Some(*retry_at)
            }
            Self::LimitReached { retry_at } => *retry_at,
            Self::Skipped => None,
        }
    }

    /// Ends a wait; a lease stands.
    fn end_wait(&mut self, now: Timestamp) {
        match self {
            Self::Wait { retry_at, .. }
            | Self::Unread { retry_at, claim: None, .. }
            | Self::AllRefused { retry_at } => {
                *retry_at = now.min(*retry_at);
            }
            Self::LimitReached { retry_at } => *retry_at = Some(now),
            Self::Unread { claim: Some(_), .. } | Self::Skipped => {}
        }
    }
}

/// Refusals that cost nothing, and never end a job for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    pub since: Timestamp,
    /// How many times the whole chain was refused.
    pub rounds: u32,
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
            overrides: None,
            unknown_since: None,
            refusals: None,
            retry: None,
            rendering: None,
            rendering_stopped_at: None,
            requested_language: None,
            refused_languages: Vec::new(),
            failed_at: None,
            attempts: 0,
            transcripts: Vec::new(),
            hold: None,
            deletion: None,
            outbox: Outbox::default(),
            version: 0,
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

    /// When it must be looked at again; `None` when nothing is to come.
    pub fn due_at(&self) -> Option<Timestamp> {
        let hold = self.hold.as_ref().filter(|_| !self.is_creating()).and_then(Hold::retry_at);
        let deletion = self.deletion.map(|deletion| deletion.retry_at);
        let rendering = self.rendering.map(|rendering| rendering.retry_at);
        let outbox = Some(self.outbox.retry_at).filter(|_| !self.outbox.notices.is_empty());
        let transcripts = self.transcripts.iter().filter_map(|transcript| transcript.state.due_at());
        transcripts.chain(hold).chain(deletion).chain(rendering).chain(outbox).chain(self.outbox.expiry_alarm_at).min()
    }

    /// In progress, and Recall knows the recording: it counts as unfinished.
    pub fn is_open(&self) -> bool {
        self.status().is_under_way() && !self.is_unknown_to_recall()
    }

    /// Whether the next attempt waits for its time, or for room.
    fn waits_for_next(&self) -> bool {
        matches!(self.hold, Some(Hold::Wait { .. } | Hold::Unread { .. } | Hold::AllRefused { .. }))
            || self.deletion.is_some_and(|deletion| deletion.reason == DeletionReason::Room)
    }

    /// The job as it will be saved, with its next version. If nothing else comes next, what is left to announce and to
    /// delete is taken up.
    fn advanced(mut self, next: Next, context: Context<'_>) -> Decision {
        let kept = self.keep_what_is_needed(context);
        self.tell_end(context);
        let next = match next {
            Next::Nothing => {
                let next = kept.or_else(|| self.go_on_in_new_room(context)).or_else(|| self.announce(context));
                let next = next.or_else(|| self.delete(context)).or_else(|| self.take_up_retry(context));
                next.unwrap_or(Next::Nothing)
            }
            next @ (Next::Act(_) | Next::Wait { .. }) => next,
        };
        self.outbox.expiry_alarm_at = self.expiry_alarm_at(context);
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
