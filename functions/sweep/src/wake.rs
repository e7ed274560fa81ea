//! Wakes the jobs that are due, with one message each. The jobs whose recordings expire first come first.

use std::time::Duration;

use job::{Context, Event, Job, ids::RecordingId, time::Timestamp};
use pipeline::{
    deadline::Deadline,
    logs,
    store::Store,
    telemetry::Chain,
    time,
    work_queue::{MAX_BATCH, Message},
};
use tokio::time::timeout;

use crate::{
    DELIVERY_ID, Sweep,
    expiring::{self, Expiring},
};

/// How many pages, of 100 jobs each, one run reads of each shard of the index.
const MAX_PAGES_PER_SHARD: u32 = 4;
/// How many wake-ups one run sends. All workers together handle about 300 a minute. The other jobs are still due in the
/// next run.
const MAX_WAKES: usize = 1_000;
/// A call to the table does not start with less time than this.
const MIN_CALL_TIME: Duration = Duration::from_secs(1);

/// The results of waking.
#[derive(Debug)]
pub(crate) struct WakeStats {
    pub(crate) due: usize,
    pub(crate) woken: usize,
    /// How long the job that has been due for the longest time has been due.
    pub(crate) oldest: Duration,
    /// Whether no call failed.
    pub(crate) complete: bool,
}

/// A job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DueJob {
    recording_id: RecordingId,
    due_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// The due jobs that one run has read.
#[derive(Debug)]
struct DueJobs {
    due: Vec<DueJob>,
    expiring: Vec<Expiring>,
    /// Whether no call failed.
    complete: bool,
}

impl Sweep {
    /// Reads the due jobs, raises the alarm about recordings that expire soon and, unless the queue is full, sends
    /// wake-ups for the due jobs. It uses at most half of the remaining time, however slow the table and the queue are.
    pub(crate) async fn wake(&self, queue_full: bool, deadline: Deadline) -> WakeStats {
        let deadline = deadline.half(time::now());
        let now = time::now();
        let DueJobs { due, expiring, mut complete } = self.find_due(now, deadline).await;
        expiring::raise_alarm(expiring);
        let oldest = due.iter().map(|due| now.since(due.due_at)).max().unwrap_or_default();
        let (count, mut woken) = (due.len(), 0);
        if !queue_full {
            for batch in select_for_run(due).chunks(MAX_BATCH) {
                if !self.send_wakes(batch, deadline).await {
                    complete = false;
                    break;
                }
                woken += batch.len();
            }
        }
        WakeStats { due: count, woken, oldest, complete }
    }

    /// Reads the due jobs. A shard that cannot be read does not stop the reading of the others.
    async fn find_due(&self, now: Timestamp, deadline: Deadline) -> DueJobs {
        let (mut due, mut expiring, mut complete) = (Vec::new(), Vec::new(), true);
        for shard in Store::due_shards() {
            let mut after = None;
            for _ in 0..MAX_PAGES_PER_SHARD {
                let time = deadline.left(time::now());
                if time < MIN_CALL_TIME {
                    tracing::error!(message = logs::DUE_JOBS_INTERRUPTED, shard);
                    return DueJobs { due, expiring, complete: false };
                }
                match timeout(time, self.clients.store.due(shard, now, after.take())).await {
                    Ok(Ok(page)) => {
                        expiring.extend(page.jobs.iter().filter_map(|job| Expiring::of(job, self.context(now))));
                        due.extend(page.jobs.iter().filter_map(|job| to_wake(job, self.context(now))));
                        after = page.next;
                    }
                    Ok(Err(error)) => {
                        tracing::error!(message = logs::DUE_JOBS_NOT_READ, shard, error = %Chain(&error));
                        complete = false;
                    }
                    Err(_) => complete = false,
                }
                if after.is_none() {
                    break;
                }
            }
        }
        DueJobs { due, expiring, complete }
    }

    /// Returns whether all wake-ups of the batch were sent.
    async fn send_wakes(&self, batch: &[DueJob], deadline: Deadline) -> bool {
        let wake = |due: &DueJob| Message::new(due.recording_id, Event::WAKE, DELIVERY_ID);
        let messages: Vec<Message> = batch.iter().map(wake).collect();
        match timeout(deadline.left(time::now()), self.clients.work.send_batch(&messages)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(message = logs::WAKE_NOT_SENT, error = %Chain(&error));
                false
            }
            Err(_) => {
                tracing::error!(message = logs::WAKE_INTERRUPTED);
                false
            }
        }
    }
}

/// Selects the jobs that one run wakes. The others are still due in the next run.
fn select_for_run(mut due: Vec<DueJob>) -> Vec<DueJob> {
    due.sort_by_key(wake_order);
    due.truncate(MAX_WAKES);
    due
}

/// Jobs that expire first come first, and jobs without a known expiry come last.
fn wake_order(due: &DueJob) -> (bool, Option<Timestamp>, Timestamp) {
    (due.expires_at.is_none(), due.expires_at, due.due_at)
}

/// Returns the job if a wake-up would change something, as the core says.
fn to_wake(job: &Job, context: Context<'_>) -> Option<DueJob> {
    let due = DueJob { recording_id: job.recording_id, due_at: job.due_at()?, expires_at: job.expires_at };
    job.can_be_woken(context).then_some(due)
}

#[cfg(test)]
pub(crate) mod tests {
    use job::{DeleteAfterStore, Notice, OnLimit, Outbox, Policy, Recording, State, Transcript, ids::TranscriptId};

    use super::*;

    pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    pub(crate) fn policy() -> Policy {
        Policy {
            providers: vec!["recallai_async".to_owned()],
            tries_per_provider: 2,
            max_transcripts: 10,
            on_limit: OnLimit::Stop,
            copy_unrequested: true,
            delete_after_store: DeleteAfterStore::Nothing,
            announces: true,
            has_knowledge: false,
            expiry_alarm: Duration::from_secs(60 * 60),
        }
    }

    /// A job with one transcript that is due to be checked at `check_at`.
    pub(crate) fn transcribing(check_at: Timestamp) -> Job {
        let state = State::Transcribing {
            transcript_id: TranscriptId::from_u128(2),
            check_at,
            checks: 0,
            reported_done: false,
        };
        let transcript = Transcript::new(Some(1), None, state);
        Job {
            recording: Recording::Done,
            attempts: 1,
            transcripts: vec![transcript],
            version: 2,
            ..Job::new(RecordingId::from_u128(1))
        }
    }

    fn woken(job: Job) -> bool {
        to_wake(&job, Context { now: NOW, lease_until: NOW, role: job::Role::Worker, policy: &policy() }).is_some()
    }

    #[test]
    fn jobs_are_woken_only_if_a_wake_up_changes_something() {
        let (past, future) = (NOW.minus(Duration::from_secs(1)), NOW.plus(Duration::from_secs(1)));
        assert!(woken(transcribing(past)));
        assert!(!woken(transcribing(future)), "the index may be older than the table");
        let notices = vec![Notice::Expiring];
        let outbox = |retry_at| Outbox { notices: notices.clone(), retry_at, ..Outbox::default() };
        assert!(woken(Job { outbox: outbox(past), ..transcribing(future) }));
        assert!(!woken(Job { outbox: outbox(future), ..transcribing(future) }));
        // The operator has since moved the alarm to a later time, so the row gets the new time.
        let expires_at = Some(NOW.plus(Duration::from_secs(2 * 60 * 60)));
        let outbox = Outbox { expiry_alarm_at: Some(past), ..Outbox::default() };
        assert!(woken(Job { expires_at, outbox, ..transcribing(future) }));
    }

    #[test]
    fn jobs_that_expire_first_are_woken_first() {
        let due = |id, expires_at: Option<i64>, due_at| DueJob {
            recording_id: RecordingId::from_u128(id),
            due_at: Timestamp::from_secs(due_at),
            expires_at: expires_at.map(Timestamp::from_secs),
        };
        let all = [due(1, None, 1), due(2, Some(9), 5), due(3, None, 0), due(4, Some(8), 7), due(5, Some(9), 4)];
        let ids = |due: &[DueJob]| due.iter().map(|due| due.recording_id).collect::<Vec<_>>();
        assert_eq!(ids(&select_for_run(all.to_vec())), [4, 5, 2, 3, 1].map(RecordingId::from_u128));
        // With too many due jobs, the number of wake-ups is limited, and jobs that expire are not left out.
        let others = (100..100 + MAX_WAKES as u128).map(|id| due(id, None, 0));
        let chosen = select_for_run(others.chain(all).collect());
        assert_eq!((chosen.len(), ids(&chosen[..3])), (MAX_WAKES, [4, 5, 2].map(RecordingId::from_u128).to_vec()));
    }
}
