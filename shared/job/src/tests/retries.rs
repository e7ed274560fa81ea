//! What an operator requests: one more attempt, and an end to waits.

use std::time::Duration;

use super::{CLAIM, NOW, OTHER, OURS, context, copying, job, policy, receipt};
use crate::{
    Answer, Command, CopyAnswer, CreateAnswer, Creating, Decision, DeleteAfterStore, Deletion, DeletionReason,
    DeletionTarget, Event, Failures, Hold, HoldCause, Job, LIST_SETTLE, ListedTranscript, LookUpAnswer, Next, OnLimit,
    Overrides, Policy, Reason, Recording, Refusals, RenderAnswer, State, Status, TranscriptRef, ids::RecordingId,
    time::Timestamp,
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = HOUR.saturating_mul(24);

fn quiet() -> Policy {
    Policy { announces: false, max_transcripts: 10, ..policy() }
}

fn retry(after_attempt: u32) -> Event {
    Event::Retry { provider: None, after_attempt }
}

fn failed() -> Job {
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

#[test]
fn retry_restarts_a_job_whatever_it_ended_as() {
    let policy = quiet();
    let skip = Some(Overrides { skip: true, ..Overrides::default() });
    let stored = State::Stored { transcript_id: OURS, receipt: receipt() };
    let outcome_unknown = State::Refused { status: crate::state::OUTCOME_UNKNOWN, code: None };
    for (what, ended) in [
        ("failed", failed()),
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
    let (_, _, provider) = started(failed().on_event(&named("rev_async"), context(&policy, NOW)));
    assert_eq!(provider, "rev_async", "although its tries are used up");
    let unknown = failed().on_event(&named("nobody_async"), context(&policy, NOW));
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
    let deleted = Job { recording: Recording::Deleted, ..failed() };
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
        ("failed", failed()),
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

fn creating(retry_at: Timestamp, claim: Option<crate::Claim>) -> State {
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

/// With the default settings, half an hour of provider trouble fails nothing.
#[test]
fn chain_outlasts_an_outage_of_its_provider() {
    let providers = vec!["recallai_async".to_owned()];
    let policy = Policy { providers, tries_per_provider: 3, ..quiet() };
    let (mut job, mut now, mut starts) = (job([]), NOW, Vec::new());
    job.attempts = 0;
    let mut decision = job.on_event(&super::done(), context(&policy, now));
    while let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } = decision {
        starts.push(now.since(NOW));
        let transcript_id = crate::ids::TranscriptId::from_u128(attempt.into());
        let created = Answer::Create { attempt, claim, answer: CreateAnswer::Created { transcript_id } };
        let Decision::Apply { job, .. } = job.on_answer(&created, context(&policy, now)) else { panic!("lost") };
        let reference = TranscriptRef { transcript_id, attempt: Some(attempt), other_deployment: false };
        let failed = Event::TranscriptFailed { reference, sub_code: None };
        let Decision::Apply { job, next } = job.on_event(&failed, context(&policy, now)) else { panic!("ignored") };
        let Next::Wait { retry_at: at } = next else { break };
        now = at;
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    assert_eq!(starts.len(), 3);
    assert!(starts[1] <= Duration::from_secs(5 * 60), "an early try comes quickly: {starts:?}");
    assert!(starts[2] - starts[1] >= HOUR, "the last one outlasts an outage: {starts:?}");
}

#[test]
fn last_try_comes_earlier_if_the_recording_expires_soon() {
    let policy = Policy { tries_per_provider: 1, ..quiet() };
    let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
    let job = Job { expires_at: Some(NOW.plus(HOUR)), ..job([transcribing]) };
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_event(&failed, context(&policy, NOW)) else {
        panic!("no wait")
    };
    assert_eq!(at.since(NOW), HOUR / 24 * 5, "a quarter, less the jitter of the queue");
}

/// The last try that fits under the limit is the last one, unless room is made for more.
#[test]
fn last_try_under_the_limit_outlasts_an_outage() {
    for (on_limit, wait) in [(OnLimit::Stop, HOUR), (OnLimit::DeleteFailed, Duration::from_secs(60))] {
        let policy = Policy { tries_per_provider: 5, max_transcripts: 2, on_limit, ..quiet() };
        let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
        let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
        let failed = Event::TranscriptFailed { reference, sub_code: None };
        let decision = job([transcribing]).on_event(&failed, context(&policy, NOW));
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(at.since(NOW), wait, "{on_limit:?}");
    }
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
    assert_eq!(wakes(failed()), "not_due", "what has ended is for a retry");
}

#[test]
fn repeated_conflict_becomes_a_refusal() {
    let policy = Policy { providers: vec!["recallai_async".to_owned()], ..quiet() };
    let (mut decision, mut now, mut calls) = (job([]).on_event(&super::done(), context(&policy, NOW)), NOW, 0);
    for _ in 0..10_000 {
        let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
        decision = match next {
            Next::Act(Command::Create { attempt, claim, .. }) => {
                calls += 1;
                let answer = Answer::Create { attempt, claim, answer: CreateAnswer::InProgress };
                job.on_answer(&answer, context(&policy, now))
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let answer = LookUpAnswer::Complete(Vec::new());
                job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Nothing => {
                let days = now.since(NOW).as_secs() / (24 * 60 * 60);
                assert_eq!((job.status(), job.due_at()), (Status::Failed, None));
                assert!((7..=8).contains(&days) && calls < 500, "{calls} calls in {days} days");
                return;
            }
            Next::Act(command) => panic!("{command:?}"),
        };
    }
    panic!("no end");
}

/// The attempt may have been paid for, so only a person starts another one.
#[test]
fn inconclusive_look_ups_end_without_another_attempt() {
    let policy = quiet();
    let (mut job, mut now) = (job([creating(NOW, None)]), NOW.plus(LIST_SETTLE));
    for _ in 0..10_000 {
        let decision = job.on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: looking, next: Next::Act(Command::LookUp { attempt, claim }) } = decision else {
            panic!("{decision:?}")
        };
        let answer = Answer::LookUp { attempt, claim, answer: LookUpAnswer::Incomplete(Vec::new()) };
        let Decision::Apply { job: after, next } = looking.on_answer(&answer, context(&policy, now)) else {
            panic!("stuck")
        };
        job = *after;
        let Next::Wait { retry_at: at } = next else { break };
        now = at;
    }
    assert_eq!((job.status(), job.due_at(), job.attempts), (Status::Failed, None, 1));
    let done = job.on_event(&super::done(), context(&policy, now));
    assert!(matches!(done, Decision::Ignore(_)), "{done:?}");
}

/// The transcript may exist, and Recall would count it, so it counts. A retry looks it up first.
#[test]
fn attempt_with_unknown_outcome_keeps_its_place_until_listed() {
    let policy = Policy { max_transcripts: 1, ..quiet() };
    let outcome_unknown = State::Refused { status: crate::state::OUTCOME_UNKNOWN, code: None };
    let ended = job([outcome_unknown]);
    assert_eq!((ended.status(), ended.transcript_count()), (Status::Failed, 1));
    let decision = ended.on_event(&retry(1), context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::LookUp { attempt: 1, claim }) } = decision else {
        panic!("{decision:?}")
    };
    let listed = |listed| Answer::LookUp { attempt: 1, claim, answer: LookUpAnswer::Complete(listed) };
    // It was never made: the requested transcript is made now.
    let (made, attempt, _) = started(job.clone().on_answer(&listed(Vec::new()), context(&policy, NOW)));
    assert_eq!((attempt, made.transcript_count(), made.transcripts.len()), (3, 1, 1));
    // It exists: it serves the request, even if the message is repeated.
    let there = ListedTranscript {
        transcript_id: OURS,
        attempt: Some(1),
        ended: false,
        failed: false,
        other_deployment: false,
    };
    let Decision::Apply { job: found, .. } = job.clone().on_answer(&listed(vec![there]), context(&policy, NOW)) else {
        panic!("not found")
    };
    assert_eq!((found.status(), &found.retry), (Status::Transcribing, &None));
    assert_eq!(found.on_event(&retry(1), context(&policy, NOW)), Decision::Ignore(Reason::Overtaken));
    // There is no list: the look-up is repeated later, and nothing is paid for.
    let later = LookUpAnswer::Later { after: Duration::ZERO };
    let (waits, _) = looked_up(
        match job.on_answer(&Answer::LookUp { attempt: 1, claim, answer: later.clone() }, context(&policy, NOW)) {
            Decision::Apply { job, .. } => *job,
            decision @ (Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{decision:?}"),
        },
        NOW.plus(HOUR),
        DAY,
        &later,
    );
    assert_eq!((waits.status(), waits.transcript_count()), (Status::Creating, 1));
}

/// The look-up of another attempt shows it, too.
#[test]
fn complete_list_ends_an_attempt_with_unknown_outcome() {
    let policy = quiet();
    let outcome_unknown = State::Refused { status: crate::state::OUTCOME_UNKNOWN, code: None };
    let mut ended = job([outcome_unknown, creating(NOW, Some(CLAIM))]);
    (ended.attempts, ended.transcripts[1].attempt) = (2, Some(2));
    let ours = ListedTranscript {
        transcript_id: OURS,
        attempt: Some(2),
        ended: false,
        failed: false,
        other_deployment: false,
    };
    for (answer, count) in [(LookUpAnswer::Incomplete(vec![ours]), 2), (LookUpAnswer::Complete(vec![ours]), 1)] {
        let answer = Answer::LookUp { attempt: 2, claim: CLAIM, answer };
        let Decision::Apply { job, .. } = ended.clone().on_answer(&answer, context(&policy, NOW)) else {
            panic!("nothing learned")
        };
        assert_eq!((job.status(), job.transcript_count()), (Status::Transcribing, count));
    }
}

/// Answers the look-up in the same way for this time. Returns the job and the time.
fn looked_up(mut job: Job, from: Timestamp, time: Duration, answer: &LookUpAnswer) -> (Job, Timestamp) {
    let (policy, mut now) = (quiet(), from);
    while now.since(from) < time && job.status().is_in_progress() {
        let decision = job.on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: looking, next: Next::Act(Command::LookUp { attempt, claim }) } = decision else {
            panic!("{decision:?}")
        };
        let answer = Answer::LookUp { attempt, claim, answer: answer.clone() };
        let Decision::Apply { job: after, next } = looking.on_answer(&answer, context(&policy, now)) else {
            panic!("stuck")
        };
        job = *after;
        if let Next::Wait { retry_at: at } = next {
            now = at;
        }
    }
    (job, now)
}

/// Months of a refused key do not end a look-up, and do not count against the errors after them.
#[test]
fn refused_key_does_not_end_a_look_up_before_the_expiry() {
    let (start, later) = (NOW.plus(LIST_SETTLE), LookUpAnswer::Later { after: Duration::ZERO });
    let (held, now) = looked_up(job([creating(NOW, None)]), start, 60 * DAY, &LookUpAnswer::Operator);
    assert_eq!(held.status(), Status::Creating);
    let (failing, now) = looked_up(held.clone(), now, 29 * DAY, &later);
    assert_eq!(failing.status(), Status::Creating);
    let (ended, _) = looked_up(failing, now, 2 * DAY, &later);
    assert_eq!(ended.status(), Status::Failed);
    let expires_at = Some(now.plus(DAY));
    let (expired, _) = looked_up(Job { expires_at, ..held }, now, 3 * DAY, &LookUpAnswer::Operator);
    assert_eq!(expired.status(), Status::Failed);
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

#[test]
fn rendering_that_kills_every_worker_is_given_up() {
    let policy = quiet();
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let mut decision = stored.on_event(&Event::Render { transcript_id: None }, context(&policy, NOW));
    let mut crashes = 0;
    while let Decision::Apply { job, next: Next::Act(Command::Render { .. }) } = decision {
        crashes += 1;
        assert!(crashes <= 16, "still rendering: {:?}", job.rendering);
        let now = job.due_at().expect("a lease ends");
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    let Decision::Apply { job, next: Next::Nothing } = decision else { panic!("{decision:?}") };
    assert_eq!((crashes, job.rendering, job.due_at()), (16, None, None));
    assert!(job.rendering_stopped_at.is_some());
}

#[test]
fn rendering_that_is_given_up_is_noted_in_the_row() {
    let policy = quiet();
    let render = Event::Render { transcript_id: None };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let end_of = |mut decision: Decision, answer: RenderAnswer| {
        let mut now = NOW;
        loop {
            let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
            decision = match next {
                Next::Act(Command::Render { claim, .. }) => {
                    job.on_answer(&Answer::Render { claim, answer }, context(&policy, now))
                }
                Next::Wait { retry_at: at } => {
                    now = at;
                    job.on_event(&Event::WAKE, context(&policy, now))
                }
                Next::Nothing => return (*job, now),
                Next::Act(_) => panic!("{next:?}"),
            };
        }
    };
    let later = RenderAnswer::Later { after: Duration::ZERO };
    for (answer, hours) in [(later, 7), (RenderAnswer::NotAsStored, 0)] {
        let (job, now) = end_of(stored().on_event(&render, context(&policy, NOW)), answer);
        assert_eq!((job.rendering, job.rendering_stopped_at, job.due_at()), (None, Some(now), None), "{answer:?}");
        assert_eq!(now.since(NOW).as_secs() / 3600, hours);
        // A person requests it again, and this time it works.
        let asked = job.on_event(&render, context(&policy, NOW));
        assert!(matches!(&asked, Decision::Apply { job, .. } if job.rendering_stopped_at.is_none()), "{asked:?}");
        let (job, _) = end_of(asked, RenderAnswer::Rendered);
        assert_eq!((job.rendering, job.rendering_stopped_at), (None, None));
    }
}

/// Each kind of failure has its own counter.
#[test]
fn copy_failures_of_each_kind_are_counted_separately() {
    let policy = quiet();
    let after = |failures: Failures, answer: CopyAnswer| {
        let copying = job([State::Copying(copying(NOW.plus(HOUR), Some(CLAIM), failures))]);
        let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer };
        let Decision::Apply { job, next: Next::Wait { retry_at: at } } =
            copying.on_answer(&answer, context(&policy, NOW))
        else {
            panic!("no wait")
        };
        (job.transcripts[0].state.copying().map(|copying| copying.failures), at.since(NOW).as_secs())
    };
    let transient = Failures { transient: 7, missing: 3, crashes: 1, ..Failures::default() };
    let (failures, wait) = after(transient, CopyAnswer::Operator);
    assert_eq!((failures, wait), (Some(Failures { operator: 1, missing: 0, ..transient }), 5 * 60), "the first 401");
    let (failures, wait) = after(transient, CopyAnswer::RenditionsRefused);
    assert_eq!((failures, wait), (Some(Failures { renditions_refused: 1, missing: 0, ..transient }), 5));
    let (failures, wait) = after(transient, CopyAnswer::RenditionsLate);
    assert_eq!((failures, wait), (Some(Failures { renditions_late: 1, missing: 0, ..transient }), 5));
    let (failures, wait) = after(transient, CopyAnswer::EmptyBody);
    assert_eq!((failures, wait), (Some(Failures { empty_bodies: 1, missing: 0, ..transient }), 5));
    let (failures, _) = after(transient, CopyAnswer::Missing { recording_known: false });
    assert_eq!(failures, Some(Failures { missing: 4, ..transient }));
}

#[test]
fn copy_failures_of_every_kind_are_summed() {
    let failures = Failures {
        transient: 1,
        operator: 20,
        missing: 300,
        renditions_refused: 4_000,
        renditions_late: 50_000,
        empty_bodies: 600_000,
        crashes: 7_000_000,
        gone: 80_000_000,
        rejected: 900_000_000,
    };
    assert_eq!(failures.total(), 987_654_321);
}

/// What the sweep reports in every run does not shorten the wait for the next check.
#[test]
fn transcript_reported_done_but_not_ready_is_checked_less_and_less() {
    let policy = quiet();
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let transcribing =
        State::Transcribing { transcript_id: OURS, check_at: NOW.plus(HOUR), checks: 0, reported_done: false };
    let (mut job, mut now, mut checks) = (job([transcribing]), NOW, 0);
    let end = NOW.plus(24 * HOUR);
    while now < end {
        if let Decision::Apply { job: copying, next: Next::Act(Command::Copy { claim, .. }) } =
            job.clone().on_event(&Event::TranscriptDone(reference), context(&policy, now))
        {
            checks += 1;
            let answer = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::NotReady };
            let Decision::Apply { job: waits, .. } = copying.on_answer(&answer, context(&policy, now)) else {
                panic!()
            };
            job = *waits;
        }
        // The sweep runs every minute.
        now = now.plus(Duration::from_secs(60));
    }
    assert!((20..40).contains(&checks), "{checks} checks in a day");
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
