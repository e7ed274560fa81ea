//! The tests of the core, by subject.

mod chain;
mod copies;
mod create_answers;
mod deletion_steps;
mod deletions;
mod figures;
mod given_up;
mod languages;
mod limit_parked;
mod limit_room;
mod metadata;
mod model;
mod outbox;
mod reconcile;
mod renderings;
mod retries;
mod simulation;
mod table;
mod waits;

use std::time::Duration;

use super::{
    Claim, Context, Copying, DeleteAfterStore, Event, Failures, Job, OnLimit, Overrides, Policy, Recording,
    RecordingInfo, Role, State, Transcript,
    samples::{CLAIM, NOW, OTHER, OURS, receipt},
};
use crate::{ids::RecordingId, time::Timestamp};

/// Two providers with one try each, and a limit of two.
fn policy() -> Policy {
    Policy {
        providers: ["recallai_async", "rev_async"].map(str::to_owned).to_vec(),
        tries_per_provider: 1,
        max_transcripts: 2,
        on_limit: OnLimit::Stop,
        copy_unrequested: true,
        delete_after_store: DeleteAfterStore::Nothing,
        announces: true,
        expiry_alarm: Duration::from_secs(24 * 60 * 60),
    }
}

fn context(policy: &Policy, now: Timestamp) -> Context<'_> {
    Context { now, lease_until: now.plus(Duration::from_secs(17)), role: Role::Worker, policy }
}

/// A number from the environment that widens or narrows a test.
#[expect(clippy::disallowed_methods, reason = "people choose what a test runs by variables")]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A `recording.done` whose metadata was read and overrides nothing.
fn done() -> Event {
    Event::RecordingDone(RecordingInfo { overrides: Some(Overrides::default()), ..RecordingInfo::default() })
}

fn copying(retry_at: Timestamp, claim: Option<Claim>, failures: Failures) -> Copying {
    Copying {
        transcript_id: OURS,
        retry_at,
        claim,
        since: NOW,
        failures,
        missing_since: None,
        checks: 0,
        reported_done: false,
    }
}

/// A job whose transcripts all belong to our first attempt.
fn job(states: impl IntoIterator<Item = State>) -> Job {
    let ours = |state| Transcript::new(Some(1), Some("recallai_async".to_owned()), state);
    let transcripts = states.into_iter().map(ours);
    Job {
        recording: Recording::Done,
        attempts: 1,
        transcripts: transcripts.collect(),
        overrides: Some(Overrides::default()),
        version: 4,
        ..Job::new(RecordingId::from_u128(7))
    }
}
