//! Every wait of a job, each with its reason, and the arithmetic of waits.
//!
//! A wait that we choose takes at most a quarter of the time left until Recall deletes the recording, so that several
//! tries fit into that time. [`MIN_CAPPED_WAIT`] is always allowed. The queue's jitter is part of the quarter. Three
//! kinds of wait are exempt, because ending them early would break something: Recall's own Retry-After, leases, and the
//! time before a look-up counts ([`LIST_SETTLE`]). The `after` of an answer is Recall's own Retry-After and nothing
//! else; if Recall names no time, `after` is zero and we choose the wait.

use std::time::Duration;

use super::Job;
use crate::time::Timestamp;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn minutes(minutes: u64) -> Duration {
    secs(60 * minutes)
}

const fn hours(hours: u64) -> Duration {
    minutes(60 * hours)
}

const fn days(days: u64) -> Duration {
    hours(24 * days)
}

/// The bounds of a wait that grows: it doubles every time ([`Self::wait`]), or follows the time that has passed since
/// the first call ([`Self::growing_wait`]).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }

    /// Returns the wait after `times` earlier waits.
    pub(crate) fn wait(self, times: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(self.max)
    }

    /// Returns a wait that grows with the time since the first call under one key, within the same bounds.
    pub(crate) fn growing_wait(self, first_call_at: Timestamp, now: Timestamp) -> Duration {
        (now.since(first_call_at) / GROWTH_PART).min(self.max).max(self.first)
    }
}

// The idempotency protocol of paying once.

/// How long one idempotency key is used. Recall forgets a key 60 minutes after its call ended, and a worker that sends
/// the key may live for 15 minutes. After this time we look the transcript up instead.
pub const KEY_REUSE: Duration = minutes(40);
/// After this many server errors under one key we look the transcript up: Recall may be replaying one error.
pub(crate) const ERRORS_BEFORE_LOOK_UP: u32 = 3;
/// A call whose caller is gone may still take effect, and Recall's lists may lag behind. A look-up counts only if it
/// comes this long after the last call.
pub const LIST_SETTLE: Duration = secs(120);

// Our own attempts.

/// While the same key is in progress (409). The first call usually ends within seconds.
pub(crate) const IN_PROGRESS_BACKOFF: Backoff = Backoff::new(secs(10), minutes(5));
/// After a lost answer or a server error: doubles with every call under one key. While no list can be read: grows with
/// the time since the first call.
pub(crate) const CREATE_BACKOFF: Backoff = Backoff::new(secs(5), minutes(5));
/// After a 429 that names no time.
pub(crate) const THROTTLED_WAIT: Duration = secs(15);
/// After a 401, 402, or 403 to a create, or a look-up that does not tell: an operator has to act, and the recording may
/// be short-lived.
pub(crate) const CREATE_OPERATOR_BACKOFF: Backoff = Backoff::new(minutes(5), hours(1));
/// Before the next attempt, if the last one had no effect for a reason that will not pass soon.
pub(crate) const NO_EFFECT_BACKOFF: Backoff = Backoff::new(minutes(1), hours(1));
/// A wait that repeats under one key grows to the time since the first call, divided by this.
const GROWTH_PART: u32 = 4;
/// If the expiry of the recording is unknown: for how long look-ups are tried. A refused key starts this time again.
pub(crate) const LOOK_UP_GIVE_UP: Duration = days(30);
/// Before the next try after a failed one; counts our attempts.
pub(crate) const NEXT_TRY_BACKOFF: Backoff = Backoff::new(minutes(1), hours(1));
/// The last try of the whole chain comes no sooner than this after the last paid failure, so that the chain outlasts an
/// outage. A refusal does not indicate an outage.
pub(crate) const LAST_TRY_WAIT: Duration = hours(1);
/// After every provider was refused: an operator has to fix the options.
pub(crate) const ALL_REFUSED_BACKOFF: Backoff = Backoff::new(hours(1), hours(12));
/// If the expiry of the recording is unknown: for how long a refused chain is started again and again.
pub(crate) const ALL_REFUSED_GIVE_UP: Duration = days(7);
/// If the expiry of the recording is unknown: for how long Recall may answer creates with server errors, or with 400
/// although there is room, or fail to answer when the recording is retrieved, before the job gives up.
pub(crate) const CREATE_ERRORS_GIVE_UP: Duration = days(30);

// The recording.

/// After a recording could not be retrieved.
pub(crate) const READ_BACKOFF: Backoff = Backoff::new(secs(5), hours(1));
/// While Recall does not know the recording.
pub(crate) const UNKNOWN_BACKOFF: Backoff = Backoff::new(minutes(1), hours(1));
/// A recording that Recall has not known for this long is given up.
pub(crate) const UNKNOWN_GIVE_UP: Duration = days(1);
/// Recall may keep a recording longer than it said, so a job continues for this long after the expiry.
pub(crate) const EXPIRY_GRACE: Duration = days(1);
/// How often a parked job looks for room, in addition to every time it changes.
pub(crate) const PARKED_CHECK: Duration = days(1);

// Copies.

/// How long a transcript may take before Recall is asked about it.
pub const TRANSCRIBING_CHECK: Duration = hours(1);
/// While a transcript is not ready; counts the checks.
pub(crate) const CHECK_BACKOFF: Backoff = Backoff::new(secs(15), TRANSCRIBING_CHECK);
/// How many times Recall is asked about a transcript that is not ready: in the end hourly, for a month.
pub(crate) const MAX_CHECKS: u32 = 30 * 24;
/// After a copy failed; counts the failures of the same kind.
pub(crate) const COPY_BACKOFF: Backoff = Backoff::new(secs(5), minutes(15));
/// After a failure of a copy that an operator has to fix.
pub(crate) const COPY_OPERATOR_BACKOFF: Backoff = Backoff::new(minutes(5), hours(6));
/// A copy that has failed for this long is given up, with an alarm, if the expiry of the recording is unknown.
pub(crate) const COPY_GIVE_UP: Duration = days(30);
/// If the expiry is known, a copy is tried until [`EXPIRY_GRACE`] after it, and for at least this long in any case: a
/// copy may begin after the expiry.
pub(crate) const COPY_MIN_PATIENCE: Duration = days(1);
/// While Recall does not know a transcript.
pub(crate) const MISSING_BACKOFF: Backoff = Backoff::new(secs(15), hours(1));
/// If Recall knows the recording and has answered this many 404s in a row about a transcript, which takes two hours,
/// the next 404 means that the transcript is deleted.
pub(crate) const MAX_MISSING: u32 = 9;
/// After a transcript that was reported as done turned out to have failed.
pub(crate) const CONTRADICTION_BACKOFF: Backoff = Backoff::new(hours(1), days(1));

// Renderings, follow-ups, deletions, announcements, wake-ups.

/// After rendering failed.
pub(crate) const RENDER_BACKOFF: Backoff = Backoff::new(secs(10), hours(1));
/// After this many tries, about seven hours, rendering is given up, with an alarm. What was stored before remains.
pub(crate) const MAX_RENDER_TRIES: u32 = 16;
/// Before what Recall had not made ready is fetched once more.
pub(crate) const FOLLOW_UP_BACKOFF: Backoff = Backoff::new(minutes(2), hours(1));
/// After this many tries, about an hour, what is missing is given up. The manifest says what is missing.
pub(crate) const MAX_FOLLOW_UP_TRIES: u32 = 6;
/// After a deletion failed.
pub(crate) const DELETE_BACKOFF: Backoff = Backoff::new(secs(15), hours(6));
/// After this many tries, about a day and a half, the deletion is stopped, with an alarm.
pub(crate) const MAX_DELETE_TRIES: u32 = 16;
/// After an announcement failed.
pub(crate) const ANNOUNCE_BACKOFF: Backoff = Backoff::new(secs(10), minutes(15));
/// If the wake-up could not be sent, the event has to be delivered again after this time.
pub(crate) const WAKE_WAIT: Duration = secs(5);

// The bounds of all of them.

/// Recall's Retry-After is kept within these bounds.
const RETRY_AFTER_MIN: Duration = secs(1);
const RETRY_AFTER_MAX: Duration = hours(1);
/// No wait of ours is longer than the time until Recall deletes the recording, divided by this.
const PART_OF_TIME_LEFT: u32 = 4;
/// No wait of ours is cut to less than this.
const MIN_CAPPED_WAIT: Duration = secs(5);
/// The queue prolongs a wait at random, by at most the wait divided by this. It never shortens one, because a message
/// that arrives early finds nothing due.
pub const JITTER_PART: u32 = 5;

impl Job {
    /// Returns the end of a wait that we choose.
    pub(crate) fn wait_until(&self, wait: Duration, now: Timestamp) -> Timestamp {
        wait_until(wait, self.expires_at, now)
    }

    /// Returns the end of the wait that Recall asks for, or of ours if Recall names no time.
    pub(crate) fn recall_or_own_retry_at(&self, after: Duration, wait: Duration, now: Timestamp) -> Timestamp {
        if after.is_zero() { self.wait_until(wait, now) } else { recall_retry_at(after, now) }
    }

    /// Returns whether the recording expired at least [`EXPIRY_GRACE`] ago, so that Recall should have deleted it by
    /// now.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at.plus(EXPIRY_GRACE) <= now)
    }
}

/// Returns the end of a wait that we choose, for a recording that Recall deletes at `expires_at`.
pub(crate) fn wait_until(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    now.plus(capped_wait(wait, expires_at, now))
}

/// Returns a wait that we choose, capped for a recording that Recall deletes at `expires_at`.
pub fn capped_wait(wait: Duration, expires_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = expires_at.filter(|at| now < *at).map(|at| at.since(now));
    let max = left.map(|left| left / PART_OF_TIME_LEFT * JITTER_PART / (JITTER_PART + 1));
    max.map_or(wait, |max| wait.min(max.max(MIN_CAPPED_WAIT)))
}

/// Returns the end of the wait that Recall asks for. Zero means that Recall named no time, so there is no wait.
pub(crate) fn recall_retry_at(after: Duration, now: Timestamp) -> Timestamp {
    if after.is_zero() { now } else { now.plus(after.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)) }
}

/// Returns whether a copy that has been tried since `since` is given up.
pub(crate) fn is_copy_hopeless(since: Timestamp, expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    let tried = now.since(since);
    match expires_at {
        Some(at) => at.plus(EXPIRY_GRACE) <= now && tried >= COPY_MIN_PATIENCE,
        None => tried >= COPY_GIVE_UP,
    }
}
