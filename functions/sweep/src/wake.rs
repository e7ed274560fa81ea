//! Wakes the jobs that are due: one message each, those that expire first before the others.

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

/// Pages of each of the index's partitions that one run looks at, of 100 jobs each.
const MAX_PAGES: u32 = 4;
/// Wake-ups in one run. With all at work the workers take up about 300 a minute; what is left is due in the next run.
const MAX_WAKES: usize = 1_000;
/// A call is not begun with less time than this.
const SHORTEST_CALL: Duration = Duration::from_secs(1);

/// How the waking went.
#[derive(Debug)]
pub(crate) struct Wakes {
    pub(crate) due: usize,
    pub(crate) woken: usize,
    /// How long the longest due job has been due.
    pub(crate) oldest: Duration,
    /// Nothing went wrong.
    pub(crate) complete: bool,
}

/// A job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    recording_id: RecordingId,
    due_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// What is due, as far as one run looks.
#[derive(Debug)]
struct Found {
    due: Vec<Due>,
    expiring: Vec<Expiring>,
    /// Nothing went wrong.
    complete: bool,
}

impl Sweep {
    /// Looks at what is due, warns of what is about to be lost and, unless the queue is full, puts wake-ups for what is
    /// due on the queue. However slow the table and the queue are, it leaves half of the time to what comes next.
    pub(crate) async fn wake(&self, full: bool, deadline: Deadline) -> Wakes {
        let deadline = deadline.half(time::now());
        let now = time::now();
        let Found { due, expiring, mut complete } = self.find_due(now, deadline).await;
        expiring::raise(expiring);
        let oldest = due.iter().map(|due| now.since(due.due_at)).max().unwrap_or_default();
        let (count, mut woken) = (due.len(), 0);
        if !full {
            for batch in for_this_run(due).chunks(MAX_BATCH) {
                if !self.send_wakes(batch, deadline).await {
                    complete = false;
                    break;
                }
                woken += batch.len();
            }
        }
        Wakes { due: count, woken, oldest, complete }
    }

    /// One partition that cannot be read does not stop the others.
    async fn find_due(&self, now: Timestamp, deadline: Deadline) -> Found {
        let (mut due, mut expiring, mut complete) = (Vec::new(), Vec::new(), true);
        for shard in Store::due_shards() {
            let mut after = None;
            for _ in 0..MAX_PAGES {
                let time = deadline.left(time::now());
                if time < SHORTEST_CALL {
                    tracing::error!(message = logs::DUE_JOBS_INTERRUPTED, shard);
                    return Found { due, expiring, complete: false };
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
        Found { due, expiring, complete }
    }

    async fn send_wakes(&self, batch: &[Due], deadline: Deadline) -> bool {
        let wake = |due: &Due| Message::new(due.recording_id, Event::WAKE, DELIVERY_ID);
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

/// What one run wakes; the rest is due in the next one.
fn for_this_run(mut due: Vec<Due>) -> Vec<Due> {
    due.sort_by_key(order);
    due.truncate(MAX_WAKES);
    due
}

/// What expires first comes first, and what is not known to expire comes last.
fn order(due: &Due) -> (bool, Option<Timestamp>, Timestamp) {
    (due.expires_at.is_none(), due.expires_at, due.due_at)
}

/// What is worth a wake-up: the core is asked whether it would do something.
fn to_wake(job: &Job, context: Context<'_>) -> Option<Due> {
    let due = Due { recording_id: job.recording_id, due_at: job.due_at()?, expires_at: job.expires_at };
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
            expiry_alarm: Duration::from_secs(60 * 60),
        }
    }

    /// A job with one transcript that is to be looked at then.
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
    fn only_what_can_be_brought_forward_is_woken() {
        let (past, future) = (NOW.minus(Duration::from_secs(1)), NOW.plus(Duration::from_secs(1)));
        assert!(woken(transcribing(past)));
        assert!(!woken(transcribing(future)), "the index is behind the table");
        let notices = vec![Notice::Expiring];
        let outbox = |retry_at| Outbox { notices: notices.clone(), retry_at, ..Outbox::default() };
        assert!(woken(Job { outbox: outbox(past), ..transcribing(future) }));
        assert!(!woken(Job { outbox: outbox(future), ..transcribing(future) }));
        // The operator has put the alarm off since: it is noted for its new time.
        let expires_at = Some(NOW.plus(Duration::from_secs(2 * 60 * 60)));
        let outbox = Outbox { expiry_alarm_at: Some(past), ..Outbox::default() };
        assert!(woken(Job { expires_at, outbox, ..transcribing(future) }));
    }

    #[test]
    fn what_expires_first_is_woken_first() {
        let due = |id, expires_at: Option<i64>, due_at| Due {
            recording_id: RecordingId::from_u128(id),
            due_at: Timestamp::from_secs(due_at),
            expires_at: expires_at.map(Timestamp::from_secs),
        };
        let all = [due(1, None, 1), due(2, Some(9), 5), due(3, None, 0), due(4, Some(8), 7), due(5, Some(9), 4)];
        let ids = |due: &[Due]| due.iter().map(|due| due.recording_id).collect::<Vec<_>>();
        assert_eq!(ids(&for_this_run(all.to_vec())), [4, 5, 2, 3, 1].map(RecordingId::from_u128));
        // However much is due, the queue is not flooded with it, and what expires is not what is left out.
        let others = (100..100 + MAX_WAKES as u128).map(|id| due(id, None, 0));
        let chosen = for_this_run(others.chain(all).collect());
        assert_eq!((chosen.len(), ids(&chosen[..3])), (MAX_WAKES, [4, 5, 2].map(RecordingId::from_u128).to_vec()));
    }
}
