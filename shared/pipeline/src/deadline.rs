//! How long this invocation may live, and what follows from it: leases that outlive it, calls that do not.

use std::time::Duration;

use job::time::Timestamp;

use crate::{recall::CALL_TIMEOUT, time};

/// A lease goes on this much longer than the invocation that took it: for clocks that differ, and for the time
/// Lambda takes to end a process.
const SKEW: Duration = Duration::from_secs(2);
/// What a call leaves for saving its answer.
const RESERVE: Duration = Duration::from_secs(1);
/// A call gets at least this long: an answer that nobody waited for may have been paid for.
const SHORTEST_CALL: Duration = Duration::from_millis(500);
/// Lambda's own limit, for hosts that say something else.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The end of one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// From the milliseconds since the epoch that Lambda states for each invocation.
    pub fn of_invocation(deadline_ms: Option<u64>) -> Self {
        let now = time::now();
        let stated = deadline_ms.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp::from_millis);
        Self(stated.unwrap_or(now).clamp(now, now.plus(LONGEST)))
    }

    /// Until when a lease taken by this invocation holds. Nobody else acts before the process is certainly gone.
    pub fn lease_until(self) -> Timestamp {
        self.0.plus(SKEW)
    }

    /// How long a call to Recall may take from now on.
    pub fn for_call(self, now: Timestamp) -> Duration {
        self.left(now).saturating_sub(RESERVE).clamp(SHORTEST_CALL, CALL_TIMEOUT)
    }

    /// The end of the first half of what is left: for a step that must leave others their turn. Leases are not taken
    /// with it.
    #[must_use]
    pub fn half(self, now: Timestamp) -> Self {
        Self(now.plus(self.left(now) / 2))
    }

    /// What is left of the invocation.
    pub fn left(self, now: Timestamp) -> Duration {
        self.0.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_before_its_invocation_and_a_lease_after_it() {
        let now = time::now();
        let deadline = Deadline(now.plus(Duration::from_secs(5)));
        assert_eq!(deadline.for_call(now), Duration::from_secs(4));
        assert_eq!(deadline.lease_until(), now.plus(Duration::from_secs(7)));
        assert_eq!(Deadline(now.plus(Duration::from_secs(60))).for_call(now), CALL_TIMEOUT);
        assert_eq!(Deadline(now).for_call(now), SHORTEST_CALL);
        assert_eq!(deadline.half(now).left(now), Duration::from_millis(2500));
        assert_eq!(deadline.half(now.plus(Duration::from_secs(9))).left(now), Duration::from_secs(9));
    }

    /// Whatever a host states, no lease holds for longer than Lambda lets an invocation live.
    #[test]
    fn an_invocation_lives_for_a_quarter_of_an_hour_at_most() {
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
