//! The end of an invocation. Its leases end later, and its calls end earlier.

use std::time::Duration;

use job::time::Timestamp;

use crate::{
    recall::{CALL_TIMEOUT, MIN_CALL_TIMEOUT},
    time,
};

/// How much later a lease ends than the invocation that took it. This covers clocks that differ, and the time that
/// Lambda takes to end a process.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// The time at the end of an invocation in which the answer of a call is saved.
const SAVE_RESERVE: Duration = Duration::from_secs(1);
/// The longest life of an invocation. It is Lambda's own limit, and it protects against a host that states a later end.
const MAX_INVOCATION: Duration = Duration::from_secs(900);

/// The end of one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// Returns the deadline that Lambda states for each invocation in milliseconds since the epoch.
    pub fn of_invocation(deadline_ms: Option<u64>) -> Self {
        let now = time::now();
        let stated = deadline_ms.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp::from_millis);
        Self(stated.unwrap_or(now).clamp(now, now.plus(MAX_INVOCATION)))
    }

    /// Returns the end of the leases of this invocation. Until then, no other invocation works on the same job, and
    /// after it this process is certainly gone.
    pub fn lease_until(self) -> Timestamp {
        self.0.plus(LEASE_MARGIN)
    }

    /// Returns how long a call to Recall may take from now on.
    pub fn call_timeout(self, now: Timestamp) -> Duration {
        self.left(now).saturating_sub(SAVE_RESERVE).clamp(MIN_CALL_TIMEOUT, CALL_TIMEOUT)
    }

    /// Returns a deadline at half of the time left, for a step that must leave time for the next steps. Do not take
    /// leases with it.
    #[must_use]
    pub fn half(self, now: Timestamp) -> Self {
        Self(now.plus(self.left(now) / 2))
    }

    /// Returns the time left until the end of the invocation.
    pub fn left(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ends_before_its_invocation_and_a_lease_after_it() {
        let now = time::now();
        let deadline = Deadline(now.plus(Duration::from_secs(5)));
        assert_eq!(deadline.call_timeout(now), Duration::from_secs(4));
        assert_eq!(deadline.lease_until(), now.plus(Duration::from_secs(7)));
        assert_eq!(Deadline(now.plus(Duration::from_secs(60))).call_timeout(now), CALL_TIMEOUT);
        assert_eq!(Deadline(now).call_timeout(now), MIN_CALL_TIMEOUT);
        assert_eq!(deadline.half(now).left(now), Duration::from_millis(2500));
        assert_eq!(deadline.half(now.plus(Duration::from_secs(9))).left(now), Duration::from_secs(9));
    }

    /// Even if a host states a later end, no lease lasts longer than Lambda lets an invocation live.
    #[test]
    fn invocation_lives_for_a_quarter_of_an_hour_at_most() {
        let quarter = Duration::from_secs(900);
        let stated = |after: Duration| u64::try_from(time::now().plus(after).as_millis()).expect("after 1970");
        let left = |deadline_ms| Deadline::of_invocation(deadline_ms).left(time::now());
        let second = Duration::from_secs(1);
        for far in [stated(quarter * 2), stated(quarter * 100), u64::MAX / 4] {
            assert!((quarter - second..=quarter).contains(&left(Some(far))), "{far}");
        }
        let within = left(Some(stated(quarter / 2)));
        assert!((quarter / 2 - second..=quarter / 2).contains(&within), "{within:?}");
        assert_eq!((left(Some(0)), left(None)), (Duration::ZERO, Duration::ZERO));
    }
}
