//! An attempt whose outcome is unknown is looked up.

use std::time::Duration;

use super::{CLAIM, DAY, HOUR, NOW, OURS, context, creating, job, quiet, retry, started};
use crate::{
    Answer, Command, CreateAnswer, Decision, Event, Job, LIST_SETTLE, ListedTranscript, LookUpAnswer, Next, Policy,
    Reason, State, Status, time::Timestamp,
};

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
