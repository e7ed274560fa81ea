//! What is deleted at Recall, and what never is.

use std::time::Duration;

use super::{CLAIM, NOW, OTHER, OURS, context, job, policy, receipt};
use crate::job::{
    Answer, Command, CopyAnswer, Copying, Decision, DeleteAfterStore, DeleteAnswer, Event, Heard, Job, Next, Policy,
    Recording, State, Status, Target,
};

fn copying() -> Job {
    let until = NOW.plus(Duration::from_secs(9));
    let copying = Copying { transcript_id: OURS, until, claim: Some(CLAIM), tries: 0, missing: 0 };
    job([State::Copying(copying)])
}

fn quiet(delete_after_store: DeleteAfterStore) -> Policy {
    Policy { announces: false, delete_after_store, ..policy() }
}

fn stored_answer() -> Answer {
    Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) }
}

#[test]
fn what_is_stored_is_read_back_and_deleted_where_the_operator_wants_that() {
    for (wanted, target) in
        [(DeleteAfterStore::Transcript, Target::Transcript(OURS)), (DeleteAfterStore::Recording, Target::Recording)]
    {
        let policy = quiet(wanted);
        let Decision::Apply { job, next: Next::Act(Command::Delete { target: goes, verify, claim }) } =
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
        assert_eq!(job.recording == Recording::Deleted, target == Target::Recording);
    }
}

#[test]
fn nothing_is_deleted_by_default() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let Decision::Apply { next, .. } = copying().on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
}

#[test]
fn a_recording_is_not_deleted_while_one_of_its_transcripts_is_in_the_making() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut two = copying();
    let check_at = NOW.plus(Duration::from_secs(60));
    two.transcripts.extend(job([State::Transcribing { transcript_id: OTHER, check_at, checks: 0 }]).transcripts);
    two.transcripts[1].attempt = None;
    let Decision::Apply { job, next } = two.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    assert_eq!(next, Next::Nothing);
    // When the other one has ended, too, it goes.
    let heard = Heard { transcript_id: OTHER, attempt: None };
    let failed = Event::TranscriptFailed { heard, sub_code: None };
    let Decision::Apply { next, .. } = job.on_event(&failed, context(&policy, NOW)) else { panic!("ignored") };
    assert!(matches!(next, Next::Act(Command::Delete { target: Target::Recording, .. })), "{next:?}");
}

#[test]
fn a_deletion_that_does_not_come_about_waits_longer_each_time_and_is_taken_up_again() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let mut decision = copying().on_answer(&stored_answer(), context(&policy, NOW));
    let (mut now, mut waits) = (NOW, Vec::new());
    for _ in 0..4 {
        let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } = decision else {
            panic!("{decision:?}")
        };
        let later = Answer::Delete { target, claim, answer: DeleteAnswer::Later { after: Duration::ZERO } };
        let Decision::Apply { job, next: Next::Again { at } } = job.on_answer(&later, context(&policy, now)) else {
            panic!("no wait")
        };
        assert_eq!((job.status(), job.due_at()), (Status::Stored, Some(at)));
        waits.push(at.since(now).as_secs());
        now = at;
        decision = job.on_event(&Event::Wake, context(&policy, now));
    }
    assert_eq!(waits, [15, 30, 60, 120]);
}

#[test]
fn a_copy_that_is_not_as_stored_is_not_deleted_and_not_asked_for_for_ever() {
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

/// Two transcripts of one attempt: the second one goes once the first is stored, and not before.
#[test]
fn what_was_made_twice_is_deleted_once_the_other_is_stored() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let twin = Event::TranscriptProcessing(Heard { transcript_id: OTHER, attempt: Some(1) });
    let Decision::Apply { job, next: Next::Nothing } = copying().on_event(&twin, context(&policy, NOW)) else {
        panic!("not taken in")
    };
    assert!(job.paid_twice());
    let Decision::Apply { next, .. } = job.on_answer(&stored_answer(), context(&policy, NOW)) else {
        panic!("not stored")
    };
    let Next::Act(Command::Delete { target, verify, .. }) = next else { panic!("{next:?}") };
    assert_eq!((target, verify), (Target::Transcript(OTHER), vec![]));
}
