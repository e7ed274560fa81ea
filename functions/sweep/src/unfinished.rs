//! How old the oldest unfinished job is, due or not.

use std::time::Duration;

use pipeline::{deadline::Deadline, logs, telemetry::Chain, time};
use tokio::time::timeout;

use crate::{SHORTEST_STEP, Sweep, left};

impl Sweep {
    /// Since when the oldest unfinished job's recording has been done; zero if nothing is unfinished. `None`: it could
    /// not be found out, which is no reason for the run to fail.
    pub(crate) async fn oldest_unfinished(&self, deadline: Deadline) -> Option<Duration> {
        if left(deadline) < SHORTEST_STEP {
            return None;
        }
        match timeout(SHORTEST_STEP, self.clients.store.oldest_unfinished()).await {
            Ok(Ok(since)) => Some(since.map(|since| time::now().since(since)).unwrap_or_default()),
            Ok(Err(error)) => {
                tracing::warn!(message = logs::OPEN_JOBS_NOT_READ, error = %Chain(&error));
                None
            }
            Err(_) => {
                tracing::warn!(message = logs::OPEN_JOBS_INTERRUPTED);
                None
            }
        }
    }
}
