//! Why no attempt may start now.

use serde::{Deserialize, Serialize};

use super::{Claim, Command, Job, Next, Transcript};
use crate::time::Timestamp;

/// Why no attempt may start now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// The next attempt waits until `retry_at`. With a `status`, Recall answered with it, `times` times in a row with
    /// the same [`HoldCause`], first at `since`. Without one, the next attempt is scheduled, and `times` and `since`
    /// are not used.
    Wait { retry_at: Timestamp, status: Option<u16>, times: u32, since: Timestamp },
    /// The metadata of the recording has never been read. `claim`: the worker that retrieves it; `None` while the job
    /// waits. `cause`: what prevented the last try; `times` and `since` count that kind.
    Unread {
        retry_at: Timestamp,
        claim: Option<Claim>,
        #[serde(default)]
        cause: HoldCause,
        times: u32,
        since: Timestamp,
    },
    /// Every provider of the chain that had tries left was refused. The chain starts again at `retry_at`.
    AllRefused { retry_at: Timestamp },
    /// Another create would exceed the limit of transcripts. `retry_at`: when the job looks for room again.
    LimitReached { retry_at: Option<Timestamp> },
    /// The recording's metadata asks for no transcript, or Recall has not known the recording for a day.
    Skipped,
}

/// Why Recall does not let the next attempt start. Each cause is counted separately, and in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldCause {
    /// Server errors, or answers that make no sense.
    #[default]
    Errors,
    /// 400 although the row has room.
    Full,
    /// 401, 402, 403: an operator has to act.
    Operator,
    /// 404: Recall does not know the recording.
    Unknown,
    /// 429.
    Throttled,
}

/// Refusals of the whole chain. They cost nothing, so the chain starts again until the recording expires, or for days
/// if its expiry is unknown (`ALL_REFUSED_GIVE_UP`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    pub since: Timestamp,
    /// How many times the whole chain was refused.
    pub rounds: u32,
}

impl HoldCause {
    /// Returns the status that stands for this cause in the row if no single answer of Recall is the reason.
    pub(crate) fn http_status(self) -> u16 {
        match self {
            Self::Full => 400,
            Self::Operator => 401,
            Self::Unknown => 404,
            Self::Throttled => 429,
            Self::Errors => 500,
        }
    }

    pub(crate) fn of_status(status: u16) -> Self {
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
    /// Returns why Recall does not let the next attempt start, how many times in a row, and since when.
    pub(crate) fn cause(&self) -> Option<(HoldCause, u32, Timestamp)> {
        match self {
            Self::Wait { status: Some(status), times, since, .. } => {
                Some((HoldCause::of_status(*status), *times, *since))
            }
            Self::Unread { cause, times, since, .. } => Some((*cause, *times, *since)),
            Self::Wait { status: None, .. } | Self::AllRefused { .. } | Self::LimitReached { .. } | Self::Skipped => {
                None
            }
        }
    }

    /// Returns when the job must be looked at again.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Wait { retry_at, .. } | Self::Unread { retry_at, .. } | Self::AllRefused { retry_at } => {
                Some(*retry_at)
            }
            Self::LimitReached { retry_at } => *retry_at,
            Self::Skipped => None,
        }
    }

    /// Ends a wait, but not a lease.
    pub(crate) fn end_wait(&mut self, now: Timestamp) {
        match self {
            Self::Wait { retry_at, .. }
            | Self::Unread { retry_at, claim: None, .. }
            | Self::AllRefused { retry_at } => *retry_at = now.min(*retry_at),
            Self::LimitReached { retry_at } => *retry_at = Some(now),
            Self::Unread { claim: Some(_), .. } | Self::Skipped => {}
        }
    }
}

impl Job {
    /// Returns whether the next attempt is to be started: a person requested it, or none of ours rules it out.
    pub(crate) fn needs_attempt(&self) -> bool {
        self.retry.is_some() || !self.transcripts.iter().any(Transcript::blocks_new_attempt)
    }

    /// Drops the hold if no attempt is to be started: then nothing is held back.
    pub(crate) fn clear_unneeded_hold(&mut self) {
        if !self.needs_attempt() {
            self.hold = None;
        }
    }

    /// Has a worker decide on the next attempt again right away, with everything that is known by then.
    pub(crate) fn schedule_attempt(&mut self, now: Timestamp) -> Next {
        self.hold = Some(Hold::Wait { retry_at: now, status: None, times: 0, since: now });
        Next::Act(Command::Wake)
    }

    /// Returns whether the job waits at the limit of transcripts.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.hold, Some(Hold::LimitReached { .. }))
    }

    /// Returns when the next attempt may start, if it waits for its time.
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        match self.hold {
            Some(Hold::Wait { retry_at, .. } | Hold::Unread { retry_at, .. } | Hold::AllRefused { retry_at }) => {
                Some(retry_at)
            }
            Some(Hold::LimitReached { .. } | Hold::Skipped) | None => None,
        }
    }

    /// Returns how many times in a row this cause has held the next attempt back, and since when.
    pub(crate) fn times_held(&self, cause: HoldCause, now: Timestamp) -> (u32, Timestamp) {
        let before = self.hold.as_ref().and_then(Hold::cause).filter(|(other, ..)| *other == cause);
        before.map_or((0, now), |(_, times, since)| (times, since))
    }
}
