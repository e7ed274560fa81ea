//! Reads Recall's lists page by page, from where the last run stopped, and sends jobs the events that they do not know.
//!
//! The cursor is in the jobs table, under a lease, so only one sweep reads the lists at a time. A page is done once all
//! its messages are on the queue; after any failure it is read again. Nothing is skipped even if no pass reaches the
//! end of a list for days: the window of the next pass is counted from the beginning of the last complete pass or, if
//! there was none, of the first pass.
//!
//! A failure of one list does not stop the other: each has its own pages, failures, and wait.

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
    MIN_STEP_TIME, Sweep,
    missing::{ListEntry, Missing},
    time_left,
};

/// How many pages of each list one run reads. With a run each minute, that is a third of the 60 calls a minute that
/// Recall allows a workspace.
const PAGES_PER_RUN: u32 = 20;
/// How many pages one pass over a list may have: ten million entries, as many as [`MAX_SPAN`] has at ten million
/// recordings a month. After more pages the list starts again.
const MAX_PAGES: u32 = 100_000;
/// After this many failures of a page in a row, its list starts again: the cursor may be invalid.
const MAX_FAILURES: u32 = 3;
/// The longest link to a next page that is saved. Recall's links have about 200 bytes.
const MAX_LINK_BYTES: usize = 4 << 10;
/// Entries older than this are not listed. Recall keeps recordings for a week, unless it is asked to keep them longer.
const MAX_SPAN: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The longest wait that is accepted from Recall.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);
/// How long a list waits when Recall throttles a call without saying for how long.
const THROTTLED_WAIT: Duration = Duration::from_secs(10);
/// Every invocation, and so every lease, is shorter than this.
const MAX_LEASE: Duration = Duration::from_secs(20 * 60);

/// How many entries the lists had, by list, and how many events were missing, by kind.
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

/// Why a page was not completed.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error(transparent)]
    Recall(#[from] Problem),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("reading the page took longer than its share of the invocation; the next run reads it again")]
    OutOfTime,
}

impl Sweep {
    /// Reads the next pages of both lists.
    pub(crate) async fn reconcile(&self, window: Duration, deadline: Deadline) -> PassStats {
        let mut stats = PassStats::default();
        let Some(mut sweep_cursor) = self.claim(deadline).await else { return stats };
        self.read(&mut sweep_cursor, window, deadline, &mut stats).await;
        sweep_cursor.lease_until = Timestamp::default();
        match self.clients.store.save_cursor(&mut sweep_cursor).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(message = logs::CURSOR_OVERTAKEN),
            Err(error) => tracing::error!(message = logs::CURSOR_NOT_SAVED, error = %Chain(&error)),
        }
        stats
    }

    /// Loads the cursor and takes its lease. Returns `None` if another sweep has the lease or the table failed.
    async fn claim(&self, deadline: Deadline) -> Option<SweepCursor> {
        let claim = async {
            let mut sweep_cursor = self.clients.store.load_cursor().await?;
            if must_wait(sweep_cursor.lease_until, time::now(), MAX_LEASE) {
                return Ok(None);
            }
            sweep_cursor.lease_until = deadline.lease_until();
            Ok::<_, StoreError>(self.clients.store.save_cursor(&mut sweep_cursor).await?.then_some(sweep_cursor))
        };
        match timeout(time_left(deadline), claim).await {
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

    /// Reads both lists in turns, so that neither waits for the end of the other. Transcripts come first: a row that
    /// was lost then learns of a paid transcript before its recording requests one.
    async fn read(&self, sweep_cursor: &mut SweepCursor, window: Duration, deadline: Deadline, stats: &mut PassStats) {
        let mut lists = vec![List::Transcripts, List::Recordings];
        lists.retain(|list| !must_wait(list.cursor(sweep_cursor).retry_at, time::now(), MAX_WAIT));
        for _ in 0..PAGES_PER_RUN {
            for list in std::mem::take(&mut lists) {
                let cursor = list.cursor(sweep_cursor);
                let time = time_left(deadline);
                if time < MIN_STEP_TIME {
                    return;
                }
                let now = time::now();
                if cursor.next.is_none() {
                    cursor.begin(now);
                }
                let page = self.read_page(list, cursor, window_start(cursor, window, now), stats);
                match timeout(page_time(time), page).await.unwrap_or(Err(PageError::OutOfTime)) {
                    Ok(next) => {
                        if advance_cursor(cursor, next) {
                            lists.push(list);
                        }
                    }
                    Err(error) => {
                        let reason = record_failure(&error, cursor, time::now());
                        tracing::warn!(
                            message = logs::LIST_STOPPED,
                            list = list.name(),
                            reason,
                            error = %Chain(&error)
                        );
                        metrics::SWEEPS_STOPPED.count(reason);
                    }
                }
            }
        }
    }

    /// Reads one page and sends its missing events. Returns the link to the next page.
    async fn read_page(
        &self,
        list: List,
        cursor: &ListCursor,
        since: Timestamp,
        stats: &mut PassStats,
    ) -> Result<Option<String>, PageError> {
        let now = time::now();
        let start = cursor.next.as_deref().map_or(PageStart::Since(since), PageStart::Next);
        let (entries, next): (Vec<ListEntry>, _) = match list {
            List::Transcripts => {
                let page = self.clients.recall.list_transcripts_page(start).await?;
                (page.entries.into_iter().map(|one| ListEntry::Transcript(Box::new(one))).collect(), page.next)
            }
            List::Recordings => {
                let page = self.clients.recall.list_recordings_page(start).await?;
                let found = page.entries.into_iter().map(|recording| ListEntry::Recording(Box::new(recording)));
                (found.collect(), page.next)
            }
        };
        *stats.listed.entry(list.name()).or_default() += entries.len();
        let ids: BTreeSet<RecordingId> = entries.iter().filter_map(ListEntry::recording_id).collect();
        let jobs = self.clients.store.load_many(&ids).await?;
        let missing_events = entries.iter().filter_map(|entry| {
            let job = jobs.get(&entry.recording_id()?)?;
            entry.missing(job, self.clients.recall.deployment(), self.context(now))
        });
        let mut missing: Vec<Missing> = missing_events.collect();
        missing.sort_by_key(Missing::order);
        for batch in missing.chunks(MAX_BATCH) {
            self.send_missing(batch, stats).await?;
        }
        Ok(next)
    }

    async fn send_missing(&self, batch: &[Missing], stats: &mut PassStats) -> Result<(), QueueError> {
        let messages: Vec<Message> = batch.iter().map(|missing| missing.message.clone()).collect();
        self.clients.work.send_batch(&messages).await?;
        for Missing { kind, message, .. } in batch {
            tracing::info!(
                message = logs::EVENT_FOUND,
                recording.id = %message.recording_id,
                event = message.event.name(),
                kind
            );
            *stats.found.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

/// Returns the time from which a new pass lists entries. The window ends at [`ListCursor::window_anchor`], not at the
/// present time. So an outage that is longer than the window skips no recording that was not done when the outage
/// began.
fn window_start(cursor: &ListCursor, window: Duration, now: Timestamp) -> Timestamp {
    cursor.window_anchor(now).minus(window).max(now.minus(MAX_SPAN))
}

/// Returns whether this sweep must wait until `until`. A time further ahead than `max` was written by a wrong clock and
/// is ignored.
fn must_wait(until: Timestamp, now: Timestamp, max: Duration) -> bool {
    now < until && until <= now.plus(max)
}

/// How much time one page may take: half of the remaining time, so that a slow page leaves time for the other list.
fn page_time(remaining: Duration) -> Duration {
    (remaining / 2).max(MIN_STEP_TIME)
}

/// Moves the cursor to the next page. Returns `false` at the end of the list, after which the list starts again.
fn advance_cursor(cursor: &mut ListCursor, next: Option<String>) -> bool {
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

/// Records the failure of a page in the cursor, which says where a later run continues. Returns the reason for metrics.
fn record_failure(error: &PageError, cursor: &mut ListCursor, now: Timestamp) -> &'static str {
    match error {
        PageError::Recall(Problem::Later { status: Some(429), after, .. }) => {
            cursor.retry_at = now.plus(after.unwrap_or(THROTTLED_WAIT).min(MAX_WAIT));
            "throttled"
        }
        PageError::Recall(Problem::Later { .. }) => {
            count_failure(cursor);
            "unanswered"
        }
        // Recall refused the link, the link leads to another host, or the page cannot be read. Without a link, this is
        // about the list itself.
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
        // The queue or the table may refuse the contents of this page, so the failure counts.
        PageError::Store(_) | PageError::Queue(_) => {
            count_failure(cursor);
            "unavailable"
        }
        PageError::OutOfTime => {
            count_failure(cursor);
            "out_of_time"
        }
    }
}

fn count_failure(cursor: &mut ListCursor) {
    cursor.failures += 1;
    if cursor.failures >= MAX_FAILURES {
        cursor.restart();
    }
}

#[cfg(test)]
mod tests;
