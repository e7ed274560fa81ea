//! At the limit: room is made as the operator allows, or the job is parked.

use super::{NOW, context, done, failed, job, parked, policy, stored};
use crate::{
    Answer, Command, Decision, DeleteAnswer, Event, Hold, Job, Next, OnLimit, Policy, Role, State, Status,
    TranscriptRef, ids::TranscriptId,
};

fn at_the_limit(on_limit: OnLimit, states: [State; 2]) -> (Policy, Job) {
    let mut job = job(states);
    job.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
    job.attempts = 0;
    (Policy { on_limit, ..policy() }, job)
}

#[test]
fn limit_makes_room_as_allowed_and_then_starts_the_attempt() {
    let done = done();
    for (on_limit, states, goes, read_back) in
        [(OnLimit::DeleteFailed, [stored(8), failed(9)], 9, 0), (OnLimit::DeleteStored, [failed(8), stored(9)], 9, 1)]
    {
        let (policy, crowded) = at_the_limit(on_limit, states);
        let Decision::Apply { job, next: Next::Act(Command::Delete { target, verify, claim, .. }) } =
            crowded.on_event(&done, context(&policy, NOW))
        else {
            panic!("nothing deleted")
        };
        assert_eq!(target, crate::DeletionTarget::Transcript(TranscriptId::from_u128(goes)));
        assert_eq!((verify.len(), job.status()), (read_back, Status::Waiting));
        let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Deleted };
        let Decision::Apply { job, next } = job.on_answer(&answer, context(&policy, NOW)) else { panic!("stuck") };
        assert!(matches!(next, Next::Act(Command::Create { attempt: 1, .. })), "{next:?}");
        assert_eq!((job.transcript_count(), job.deletion), (2, None));
    }
}

#[test]
fn limit_parks_the_job_when_nothing_may_go() {
    let done = done();
    for (on_limit, states) in [
        (OnLimit::Stop, [failed(8), stored(9)]),
        (OnLimit::DeleteFailed, [stored(8), stored(9)]),
        (OnLimit::DeleteStored, [failed(8), failed(9)]),
    ] {
        let (policy, crowded) = at_the_limit(on_limit, states);
        let Decision::Apply { job, .. } = crowded.on_event(&done, context(&policy, NOW)) else { panic!("ignored") };
        assert_eq!(job.hold, parked(), "{on_limit:?}");
    }
}

#[test]
fn unverified_copy_keeps_its_original_at_the_limit() {
    let (policy, crowded) = at_the_limit(OnLimit::DeleteStored, [failed(8), stored(9)]);
    let done = done();
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } =
        crowded.on_event(&done, context(&policy, NOW))
    else {
        panic!("nothing to delete")
    };
    let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Unverified };
    let Decision::Apply { job, .. } = job.on_answer(&answer, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!((&job.hold, job.deletion, job.transcript_count()), (&parked(), None, 2));
}

#[test]
fn webhook_leaves_making_room_to_the_worker() {
    let (policy, crowded) = at_the_limit(OnLimit::DeleteFailed, [stored(8), failed(9)]);
    let done = done();
    let webhook = crate::Context { role: Role::Webhook, ..context(&policy, NOW) };
    let Decision::Apply { job, next } = crowded.on_event(&done, webhook) else { panic!("ignored") };
    assert_eq!(next, Next::Act(Command::Wake));
    let woken = job.on_event(&Event::WAKE, context(&policy, NOW));
    assert!(matches!(woken, Decision::Apply { next: Next::Act(Command::Delete { .. }), .. }), "{woken:?}");
}

#[test]
fn deletion_by_someone_else_makes_room() {
    let (policy, crowded) = at_the_limit(OnLimit::Stop, [failed(8), stored(9)]);
    let parked = Job { hold: Some(Hold::LimitReached { retry_at: None }), ..crowded };
    let deleted = Event::TranscriptDeleted(TranscriptRef {
        transcript_id: TranscriptId::from_u128(8),
        attempt: None,
        other_deployment: false,
    });
    let Decision::Apply { job, next } = parked.on_event(&deleted, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!((next, job.status()), (Next::Act(Command::Wake), Status::Waiting));
    let woken = job.on_event(&Event::WAKE, context(&policy, NOW));
    assert!(matches!(woken, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{woken:?}");
}
