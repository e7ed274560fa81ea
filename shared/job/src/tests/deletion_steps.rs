//! One deletion, step by step.

use std::{ops::ControlFlow, time::Duration};

use super::{OTHER, OURS, receipt};
use crate::{
    Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, DeletionSteps, DeletionTarget, ListedTranscript,
    LookUpAnswer, Receipt, RecordingPresence,
};

const AFTER: Duration = Duration::from_secs(30);

fn listed(failed: bool) -> ListedTranscript {
    ListedTranscript { transcript_id: OURS, attempt: Some(1), ended: true, failed, other_deployment: false }
}

fn list(listed: &[ListedTranscript]) -> DeleteStepAnswer {
    DeleteStepAnswer::Listed(LookUpAnswer::Complete(listed.to_vec()))
}

fn on(deleting: DeletionSteps, said: DeleteStepAnswer) -> DeletionSteps {
    match deleting.on_answer(said) {
        ControlFlow::Continue(next) => next,
        ControlFlow::Break(answer) => panic!("it ends: {answer:?}"),
    }
}

fn end(deleting: DeletionSteps, said: DeleteStepAnswer) -> DeleteAnswer {
    match deleting.on_answer(said) {
        ControlFlow::Continue(next) => panic!("it continues: {next:?}"),
        ControlFlow::Break(answer) => answer,
    }
}

/// A failed transcript without a copy, about to be retrieved.
fn of_failed() -> DeletionSteps {
    DeletionSteps::new(
        DeletionTarget::Transcript(OURS),
        Vec::new(),
        Deletable { failed: vec![OURS], ..Deletable::default() },
    )
}

/// A recording with one transcript, which is stored.
fn of_recording() -> DeletionSteps {
    DeletionSteps::new(
        DeletionTarget::Recording,
        vec![receipt()],
        Deletable { safe: vec![OURS], ..Deletable::default() },
    )
}

#[test]
fn steps_read_every_copy_back_first() {
    let second = Receipt { key: "second".to_owned(), ..receipt() };
    let deleting = DeletionSteps::new(DeletionTarget::Recording, vec![receipt(), second.clone()], Deletable::default());
    assert_eq!(deleting.step(), DeleteStep::Verify(&receipt()));
    let deleting = on(deleting, DeleteStepAnswer::Holds(true));
    assert_eq!(deleting.step(), DeleteStep::Verify(&second));
    assert_eq!(end(deleting, DeleteStepAnswer::Holds(false)), DeleteAnswer::Unverified);
}

#[test]
fn steps_list_before_they_delete() {
    let deleting = on(of_recording(), DeleteStepAnswer::Holds(true));
    assert_eq!(deleting.step(), DeleteStep::List);
    let deleting = on(deleting, list(&[listed(false)]));
    assert_eq!(deleting.step(), DeleteStep::Delete(DeletionTarget::Recording));
    assert_eq!(end(deleting, DeleteStepAnswer::Deleted), DeleteAnswer::Deleted);

    assert_eq!(of_failed().step(), DeleteStep::Retrieve(OURS));
    assert_eq!(on(of_failed(), list(&[listed(true)])).step(), DeleteStep::Delete(DeletionTarget::Transcript(OURS)));
    // Its copy was read back, and nothing else is deleted with it.
    let stored = DeletionSteps::new(DeletionTarget::Transcript(OURS), vec![receipt()], Deletable::default());
    assert_eq!(on(stored, DeleteStepAnswer::Holds(true)).step(), DeleteStep::Delete(DeletionTarget::Transcript(OURS)));
}

#[test]
fn steps_stop_at_a_transcript_that_must_stay_or_is_unreadable() {
    let other = ListedTranscript { transcript_id: OTHER, ..listed(false) };
    let other_deployment = ListedTranscript { other_deployment: true, ..listed(false) };
    let asked = || on(of_recording(), DeleteStepAnswer::Holds(true));
    assert_eq!(end(asked(), list(&[listed(false), other])), DeleteAnswer::Others(vec![other]));
    assert_eq!(end(asked(), list(&[other_deployment])), DeleteAnswer::Others(vec![other_deployment]));
    assert_eq!(end(of_failed(), list(&[listed(false)])), DeleteAnswer::Others(vec![listed(false)]), "it is done");
    for (answer, after) in [
        (LookUpAnswer::Incomplete(vec![listed(false)]), Duration::ZERO),
        (LookUpAnswer::Operator, Duration::ZERO),
        (LookUpAnswer::Later { after: AFTER }, AFTER),
    ] {
        assert_eq!(end(asked(), DeleteStepAnswer::Listed(answer)), DeleteAnswer::Later { after });
    }
    let incomplete = LookUpAnswer::Incomplete(vec![other]);
    assert_eq!(end(asked(), DeleteStepAnswer::Listed(incomplete)), DeleteAnswer::Others(vec![other]));
}

/// A key of another workspace gets a 404 for everything.
#[test]
fn steps_believe_a_404_only_of_a_key_that_knows_the_recording() {
    let not_found = || DeleteStepAnswer::NotFound { after: AFTER };
    let of_transcript = || on(on(of_failed(), list(&[listed(true)])), not_found());
    let of_recording = || on(on(on(of_recording(), DeleteStepAnswer::Holds(true)), list(&[])), not_found());
    let later = DeleteAnswer::Later { after: AFTER };
    for (presence, transcript, recording) in [
        (RecordingPresence::There, DeleteAnswer::Deleted, later.clone()),
        (RecordingPresence::Deleted, DeleteAnswer::Deleted, DeleteAnswer::Deleted),
        (RecordingPresence::Unknown, later.clone(), later.clone()),
    ] {
        for (deleting, expected) in [(of_transcript(), transcript), (of_recording(), recording)] {
            assert_eq!(deleting.step(), DeleteStep::RetrieveRecording);
            assert_eq!(end(deleting, DeleteStepAnswer::Recording(presence)), expected, "{presence:?}");
        }
    }
}

/// Between the two calls the key may be changed back, and the transcript may be done by then.
#[test]
fn steps_do_not_delete_what_cannot_be_retrieved() {
    let deleting = on(of_failed(), list(&[]));
    assert_eq!(deleting.step(), DeleteStep::RetrieveRecording);
    let later = DeleteAnswer::Later { after: Duration::ZERO };
    assert_eq!(end(deleting, DeleteStepAnswer::Recording(RecordingPresence::Unknown)), later);
    assert_eq!(
        end(on(of_failed(), list(&[])), DeleteStepAnswer::Recording(RecordingPresence::There)),
        DeleteAnswer::Deleted
    );
}
