//! Copies that fail: how long they are tried, and what ends them.

use std::time::Duration;

use super::{CLAIM, DAY, NOW, OTHER, OURS, context, copying, job, policy, receipt};
use crate::{
    Answer, Command, CopyAnswer, Copying, Decision, EntryStatus, Event, Failures, Hold, Job, Next, Policy, Reason,
    Rendering, State, Status, TranscriptEntry, TranscriptRef, ids::TranscriptId, time::Timestamp,
};

fn quiet() -> Policy {
    Policy { announces: false, ..policy() }
}

/// A job whose transcript a worker is copying.
fn held() -> Copying {
    let retry_at = NOW.plus(Duration::from_secs(17));
    copying(retry_at, Some(CLAIM), Failures::default())
}

/// A copy that has been tried for a long time.
fn long() -> Failures {
    Failures { transient: 8, operator: 8, rejected: 8, missing: 8, gone: 8, ..Failures::default() }
}

fn transcribing() -> Job {
    job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false }])
}

/// Answers every try in the same way, and lets every wait pass, until nothing is pending. Returns when that was, after
/// how many tries, and the final status.
fn tried_to_the_end(mut job: Job, answer: &CopyAnswer) -> (Timestamp, u32, Job) {
    let policy = quiet();
    let mut now = NOW;
    for tries in 0..10_000 {
        let Some(at) = job.due_at() else { return (now, tries, job) };
        now = now.max(at);
        let decision = job.on_event(&Event::WAKE, context(&policy, now));
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
fn copy_is_given_up_after_a_month() {
    for answer in [CopyAnswer::Later { after: Duration::from_secs(5) }, CopyAnswer::Rejected, CopyAnswer::NotReady] {
        let (ended, _, job) = tried_to_the_end(transcribing(), &answer);
        let days = ended.since(NOW).as_secs() / DAY.as_secs();
        assert!((29..=31).contains(&days), "{answer:?} ends after {days} days");
        assert_eq!(job.status(), Status::Lost);
        assert!(!job.transcripts[0].deleted, "should it be there after all, it is copied");
    }
}

/// In the end, Recall is asked hourly.
#[test]
fn transcript_not_ready_is_checked_720_times() {
    let (_, tries, job) = tried_to_the_end(transcribing(), &CopyAnswer::NotReady);
    assert_eq!((tries, job.status()), (720, Status::Lost));
}

/// A wrong workspace or base URL gives the same answer, and can be fixed within a day.
#[test]
fn transcript_unknown_to_recall_is_retrieved_for_a_day() {
    let missing = CopyAnswer::Missing { recording_known: false };
    let (ended, _, job) = tried_to_the_end(transcribing(), &missing);
    let hours = ended.since(NOW).as_secs() / 60 / 60;
    assert!((24..=25).contains(&hours), "it ends after {hours} hours");
    assert_eq!((job.status(), job.transcripts[0].deleted), (Status::Lost, false));
}

#[test]
fn copy_belongs_to_one_worker_until_its_lease_ends() {
    let policy = quiet();
    let waiting = job([State::Copying(copying(NOW, None, Failures::default()))]);
    let Decision::Apply { job, next: Next::Act(Command::Copy { .. }) } =
        waiting.on_event(&Event::WAKE, context(&policy, NOW))
    else {
        panic!("not taken up")
    };
    let retry_at = context(&policy, NOW).lease_until;
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let just_before = retry_at.minus(Duration::from_secs(1));
    assert_eq!(job.clone().on_event(&Event::WAKE, context(&policy, just_before)), Decision::Ignore(Reason::NotDue));
    assert_eq!(job.clone().on_event(&done, context(&policy, just_before)), Decision::Busy { retry_at });
    let decision = job.on_event(&done, context(&policy, retry_at));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. }), "{decision:?}");
}

/// The copy may still succeed while its worker can be alive.
#[test]
fn recording_deleted_waits_for_the_copying_worker() {
    let policy = quiet();
    let retry_at = held().retry_at;
    let deleted = |now| job([State::Copying(held())]).on_event(&Event::RecordingDeleted, context(&policy, now));
    assert_eq!(deleted(retry_at.minus(Duration::from_secs(1))), Decision::Busy { retry_at });
    let Decision::Apply { job, .. } = deleted(retry_at) else { panic!("the lease has ended") };
    assert_eq!((job.status(), job.transcript_count()), (Status::Lost, 0));
}

/// A person has to fix the key, and Recall keeps the recording until its expiry.
#[test]
fn refused_key_does_not_end_a_copy_before_the_expiry() {
    let policy = quiet();
    let later = CopyAnswer::Later { after: Duration::from_secs(5) };
    for expires_at in [None, Some(NOW.plus(90 * DAY))] {
        let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: true };
        let mut job = Job { expires_at, ..job([transcribing]) };
        let mut now = NOW;
        let mut answered = |answer: &CopyAnswer, retry_at: Timestamp| {
            while now < retry_at {
                let Some(at) = job.due_at() else { break };
                now = at;
                let decision = job.clone().on_event(&Event::WAKE, context(&policy, now));
                let Decision::Apply { job: copying, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
                    panic!("{decision:?}")
                };
                let answer = Answer::Copy { transcript_id: OURS, claim, answer: answer.clone() };
                let decision = copying.on_answer(&answer, context(&policy, now));
                let Decision::Apply { job: waits, .. } = decision else { panic!("{decision:?}") };
                job = *waits;
            }
            job.status()
        };
        assert_eq!(answered(&CopyAnswer::Operator, NOW.plus(60 * DAY)), Status::Copying, "{expires_at:?}");
        // The key works again, and Recall fails for a day.
        assert_eq!(answered(&later, NOW.plus(61 * DAY)), Status::Copying, "{expires_at:?}");
    }
}

/// If the expiry is known, the copy is worth trying until then, and a day longer.
#[test]
fn copy_is_tried_until_the_recording_expires() {
    for answer in [CopyAnswer::Later { after: Duration::from_secs(5) }, CopyAnswer::Rejected, CopyAnswer::Operator] {
        for (expires, ends) in [(7, 8), (90, 91)] {
            let copying = State::Copying(copying(NOW, None, Failures::default()));
            let mut job = Job { expires_at: Some(NOW.plus(expires * DAY)), ..job([copying]) };
            job.outbox.expiry_announced = true;
            let (ended, _, job) = tried_to_the_end(job, &answer);
            let days = ended.since(NOW).as_secs() / DAY.as_secs();
            assert_eq!((days, job.status()), (ends, Status::Lost), "{answer:?}, {expires} days");
        }
    }
}

#[test]
fn crash_during_a_copy_is_counted() {
    let policy = quiet();
    let mut died = job([State::Copying(held())]);
    for expected in 1..=3 {
        let now = died.due_at().expect("a lease ends");
        let Decision::Apply { job, next: Next::Act(Command::Copy { failures, .. }) } =
            died.on_event(&Event::WAKE, context(&policy, now))
        else {
            panic!("not taken up")
        };
        assert_eq!(failures.crashes, expected);
        died = *job;
    }
    // A worker that answers has not died.
    let claim = died.transcripts[0].state.copying().and_then(|copying| copying.claim).expect("held");
    let later = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Later { after: Duration::ZERO } };
    let Decision::Apply { job, .. } = died.on_answer(&later, context(&policy, NOW)) else { panic!("no wait") };
    let now = job.due_at().expect("a wait");
    let Decision::Apply { next: Next::Act(Command::Copy { failures, .. }), .. } =
        job.on_event(&Event::WAKE, context(&policy, now))
    else {
        panic!("not taken up")
    };
    assert_eq!(failures.crashes, 3);
}

/// No answer arrives, so the next worker has to look at the time.
#[test]
fn copy_that_kills_every_worker_is_given_up() {
    let policy = quiet();
    for (expires_at, ends) in [(None, 30), (Some(NOW.plus(2 * DAY)), 3)] {
        let mut job = Job { expires_at, ..job([State::Copying(held())]) };
        job.outbox.expiry_announced = true;
        let mut now = NOW;
        while let Some(at) = job.due_at() {
            now = at;
            let Decision::Apply { job: next, .. } = job.on_event(&Event::WAKE, context(&policy, now)) else { panic!() };
            job = *next;
        }
        assert_eq!((now.since(NOW).as_secs() / DAY.as_secs(), job.status()), (ends, Status::Lost), "{expires_at:?}");
        assert!(!job.transcripts[0].deleted, "should it be there after all, it is copied");
    }
}

/// The first two transcripts kill every worker that copies them.
#[test]
fn deadly_work_does_not_delay_other_work() {
    let policy = quiet();
    let rendering = Rendering { transcript_id: None, retry_at: NOW, claim: Some(CLAIM), tries: 0 };
    let mut three = job([
        State::Stored { transcript_id: TranscriptId::from_u128(3), receipt: receipt() },
        State::Copying(copying(NOW, Some(CLAIM), Failures::default())),
        State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: true },
    ]);
    three.rendering = Some(rendering);
    let (mut job, mut now, mut copied) = (three, NOW, false);
    for _ in 0..6 {
        now = now.plus(Duration::from_secs(60));
        let decision = job.on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: next, next: Next::Act(command) } = decision else { panic!("{decision:?}") };
        copied |= matches!(command, Command::Copy { transcript_id: OTHER, .. });
        job = *next;
    }
    assert!(copied, "{job:?}");
}

/// The copy is tried a few more times before the expiry, however long its backoff is by then.
#[test]
fn copy_waits_never_outlast_the_recording() {
    let policy = quiet();
    for answer in [
        CopyAnswer::Later { after: Duration::ZERO },
        CopyAnswer::NotReady,
        CopyAnswer::Missing { recording_known: false },
        CopyAnswer::Operator,
        CopyAnswer::Rejected,
    ] {
        for (left, most) in [(2 * 60 * 60, 30 * 60), (60, 15), (8, 5), (1, 5)] {
            let copying = Copying { failures: long(), checks: 8, ..held() };
            let expires_at = Some(NOW.plus(Duration::from_secs(left)));
            let job = Job { expires_at, ..job([State::Copying(copying)]) };
            let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: answer.clone() };
            let Decision::Apply { next: Next::Wait { retry_at: at }, .. } =
                job.on_answer(&answer, context(&policy, NOW))
            else {
                panic!("no wait")
            };
            assert!(at.since(NOW).as_secs() <= most, "{answer:?} with {left} s left waits for {:?}", at.since(NOW));
        }
        // After the expiry, the waits are no longer capped.
        let job =
            Job { expires_at: Some(NOW), ..job([State::Copying(Copying { failures: long(), checks: 8, ..held() })]) };
        let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer };
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_answer(&answer, context(&policy, NOW))
        else {
            panic!("no wait")
        };
        assert!(at.since(NOW) >= Duration::from_secs(15 * 60), "{at:?}");
    }
}

/// A failed transcript of others neither shortens nor ends a wait of ours.
#[test]
fn foreign_failure_does_not_change_our_wait() {
    let policy = Policy { tries_per_provider: 3, ..policy() };
    let retry_at = NOW.plus(Duration::from_secs(60 * 60));
    for hold in
        [Hold::Wait { retry_at, status: Some(429), times: 6, since: NOW }, Hold::LimitReached { retry_at: None }]
    {
        let mut job = job([State::Failed { transcript_id: OTHER, sub_code: None }, State::Copying(held())]);
        job.transcripts[1].attempt = None;
        job.hold = Some(hold.clone());
        let failed = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Failed { sub_code: None } };
        let Decision::Apply { job, .. } = job.on_answer(&failed, context(&policy, NOW)) else { panic!("ignored") };
        assert_eq!(job.hold, Some(hold));
    }
}

/// Recall lists the transcript as done in every run of the sweep, but reports a failure when it is retrieved.
#[test]
fn contradicting_list_does_not_delay_the_next_attempt() {
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let seen = TranscriptEntry { reference, status: EntryStatus::Done };
    let failed = |tries_per_provider, hold| {
        let failed = job([State::Failed { transcript_id: OURS, sub_code: None }]);
        (Policy { tries_per_provider, providers: vec!["recallai_async".to_owned()], ..quiet() }, Job { hold, ..failed })
    };
    // The number of retrievals, and when the next attempt started.
    let watch = |(policy, mut job): (Policy, Job), time: Duration, minutes: &dyn Fn(u64) -> bool| {
        let (mut now, mut retrieved) = (NOW, 0);
        while now < NOW.plus(time) {
            let context = context(&policy, now);
            let woken = job.clone().on_event(&Event::WAKE, context);
            if let Decision::Apply { next: Next::Act(Command::Create { .. }), .. } = woken {
                return (retrieved, Some(now.since(NOW)), job);
            }
            if minutes(now.since(NOW).as_secs() / 60)
                && let Some(event) = job.missed_transcript(&seen, context)
            {
                let decision = job.clone().on_event(&event, context);
                let Decision::Apply { job: copying, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
                    panic!("{decision:?}")
                };
                retrieved += 1;
                let answer = CopyAnswer::Failed { sub_code: None };
                let answer = Answer::Copy { transcript_id: OURS, claim, answer };
                let decision = copying.on_answer(&answer, context);
                let Decision::Apply { job: next, .. } = decision else { panic!("{decision:?}") };
                job = *next;
            }
            now = now.plus(Duration::from_secs(60));
        }
        (retrieved, None, job)
    };
    let hour = Duration::from_secs(60 * 60);
    let hold = Some(Hold::Wait { retry_at: NOW.plus(hour), status: None, times: 0, since: NOW });
    for every in [1, 7, 60] {
        let (retrieved, started, _) = watch(failed(3, hold.clone()), DAY, &|minute| minute % every == 0);
        assert!(retrieved == 1 && started.is_some_and(|after| after <= 2 * hour), "{retrieved}, {started:?}");
    }
    // Nothing else is pending: Recall is asked less and less, and a transcript that is done after all is copied.
    let (retrieved, started, job) = watch(failed(1, None), 4 * DAY, &|_| true);
    assert_eq!((retrieved, started, job.status()), (8, None, Status::Failed));
    let policy = quiet();
    let decision = job.on_event(&Event::TranscriptDone(reference), context(&policy, NOW.plus(6 * DAY)));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. }), "{decision:?}");
}

/// An old webhook does not revive a transcript that Recall has reported as deleted.
#[test]
fn deleted_transcript_stays_deleted() {
    let policy = quiet();
    let deleted = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Deleted };
    let decision = job([State::Copying(held())]).on_answer(&deleted, context(&policy, NOW));
    let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
    assert_eq!((job.status(), job.transcript_count()), (Status::Lost, 0));
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    assert_eq!(job.on_event(&done, context(&policy, NOW)), Decision::Ignore(Reason::AlreadyEnded));
}

/// A key of another workspace gets a 404 for everything, so its answers say nothing about the transcript.
#[test]
fn missing_transcript_counts_as_deleted_only_if_the_recording_is_known() {
    let policy = quiet();
    let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: true };
    let (mut job, mut now) = (job([transcribing]), NOW);
    let mut answered = |answer: CopyAnswer| {
        now = now.max(job.due_at().expect("it is tried again"));
        let decision = job.clone().on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: copying, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
            panic!("{decision:?}")
        };
        let answer = Answer::Copy { transcript_id: OURS, claim, answer };
        let Decision::Apply { job: next, .. } = copying.on_answer(&answer, context(&policy, now)) else { panic!() };
        job = *next;
        job.transcripts[0].deleted
    };
    let missing = |recording_known| CopyAnswer::Missing { recording_known };
    // The wrong key, nine times, then ours, with an error of Recall in between.
    let wrong_key = std::iter::repeat_n(missing(false), 9);
    let later = CopyAnswer::Later { after: Duration::ZERO };
    for answer in wrong_key.chain([missing(true), later.clone()]).chain(std::iter::repeat_n(missing(true), 9)) {
        assert!(!answered(answer.clone()), "it counts as deleted after {answer:?}");
    }
    assert!(answered(missing(true)), "the tenth in a row");
}
