//! The function on a timer: wake what is due · warn of what goes soon · compare Recall's lists with our table.
//!
//! It decides nothing about a job: it only sends messages, and sends none that the core would ignore.

mod expiring;
mod lists;
mod missing;
mod settings;
mod unfinished;
mod wake;

use std::time::Duration;

use job::{Context, Role, time::Timestamp};
use pipeline::{
    clients::Clients,
    deadline::Deadline,
    logs, metrics,
    telemetry::Chain,
    time::{self, Stopwatch},
};
use serde::Serialize;
use tokio::time::timeout;

pub use self::settings::Settings;
use self::{lists::PassStats, wake::Wakes};

/// A step is not begun with less time than this.
const SHORTEST_STEP: Duration = Duration::from_secs(5);
/// What every step leaves of the invocation, to record how far it came.
const RESERVE: Duration = Duration::from_secs(2);
/// A queue with so many messages that wait or are in flight gets none from here. What is due, or was found, stays so
/// until a worker has finished with it, and would be sent again in every run: this is what bounds the repeats.
const FULL_QUEUE: usize = 500;
/// What the messages' `delivery_id` says, and so the metadata of transcripts that are asked for because of them.
const DELIVERY_ID: &str = "sweep";

#[derive(Debug)]
pub struct Sweep {
    window: Option<Duration>,
    clients: Clients,
}

/// What one run did; the answer to whoever invoked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Jobs that are due, as far as they were looked at.
    pub due: usize,
    pub woken: usize,
    /// Entries of Recall's lists.
    pub listed: usize,
    /// What no webhook had told.
    pub found: usize,
}

/// Some of what is due was neither woken nor left for a full queue. The next run finds it again.
#[derive(Debug, thiserror::Error)]
#[error("not all that is due could be woken; the log says why")]
pub struct Incomplete;

impl Sweep {
    /// # Errors
    /// The HTTP stack could not be set up.
    pub fn new(settings: Settings) -> Result<Self, lambda_runtime::Error> {
        let Settings { common, window } = settings;
        Ok(Self { window, clients: Clients::new(&common)? })
    }

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// One run. Waking comes first, and nothing that Recall does can stop it.
    ///
    /// # Errors
    /// [`Incomplete`], after all else was done.
    pub async fn run(&self, deadline_ms: u64) -> Result<Report, Incomplete> {
        let watch = Stopwatch::start();
        let deadline = Deadline::of_invocation(Some(deadline_ms));
        let full = self.queue_is_full(deadline).await;
        let wakes = self.wake(full, deadline).await;
        let oldest = self.oldest_unfinished(deadline).await;
        let seen = match self.window {
            Some(window) if !full => self.reconcile(window, deadline).await,
            Some(_) | None => PassStats::default(),
        };
        let report = Report { due: wakes.due, woken: wakes.woken, listed: seen.listed(), found: seen.found() };
        tracing::info!(
            message = logs::SWEEP_FINISHED,
            due = report.due,
            woken = report.woken,
            listed = report.listed,
            found = report.found,
            duration_ms = watch.millis()
        );
        measure(&wakes, oldest, &seen);
        if wakes.complete { Ok(report) } else { Err(Incomplete) }
    }

    async fn queue_is_full(&self, deadline: Deadline) -> bool {
        let backlog = match timeout(left(deadline), self.clients.work.backlog()).await {
            Ok(Ok(backlog)) => backlog,
            // If the queue is out of order, sending will tell.
            Ok(Err(error)) => {
                tracing::warn!(message = logs::QUEUE_NOT_MEASURED, error = %Chain(&error));
                0
            }
            Err(_) => 0,
        };
        if backlog >= FULL_QUEUE {
            tracing::warn!(message = logs::QUEUE_FILLED, backlog);
        }
        backlog >= FULL_QUEUE
    }

    /// For asking the core what a message would do to a job.
    fn context(&self, now: Timestamp) -> Context<'_> {
        Context { now, lease_until: now, role: Role::Worker, policy: &self.clients.create.policy }
    }
}

fn measure(wakes: &Wakes, oldest_unfinished: Option<Duration>, seen: &PassStats) {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    metrics::JOBS_DUE.record(count(wakes.due));
    metrics::JOBS_WOKEN.record(count(wakes.woken));
    metrics::OLDEST_DUE_AGE.record(wakes.oldest.as_secs());
    if let Some(age) = oldest_unfinished {
        metrics::OLDEST_UNFINISHED_AGE.record(age.as_secs());
    }
    for (list, listed) in &seen.listed {
        metrics::SWEEP_LISTED.record(count(*listed), list);
    }
    for (kind, found) in &seen.found {
        metrics::SWEEP_FOUND.record(count(*found), kind);
    }
}

/// What a step may take.
fn left(deadline: Deadline) -> Duration {
    deadline.left(time::now()).saturating_sub(RESERVE)
}
