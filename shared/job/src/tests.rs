//! The tests of the core, by subject.

mod attention;
mod chain;
mod copies;
mod copy_failures;
mod create_answers;
mod deletion_steps;
mod deletions;
mod figures;
mod follow_ups;
mod given_up;
mod languages;
mod last_try;
mod limit;
mod limit_parked;
mod limit_room;
mod look_ups;
mod metadata;
mod model;
mod outbox;
mod reconcile;
mod renderings;
mod retries;
mod saves;
mod simulation;
mod table;
mod waits;

use std::time::Duration;

use super::{
    Claim, Command, Context, Copying, Creating, Decision, DeleteAfterStore, Event, Failures, Hold, Job, Next, OnLimit,
    Overrides, Policy, Recording, RecordingInfo, Role, State, Transcript,
    samples::{CLAIM, NOW, OTHER, OURS, receipt},
};
use crate::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = HOUR.saturating_mul(24);

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
        has_knowledge: false,
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

fn failed(number: u128) -> State {
    State::Failed { transcript_id: TranscriptId::from_u128(number), sub_code: None }
}

fn stored(number: u128) -> State {
    State::Stored { transcript_id: TranscriptId::from_u128(number), receipt: receipt() }
}

/// Parked at the limit until the look at the list a day later.
fn parked() -> Option<Hold> {
    Some(Hold::LimitReached { retry_at: Some(NOW.plus(DAY)) })
}

/// Announces nothing, and has room for many transcripts.
fn quiet() -> Policy {
    Policy { announces: false, max_transcripts: 10, ..policy() }
}

/// A create that was called two hours ago, so that only a look-up can continue it.
fn creating(retry_at: Timestamp, claim: Option<Claim>) -> State {
    State::Creating(Creating {
        first_call_at: NOW.minus(2 * HOUR),
        last_call_at: NOW,
        calls: 2,
        errors: 0,
        conflicts: 0,
        retry_at,
        claim,
        refusal: None,
        inconclusive_since: None,
        retry: None,
    })
}

fn retry(after_attempt: u32) -> Event {
    Event::Retry { provider: None, after_attempt }
}

/// Both attempts have failed.
fn failed_job() -> Job {
    let mut failed = job([OURS, OTHER].map(|transcript_id| State::Failed { transcript_id, sub_code: None }));
    failed.transcripts[1].attempt = Some(2);
    failed.transcripts[1].provider = Some("rev_async".to_owned());
    Job { attempts: 2, ..failed }
}

/// The attempt that the decision starts, and its provider.
fn started(decision: Decision) -> (Job, u32, String) {
    let Decision::Apply { job, next: Next::Act(Command::Create { attempt, provider, .. }) } = decision else {
        panic!("{decision:?}")
    };
    (*job, attempt, provider)
}
