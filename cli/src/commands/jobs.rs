//! `jobs`: the jobs that are in progress, overdue, or in need of attention.
//!
//! It reads pages of three indexes and never scans the table, so what it reads depends on `--limit` and on the filters,
//! and not on the size of the table.

use std::collections::BTreeMap;

use job::{Job, ids::RecordingId, time::Timestamp};
use pipeline::store::{Store, StoreError};
use serde::Serialize;

use crate::{
    args::JobsArgs,
    error::CliError,
    output::{self, Output, plain},
    stack::Stack,
    story,
};

/// How many jobs the command reads at most for each index, whatever the filters are.
const MAX_READ: usize = 10_000;

/// What is known of one job.
#[derive(Debug, Serialize)]
struct Line<'a> {
    recording_id: RecordingId,
    status: &'static str,
    title: Option<&'a str>,
    provider: Option<&'a str>,
    attempts: u32,
    paid_attempts: usize,
    done_at: Option<String>,
    ended_at: Option<String>,
    due_at: Option<String>,
    expires_at: Option<String>,
    needs_attention: bool,
    /// What happens next; null if nothing does.
    next: Option<String>,
}

pub(crate) async fn run(stack: &Stack, output: &Output, chosen: &JobsArgs) -> Result<(), CliError> {
    let store = stack.store()?;
    let limit = usize::from(chosen.limit);
    let now = output.times.now;
    let mut found = Found { chosen, now, jobs: BTreeMap::new(), read: 0 };
    found.add_attention(&store).await?;
    found.add_open(&store).await?;
    found.add_due(&store).await?;
    let Found { jobs, read, .. } = found;
    // What needs a person comes first, the newest end first; then what has been in progress for longest.
    let mut jobs: Vec<Job> = jobs.into_values().collect();
    jobs.sort_by_key(|job| {
        let is_open = !job.needs_attention();
        (is_open, if is_open { job.done_at.map_or(i64::MAX, Timestamp::as_millis) } else { -millis(job.ended_at) })
    });
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    if output.json {
        jobs.iter().for_each(|job| output.object(&line(job)));
    } else if jobs.is_empty() {
        output.message("no job is in progress, overdue, or in need of attention with these filters");
    } else {
        output.text(&in_table(&jobs, output, output::width()));
    }
    if more {
        output.message(&format!("there are more jobs than {limit}; use --limit or a filter"));
    }
    output.detail(&format!("{read} rows were read"));
    Ok(())
}

fn millis(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_millis)
}

/// The jobs that were found so far.
struct Found<'a> {
    chosen: &'a JobsArgs,
    now: Timestamp,
    jobs: BTreeMap<RecordingId, Job>,
    read: usize,
}

impl Found<'_> {
    /// How many jobs of each partition are worth keeping: one more than is shown, to know whether there are more.
    fn wanted(&self) -> usize {
        usize::from(self.chosen.limit) + 1
    }

    fn page(&self) -> u16 {
        self.chosen.limit.saturating_add(1).min(100)
    }

    async fn add_attention(&mut self, store: &Store) -> Result<(), StoreError> {
        let size = self.page();
        self.add(async |shard, next| {
            let page = store.attention(shard, size, next).await?;
            Ok((page.entries, page.next))
        })
        .await
    }

    async fn add_open(&mut self, store: &Store) -> Result<(), StoreError> {
        let size = self.page();
        self.add(async |shard, next| {
            let page = store.open(shard, size, next).await?;
            let jobs = store.load_many(&page.entries.into_iter().collect()).await?;
            // A job may have ended since it was in the index.
            Ok((jobs.into_values().filter(Job::is_open).collect(), page.next))
        })
        .await
    }

    /// Adds what is overdue and neither in progress nor in need of attention, such as a deletion.
    async fn add_due(&mut self, store: &Store) -> Result<(), StoreError> {
        let now = self.now;
        self.add(async |shard, next| {
            let page = store.due(shard, now, next).await?;
            Ok((page.jobs, page.next))
        })
        .await
    }

    /// Reads pages of each partition until there are enough jobs.
    async fn add<C>(
        &mut self,
        page: impl AsyncFn(u8, Option<C>) -> Result<(Vec<Job>, Option<C>), StoreError>,
    ) -> Result<(), StoreError> {
        for shard in Store::due_shards() {
            let (mut next, mut kept, before) = (None, 0, self.read);
            loop {
                let (jobs, after) = page(shard, next).await?;
                kept += self.keep(jobs);
                next = after;
                if next.is_none() || kept >= self.wanted() || self.read - before >= MAX_READ {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Keeps the jobs that the filters let through, and returns how many they are.
    fn keep(&mut self, jobs: impl IntoIterator<Item = Job>) -> usize {
        let before = self.jobs.len();
        for job in jobs {
            self.read += 1;
            if is_chosen(&job, self.chosen, self.now) {
                self.jobs.insert(job.recording_id, job);
            }
        }
        self.jobs.len() - before
    }
}

fn is_chosen(job: &Job, chosen: &JobsArgs, now: Timestamp) -> bool {
    let JobsArgs { status, older_than, provider, limit: _ } = chosen;
    (status.is_empty() || status.contains(&job.status()))
        && older_than.is_none_or(|age| job.done_at.is_some_and(|done_at| now.since(done_at) > age.0))
        && provider.as_deref().is_none_or(|name| story::provider(job) == Some(name))
}

fn line(job: &Job) -> Line<'_> {
    let rfc3339 = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    Line {
        recording_id: job.recording_id,
        status: job.status().as_str(),
        title: story::title(job),
        provider: story::provider(job),
        attempts: job.attempts,
        paid_attempts: story::paid_attempts(job),
        done_at: rfc3339(job.done_at),
        ended_at: rfc3339(job.ended_at),
        due_at: rfc3339(job.due_at()),
        expires_at: rfc3339(job.expires_at),
        needs_attention: job.needs_attention(),
        next: story::steps(job).into_iter().next().map(|step| step.what),
    }
}

/// A terminal of this width has room for all columns.
const WIDE: u16 = 120;

fn in_table(jobs: &[Job], output: &Output, width: u16) -> String {
    let headings = ["RECORDING", "STATUS", "AGE", "NEXT", "PAID", "EXPIRES", "TITLE"];
    let shown = if width < WIDE { 4 } else { headings.len() };
    let rows = jobs.iter().map(|job| row(job, output).into_iter().take(shown).collect()).collect();
    output::table(&headings[..shown], rows, width)
}

fn row(job: &Job, output: &Output) -> Vec<String> {
    let times = &output.times;
    let next = match story::steps(job).into_iter().next() {
        Some(step) => format!("{}: {}", times.show(step.at), step.what),
        None if job.needs_attention() => "a person decides".to_owned(),
        None => "nothing".to_owned(),
    };
    vec![
        job.recording_id.to_string(),
        output::status(job.status()),
        job.done_at.or(job.ended_at).map(|at| times.age(at)).unwrap_or_default(),
        next,
        story::paid_attempts(job).to_string(),
        job.expires_at.map(|at| times.show(at)).unwrap_or_default(),
        story::title(job).map(plain).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests;
