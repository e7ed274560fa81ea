//! Every wait of a job, in one place.
//!
//! A wait that we choose takes at most a quarter of the time that is left until Recall deletes the recording, so that
//! what can still be done is tried again in time. Three kinds of wait are exempt, because ending them early would break
//! something: Recall's own Retry-After, leases, and the time that a look-up needs to settle ([`super::LIST_SETTLE`]).

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

impl Job {
    /// When a wait that we choose ends.
    pub(super) fn chosen(&self, wait: Duration, now: Timestamp) -> Timestamp {
        chosen(wait, self.expires_at, now)
    }
}

/// When a wait that we choose ends, for a recording that Recall deletes at `expires_at`.
pub(super) fn chosen(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let left = expires_at.filter(|at| now < *at).map(|at| at.since(now));
    now.plus(left.map_or(wait, |left| wait.min((left / PART_OF_WHAT_IS_LEFT).max(SHORTEST_CUT))))
}

/// When a wait that Recall asks for ends, whatever it says.
pub(super) fn asked(after: Duration, now: Timestamp) -> Timestamp {
    now.plus(after.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// A wait that doubles each time, up to a limit.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(most)
}
