//! The list of jobs that the page shows.

use std::{cmp::Reverse, collections::HashSet};

use anyhow::Result;
use job::{Counts, Hold, Job, Recording, State, Transcript, time::Timestamp};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Kind, Shared,
    manifests::{File, Meeting},
    plays::{Button, Play},
    steps::{self, AtRecall},
};
use crate::{stack::JOBS_TABLE, wire::lock};

/// How many of the newest jobs are shown.
const MAX_JOBS: usize = 200;

/// Everything that the page polls for.
#[derive(Debug, Serialize)]
pub(super) struct List {
    simulator: bool,
    /// Empty with the real Recall, which plays no meetings.
    meetings: Vec<Button>,
    /// Counts of all jobs, shown or not.
    total: usize,
    stored: usize,
    /// Counts for the recordings that the simulator knows: transcripts paid for at the simulator, transcripts paid
    /// twice, and attempts in the table.
    paid: usize,
    twice: usize,
    attempts: u32,
    /// The newest job first.
    jobs: Vec<Entry>,
}

/// One recording.
#[derive(Debug, Default, Serialize)]
struct Entry {
    recording_id: String,
    title: Option<String>,
    /// `None` while there is no job.
    status: Option<String>,
    updated_at: Option<String>,
    /// When the job is due, in milliseconds since the epoch.
    due_at: Option<i64>,
    transcript_count: u32,
    attempts: u32,
    /// Why nothing is requested now, in words.
    hold: Option<String>,
    /// What Recall says about a recording that it does not have.
    recording: Option<String>,
    transcripts: Vec<Made>,
    /// `None` if the simulator does not know the recording: it was played in an earlier run, or Recall is real.
    recall: Option<AtRecall>,
    faults: &'static [&'static str],
}

/// One transcript of the recording.
#[derive(Debug, Serialize)]
struct Made {
    transcript_id: Option<String>,
    attempt: Option<u32>,
    provider: Option<String>,
    state: &'static str,
    /// Why there is no transcript, or what it waits for.
    why: Option<String>,
    deleted: bool,
    empty: bool,
    counts: Option<Counts>,
    /// `None` until the copy is in the bucket.
    meeting: Option<Meeting>,
    files: Vec<File>,
    /// The key and time of the copy, if the files are known.
    #[serde(skip)]
    manifest: Option<String>,
}

/// Returns all jobs, and all recordings that have no job yet.
pub(super) fn list(shared: &Shared) -> Result<List> {
    let plays = shared.plays.all();
    let rows = shared.stack.dynamodb.items(JOBS_TABLE)?;
    // The sweep's own item has no status.
    let rows: Vec<&Value> = rows.iter().filter(|row| row["status"].is_string()).collect();
    let begun: HashSet<Uuid> = rows.iter().filter_map(|row| row["recording_id"].as_str()?.parse().ok()).collect();
    let seen = steps::at_recall(&shared.stack);
    let mut list = List {
        simulator: shared.stack.simulator.is_some(),
        meetings: Vec::new(),
        total: 0,
        stored: 0,
        paid: 0,
        twice: 0,
        attempts: 0,
        jobs: Vec::new(),
    };
    if list.simulator {
        list.meetings = Kind::BUTTONS.map(Kind::button).into();
    }
    let waiting = plays.keys().filter(|recording| !begun.contains(recording));
    let waiting = waiting.map(|id| Entry { recording_id: id.to_string(), ..Entry::default() });
    let mut places = Vec::new();
    for mut entry in rows.into_iter().map(entry).chain(waiting) {
        let id = entry.recording_id.parse().unwrap_or_default();
        let play = plays.get(&id);
        entry.faults = play.map(|play| play.faults).unwrap_or_default();
        entry.recall = seen.get(&id).copied();
        if let Some(recall) = entry.recall {
            list.paid += recall.paid;
            list.twice += recall.twice;
            list.attempts += entry.attempts;
        }
        list.stored += usize::from(entry.status.as_deref() == Some("stored"));
        places.push((place(shared, &entry, play), id, entry));
    }
    list.total = places.len();
    places.sort_by_key(|(at_ms, id, _)| (Reverse(*at_ms), *id));
    for (_, id, mut entry) in places.into_iter().take(MAX_JOBS) {
        complete(shared, id, &mut entry);
        list.jobs.push(entry);
    }
    Ok(list)
}

/// The recording's first time keeps its place in the list, so that nothing moves while the user reads.
fn place(shared: &Shared, entry: &Entry, play: Option<&Play>) -> i64 {
    let mut seen = lock(&shared.seen);
    let updated = || entry.updated_at.as_deref().and_then(Timestamp::parse_rfc3339).map(Timestamp::as_millis);
    let first = || play.map(|play| play.at_ms).or_else(updated).unwrap_or_default();
    *seen.entry(entry.recording_id.clone()).or_insert_with(first)
}

/// Returns what the row alone contains.
fn entry(row: &Value) -> Entry {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let mut entry = Entry {
        recording_id: text("recording_id").unwrap_or_default(),
        status: text("status"),
        updated_at: text("updated_at"),
        due_at: row["due_at"].as_i64(),
        transcript_count: row["transcript_count"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default(),
        ..Entry::default()
    };
    match serde_json::from_value::<Job>(row.clone()) {
        Ok(job) => {
            entry.attempts = job.attempts;
            entry.hold = job.hold.as_ref().map(hold);
            entry.recording = recording(&job.recording);
            entry.transcripts = job.transcripts.iter().map(made).collect();
        }
        Err(_) => entry.hold = Some("this row was written by another version of the pipeline".to_owned()),
    }
    entry
}

/// The title, the people, and the files are looked up only for the jobs that are shown. The stored title comes before
/// the one in the metadata.
fn complete(shared: &Shared, id: Uuid, entry: &mut Entry) {
    for made in &mut entry.transcripts {
        let Some(key) = &made.manifest else { continue };
        let Some(manifest) = shared.manifests.read(&shared.stack.s3, key) else { continue };
        entry.title = entry.title.take().or(manifest.title);
        made.meeting = manifest.meeting;
        made.files = manifest.files;
    }
    let known = || shared.stack.simulator.as_ref().and_then(|simulator| simulator.recording(id));
    let title = || known().and_then(|recording| Some(recording.metadata.get("title")?.as_str()?.to_owned()));
    entry.title = entry.title.take().or_else(title);
}

fn hold(hold: &Hold) -> String {
    match hold {
        Hold::Wait { status: Some(status), .. } => format!("Recall answered {status}; the next call comes later"),
        Hold::Wait { status: None, .. } => "the last attempt failed; the next one comes later".to_owned(),
        Hold::Unread { .. } => "its metadata has not been read yet".to_owned(),
        Hold::AllRefused { .. } => "Recall refused every provider; the chain starts again later".to_owned(),
        Hold::LimitReached { .. } => "another transcript would exceed the limit".to_owned(),
        Hold::Skipped => "its metadata asks for no transcript, or Recall does not know it".to_owned(),
    }
}

fn recording(recording: &Recording) -> Option<String> {
    match recording {
        Recording::Unknown | Recording::Done => None,
        Recording::Failed { sub_code: None } => Some("Recall could not record it".to_owned()),
        Recording::Failed { sub_code: Some(code) } => Some(format!("Recall could not record it: {code}")),
        Recording::Deleted => Some("deleted at Recall".to_owned()),
    }
}

fn made(transcript: &Transcript) -> Made {
    let times = |count: u32, what: &str| format!("{what} {count} {}", if count == 1 { "time" } else { "times" });
    let (state, why) = match &transcript.state {
        State::Creating(creating) if creating.calls > 1 => {
            ("creating", Some(times(creating.calls, "requested under one key,")))
        }
        State::Creating(_) => ("creating", None),
        State::Transcribing { checks: 0, .. } => ("transcribing", None),
        State::Transcribing { checks, .. } => ("transcribing", Some(times(*checks, "looked at"))),
        State::Copying(copying) if copying.failures.total() > 0 => {
            ("copying", Some(times(copying.failures.total(), "failed")))
        }
        State::Copying(_) => ("copying", None),
        State::Stored { receipt, .. } if receipt.unreadable => {
            ("stored", Some("its file is not a transcript".to_owned()))
        }
        State::Stored { .. } => ("stored", None),
        State::Failed { sub_code, .. } => ("failed", sub_code.clone()),
        State::Refused { status, code: None } => ("refused", Some(format!("status {status}"))),
        State::Refused { status, code: Some(code) } => ("refused", Some(format!("status {status}: {code}"))),
        State::Lost { .. } => ("lost", None),
        State::Foreign { .. } => ("foreign", Some("another client's".to_owned())),
    };
    let receipt = transcript.state.receipt();
    Made {
        transcript_id: transcript.state.transcript_id().map(|id| id.to_string()),
        attempt: transcript.attempt,
        provider: receipt.and_then(|receipt| receipt.provider.clone()).or_else(|| transcript.provider.clone()),
        state,
        why,
        deleted: transcript.deleted,
        empty: receipt.is_some_and(|receipt| receipt.empty),
        counts: receipt.map(|receipt| receipt.counts),
        meeting: None,
        files: Vec::new(),
        manifest: receipt.map(|receipt| receipt.manifest_key.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use job::{State, Status};

    use super::*;

    #[test]
    fn page_knows_every_status_and_every_state() {
        let (_, rest) = include_str!("page.js").split_once("const STATUSES = {").expect("the table");
        let (table, _) = rest.split_once("};").expect("its end");
        let known: BTreeSet<&str> =
            table.lines().filter_map(|line| line.split_once(": [")).map(|(name, _)| name.trim()).collect();
        let statuses = Status::samples().into_iter().map(Status::as_str);
        let states = State::samples().into_iter().map(|state| made(&Transcript::new(None, None, state)).state);
        assert_eq!(known, statuses.chain(states).collect());
    }
}
