//! What an operator requests: one more attempt, and an end to waits.

use std::time::Duration;

use super::{
    CLAIM, HOUR, NOW, OTHER, OURS, context, copying, creating, failed_job, job, quiet, receipt, retry, started,
};
use crate::{
    Answer, Command, CreateAnswer, Decision, DeleteAfterStore, Deletion, DeletionReason, DeletionTarget, Event,
    Failures, Hold, HoldCause, Job, LIST_SETTLE, LookUpAnswer, Next, Overrides, Policy, Reason, Recording, Refusals,
    State, Status, TranscriptRef, ids::RecordingId,
};

#[test]
fn retry_restarts_a_job_whatever_it_ended_as() {
    let policy = quiet();
    let skip = Some(Overrides { skip: true, ..Overrides::default() });
    let stored = State::Stored { transcript_id: OURS, receipt: receipt() };
    let outcome_unknown = State::Refused { status: crate::state::OUTCOME_UNKNOWN, code: None };
    for (what, ended) in [
        ("failed", failed_job()),
        ("lost", job([State::Lost { transcript_id: OURS }])),
        ("stored", job([stored])),
        ("skipped", Job { hold: Some(Hold::Skipped), overrides: skip, ..job([]) }),
        ("unknown", Job { hold: Some(Hold::Skipped), unknown_since: Some(NOW), ..job([]) }),
        ("refused", job([State::Refused { status: 400, code: None }])),
        ("never found out", job([outcome_unknown])),
        ("limit reached", Job { hold: Some(Hold::LimitReached { retry_at: None }), ..job([]) }),
        ("waiting", Job { hold: Some(Hold::AllRefused { retry_at: NOW.plus(HOUR) }), ..job([]) }),
    ] {
        let newest = ended.attempts;
        let (started, attempt, _) = started(ended.on_event(&retry(newest), context(&policy, NOW)));
        assert_eq!((attempt, started.attempts, &started.retry), (newest + 1, newest + 1, &None), "{what}");
        // A repeated message pays nothing.
        let again = started.on_event(&retry(newest), context(&policy, NOW));
        assert_eq!(again, Decision::Ignore(Reason::Overtaken), "{what}");
    }
}

/// The `recording.done` webhook was lost.
#[test]
fn retry_works_if_only_foreign_transcripts_are_known() {
    let policy = quiet();
    let mut theirs = job([State::Stored { transcript_id: OTHER, receipt: receipt() }]);
    theirs.transcripts[0].attempt = None;
    let theirs = Job { recording: Recording::Unknown, overrides: None, attempts: 0, ..theirs };
    let (_, attempt, _) = started(theirs.on_event(&retry(0), context(&policy, NOW)));
    assert_eq!(attempt, 1);
}

#[test]
fn retry_provider_comes_first() {
    let policy = quiet();
    let named = |provider: &str| Event::Retry { provider: Some(provider.to_owned()), after_attempt: 2 };
    let (_, _, provider) = started(failed_job().on_event(&named("rev_async"), context(&policy, NOW)));
    assert_eq!(provider, "rev_async", "although its tries are used up");
    let unknown = failed_job().on_event(&named("nobody_async"), context(&policy, NOW));
    assert_eq!(unknown, Decision::Ignore(Reason::UnknownProvider));
}

#[test]
fn retry_never_runs_alongside_an_attempt_or_without_a_recording() {
    let policy = quiet();
    let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
    let copied = State::Copying(copying(NOW, None, Failures::default()));
    for state in [transcribing, copied, creating(NOW, None)] {
        let decision = job([state]).on_event(&retry(1), context(&policy, NOW));
        assert_eq!(decision, Decision::Ignore(Reason::AlreadyRequested));
    }
    let deleted = Job { recording: Recording::Deleted, ..failed_job() };
    assert_eq!(deleted.on_event(&retry(2), context(&policy, NOW)), Decision::Ignore(Reason::RecordingDeleted));
    let new = Job::new(RecordingId::from_u128(7));
    assert_eq!(new.on_event(&retry(0), context(&policy, NOW)), Decision::Ignore(Reason::UnknownRecording));
}

/// Recall throttles the create, refuses the key, does not know the recording, or gives no answer and makes nothing.
/// Nothing was paid, so the retry stays.
#[test]
fn retry_stays_until_one_of_its_attempts_has_an_outcome() {
    let policy = quiet();
    let throttled = CreateAnswer::Throttled { after: Duration::from_secs(10) };
    let unknown = CreateAnswer::Refused { status: 404, code: None };
    let failing = CreateAnswer::ServerError { after: Duration::ZERO };
    let event = |newest| Event::Retry { provider: Some("rev_async".to_owned()), after_attempt: newest };
    for (what, ended) in [
        ("failed", failed_job()),
        ("stored", job([State::Stored { transcript_id: OURS, receipt: receipt() }])),
        ("lost", job([State::Lost { transcript_id: OURS }])),
    ] {
        for answer in [&throttled, &CreateAnswer::Operator { status: 401 }, &unknown, &failing] {
            let newest = ended.attempts;
            let (job, attempt, mut providers) = no_effect(ended.clone(), &event(newest), answer, &policy);
            providers.dedup();
            assert_eq!((attempt, providers), (newest + 2, vec!["rev_async".to_owned()]), "{what}, {answer:?}");
            // A repeated message pays nothing.
            let again = job.clone().on_event(&event(newest), context(&policy, NOW));
            assert_eq!(again, Decision::Ignore(Reason::Overtaken), "{what}, {answer:?}");
            // The transcript is made, and no other attempt follows.
            let processing = TranscriptRef { transcript_id: OTHER, attempt: Some(attempt), other_deployment: false };
            let made = Job { transcripts: job.transcripts.into_iter().filter(of(attempt)).collect(), ..job };
            let decision = made.on_event(&Event::TranscriptProcessing(processing), context(&policy, NOW));
            let Decision::Apply { job, .. } = decision else { panic!("{what}, {answer:?}: {decision:?}") };
            assert_eq!((job.status(), job.retry, job.hold), (Status::Transcribing, None, None), "{what}, {answer:?}");
        }
    }
}

fn of(attempt: u32) -> impl Fn(&crate::Transcript) -> bool {
    move |one| one.attempt == Some(attempt)
}

/// The first attempt has no effect. Returns the second one, with the providers of all calls.
fn no_effect(job: Job, event: &Event, answer: &CreateAnswer, policy: &Policy) -> (Job, u32, Vec<String>) {
    let first = job.attempts + 1;
    let (mut decision, mut now, mut providers) = (job.on_event(event, context(policy, NOW)), NOW, Vec::new());
    for _ in 0..20 {
        let Decision::Apply { job, next } = decision else { panic!("{answer:?}: {decision:?}") };
        decision = match next {
            Next::Act(Command::Create { attempt, claim, provider, .. }) => {
                providers.push(provider);
                if attempt > first {
                    return (*job, attempt, providers);
                }
                job.on_answer(&Answer::Create { attempt, claim, answer: answer.clone() }, context(policy, now))
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let answer = LookUpAnswer::Complete(Vec::new());
                job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(policy, now))
            }
            Next::Wait { retry_at: at } => {
                assert!(job.status().is_in_progress(), "{answer:?}: {job:?}");
                let again = job.clone().on_event(&retry(job.attempts), context(policy, now));
                assert_eq!(again, Decision::Ignore(Reason::AlreadyRequested), "one at a time");
                now = at;
                job.on_event(&Event::WAKE, context(policy, now))
            }
            Next::Nothing | Next::Act(_) => panic!("{answer:?}: {next:?} {job:?}"),
        };
    }
    panic!("no second attempt after {answer:?}")
}

#[test]
fn retry_ends_when_its_recording_is_unknown_for_a_day() {
    let policy = quiet();
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let (mut decision, mut now) = (stored.on_event(&retry(1), context(&policy, NOW)), NOW);
    for _ in 0..100 {
        let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
        decision = match next {
            Next::Act(Command::Create { attempt, claim, .. }) => {
                let answer = CreateAnswer::Refused { status: 404, code: None };
                job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Nothing => {
                assert_eq!((job.status(), job.due_at(), job.retry), (Status::Stored, None, None));
                assert!(now.since(NOW) >= 24 * HOUR, "{:?}", now.since(NOW));
                return;
            }
            Next::Act(command) => panic!("{command:?}"),
        };
    }
    panic!("no end");
}

/// The recording may be what is being deleted. Then a transcript would be paid for in vain.
#[test]
fn retry_waits_for_a_deletion_in_progress() {
    let policy = Policy { delete_after_store: DeleteAfterStore::Recording, ..quiet() };
    let retry_at = NOW.plus(HOUR);
    let deleting = |claim| {
        let deletion =
            Deletion { target: DeletionTarget::Recording, reason: DeletionReason::Stored, retry_at, claim, tries: 1 };
        Job { deletion: Some(deletion), ..job([State::Stored { transcript_id: OURS, receipt: receipt() }]) }
    };
    let busy = deleting(Some(CLAIM)).on_event(&retry(1), context(&policy, NOW));
    assert_eq!(busy, Decision::Busy { retry_at });
    // When the worker's lease has ended, the retry starts, and the recording stays.
    let (started, _, _) = started(deleting(None).on_event(&retry(1), context(&policy, NOW)));
    assert_eq!(started.deletion, None);
    let died = deleting(Some(CLAIM)).on_event(&retry(1), context(&policy, retry_at));
    assert!(matches!(died, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{died:?}");
}

#[test]
fn retry_waits_for_the_worker_that_reads_the_metadata() {
    let policy = quiet();
    let retry_at = NOW.plus(HOUR);
    let unread = Some(Hold::Unread { retry_at, claim: Some(CLAIM), cause: HoldCause::Errors, times: 0, since: NOW });
    let reading = Job { hold: unread, overrides: None, attempts: 0, ..job([]) };
    let before = reading.clone().on_event(&retry(0), context(&policy, retry_at.minus(Duration::from_secs(1))));
    assert_eq!(before, Decision::Busy { retry_at });
    let (_, attempt, _) = started(reading.on_event(&retry(0), context(&policy, retry_at)));
    assert_eq!(attempt, 1);
}

/// The transcript was stored, and its recording was to be deleted, when a person requested another transcript.
#[test]
fn recording_is_not_deleted_while_a_retry_waits() {
    let policy = Policy { delete_after_store: DeleteAfterStore::Recording, ..quiet() };
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let deletion = |claim| Deletion {
        target: DeletionTarget::Recording,
        reason: DeletionReason::Stored,
        retry_at: NOW,
        claim,
        tries: 1,
    };
    let deleting = Job { deletion: Some(deletion(Some(CLAIM))), ..stored };
    let (retried, attempt, _) = started(deleting.on_event(&retry(1), context(&policy, NOW)));
    assert_eq!((attempt, retried.deletion), (2, None));
}

/// What the retry waited for has ended without an event: the next save of the job resumes the retry.
#[test]
fn retry_resumes_when_nothing_is_left_to_wait_for() {
    let policy = quiet();
    let asked = crate::Retry { provider: None };
    let waiting = Job {
        retry: Some(asked),
        ..job([State::Stored { transcript_id: OURS, receipt: receipt() }, State::Foreign { transcript_id: OTHER }])
    };
    let gone = Event::TranscriptDeleted(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let decision = waiting.on_event(&gone, context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Wake) } = decision else { panic!("{decision:?}") };
    let (_, attempt, _) = started(job.on_event(&Event::WAKE, context(&policy, NOW)));
    assert_eq!(attempt, 2);
}

/// Our waits end; leases do not, and neither does the time before a look-up counts.
#[test]
fn wake_now_ends_waits_but_no_leases() {
    let policy = quiet();
    let (later, now) = (NOW.plus(6 * HOUR), Event::Wake { now: true });
    let wakes = |job: Job| match job.on_event(&now, context(&policy, NOW)) {
        Decision::Apply { next: Next::Act(command), .. } => command.name(),
        Decision::Apply { next: Next::Wait { retry_at: at }, .. } if at == NOW.plus(LIST_SETTLE) => "settles",
        Decision::Apply { .. } => "saved",
        Decision::Ignore(reason) => reason.as_str(),
        Decision::Busy { .. } => "busy",
    };
    let copied = |claim| job([State::Copying(copying(later, claim, Failures { operator: 7, ..Failures::default() }))]);
    let held = |status| Some(Hold::Wait { retry_at: later, status, times: 3, since: NOW });
    let unread = |claim| Some(Hold::Unread { retry_at: later, claim, cause: HoldCause::Errors, times: 3, since: NOW });
    let waiting = |hold| Job { hold, ..job([]) };
    assert_eq!(wakes(copied(None)), "copy", "after a refused key");
    assert_eq!(wakes(copied(Some(CLAIM))), "not_due", "a worker copies it");
    assert_eq!(wakes(waiting(held(Some(401)))), "create");
    assert_eq!(wakes(waiting(held(None))), "create");
    assert_eq!(wakes(Job { overrides: None, ..waiting(unread(None)) }), "read_recording");
    assert_eq!(wakes(Job { overrides: None, ..waiting(unread(Some(CLAIM))) }), "not_due");
    assert_eq!(wakes(job([creating(later, Some(CLAIM))])), "not_due");
    assert_eq!(wakes(job([creating(later, None)])), "settles", "the last call may still take effect");
    let refused = job([State::Refused { status: 400, code: None }, State::Refused { status: 400, code: None }]);
    let refusals = Some(Refusals { since: NOW, rounds: 3 });
    assert_eq!(wakes(Job { hold: Some(Hold::AllRefused { retry_at: later }), refusals, ..refused }), "create");
    assert_eq!(wakes(failed_job()), "not_due", "what has ended is for a retry");
}
