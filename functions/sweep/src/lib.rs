//! The function on a timer. It wakes the jobs that are due, warns of recordings that expire soon, and compares Recall's
//! lists with the jobs table.
//!
//! It decides nothing about a job. It only sends messages, and sends none that the core would ignore.

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
use self::{lists::PassStats, wake::WakeStats};

/// A step does not start with less time than this.
const MIN_STEP_TIME: Duration = Duration::from_secs(5);
/// How much of the invocation every step leaves, so that its progress can be saved.
const STEP_RESERVE: Duration = Duration::from_secs(2);
/// The sweep sends no messages while this many are waiting or in flight on the queue. A job stays due, and an event
/// stays missing, until a worker has handled its message, so every run would send the message again. This limit bounds
/// the repeats.
const FULL_QUEUE: usize = 500;
/// The `delivery_id` of the sweep's messages. The metadata of transcripts that are created because of them has it, too.
const DELIVERY_ID: &str = "sweep";

#[derive(Debug)]
pub struct Sweep {
    window: Option<Duration>,
    clients: Clients,
}

/// What one run did. It is the function's answer to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Due jobs that the run read.
    pub due: usize,
    pub woken: usize,
    /// Entries of Recall's lists that the run read.
    pub listed: usize,
    /// Events that no webhook had reported.
    pub found: usize,
}

/// Some due jobs could not be woken, for another reason than a full queue. The next run finds them again.
#[derive(Debug, thiserror::Error)]
#[error("not all that is due could be woken; the log says why")]
pub struct Incomplete;

impl Sweep {
    /// # Errors
    /// Setting up the HTTP client failed.
    pub fn new(settings: Settings) -> Result<Self, lambda_runtime::Error> {
        let Settings { common, window } = settings;
        Ok(Self { window, clients: Clients::new(&common)? })
    }

    /// Makes the first TLS handshake in the init phase, in which Lambda gives a function its full CPU speed.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// Does one run. Waking comes first, so no failure of Recall can stop it.
    ///
    /// # Errors
    /// [`Incomplete`], after every other step was done.
    pub async fn run(&self, deadline_ms: u64) -> Result<Report, Incomplete> {
        let watch = Stopwatch::start();
        let deadline = Deadline::of_invocation(Some(deadline_ms));
        let queue_full = self.queue_is_full(deadline).await;
        let wakes = self.wake(queue_full, deadline).await;
        let oldest = self.oldest_unfinished(deadline).await;
        let stats = match self.window {
            Some(window) if !queue_full => self.reconcile(window, deadline).await,
            Some(_) | None => PassStats::default(),
        };
        let report = Report { due: wakes.due, woken: wakes.woken, listed: stats.listed(), found: stats.found() };
        tracing::info!(
            message = logs::SWEEP_FINISHED,
            due = report.due,
            woken = report.woken,
            listed = report.listed,
            found = report.found,
            duration_ms = watch.millis()
        );
        record_metrics(&wakes, oldest, &stats);
        if wakes.complete { Ok(report) } else { Err(Incomplete) }
    }

    /// Returns whether the queue has [`FULL_QUEUE`] messages or more. A queue that cannot be measured counts as not
    /// full.
    async fn queue_is_full(&self, deadline: Deadline) -> bool {
        let backlog = match timeout(time_left(deadline), self.clients.work.backlog()).await {
            Ok(Ok(backlog)) => backlog,
            // If the queue is unavailable, sending messages fails and reports it.
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

    /// The context for asking the core what a message would do to a job.
    fn context(&self, now: Timestamp) -> Context<'_> {
        Context { now, lease_until: now, role: Role::Worker, policy: &self.clients.create.policy }
    }
}

fn record_metrics(wakes: &WakeStats, oldest_unfinished: Option<Duration>, stats: &PassStats) {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    metrics::JOBS_DUE.record(number(wakes.due));
    metrics::JOBS_WOKEN.record(number(wakes.woken));
    metrics::OLDEST_DUE_AGE.record(wakes.oldest.as_secs());
    if let Some(age) = oldest_unfinished {
        metrics::OLDEST_UNFINISHED_AGE.record(age.as_secs());
    }
    for (list, listed) in &stats.listed {
        metrics::SWEEP_LISTED.record(number(*listed), list);
    }
    for (kind, found) in &stats.found {
        metrics::SWEEP_FOUND.record(number(*found), kind);
    }
}

/// How much time a step may take.
fn time_left(deadline: Deadline) -> Duration {
    deadline.left(time::now()).saturating_sub(STEP_RESERVE)
}
