//! Reads Recall's lists page by page, from where the last run stopped, and has jobs told what they do not know.
//!
//! The place is kept in the jobs table, under a lease: one sweep lists at a time. A page counts once all that it told
//! is on the queue, so whatever goes wrong, it is read again. Nor is anything left out when no pass comes to its end for
//! days: the next one begins where the last complete one counted from, or the first one of all.
//!
//! Whatever stops one list does not stop the other: each has its own pages, failures, and wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use job::{ids::RecordingId, time::Timestamp};
use pipeline::{
    deadline::Deadline,
    logs, metrics,
    recall::{PageStart, Problem},
    store::{ListCursor, StoreError, SweepCursor},
    telemetry::Chain,
    time,
    work_queue::{MAX_BATCH, Message, QueueError},
};
use tokio::time::timeout;

use crate::{
    SHORTEST_STEP, Sweep, left,
    missing::{ListEntry, Missing},
};

/// Pages of each list in one run. A run a minute spends a third of the 60 calls that Recall lets a workspace make.
const PAGES_PER_RUN: u32 = 20;
/// Pages of one list from its beginning to its end: ten million entries, which are those of [`MAX_SPAN`] at ten million
/// recordings a month. Longer ones are started again.
const MAX_PAGES: u32 = 100_000;
/// A page that could not be had so often in a row is given up, and its list begun anew: its cursor may be bad.
const MAX_FAILURES: u32 = 3;
/// Links are some 200 bytes long; a longer one is not kept.
const MAX_LINK_BYTES: usize = 4 << 10;
/// Nothing older is listed: Recall itself keeps what it recorded for a week, unless it is asked to keep it longer.
const MAX_SPAN: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Recall may ask us to wait, but not for longer than this.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);
/// It waits this long where Recall throttles and does not say how long.
const THROTTLED_WAIT: Duration = Duration::from_secs(10);
/// No invocation, and so no lease of one, is as long.
const MAX_LEASE: Duration = Duration::from_secs(20 * 60);

/// What the lists held, by list, and what jobs had to be told, by kind.
#[derive(Debug, Default)]
pub(crate) struct PassStats {
    pub(crate) listed: BTreeMap<&'static str, usize>,
    pub(crate) found: BTreeMap<&'static str, usize>,
}

impl PassStats {
    pub(crate) fn listed(&self) -> usize {
        self.listed.values().sum()
    }

    pub(crate) fn found(&self) -> usize {
        self.found.values().sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Transcripts,
    Recordings,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Transcripts => "transcripts",
            Self::Recordings => "recordings",
        }
    }

    fn cursor(self, sweep_cursor: &mut SweepCursor) -> &mut ListCursor {
        match self {
            Self::Transcripts => &mut sweep_cursor.transcripts,
            Self::Recordings => &mut sweep_cursor.recordings,
        }
    }
}

/// Why a page was not dealt with.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error(transparent)]
    Recall(#[from] Problem),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl Sweep {
    /// Reads on in both lists.
    pub(crate) async fn reconcile(&self, window: Duration, deadline: Deadline) -> PassStats {
        let mut seen = PassStats::default();
        let Some(mut sweep_cursor) = self.claim(deadline).await else { return seen };
        self.read(&mut sweep_cursor, window, deadline, &mut seen).await;
        sweep_cursor.lease_until = Timestamp::default();
        match self.clients.store.save_cursor(&mut sweep_cursor).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(message = logs::CURSOR_OVERTAKEN),
            Err(error) => tracing::error!(message = logs::CURSOR_NOT_SAVED, error = %Chain(&error)),
        }
        seen
    }

    /// The place, for this invocation alone; `None` if it cannot be had now.
    async fn claim(&self, deadline: Deadline) -> Option<SweepCursor> {
        let claim = async {
            let mut sweep_cursor = self.clients.store.load_cursor().await?;
            if holds(sweep_cursor.lease_until, time::now(), MAX_LEASE) {
                return Ok(None);
            }
            sweep_cursor.lease_until = deadline.lease_until();
            Ok::<_, StoreError>(self.clients.store.save_cursor(&mut sweep_cursor).await?.then_some(sweep_cursor))
        };
        match timeout(left(deadline), claim).await {
            Ok(Ok(Some(sweep_cursor))) => Some(sweep_cursor),
            Ok(Ok(None)) => {
                tracing::info!(message = logs::CURSOR_TAKEN);
                None
            }
            Ok(Err(error)) => {
                tracing::error!(message = logs::CURSOR_NOT_CLAIMED, error = %Chain(&error));
                metrics::SWEEPS_STOPPED.count("unavailable");
                None
            }
            Err(_) => None,
        }
    }

    /// Reads both lists side by side, so that neither has to wait for the other's end. Transcripts go first: a row that
    /// was lost then learns of a transcript that was paid for before its recording asks for one.
    async fn read(&self, sweep_cursor: &mut SweepCursor, window: Duration, deadline: Deadline, seen: &mut PassStats) {
        let mut open = vec![List::Transcripts, List::Recordings];
        open.retain(|list| !holds(list.cursor(sweep_cursor).retry_at, time::now(), MAX_WAIT));
        for _ in 0..PAGES_PER_RUN {
            for list in std::mem::take(&mut open) {
                let cursor = list.cursor(sweep_cursor);
                let time = left(deadline);
                if time < SHORTEST_STEP {
                    return;
                }
                let now = time::now();
                if cursor.next.is_none() {
                    cursor.begin(now);
                }
                let page = self.page(list, cursor, since(cursor, window, now), seen);
                match timeout(for_page(time), page).await.unwrap_or(Err(PageError::OutOfTime)) {
                    Ok(next) => {
                        if turn(cursor, next) {
                            open.push(list);
                        }
                    }
                    Err(error) => {
                        let reason = give_up(&error, cursor, time::now());
                        tracing::warn!(message = logs::LIST_STOPPED, list = list.name(), reason, error = %Chain(&error));
                        metrics::SWEEPS_STOPPED.count(reason);
                    }
                }
            }
        }
    }

    /// Deals with one page; the link to the next.
    async fn page(
        &self,
        list: List,
        cursor: &ListCursor,
        since: Timestamp,
        seen: &mut PassStats,
    ) -> Result<Option<String>, PageError> {
        let now = time::now();
        let start = cursor.next.as_deref().map_or(PageStart::Since(since), PageStart::Next);
        let (entries, next): (Vec<ListEntry>, _) = match list {
            List::Transcripts => {
                let page = self.clients.recall.list_transcripts_page(start).await?;
                (page.entries.into_iter().map(ListEntry::Transcript).collect(), page.next)
            }
            List::Recordings => {
                let page = self.clients.recall.list_recordings_page(start).await?;
                let found = page.entries.into_iter().map(|recording| ListEntry::Recording(Box::new(recording)));
                (found.collect(), page.next)
            }
        };
        *seen.listed.entry(list.name()).or_default() += entries.len();
        let ids: BTreeSet<RecordingId> = entries.iter().filter_map(ListEntry::recording_id).collect();
        let jobs = self.clients.store.load_many(&ids).await?;
        let missed = entries.iter().filter_map(|entry| {
            let job = jobs.get(&entry.recording_id()?)?;
            entry.missed(job, self.clients.recall.deployment(), self.context(now))
        });
        let mut missed: Vec<Missing> = missed.collect();
        missed.sort_by_key(Missing::order);
        for batch in missed.chunks(MAX_BATCH) {
            self.tell(batch, seen).await?;
        }
        Ok(next)
    }

    async fn tell(&self, batch: &[Missing], seen: &mut PassStats) -> Result<(), QueueError> {
        let messages: Vec<Message> = batch.iter().map(|missed| missed.message.clone()).collect();
        self.clients.work.send_batch(&messages).await?;
        for Missing { kind, message, .. } in batch {
            tracing::info!(message = logs::EVENT_FOUND, recording.id = %message.recording_id, event = message.event.name(), kind);
            *seen.found.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

/// From when on a new pass lists. The window reaches back from where [`ListCursor::window_anchor`] says, as if no time had
/// passed since: what was not done then, in however long a meeting, is not left out by an outage that outlasts the
/// window.
fn since(cursor: &ListCursor, window: Duration, now: Timestamp) -> Timestamp {
    cursor.window_anchor(now).minus(window).max(now.minus(MAX_SPAN))
}

/// Whether nobody goes on before `until`. Nobody waits for as long as a clock that was ahead may have written.
fn holds(until: Timestamp, now: Timestamp, most: Duration) -> bool {
    now < until && until <= now.plus(most)
}

/// What one page may take: half of what is left, so that a slow one leaves the other list its turn.
fn for_page(left: Duration) -> Duration {
    (left / 2).max(SHORTEST_STEP)
}

/// Goes on to the next page; `false` at the end of the list, which is then begun anew.
fn turn(cursor: &mut ListCursor, next: Option<String>) -> bool {
    let pages = cursor.pages + 1;
    let Some(next) = next else {
        cursor.complete();
        return false;
    };
    if next.len() > MAX_LINK_BYTES || cursor.next.as_ref() == Some(&next) || pages >= MAX_PAGES {
        tracing::error!(message = logs::LIST_LINK_REJECTED, pages);
        cursor.restart();
        return false;
    }
    *cursor = ListCursor { next: Some(next), pages, failures: 0, ..*cursor };
    true
}

/// Where the list goes on in a later run, after a page that was not dealt with. The word for metrics.
fn give_up(error: &PageError, cursor: &mut ListCursor, now: Timestamp) -> &'static str {
    match error {
        PageError::Recall(Problem::Later { status: Some(429), after, .. }) => {
            cursor.retry_at = now.plus(after.unwrap_or(THROTTLED_WAIT).min(MAX_WAIT));
            "throttled"
        }
        PageError::Recall(Problem::Later { .. }) => {
            failed(cursor);
            "unanswered"
        }
        // The cursor is refused, or leads elsewhere, or the page cannot be read; without a cursor, the list itself.
        PageError::Recall(Problem::NotFound | Problem::Unexpected { .. }) => {
            cursor.restart();
            "refused"
        }
        PageError::Recall(Problem::Operator { status }) => {
            if *status == 404 {
                cursor.restart();
            }
            "operator"
        }
        PageError::Recall(Problem::Secret(_)) => "secret",
        // It may be this very page that the queue or the table refuses.
        PageError::Store(_) | PageError::Queue(_) => {
            failed(cursor);
            "unavailable"
        }
        PageError::OutOfTime => {
            failed(cursor);
            "out_of_time"
        }
    }
}

fn failed(cursor: &mut ListCursor) {
    cursor.failures += 1;
    if cursor.failures >= MAX_FAILURES {
        cursor.restart();
    }
}

#[cfg(test)]
mod tests;
