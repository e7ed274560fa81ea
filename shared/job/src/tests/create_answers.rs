//! Answers to create_transcript and to look-ups.

use std::time::Duration;

use super::{HOUR, NOW, OTHER, OURS, context, done, job, quiet};
use crate::{
    Answer, Claim, Command, CreateAnswer, Decision, Event, Hold, Job, ListedTranscript, LookUpAnswer, Next, Policy,
    Reason, State, Status, TranscriptRef,
    ids::{RecordingId, TranscriptId},
};

/// The decision that the core applies.
fn applied(decision: Decision) -> (Job, Next) {
    let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
    (*job, next)
}

/// A job with a create in progress.
fn asked(before: Job, policy: &Policy) -> (Job, u32, Claim) {
    let done = done();
    let (job, next) = applied(before.on_event(&done, context(policy, NOW)));
    let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!("{next:?}") };
    (job, attempt, claim)
}

fn new() -> Job {
    Job::new(RecordingId::from_u128(7))
}

/// The create is refused with a 400, and the look-up gets this list.
fn refused_at(before: Job, policy: &Policy, listed: u128) -> (Job, Next) {
    let (job, attempt, claim) = asked(before, policy);
    let answer = CreateAnswer::Refused { status: 400, code: None };
    let (job, next) = applied(job.on_answer(&Answer::Create { attempt, claim, answer }, context(policy, NOW)));
    let Next::Act(Command::LookUp { claim, .. }) = next else { panic!("{next:?}") };
    let one = |number| ListedTranscript {
        transcript_id: TranscriptId::from_u128(number),
        attempt: None,
        ended: false,
        failed: false,
        other_deployment: false,
    };
    let answer = LookUpAnswer::Complete((100..100 + listed).map(one).collect());
    applied(job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(policy, NOW)))
}

/// Recall still lists and counts a transcript that it reported as deleted.
#[test]
fn unexplained_limit_is_waited_for() {
    let gone = |number| State::Failed { transcript_id: TranscriptId::from_u128(number), sub_code: None };
    let mut before = job((100..110).map(gone));
    for transcript in &mut before.transcripts {
        (transcript.attempt, transcript.deleted) = (None, true);
    }
    let (job, next) = refused_at(before, &quiet(), 10);
    let Some(Hold::Wait { retry_at, status: Some(400), .. }) = job.hold else { panic!("{:?}", job.hold) };
    assert_eq!((next, job.transcript_count()), (Next::Wait { retry_at }, 0));
}

#[test]
fn row_remembers_a_bounded_part_of_an_endless_list() {
    let (job, _) = refused_at(new(), &quiet(), 300);
    assert!((100..=200).contains(&job.transcripts.len()), "{}", job.transcripts.len());
}

/// Its webhook came first and did not name our attempt, so it counted as foreign.
#[test]
fn foreign_transcript_that_is_ours_is_waited_for() {
    let policy = Policy { copy_unrequested: false, ..quiet() };
    let (job, attempt, claim) = asked(new(), &policy);
    let processing =
        Event::TranscriptProcessing(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let (job, _) = applied(job.on_event(&processing, context(&policy, NOW)));
    let answer = CreateAnswer::Created { transcript_id: OTHER };
    let (job, _) = applied(job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, NOW)));
    assert_eq!((job.status(), job.transcripts.len()), (Status::Transcribing, 1));
    assert_eq!(job.transcripts[0].attempt, Some(attempt));
}

/// The answer to the first call was lost, and then the API key stops working.
#[test]
fn operator_wait_grows_even_after_a_lost_answer() {
    let policy = quiet();
    let (job, attempt, claim) = asked(new(), &policy);
    let lost = Answer::Create { attempt, claim, answer: CreateAnswer::Lost };
    let (mut job, mut next) = applied(job.on_answer(&lost, context(&policy, NOW)));
    let (mut now, mut waits) = (NOW, Vec::new());
    while waits.len() < 40 {
        let answer = match next {
            Next::Wait { retry_at: at } => {
                waits.push(at.since(now));
                now = at;
                (job, next) = applied(job.on_event(&Event::WAKE, context(&policy, now)));
                continue;
            }
            Next::Act(Command::Create { attempt, claim, .. }) => {
                Answer::Create { attempt, claim, answer: CreateAnswer::Operator { status: 401 } }
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                Answer::LookUp { attempt, claim, answer: LookUpAnswer::Operator }
            }
            Next::Nothing | Next::Act(_) => panic!("{next:?}"),
        };
        (job, next) = applied(job.on_answer(&answer, context(&policy, now)));
    }
    assert!(waits.is_sorted(), "{waits:?}");
    assert_eq!(waits.last(), Some(&HOUR));
}

/// Plays the shell: every create is answered in the same way, every list is empty, and every wait passes, until nothing
/// is pending. Returns how long that took, and the final status.
fn asked_to_the_end(before: Job, answer: &CreateAnswer) -> (Duration, Job) {
    let policy = quiet();
    let (mut now, mut decision) = (NOW, before.on_event(&done(), context(&policy, NOW)));
    for _ in 0..20_000 {
        let (job, next) = applied(decision);
        decision = match next {
            Next::Act(Command::Create { attempt, claim, .. }) => {
                job.on_answer(&Answer::Create { attempt, claim, answer: answer.clone() }, context(&policy, now))
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let answer = LookUpAnswer::Complete(Vec::new());
                job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Nothing => return (now.since(NOW), job),
            Next::Act(command) => panic!("{command:?}"),
        };
    }
    panic!("no end")
}

#[test]
fn server_errors_are_retried_for_30_days_if_the_expiry_is_unknown() {
    let error = CreateAnswer::ServerError { after: Duration::ZERO };
    let (took, job) = asked_to_the_end(new(), &error);
    assert_eq!((took.as_secs() / (24 * 60 * 60), job.due_at(), job.transcript_count()), (30, None, 0));
}

/// The job waits a day longer, because Recall may keep the recording longer than it said.
#[test]
fn refused_key_is_waited_for_until_the_expiry() {
    let expires_at = Some(NOW.plus(40 * 24 * HOUR));
    let (took, job) = asked_to_the_end(Job { expires_at, ..new() }, &CreateAnswer::Operator { status: 401 });
    let days = took.as_secs() / (24 * 60 * 60);
    assert_eq!((days, job.due_at(), job.transcripts.len()), (41, None, 0));
}

#[test]
fn refused_key_is_retried_after_5_minutes_doubling_to_an_hour() {
    let policy = quiet();
    let (mut now, mut decision, mut waits) = (NOW, new().on_event(&done(), context(&policy, NOW)), Vec::new());
    while waits.len() < 6 {
        let (job, next) = applied(decision);
        let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!("{next:?}") };
        let operator = Answer::Create { attempt, claim, answer: CreateAnswer::Operator { status: 402 } };
        let (job, next) = applied(job.on_answer(&operator, context(&policy, now)));
        let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
        waits.push(at.since(now).as_secs() / 60);
        now = at;
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
}

/// Recall may be replaying one error. A call may still take effect, and be listed, for two minutes after its answer.
#[test]
fn look_up_follows_three_server_errors() {
    let policy = quiet();
    let (mut now, mut decision) = (NOW, new().on_event(&done(), context(&policy, NOW)));
    let (mut calls, mut answered_at) = (0, NOW);
    loop {
        let (job, next) = applied(decision);
        decision = match next {
            Next::Act(Command::Create { attempt, claim, .. }) => {
                calls += 1;
                answered_at = now.plus(Duration::from_secs(1));
                now = answered_at;
                let error = CreateAnswer::ServerError { after: Duration::ZERO };
                job.on_answer(&Answer::Create { attempt, claim, answer: error }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Act(Command::LookUp { .. }) => break,
            Next::Nothing | Next::Act(_) => panic!("{next:?}"),
        };
    }
    assert_eq!((calls, now.since(answered_at).as_secs()), (3, 120));
}

/// The wait ends without another delivery, so the sender is not told to retry.
#[test]
fn delivery_during_a_lost_answer_is_ignored() {
    let policy = quiet();
    let (job, attempt, claim) = asked(new(), &policy);
    let lost = Answer::Create { attempt, claim, answer: CreateAnswer::Lost };
    let (job, _) = applied(job.on_answer(&lost, context(&policy, NOW)));
    assert_eq!(job.on_event(&done(), context(&policy, NOW)), Decision::Ignore(Reason::AlreadyRequested));
}

/// The create took ten seconds, and its lease ends while the list is read.
#[test]
fn unexplained_400_is_looked_up_by_one_worker() {
    let policy = quiet();
    let (job, attempt, claim) = asked(new(), &policy);
    let (answered_at, later) = (NOW.plus(Duration::from_secs(10)), NOW.plus(Duration::from_secs(20)));
    let refused = Answer::Create { attempt, claim, answer: CreateAnswer::Refused { status: 400, code: None } };
    let (job, next) = applied(job.on_answer(&refused, context(&policy, answered_at)));
    assert!(matches!(next, Next::Act(Command::LookUp { .. })), "{next:?}");
    let retry_at = context(&policy, answered_at).lease_until;
    assert_eq!(job.on_event(&done(), context(&policy, later)), Decision::Busy { retry_at });
}

/// A refusal says nothing about the call before it, which may have taken effect. Only Recall's list does.
#[test]
fn refusal_after_a_lost_answer_is_looked_up() {
    let policy = quiet();
    for refusal in [
        CreateAnswer::Throttled { after: Duration::from_secs(30) },
        CreateAnswer::Operator { status: 402 },
        CreateAnswer::Refused { status: 400, code: None },
    ] {
        let (mut now, mut decision, mut calls) = (NOW, new().on_event(&done(), context(&policy, NOW)), 0);
        loop {
            let (job, next) = applied(decision);
            decision = match next {
                Next::Act(Command::Create { attempt, claim, .. }) => {
                    calls += 1;
                    let answer = if calls == 1 { CreateAnswer::Lost } else { refusal.clone() };
                    job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now))
                }
                Next::Wait { retry_at: at } => {
                    now = at;
                    job.on_event(&Event::WAKE, context(&policy, now))
                }
                Next::Act(Command::LookUp { attempt: 1, .. }) => break,
                Next::Nothing | Next::Act(_) => panic!("{next:?}"),
            };
        }
        assert_eq!(calls, 2, "{refusal:?}");
    }
}

/// An unreadable entry may be our paid attempt, so no other attempt begins. The readable entries count.
#[test]
fn incomplete_list_proves_nothing() {
    let policy = quiet();
    let (job, attempt, claim) = asked(new(), &policy);
    let lost = Answer::Create { attempt, claim, answer: CreateAnswer::Lost };
    let (mut job, _) = applied(job.on_answer(&lost, context(&policy, NOW)));
    let now = NOW.plus(2 * HOUR);
    for listed in [
        vec![],
        vec![ListedTranscript {
            transcript_id: OTHER,
            attempt: None,
            ended: false,
            failed: false,
            other_deployment: false,
        }],
    ] {
        let known = listed.len();
        let (looking, next) = applied(job.clone().on_event(&Event::WAKE, context(&policy, now)));
        let Next::Act(Command::LookUp { attempt, claim }) = next else { panic!("{next:?}") };
        let answer = Answer::LookUp { attempt, claim, answer: LookUpAnswer::Incomplete(listed) };
        let (waiting, next) = applied(looking.on_answer(&answer, context(&policy, now)));
        let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
        assert!((Duration::from_secs(5 * 60)..=HOUR).contains(&at.since(now)), "{at:?}");
        assert_eq!((waiting.status(), waiting.attempts, waiting.transcripts.len()), (Status::Creating, 1, 1 + known));
    }
    let (looking, next) = applied(job.clone().on_event(&Event::WAKE, context(&policy, now)));
    let Next::Act(Command::LookUp { attempt, claim }) = next else { panic!("{next:?}") };
    let ours = ListedTranscript {
        transcript_id: OURS,
        attempt: Some(attempt),
        ended: false,
        failed: false,
        other_deployment: false,
    };
    let answer = Answer::LookUp { attempt, claim, answer: LookUpAnswer::Incomplete(vec![ours]) };
    (job, _) = applied(looking.on_answer(&answer, context(&policy, now)));
    assert_eq!((job.status(), job.transcript_count()), (Status::Transcribing, 1));
}

#[test]
fn attempt_waits_never_outlast_the_recording() {
    let policy = Policy { tries_per_provider: 10, ..quiet() };
    let expires_at = Some(NOW.plus(Duration::from_secs(400)));
    let wait = |next: Next| {
        let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
        at.since(NOW).as_secs()
    };
    let (asking, attempt, claim) = asked(new(), &policy);
    let operator = Answer::Create { attempt, claim, answer: CreateAnswer::Operator { status: 402 } };
    let (_, next) = applied(Job { expires_at, ..asking }.on_answer(&operator, context(&policy, NOW)));
    assert_eq!(wait(next), 83, "a quarter, less the jitter of the queue");
    let failed = |transcript_id| State::Failed { transcript_id, sub_code: None };
    let working = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
    let mut third = job([failed(OTHER), failed(TranscriptId::from_u128(3)), working]);
    third.expires_at = expires_at;
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let event = Event::TranscriptFailed { reference, sub_code: None };
    let (_, next) = applied(third.on_event(&event, context(&policy, NOW)));
    assert_eq!(wait(next), 83, "a quarter, less the jitter of the queue");
}

/// Each throttled create takes a number, and there may be very many of them.
#[test]
fn attempt_numbers_survive_any_number_of_throttles() {
    let policy = Policy { copy_unrequested: false, ..quiet() };
    let throttled = Job { attempts: 5_000, ..new() };
    let done =
        Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(5_000), other_deployment: false });
    let (job, next) = applied(throttled.on_event(&done, context(&policy, NOW)));
    assert!(matches!(next, Next::Act(Command::Copy { .. })), "{next:?}");
    assert_eq!(job.transcripts[0].attempt, Some(5_000));
}

/// The decision about this answer to a new create, in a job that has been throttled five times.
fn after_five_429s(answer: CreateAnswer) -> (Job, Duration) {
    let policy = quiet();
    let (mut job, mut attempt, mut claim) = asked(new(), &policy);
    let mut now = NOW;
    for _ in 0..5 {
        let throttled = CreateAnswer::Throttled { after: Duration::from_secs(10) };
        let (held, next) =
            applied(job.on_answer(&Answer::Create { attempt, claim, answer: throttled }, context(&policy, now)));
        let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
        now = at;
        let next;
        (job, next) = applied(held.on_event(&Event::WAKE, context(&policy, now)));
        let Next::Act(Command::Create { attempt: new, claim: its, .. }) = next else { panic!("{next:?}") };
        (attempt, claim) = (new, its);
    }
    let (job, next) = applied(job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now)));
    let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
    (job, at.since(now))
}

#[test]
fn hold_causes_of_creates_are_counted_separately() {
    let (_, operator) = after_five_429s(CreateAnswer::Operator { status: 401 });
    let (_, unknown) = after_five_429s(CreateAnswer::Refused { status: 404, code: None });
    assert_eq!((operator.as_secs(), unknown.as_secs()), (5 * 60, 60), "the first 401, the first 404");
    let (job, _) = after_five_429s(CreateAnswer::Throttled { after: Duration::from_secs(10) });
    assert!(matches!(job.hold, Some(Hold::Wait { status: Some(429), times: 6, since: NOW, .. })), "{:?}", job.hold);
}

/// The key works again after a month, and Recall fails for a minute.
#[test]
fn server_errors_after_a_month_of_a_refused_key_do_not_end_the_job() {
    let policy = quiet();
    let (mut job, mut attempt, mut claim) = asked(new(), &policy);
    let mut now = NOW;
    while now.since(NOW) < 31 * 24 * HOUR {
        let answer = CreateAnswer::Operator { status: 401 };
        let (held, next) = applied(job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now)));
        let Next::Wait { retry_at: at } = next else { panic!("{next:?}") };
        now = at;
        let next;
        (job, next) = applied(held.on_event(&Event::WAKE, context(&policy, now)));
        let Next::Act(Command::Create { attempt: new, claim: its, .. }) = next else { panic!("{next:?}") };
        (attempt, claim) = (new, its);
    }
    let fixed = now;
    let failing = || CreateAnswer::ServerError { after: Duration::ZERO };
    let answer = Answer::Create { attempt, claim, answer: failing() };
    let (mut job, mut next) = applied(job.on_answer(&answer, context(&policy, now)));
    while now.since(fixed) < 2 * HOUR {
        (job, next) = applied(match next {
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Act(Command::Create { attempt, claim, .. }) => {
                job.on_answer(&Answer::Create { attempt, claim, answer: failing() }, context(&policy, now))
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let answer = LookUpAnswer::Complete(Vec::new());
                job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(&policy, now))
            }
            Next::Nothing | Next::Act(_) => panic!("{next:?}: {job:?}"),
        });
    }
    assert!(job.status().is_in_progress(), "{job:?}");
}

/// An event or a list does not name the provider of an attempt.
#[test]
fn call_of_an_unknown_provider_is_repeated_with_the_first_one_of_the_chain() {
    let policy = quiet();
    for (preferred, provider) in [(None, "recallai_async"), (Some("rev_async"), "rev_async")] {
        let State::Creating(creating) = super::creating(NOW, None) else { panic!("it is being created") };
        let mut job = job([State::Creating(crate::Creating { first_call_at: NOW, ..creating })]);
        job.transcripts[0].provider = None;
        job.overrides =
            Some(crate::Overrides { provider: preferred.map(str::to_owned), ..crate::Overrides::default() });
        let decision = job.on_event(&Event::WAKE, context(&policy, NOW));
        let Decision::Apply { next: Next::Act(Command::Create { provider: called, .. }), .. } = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(called, provider);
    }
}
