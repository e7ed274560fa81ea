//! The function on a timer: wake what is due · warn of what goes soon · compare Recall's lists with our table.
//!
//! It decides nothing about a job: it only sends messages, and sends none that the core would ignore.

mod expiring;
mod lists;
mod missed;
mod oldest;
mod settings;
mod wake;

use std::{sync::Arc, time::Duration};

use job::{Context, Policy, Role, time::Timestamp};
use pipeline::{
    deadline::Deadline,
    recall::{Recall, http_client, tls},
    secret::Secrets,
    store::Store,
    telemetry::{self, Chain, Unit},
    time::{self, Stopwatch},
    work::WorkQueue,
};
use serde::Serialize;
use tokio::time::timeout;

pub use self::settings::Settings;
use self::{lists::PassStats, wake::Wakes};

/// Fetching the secret during init may take this long; it is fetched again later if need be.
const WARM_UP: Duration = Duration::from_millis(500);
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
    policy: Policy,
    window: Option<Duration>,
    secrets: Arc<Secrets>,
    store: Store,
    recall: Recall,
    work: WorkQueue,
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
        let secrets = Arc::new(Secrets::new(common.secrets, common.aws.secrets_manager()));
        Ok(Self {
            policy: common.create.policy,
            window,
            recall: Recall::new(http_client(tls()?)?.build()?, &common.recall, Arc::clone(&secrets)),
            secrets,
            store: Store::new(common.aws.dynamodb(), common.jobs_table),
            work: WorkQueue::new(common.aws.sqs(), common.work_queue_url),
        })
    }

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        // A failure is logged where it happens, and the first list tries again.
        let _ = timeout(WARM_UP, self.secrets.get()).await;
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
            due = report.due,
            woken = report.woken,
            listed = report.listed,
            found = report.found,
            duration_ms = watch.millis(),
            "sweep.done"
        );
        measure(&wakes, oldest, &seen);
        if wakes.complete { Ok(report) } else { Err(Incomplete) }
    }

    async fn queue_is_full(&self, deadline: Deadline) -> bool {
        let backlog = match timeout(left(deadline), self.work.backlog()).await {
            Ok(Ok(backlog)) => backlog,
            // If the queue is out of order, sending will tell.
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "queue.not_measured");
                0
            }
            Err(_) => 0,
        };
        if backlog >= FULL_QUEUE {
            tracing::warn!(backlog, "queue.full");
        }
        backlog >= FULL_QUEUE
    }

    /// For asking the core what a message would do to a job.
    fn context(&self, now: Timestamp) -> Context<'_> {
        Context { now, lease_until: now, role: Role::Worker, policy: &self.policy }
    }
}

fn measure(wakes: &Wakes, oldest_unfinished: Option<Duration>, seen: &PassStats) {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    telemetry::metric("JobsDue", count(wakes.due), Unit::Count, &[]);
    telemetry::metric("JobsWoken", count(wakes.woken), Unit::Count, &[]);
    telemetry::metric("OldestDueAge", wakes.oldest.as_secs(), Unit::Seconds, &[]);
    if let Some(age) = oldest_unfinished {
        telemetry::metric("OldestUnfinishedAge", age.as_secs(), Unit::Seconds, &[]);
    }
    for (list, listed) in &seen.listed {
        telemetry::metric("SweepListed", count(*listed), Unit::Count, &[("list", list)]);
    }
    for (kind, found) in &seen.found {
        telemetry::metric("SweepFound", count(*found), Unit::Count, &[("kind", kind)]);
    }
}

/// What a step may take.
fn left(deadline: Deadline) -> Duration {
    deadline.left(time::now()).saturating_sub(RESERVE)
}
