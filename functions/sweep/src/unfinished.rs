//! Measures the age of the oldest unfinished job, due or not.

use std::time::Duration;

use pipeline::{deadline::Deadline, logs, telemetry::Chain, time};
use tokio::time::timeout;

use crate::{MIN_STEP_TIME, Sweep, time_left};

impl Sweep {
    /// Returns how long the recording of the oldest unfinished job has been done, or zero if no job is unfinished.
    /// Returns `None` if the table could not be read in time; that does not fail the run.
    pub(crate) async fn oldest_unfinished(&self, deadline: Deadline) -> Option<Duration> {
        if time_left(deadline) < MIN_STEP_TIME {
            return None;
        }
        match timeout(MIN_STEP_TIME, self.clients.store.oldest_unfinished()).await {
            Ok(Ok(done_at)) => Some(done_at.map(|done_at| time::now().since(done_at)).unwrap_or_default()),
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
