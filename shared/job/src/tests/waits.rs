//! No wait of ours outlasts the recording.

use std::time::Duration;

use super::{CLAIM, NOW, OURS, context, copying, done, job, policy, receipt};
use crate::{
    Answer, Claim, CopyAnswer, CreateAnswer, Creating, Decision, DeleteAnswer, Deletion, DeletionReason,
    DeletionTarget, Event, Failures, FollowUp, FollowUpAnswer, Hold, HoldCause, JITTER_PART, Job, LookUpAnswer, Next,
    Notice, Outbox, Policy, RecordingAnswer, RecordingInfo, Refusals, RenderAnswer, Rendering, State, ids::RecordingId,
    time::Timestamp,
};

/// A worker's lease, in the tests.
const LEASE: Duration = Duration::from_secs(17);

fn soon() -> Timestamp {
    NOW.plus(Duration::from_secs(9))
}

fn creating(calls: u32, errors: u32) -> State {
    State::Creating(Creating {
        first_call_at: NOW.minus(Duration::from_secs(30 * 60)),
        last_call_at: NOW.minus(Duration::from_secs(10 * 60)),
        calls,
        errors,
        conflicts: 0,
        retry_at: soon(),
        claim: Some(CLAIM),
        refusal: None,
        inconclusive_since: None,
        retry: None,
    })
}

/// Jobs whose work has failed many times already, so that their next wait is the longest possible.
fn late() -> Vec<(Job, Vec<Answer>)> {
    let create = |answer| Answer::Create { attempt: 1, claim: CLAIM, answer };
    let copy = |answer| Answer::Copy { transcript_id: OURS, claim: CLAIM, answer };
    let failures = Failures {
        transient: 9,
        operator: 9,
        rejected: 9,
        missing: 5,
        gone: 5,
        renditions_refused: 9,
        renditions_late: 9,
        empty_bodies: 9,
        crashes: 0,
    };
    let held = |status| Some(Hold::Wait { retry_at: NOW, status, times: 9, since: NOW });
    let copied = job([State::Copying(crate::Copying { checks: 9, ..copying(soon(), Some(CLAIM), failures) })]);
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let unread = |cause| {
        let hold = Hold::Unread { retry_at: soon(), claim: Some(CLAIM), cause, times: 9, since: NOW };
        Job { hold: Some(hold), overrides: None, ..job([]) }
    };
    let read = |answer| Answer::ReadRecording { claim: CLAIM, answer };
    let (target, reason) = (DeletionTarget::Transcript(OURS), DeletionReason::PaidTwice);
    let deletion = Some(Deletion { target, reason, retry_at: soon(), claim: Some(CLAIM), tries: 9 });
    let rendering = Some(Rendering { transcript_id: None, retry_at: soon(), claim: Some(CLAIM), tries: 9 });
    let follow_up = Some(FollowUp { retry_at: soon(), claim: Some(CLAIM), tries: 3, repeat: false });
    let notice = Notice::Stored { transcript_id: OURS };
    let outbox = Outbox { notices: vec![notice], retry_at: soon(), sending: true, tries: 9, ..Outbox::default() };
    let refused = Answer::LookUp { attempt: 1, claim: CLAIM, answer: LookUpAnswer::Complete(Vec::new()) };
    let refusals = Some(Refusals { since: NOW, rounds: 9 });
    let look_up = |answer| Answer::LookUp { attempt: 1, claim: CLAIM, answer };
    let (after, zero) = (Duration::from_secs(10), Duration::ZERO);
    vec![
        (
            Job { hold: held(Some(402)), ..job([creating(1, 0)]) },
            vec![
                create(CreateAnswer::Created { transcript_id: OURS }),
                create(CreateAnswer::InProgress),
                create(CreateAnswer::Throttled { after: zero }),
                create(CreateAnswer::Operator { status: 402 }),
                look_up(LookUpAnswer::Later { after }),
                look_up(LookUpAnswer::Incomplete(Vec::new())),
                look_up(LookUpAnswer::Operator),
            ],
        ),
        (
            Job { hold: held(Some(404)), ..job([creating(1, 0)]) },
            vec![create(CreateAnswer::Refused { status: 404, code: None })],
        ),
        (job([creating(9, 0)]), vec![create(CreateAnswer::Lost), create(CreateAnswer::Operator { status: 402 })]),
        (Job { hold: held(Some(500)), ..job([creating(9, 9)]) }, vec![refused.clone()]),
        (
            copied,
            vec![
                copy(CopyAnswer::NotReady),
                copy(CopyAnswer::Failed { sub_code: None }),
                copy(CopyAnswer::Missing { recording_known: false }),
                copy(CopyAnswer::Later { after: zero }),
                copy(CopyAnswer::Operator),
                copy(CopyAnswer::Rejected),
                copy(CopyAnswer::RenditionsRefused),
                copy(CopyAnswer::RenditionsLate),
                copy(CopyAnswer::EmptyBody),
            ],
        ),
        (unread(HoldCause::Unknown), vec![read(RecordingAnswer::Unknown)]),
        (unread(HoldCause::Operator), vec![read(RecordingAnswer::Operator)]),
        (unread(HoldCause::Errors), vec![read(RecordingAnswer::Later { after: zero })]),
        (
            Job { deletion, ..stored() },
            vec![Answer::Delete { target, claim: CLAIM, answer: DeleteAnswer::Later { after: zero } }],
        ),
        (
            Job { rendering, ..stored() },
            vec![Answer::Render { claim: CLAIM, answer: RenderAnswer::Later { after: zero } }],
        ),
        (
            Job { follow_up, ..stored() },
            [FollowUpAnswer::NotReady, FollowUpAnswer::Later { after: zero }]
                .map(|answer| Answer::FollowUp { claim: CLAIM, answer })
                .to_vec(),
        ),
        (Job { outbox, ..stored() }, vec![Answer::Announce { sent: Vec::new() }]),
        (Job { refusals, ..conflicting() }, vec![refused]),
        (
            Job { hold: Some(Hold::LimitReached { retry_at: Some(soon()) }), ..job([]) },
            vec![Answer::List(LookUpAnswer::Later { after })],
        ),
    ]
}

/// Every call was answered that the same key is in progress.
fn conflicting() -> Job {
    let mut job = job([creating(3, 0)]);
    if let State::Creating(creating) = &mut job.transcripts[0].state {
        (creating.conflicts, creating.first_call_at) = (3, NOW.minus(Duration::from_secs(60 * 60)));
    }
    job
}

fn quiet() -> Policy {
    Policy { providers: vec!["recallai_async".to_owned()], max_transcripts: 0, tries_per_provider: 2, ..policy() }
}

/// The longest wait after this, without the alarm about the expiry.
fn longest(job: &Job) -> Duration {
    let mut job = job.clone();
    job.outbox.expiry_alarm_at = None;
    let hold = job.hold.as_ref().and_then(Hold::retry_at).into_iter();
    let others = job.transcripts.iter().filter_map(|one| one.state.due_at());
    let rest = [
        job.deletion.map(|one| one.retry_at),
        job.rendering.map(|one| one.retry_at),
        job.follow_up.map(|one| one.retry_at),
    ];
    let outbox = (!job.outbox.notices.is_empty()).then_some(job.outbox.retry_at);
    let all = hold.chain(others).chain(rest.into_iter().flatten()).chain(outbox);
    all.map(|at| at.since(NOW)).max().unwrap_or_default()
}

#[test]
fn own_waits_take_at_most_a_quarter_of_the_time_left() {
    let policy = quiet();
    let (mut cut, mut answers) = (0, 0);
    for (job, tried) in late() {
        for answer in tried {
            for left in [30 * 60, 8 * 60, 2 * 60] {
                let wait = |expires_at| {
                    let job = Job { expires_at, ..job.clone() };
                    let decision = job.on_answer(&answer, context(&policy, NOW));
                    let Decision::Apply { job, .. } = decision else { panic!("{answer:?}: {decision:?}") };
                    longest(&job)
                };
                // A lease that is taken now, or Recall's own Retry-After of 10 s, is not a wait of ours. On the queue
                // a wait gets longer by the jitter.
                let most = Duration::from_secs(left / 4).max(LEASE + LEASE / JITTER_PART);
                let bounded = wait(Some(NOW.plus(Duration::from_secs(left))));
                assert!(bounded + bounded / JITTER_PART <= most, "{answer:?} with {left} s left waits for {bounded:?}");
                cut += u32::from(wait(None) > bounded);
                answers += 1;
            }
        }
    }
    assert!(cut * 3 > answers * 2, "most waits would have been longer: {cut} of {answers}");
}

#[test]
fn waits_of_recall_and_of_look_ups_are_not_capped() {
    let (policy, expires_at) = (quiet(), Some(NOW.plus(Duration::from_secs(60))));
    let after = Duration::from_secs(45);
    let waits = |answer: CreateAnswer, calls| {
        let job = Job { expires_at, ..job([creating(calls, 0)]) };
        let answer = Answer::Create { attempt: 1, claim: CLAIM, answer };
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_answer(&answer, context(&policy, NOW))
        else {
            panic!("no wait")
        };
        at.since(NOW)
    };
    assert_eq!(waits(CreateAnswer::Throttled { after }, 1), after);
    assert_eq!(waits(CreateAnswer::ServerError { after }, 1), after);
    assert_eq!(waits(CreateAnswer::Refused { status: 400, code: None }, 2), crate::LIST_SETTLE);
}

/// Recall names no time, so the wait is ours, and capped like every other.
#[test]
fn wait_is_ours_if_recall_names_no_time() {
    let policy = quiet();
    let waits = |answer: &Answer, job: Job, left| {
        let job = Job { expires_at: Some(NOW.plus(Duration::from_secs(left))), ..job };
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_answer(answer, context(&policy, NOW))
        else {
            panic!("no wait")
        };
        at.since(NOW).as_secs_f64()
    };
    let zero = Duration::ZERO;
    let throttled = Answer::Create { attempt: 1, claim: CLAIM, answer: CreateAnswer::Throttled { after: zero } };
    let listed = Answer::LookUp { attempt: 1, claim: CLAIM, answer: LookUpAnswer::Later { after: zero } };
    for (answer, ours) in [(throttled, 15.0), (listed, 300.0)] {
        assert_eq!(waits(&answer, job([creating(1, 0)]), 24 * 60 * 60), ours, "{answer:?}");
        assert_eq!(waits(&answer, job([creating(1, 0)]), 48), 10.0, "a quarter of 48 s, less the jitter: {answer:?}");
        assert_eq!(waits(&answer, job([creating(1, 0)]), 12), 5.0, "nothing is cut to less: {answer:?}");
    }
    let deletion = Deletion {
        target: DeletionTarget::Transcript(OURS),
        reason: DeletionReason::PaidTwice,
        retry_at: soon(),
        claim: Some(CLAIM),
        tries: 0,
    };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let others = DeleteAnswer::Others(Vec::new());
    let answer = Answer::Delete { target: deletion.target, claim: CLAIM, answer: others };
    assert_eq!(waits(&answer, Job { deletion: Some(deletion), ..stored() }, 48), 10.0);
    // The event is delivered again after this time if its wake-up could not be sent.
    let expires_at = Some(NOW.plus(Duration::from_secs(8)));
    let not_sent = Job { expires_at, ..stored() }.on_answer(&Answer::Wake { sent: false }, context(&policy, NOW));
    assert_eq!(not_sent, Decision::Busy { retry_at: NOW.plus(Duration::from_secs(5)) });
}

/// A backoff is not a lease: an event during a backoff is finished, because the backoff ends without it.
#[test]
fn events_do_not_wait_for_a_backoff() {
    let policy = Policy { max_transcripts: 10, ..quiet() };
    let retry_at = NOW.plus(Duration::from_secs(60 * 60));
    let waiting = |mut state| {
        if let State::Creating(creating) = &mut state {
            (creating.claim, creating.retry_at) = (None, retry_at);
        }
        job([state])
    };
    let backoffs = [
        waiting(creating(2, 1)),
        job([State::Copying(copying(retry_at, None, Failures::default()))]),
        Job { hold: Some(Hold::Wait { retry_at, status: Some(429), times: 1, since: NOW }), ..job([]) },
        Job {
            hold: Some(Hold::Unread { retry_at, claim: None, cause: HoldCause::Errors, times: 1, since: NOW }),
            overrides: None,
            ..job([])
        },
        Job { hold: Some(Hold::AllRefused { retry_at }), ..job([]) },
        Job { version: 4, ..Job::new(RecordingId::from_u128(7)) },
    ];
    for job in backoffs {
        for event in Event::samples() {
            let decision = job.clone().on_event(&event, context(&policy, NOW));
            assert!(!matches!(decision, Decision::Busy { .. }), "{} meets {job:?}", event.name());
        }
    }
    // A lease does make an event wait.
    let leased = job([creating(1, 0)]).on_event(&done(), context(&policy, NOW));
    assert_eq!(leased, Decision::Busy { retry_at: soon() });
    let unread =
        Some(Hold::Unread { retry_at: soon(), claim: Some(Claim(3)), cause: HoldCause::Errors, times: 0, since: NOW });
    let leased = Job { hold: unread, overrides: None, ..job([]) };
    let leased = leased.on_event(&Event::RecordingDone(RecordingInfo::default()), context(&policy, NOW));
    assert_eq!(leased, Decision::Busy { retry_at: soon() });
}
