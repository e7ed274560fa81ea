//! Every wait of a job, in one place.
//!
//! A wait that we choose takes at most a quarter of the time that is left until Recall deletes the recording, so that
//! what can still be done is tried again in time; [`SHORTEST_CUT`] is always allowed. The queue's jitter is a part of it.
//! Three kinds of wait are exempt, because ending them early would break something: Recall's own Retry-After, leases, and
//! the time that a look-up needs to settle ([`super::LIST_SETTLE`]). An answer's `after` is Recall's own Retry-After and
//! nothing else; where Recall names no time, it is zero, and the wait is ours.

use std::time::Duration;

use super::Job;
use crate::time::Timestamp;

/// Recall's Retry-After is kept within these bounds.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// No wait of ours is longer than this part of the time until Recall deletes the recording.
const PART_OF_WHAT_IS_LEFT: u32 = 4;
/// No wait of ours is cut to less than this.
const SHORTEST_CUT: Duration = Duration::from_secs(5);
/// What waits on the queue comes later by up to this part of its wait. It never comes earlier: it would find nothing due.
pub const JITTER_PART: u32 = 5;

impl Job {
    /// When a wait that we choose ends.
    pub(super) fn chosen(&self, wait: Duration, now: Timestamp) -> Timestamp {
        chosen(wait, self.expires_at, now)
    }

    /// When a wait ends that is Recall's to choose, or ours where it names no time.
    pub(super) fn asked_or_chosen(&self, after: Duration, wait: Duration, now: Timestamp) -> Timestamp {
        if after.is_zero() { self.chosen(wait, now) } else { asked(after, now) }
    }
}

/// When a wait that we choose ends, for a recording that Recall deletes at `expires_at`.
pub(super) fn chosen(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    now.plus(chosen_wait(wait, expires_at, now))
}

/// The same as a time span, for what has to wait although the row cannot be written.
pub fn chosen_wait(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = expires_at.filter(|at| now < *at).map(|at| at.since(now));
    let most = left.map(|left| left / PART_OF_WHAT_IS_LEFT * JITTER_PART / (JITTER_PART + 1));
    most.map_or(wait, |most| wait.min(most.max(SHORTEST_CUT)))
}

/// When a wait that Recall asks for ends, whatever it says. Zero is no time: nothing was asked for.
pub(super) fn asked(after: Duration, now: Timestamp) -> Timestamp {
    if after.is_zero() { now } else { now.plus(after.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)) }
}

/// A wait that doubles each time, up to a limit.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(most)
}
