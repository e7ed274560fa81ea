//! What is deleted to make room for the next attempt: only what Recall itself reports as failed, or what is stored.

use std::time::Duration;

use super::{NOW, OTHER, OURS, context, done, job, policy, receipt};
use crate::{
    Answer, Claim, Command, CopyAnswer, Decision, DeleteAnswer, DeletionTarget, Event, Job, ListedTranscript, Next,
    OnLimit, Policy, RecordingInfo, State, Status, TranscriptRef,
    ids::{BotId, TranscriptId},
};

fn quiet() -> Policy {
    Policy { announces: false, ..policy() }
}

/// A failed transcript of ours is about to make room for the next attempt.
fn making_room() -> (Policy, Job, DeletionTarget, Claim, Vec<TranscriptId>) {
    let policy = Policy {
        providers: vec!["recallai_async".to_owned()],
        tries_per_provider: 5,
        on_limit: OnLimit::DeleteFailed,
        max_transcripts: 1,
        ..quiet()
    };
    let failed = job([State::Failed { transcript_id: OURS, sub_code: None }]);
    let decision = failed.on_event(&done(), context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, deletable, .. }) } = decision else {
        panic!("{decision:?}")
    };
    (policy, *job, target, claim, deletable.failed)
}

/// A stored copy was read back, and a duplicate of a stored attempt is not needed. If it is not known to be ours,
/// Recall is asked whether it is another deployment's.
#[test]
fn failed_transcript_is_confirmed_before_it_makes_room() {
    let failed = |id| State::Failed { transcript_id: id, sub_code: None };
    let stored = State::Stored { transcript_id: OURS, receipt: receipt() };
    let theirs = |states: [State; 2]| {
        let mut job = job(states);
        job.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
        job
    };
    for (what, on_limit, crowded, asked_about) in [
        ("failed", OnLimit::DeleteFailed, theirs([failed(OURS), failed(OTHER)]), (vec![OURS], vec![])),
        ("stored", OnLimit::DeleteStored, theirs([stored.clone(), failed(OTHER)]), (vec![], vec![OURS])),
        ("paid twice", OnLimit::Stop, job([failed(OTHER), stored]), (vec![], vec![])),
    ] {
        let policy = Policy { on_limit, ..quiet() };
        let bot_id = Some(BotId::from_u128(9));
        let Event::RecordingDone(info) = done() else { unreachable!("it is done") };
        let done = Event::RecordingDone(RecordingInfo { bot_id, ..info });
        let decision = crowded.on_event(&done, context(&policy, NOW));
        let Decision::Apply { next: Next::Act(Command::Delete { deletable, .. }), .. } = decision else {
            panic!("{what}: {decision:?}")
        };
        assert_eq!((deletable.failed, deletable.safe), asked_about, "{what}");
    }
}

#[test]
fn transcript_being_deleted_is_not_copied() {
    let (policy, held, ..) = making_room();
    let retry_at = held.deletion.expect("it is noted").retry_at;
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    assert_eq!(held.clone().on_event(&done, context(&policy, NOW)), Decision::Busy { retry_at });
    // The deleting worker has died: now the transcript is copied, and not deleted.
    let decision = held.on_event(&done, context(&policy, retry_at));
    let Decision::Apply { job, next: Next::Act(Command::Copy { .. }) } = decision else { panic!("{decision:?}") };
    assert_eq!(job.deletion, None);
}

#[test]
fn deletion_of_a_dead_worker_resumes_when_its_lease_ends() {
    let (policy, held, ..) = making_room();
    let retry_at = held.deletion.expect("it is noted").retry_at;
    let before = held.clone().on_event(&done(), context(&policy, retry_at.minus(Duration::from_secs(1))));
    assert_eq!(before, Decision::Busy { retry_at });
    let decision = held.on_event(&done(), context(&policy, retry_at));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Delete { .. }), .. }), "{decision:?}");
}

/// Its `transcript.done` was lost, or is late.
#[test]
fn transcript_that_has_not_failed_makes_no_room_and_is_copied() {
    let (policy, held, target, claim, failed) = making_room();
    assert_eq!(failed, [OURS], "Recall is asked about it first");
    let done =
        ListedTranscript { transcript_id: OURS, attempt: Some(1), ended: true, failed: false, other_deployment: false };
    let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Others(vec![done]) };
    let decision = held.on_answer(&answer, context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Wake) } = decision else { panic!("{decision:?}") };
    assert_eq!((job.status(), job.deletion, &job.hold), (Status::Transcribing, None, &None));
    let woken = job.on_event(&Event::WAKE, context(&policy, NOW));
    assert!(matches!(woken, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. }), "{woken:?}");
}

/// A foreign transcript makes no room, and the next attempt is decided on again.
#[test]
fn foreign_transcript_that_has_not_failed_is_left_alone() {
    let (policy, mut held, target, claim, _) = making_room();
    held.transcripts[0].attempt = None;
    let policy = Policy { copy_unrequested: false, ..policy };
    let done =
        ListedTranscript { transcript_id: OURS, attempt: None, ended: true, failed: false, other_deployment: false };
    let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Others(vec![done]) };
    let Decision::Apply { job, .. } = held.on_answer(&answer, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!(job.transcripts[0].state, State::Foreign { transcript_id: OURS });
    let Decision::Apply { job, .. } = job.on_event(&Event::WAKE, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!(job.status(), Status::LimitReached);
}

/// The deleting worker outlives its lease, which should not happen: a transcript that we deleted is not lost.
#[test]
fn own_deletion_does_not_end_the_chain() {
    let (policy, held, target, claim, _) = making_room();
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let retry_at = held.deletion.expect("it is noted").retry_at;
    let Decision::Apply { job, .. } = held.on_event(&done, context(&policy, retry_at)) else { panic!("not copied") };
    let deleted = Answer::Delete { target, claim, answer: DeleteAnswer::Deleted };
    let decision = job.on_answer(&deleted, context(&policy, retry_at));
    let Decision::Apply { job, next: Next::Act(Command::Create { .. }) } = decision else { panic!("{decision:?}") };
    assert!(matches!(job.transcripts[0].state, State::Failed { .. }) && job.transcripts[0].deleted);
}

/// Recall could not delete for a while, and meanwhile the failed transcript turned out to be done.
#[test]
fn transcript_needed_after_all_does_not_make_room() {
    let policy = Policy { on_limit: OnLimit::DeleteFailed, max_transcripts: 1, ..quiet() };
    let failed = Job { hold: None, ..job([State::Failed { transcript_id: OURS, sub_code: None }]) };
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } =
        failed.on_event(&done(), context(&policy, NOW))
    else {
        panic!("no room is made")
    };
    let later = Answer::Delete { target, claim, answer: DeleteAnswer::Later { after: Duration::ZERO } };
    let Decision::Apply { job, next: Next::Wait { retry_at: at } } = job.on_answer(&later, context(&policy, NOW))
    else {
        panic!("no wait")
    };
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let Decision::Apply { job, next: Next::Act(Command::Copy { claim, .. }) } =
        job.on_event(&done, context(&policy, NOW))
    else {
        panic!("not copied")
    };
    // The deletion is due while the copy is in progress: it is no longer needed.
    if let Decision::Apply { next, .. } = job.clone().on_event(&Event::WAKE, context(&policy, at)) {
        assert!(!matches!(next, Next::Act(Command::Delete { .. })), "{next:?}");
    }
    let stored = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Stored(receipt()) };
    let Decision::Apply { job, next } = job.on_answer(&stored, context(&policy, at)) else { panic!("not stored") };
    assert_eq!((next, job.deletion, job.status()), (Next::Nothing, None, Status::Stored));
}

/// Someone else made room first: nothing more is deleted, and the next attempt starts.
#[test]
fn room_made_by_someone_else_is_enough() {
    let policy = Policy { on_limit: OnLimit::DeleteFailed, max_transcripts: 2, ..quiet() };
    let mut crowded = job([OURS, OTHER].map(|transcript_id| State::Failed { transcript_id, sub_code: None }));
    crowded.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } =
        crowded.on_event(&done(), context(&policy, NOW))
    else {
        panic!("no room is made")
    };
    let later = Answer::Delete { target, claim, answer: DeleteAnswer::Later { after: Duration::ZERO } };
    let Decision::Apply { job, .. } = job.on_answer(&later, context(&policy, NOW)) else { panic!("no wait") };
    let gone = Event::TranscriptDeleted(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let Decision::Apply { job, next } = job.on_event(&gone, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!((next, job.deletion), (Next::Act(Command::Wake), None));
    let woken = job.on_event(&Event::WAKE, context(&policy, NOW));
    assert!(matches!(woken, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{woken:?}");
}
