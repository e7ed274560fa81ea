//! Rate limits: a sliding minute, as Django REST framework counts.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use tokio::time::Instant;

use super::clock::Clock;
use crate::wire::lock;

const MINUTE: Duration = Duration::from_secs(60);

/// The times of the last calls of each scope. Refused calls do not count.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Throttle {
    /// Admits a call, or returns after how many whole real seconds (at least 1) to retry.
    pub(super) fn admit(&self, scope: String, limit: usize, clock: Clock) -> Result<(), u64> {
        let (now, minute) = (Instant::now(), clock.real(MINUTE));
        let mut scopes = lock(&self.0);
        let calls = scopes.entry(scope).or_default();
        while calls.front().is_some_and(|first| now.duration_since(*first) >= minute) {
            calls.pop_front();
        }
        if calls.len() < limit {
            calls.push_back(now);
            return Ok(());
        }
        let wait = calls.front().map_or(minute, |first| minute.saturating_sub(now.duration_since(*first)));
        Err(wait.as_secs() + u64::from(wait.subsec_nanos() > 0).max(u64::from(wait.is_zero())))
    }
}
