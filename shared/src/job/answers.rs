//! What comes back from our own commands.
//!
//! An answer that carries an outdated claim comes from a worker whose lease had ended. It may still bring a fact (a
//! transcript that exists, a copy that is complete), and facts always count; but it may not end a wait or an attempt
//! that somebody else has taken over.

use std::time::Duration;

use super::{Claim, Context, Decision, DeleteAnswer, Job, Notice, Reason, Receipt, Target};
use crate::{ids::TranscriptId, time::Timestamp};

/// Recall's Retry-After is kept within these bounds.
const THROTTLE_MIN: Duration = Duration::from_secs(1);
const THROTTLE_MAX: Duration = Duration::from_secs(60 * 60);
/// When the wake-up could not be sent, the event has to come again after this.
const WAKE_WAIT: Duration = Duration::from_secs(5);

/// No wait of ours is longer than this part of the time until Recall deletes the recording.
const PART_OF_WHAT_IS_LEFT: u32 = 4;
/// In the end it is tried this often.
const SHORTEST_LAST_WAIT: Duration = Duration::from_secs(5);

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Create {
        attempt: u32,
        claim: Claim,
        answer: CreateAnswer,
    },
    LookUp {
        attempt: u32,
        claim: Claim,
        answer: LookUpAnswer,
    },
    Copy {
        transcript_id: TranscriptId,
        claim: Claim,
        answer: CopyAnswer,
    },
    Delete {
        target: Target,
        claim: Claim,
        answer: DeleteAnswer,
    },
    /// These are announced.
    Announce {
        sent: Vec<Notice>,
    },
    /// Whether the wake-up is on the queue.
    Wake {
        sent: bool,
    },
}

/// How one call of create_transcript ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created {
        transcript_id: TranscriptId,
    },
    /// 409: the same key is still being worked on.
    InProgress,
    /// No answer: whether it took effect is unknown.
    Lost,
    /// 5xx: whether it took effect is unknown, and Recall may replay the error under this key. `after`: Retry-After,
    /// or nothing.
    ServerError {
        after: Duration,
    },
    /// 429: nothing happened.
    Throttled {
        after: Duration,
    },
    /// 401, 402, 403: nothing happened, and somebody has to do something.
    Operator {
        status: u16,
    },
    /// 400, 404 and other definite refusals.
    Refused {
        status: u16,
        code: Option<String>,
    },
}

impl CreateAnswer {
    /// The word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::InProgress => "in_progress",
            Self::Lost => "lost",
            Self::ServerError { .. } => "server_error",
            Self::Throttled { .. } => "throttled",
            Self::Operator { .. } => "operator",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What the list of the recording's transcripts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// All that exist at Recall, the oldest first.
    Listed(Vec<Listed>),
    /// These exist, and there may be others: what is missing here proves nothing.
    Incomplete(Vec<Listed>),
    /// The list could not be had.
    Later { after: Duration },
}

/// One transcript of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub transcript_id: TranscriptId,
    /// From our own metadata, where the transcript carries it for this very recording.
    pub attempt: Option<u32>,
    /// Recall is not working on it any more.
    pub ended: bool,
    /// Recall could not make it.
    pub failed: bool,
}

/// How a copy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyAnswer {
    Stored(Receipt),
    /// Recall is still at work, or has no URL for it yet.
    NotReady {
        after: Duration,
    },
    /// Recall says that it failed.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that it was deleted.
    Deleted,
    /// Recall does not know it, or not yet.
    Missing,
    /// Something on the way is out of order; nothing is lost.
    Later {
        after: Duration,
    },
}

impl Job {
    /// Decides what the answer to a command means.
    pub fn on_answer(self, answer: &Answer, context: Context<'_>) -> Decision {
        match answer {
            Answer::Create { attempt, claim, answer } => self.on_create_answer(*attempt, *claim, answer, context),
            Answer::LookUp { attempt, claim, answer } => self.on_look_up_answer(*attempt, *claim, answer, context),
            Answer::Copy { transcript_id, claim, answer } => {
                self.on_copy_answer(*transcript_id, *claim, answer, context)
            }
            Answer::Delete { target, claim, answer } => self.on_delete_answer(*target, *claim, answer, context),
            Answer::Announce { sent } => self.on_announced(sent, context),
            Answer::Wake { sent: true } => Decision::Ignore(Reason::AlreadyKnown),
            // The row says all that is to be said, but nobody will look at it soon: the event has to come again.
            Answer::Wake { sent: false } => Decision::Busy { until: context.now.plus(WAKE_WAIT) },
        }
    }
}

/// A wait that Recall asks for, whatever it says.
pub(super) fn bounded(after: Duration) -> Duration {
    after.clamp(THROTTLE_MIN, THROTTLE_MAX)
}

/// A wait that does not outlast what it waits for: while Recall is to delete the recording, no longer than a part of
/// what is left until then.
pub(super) fn in_time(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = expires_at.filter(|at| now < *at).map(|at| at.since(now));
    left.map_or(wait, |left| wait.min((left / PART_OF_WHAT_IS_LEFT).max(SHORTEST_LAST_WAIT)))
}

/// A wait that doubles each time, up to a limit.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(most)
}
