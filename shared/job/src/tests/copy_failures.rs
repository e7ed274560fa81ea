//! Failures of a copy are counted by kind, and its checks become rare.

use std::time::Duration;

use super::{CLAIM, HOUR, NOW, OURS, context, copying, job, quiet};
use crate::{Answer, Command, CopyAnswer, Decision, Event, Failures, Next, State, TranscriptRef};

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

#[test]
fn transcript_that_is_never_ready_is_given_up_after_a_month() {
    let policy = quiet();
    let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
    let (mut job, mut now) = (job([transcribing]), NOW);
    while let Some(at) = job.due_at() {
        now = at;
        let decision = job.on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: copying, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
            panic!("{decision:?}")
        };
        let answer = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::NotReady };
        let Decision::Apply { job: waits, .. } = copying.on_answer(&answer, context(&policy, now)) else { panic!() };
        job = *waits;
    }
    let days = now.since(NOW).as_secs() / (24 * 60 * 60);
    assert_eq!((days, &job.transcripts[0].state), (29, &State::Lost { transcript_id: OURS }));
}
