//! What is deleted at Recall, and what is never deleted.

use std::time::Duration;

use super::{CLAIM, NOW, OTHER, OURS, context, job, policy, receipt};
use crate::{
    Answer, Command, Context, CopyAnswer, Copying, Decision, DeleteAfterStore, DeleteAnswer, Deletion, DeletionReason,
    DeletionTarget, Event, Failures, Hold, Job, KeepReason, ListedTranscript, Next, Policy, Recording, Role, State,
    Status, Transcript, TranscriptRef, ids::TranscriptId,
};

fn copying() -> Job {
    let retry_at = NOW.plus(Duration::from_secs(9));
    job([State::Copying(super::copying(retry_at, Some(CLAIM), Failures::default()))])
}

fn quiet(delete_after_store: DeleteAfterStore) -> Policy {
    Policy { announces: false, delete_after_store, ..policy() }
}

fn stored_answer() -> Answer {
    Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) }
}

#[test]
fn stored_transcript_is_read_back_and_deleted_if_configured() {
    for (wanted, target) in [
        (DeleteAfterStore::Transcript, DeletionTarget::Transcript(OURS)),
        (DeleteAfterStore::Recording, DeletionTarget::Recording),
    ] {
        let policy = quiet(wanted);
        let Decision::Apply { job, next: Next::Act(Command::Delete { target: goes, verify, claim, .. }) } =
            copying().on_answer(&stored_answer(), context(&policy, NOW))
        else {
            panic!("nothing deleted")
        };
        assert_eq!((goes, verify), (target, vec![receipt()]));
        assert_eq!(job.status(), Status::Stored);
        let deleted = Answer::Delete { target, claim, answer: DeleteAnswer::Deleted };
        let Decision::Apply { job, next } = job.on_answer(&deleted, context(&policy, NOW)) else { panic!("stuck") };
        assert_eq!((next, job.status(), job.transcript_count()), (Next::Nothing, Status::Stored, 0));
        assert_eq!((job.due_at(), job.deletion), (None, None));
        assert_eq!(job.recording == Recording::Deleted, target == DeletionTarget::Recording);
    }
}

#[test]
fn default_policy_deletes_nothing() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let Decision::Apply { next, .. } = copying().on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
}

#[test]
fn recording_stays_while_a_transcript_is_in_progress() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut two = copying();
    let check_at = NOW.plus(Duration::from_secs(60));
    two.transcripts.extend(
        job([State::Transcribing { transcript_id: OTHER, check_at, checks: 0, reported_done: false }]).transcripts,
    );
    two.transcripts[1].attempt = None;
    let Decision::Apply { job, next } = two.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
    // The recording is deleted when the other transcript has ended, too.
    let reference = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let Decision::Apply { next, .. } = job.on_event(&failed, context(&policy, NOW)) else { panic!("ignored") };
    assert!(matches!(next, Next::Act(Command::Delete { target: DeletionTarget::Recording, .. })), "{next:?}");
}

/// The webhook of a transcript of others was lost, or is late.
#[test]
fn recording_stays_while_it_has_an_unreported_transcript() {
    for (copy_unrequested, status) in [(true, Status::Copying), (false, Status::Stored)] {
        let policy = Policy { copy_unrequested, ..quiet(DeleteAfterStore::Recording) };
        let Decision::Apply { job, next: Next::Act(Command::Delete { target, deletable, claim, .. }) } =
            copying().on_answer(&stored_answer(), context(&policy, NOW))
        else {
            panic!("nothing to delete")
        };
        assert_eq!((target, deletable.safe), (DeletionTarget::Recording, vec![OURS]));
        let others = vec![ListedTranscript {
            transcript_id: OTHER,
            attempt: None,
            ended: true,
            failed: false,
            other_deployment: false,
        }];
        let others = Answer::Delete { target, claim, answer: DeleteAnswer::Others(others) };
        let Decision::Apply { job, next } = job.on_answer(&others, context(&policy, NOW)) else { panic!("stuck") };
        if !copy_unrequested {
            // The operator does not want it copied, so it stays, and its recording stays with it.
            assert_eq!((next, job.status(), job.deletion), (Next::Nothing, status, None));
            continue;
        }
        assert_eq!(next, Next::Act(Command::Wake));
        let decision = job.on_event(&Event::WAKE, context(&policy, NOW));
        let Decision::Apply { job, next: Next::Act(command) } = decision else { panic!("{decision:?}") };
        assert_eq!(job.status(), status);
        let Command::Copy { transcript_id: OTHER, claim, .. } = command else { panic!("{command:?}") };
        let stored = Answer::Copy { transcript_id: OTHER, claim, answer: CopyAnswer::Stored(receipt()) };
        let Decision::Apply { next, .. } = job.on_answer(&stored, context(&policy, NOW)) else { panic!("not stored") };
        let Next::Act(Command::Delete { target: DeletionTarget::Recording, verify, .. }) = next else {
            panic!("{next:?}")
        };
        assert_eq!(verify.len(), 2);
    }
}

#[test]
fn failed_deletion_is_retried_with_growing_waits() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let mut decision = copying().on_answer(&stored_answer(), context(&policy, NOW));
    let (mut now, mut waits) = (NOW, Vec::new());
    for _ in 0..4 {
        let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } = decision else {
            panic!("{decision:?}")
        };
        let later = Answer::Delete { target, claim, answer: DeleteAnswer::Later { after: Duration::ZERO } };
        let Decision::Apply { job, next: Next::Wait { retry_at: at } } = job.on_answer(&later, context(&policy, now))
        else {
            panic!("no wait")
        };
        assert_eq!((job.status(), job.due_at()), (Status::Stored, Some(at)));
        waits.push(at.since(now).as_secs());
        now = at;
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    assert_eq!(waits, [15, 30, 60, 120]);
}

#[test]
fn unverified_copy_is_not_deleted_and_not_retried_forever() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } =
        copying().on_answer(&stored_answer(), context(&policy, NOW))
    else {
        panic!("nothing to delete")
    };
    let unverified = Answer::Delete { target, claim, answer: DeleteAnswer::Unverified };
    let Decision::Apply { job, next } = job.on_answer(&unverified, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!((next, job.due_at(), job.transcript_count()), (Next::Nothing, None, 1));
}

/// Two transcripts of one attempt: the second is deleted once the first is stored, and not before.
#[test]
fn duplicate_is_deleted_once_its_twin_is_stored() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let twin =
        Event::TranscriptProcessing(TranscriptRef { transcript_id: OTHER, attempt: Some(1), other_deployment: false });
    let Decision::Apply { job, next: Next::Nothing } = copying().on_event(&twin, context(&policy, NOW)) else {
        panic!("not taken in")
    };
    assert!(job.paid_twice());
    let Decision::Apply { next, .. } = job.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    let Next::Act(Command::Delete { target, verify, .. }) = next else { panic!("{next:?}") };
    assert_eq!((target, verify), (DeletionTarget::Transcript(OTHER), vec![receipt()]), "what stays is read back");
}

#[test]
fn recording_stays_until_the_requested_transcript_is_stored() {
    let policy = quiet(DeleteAfterStore::Recording);
    let theirs = |recording| {
        let mut job = copying();
        job.transcripts[0].attempt = None;
        Job { recording, attempts: 0, ..job }
    };
    // Recall has not said yet that the recording is done, and then our own transcript is still missing.
    for recording in [Recording::Unknown, Recording::Done] {
        let Decision::Apply { next, .. } = theirs(recording).on_answer(&stored_answer(), context(&policy, NOW)) else {
            panic!("not stored")
        };
        assert_eq!(next, Next::Nothing);
    }
    let parked = Job { hold: Some(Hold::LimitReached { retry_at: None }), ..theirs(Recording::Done) };
    let Decision::Apply { next, .. } = parked.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert!(!matches!(next, Next::Act(Command::Delete { .. })), "{next:?}");
}

#[test]
fn unreadable_file_keeps_its_original() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let unreadable = crate::Receipt { unreadable: true, ..receipt() };
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(unreadable) };
    let Decision::Apply { next, .. } = copying().on_answer(&answer, context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
}

/// A failed transcript of others was done after all, and its webhook was lost: it would be deleted with its recording.
#[test]
fn recording_stays_while_a_failed_transcript_is_done_after_all() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut two = copying();
    two.transcripts.extend(job([State::Failed { transcript_id: OTHER, sub_code: None }]).transcripts);
    two.transcripts[1].attempt = None;
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, deletable, claim, .. }) } =
        two.on_answer(&stored_answer(), context(&policy, NOW))
    else {
        panic!("nothing to delete")
    };
    assert_eq!((target, deletable.failed), (DeletionTarget::Recording, vec![OTHER]));
    let listed = |failed| {
        vec![ListedTranscript { transcript_id: OTHER, attempt: None, ended: true, failed, other_deployment: false }]
    };
    let answer = |failed| Answer::Delete { target, claim, answer: DeleteAnswer::Others(listed(failed)) };
    let Decision::Apply { next, .. } = job.clone().on_answer(&answer(true), context(&policy, NOW)) else {
        panic!("stuck")
    };
    assert!(matches!(next, Next::Wait { .. }), "what Recall, too, says has failed is not taken up: {next:?}");
    let Decision::Apply { job, next } = job.on_answer(&answer(false), context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!((next, job.status(), job.deletion), (Next::Act(Command::Wake), Status::Transcribing, None));
}

#[test]
fn recording_stays_with_an_unverified_copy() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut two = copying();
    two.transcripts.extend(job([State::Stored { transcript_id: OTHER, receipt: receipt() }]).transcripts);
    (two.transcripts[1].attempt, two.transcripts[1].keep_reason) = (None, Some(KeepReason::Unverified));
    let Decision::Apply { next, .. } = two.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
}

#[test]
fn duplicate_is_not_deleted_while_a_worker_copies_it() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let mut twins = copying();
    let copying = twins.transcripts[0].state.copying().expect("it is");
    twins.transcripts.extend(job([State::Copying(Copying { transcript_id: OTHER, ..copying })]).transcripts);
    let Decision::Apply { next, .. } = twins.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
}

/// A transcript in this state, and a pending deletion whose worker has died.
fn interrupted(reason: DeletionReason) -> Job {
    let deletion =
        Deletion { target: DeletionTarget::Transcript(OURS), reason, retry_at: NOW, claim: Some(CLAIM), tries: 0 };
    Job { deletion: Some(deletion), ..job([State::Stored { transcript_id: OURS, receipt: receipt() }]) }
}

#[test]
fn webhook_leaves_an_interrupted_deletion_to_a_new_worker() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let context = Context { role: Role::Webhook, ..context(&policy, NOW) };
    let decision = interrupted(DeletionReason::Stored).on_event(&Event::WAKE, context);
    let Decision::Apply { job, next: Next::Act(Command::Wake) } = decision else { panic!("{decision:?}") };
    let deletion = job.deletion.expect("it waits");
    assert_eq!((deletion.claim, deletion.tries), (None, 1));
}

/// An event or a list says whose transcript it is after the deletion was noted.
#[test]
fn deletion_is_dropped_if_the_transcript_is_another_deployments() {
    let policy = quiet(DeleteAfterStore::Nothing);
    for (number, deletes) in [(1, false), (9, true)] {
        let mut job = interrupted(DeletionReason::PaidTwice);
        job.transcripts.push(Transcript::new(None, None, super::stored(9)));
        let id = TranscriptId::from_u128(number);
        let marked = job.transcripts.iter_mut().find(|one| one.state.transcript_id() == Some(id));
        marked.expect("it is there").other_deployment = true;
        let Decision::Apply { job, next } = job.on_event(&Event::WAKE, context(&policy, NOW)) else { panic!("none") };
        let is_deleting = matches!(next, Next::Act(Command::Delete { .. }));
        assert_eq!((is_deleting, job.deletion.is_some()), (deletes, deletes), "{next:?}");
    }
}
