//! Copies that do not come about: how long they are tried, and what ends them.

use std::time::Duration;

use super::{CLAIM, NOW, OURS, context, job, policy};
use crate::{
    job::{Answer, Command, CopyAnswer, Copying, Decision, Event, Job, Next, Policy, State, Status},
    time::Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn quiet() -> Policy {
    Policy { announces: false, ..policy() }
}

/// Answers every try like this, and waits for every wait, until nothing is to come: when that was, and what became of
/// it.
fn tried_to_the_end(mut job: Job, answer: &CopyAnswer) -> (Timestamp, Job) {
    let policy = quiet();
    let mut now = NOW;
    for _ in 0..10_000 {
        let Some(at) = job.due_at() else { return (now, job) };
        now = now.max(at);
        let decision = job.on_event(&Event::Wake, context(&policy, now));
        let Decision::Apply { job: copying, next: Next::Act(Command::Copy { transcript_id, claim, .. }) } = decision
        else {
            panic!("{decision:?}")
        };
        let answer = Answer::Copy { transcript_id, claim, answer: answer.clone() };
        let decision = copying.on_answer(&answer, context(&policy, now));
        let Decision::Apply { job: waits, .. } = decision else { panic!("{decision:?}") };
        job = *waits;
    }
    panic!("no end")
}

#[test]
fn what_cannot_be_copied_for_a_month_ends() {
    let transcribing = || job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0 }]);
    for answer in [
        CopyAnswer::Later { after: Duration::from_secs(5) },
        CopyAnswer::Later { after: Duration::from_secs(5 * 60) },
        CopyAnswer::NotReady { after: Duration::from_secs(15) },
    ] {
        let (ended, job) = tried_to_the_end(transcribing(), &answer);
        let days = ended.since(NOW).as_secs() / DAY.as_secs();
        assert!((29..=31).contains(&days), "{answer:?} ends after {days} days");
        assert_eq!(job.status(), Status::Lost);
        assert!(!job.transcripts[0].deleted, "should it be there after all, it is copied");
    }
}

#[test]
fn a_worker_that_dies_over_a_copy_is_counted() {
    let policy = quiet();
    let until = NOW.plus(Duration::from_secs(17));
    let held = Copying { transcript_id: OURS, until, claim: Some(CLAIM), since: NOW, tries: 0, deaths: 0, missing: 0 };
    let mut died = job([State::Copying(held)]);
    for expected in 1..=3 {
        let now = died.due_at().expect("a lease ends");
        let Decision::Apply { job, next: Next::Act(Command::Copy { deaths, .. }) } =
            died.on_event(&Event::Wake, context(&policy, now))
        else {
            panic!("not taken up")
        };
        assert_eq!(deaths, expected);
        died = *job;
    }
    // One that says how it went has not died.
    let claim = died.transcripts[0].state.copying().and_then(|copying| copying.claim).expect("held");
    let later = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Later { after: Duration::ZERO } };
    let Decision::Apply { job, .. } = died.on_answer(&later, context(&policy, NOW)) else { panic!("no wait") };
    let now = job.due_at().expect("a wait");
    let Decision::Apply { next: Next::Act(Command::Copy { deaths, .. }), .. } =
        job.on_event(&Event::Wake, context(&policy, now))
    else {
        panic!("not taken up")
    };
    assert_eq!(deaths, 3);
}
