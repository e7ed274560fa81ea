//! One deletion, step by step.

use std::{ops::ControlFlow, time::Duration};

use super::{OTHER, OURS, receipt};
use crate::{
    Deletable, DeleteAnswer, DeleteSaid, DeleteStep, Deleting, Listed, LookUpAnswer, Presence, Receipt, Target,
};

const AFTER: Duration = Duration::from_secs(30);

fn listed(failed: bool) -> Listed {
    Listed { transcript_id: OURS, attempt: Some(1), ended: true, failed, foreign: false }
}

fn list(listed: &[Listed]) -> DeleteSaid {
    DeleteSaid::Listed(LookUpAnswer::Listed(listed.to_vec()))
}

fn on(deleting: Deleting, said: DeleteSaid) -> Deleting {
    match deleting.on(said) {
        ControlFlow::Continue(next) => next,
        ControlFlow::Break(answer) => panic!("it ends: {answer:?}"),
    }
}

fn end(deleting: Deleting, said: DeleteSaid) -> DeleteAnswer {
    match deleting.on(said) {
        ControlFlow::Continue(next) => panic!("it goes on: {next:?}"),
        ControlFlow::Break(answer) => answer,
    }
}

/// A failed transcript without a copy, about to be retrieved.
fn of_failed() -> Deleting {
    Deleting::new(Target::Transcript(OURS), Vec::new(), Deletable { failed: vec![OURS], ..Deletable::default() })
}

/// A recording with one transcript, which is stored.
fn of_recording() -> Deleting {
    Deleting::new(Target::Recording, vec![receipt()], Deletable { safe: vec![OURS], ..Deletable::default() })
}

#[test]
fn every_copy_is_read_back_before_anything_else() {
    let second = Receipt { key: "second".to_owned(), ..receipt() };
    let deleting = Deleting::new(Target::Recording, vec![receipt(), second.clone()], Deletable::default());
    assert_eq!(deleting.step(), DeleteStep::Verify(&receipt()));
    let deleting = on(deleting, DeleteSaid::Holds(true));
    assert_eq!(deleting.step(), DeleteStep::Verify(&second));
    assert_eq!(end(deleting, DeleteSaid::Holds(false)), DeleteAnswer::Unverified);
}

#[test]
fn recall_is_asked_what_would_go_before_it_goes() {
    let deleting = on(of_recording(), DeleteSaid::Holds(true));
    assert_eq!(deleting.step(), DeleteStep::List);
    let deleting = on(deleting, list(&[listed(false)]));
    assert_eq!(deleting.step(), DeleteStep::Delete(Target::Recording));
    assert_eq!(end(deleting, DeleteSaid::Deleted), DeleteAnswer::Deleted);

    assert_eq!(of_failed().step(), DeleteStep::Retrieve(OURS));
    assert_eq!(on(of_failed(), list(&[listed(true)])).step(), DeleteStep::Delete(Target::Transcript(OURS)));
    // Its copy was read back, and nothing goes with it.
    let stored = Deleting::new(Target::Transcript(OURS), vec![receipt()], Deletable::default());
    assert_eq!(on(stored, DeleteSaid::Holds(true)).step(), DeleteStep::Delete(Target::Transcript(OURS)));
}

#[test]
fn nothing_goes_with_what_must_stay_or_cannot_be_read() {
    let other = Listed { transcript_id: OTHER, ..listed(false) };
    let foreign = Listed { foreign: true, ..listed(false) };
    let asked = || on(of_recording(), DeleteSaid::Holds(true));
    assert_eq!(end(asked(), list(&[listed(false), other])), DeleteAnswer::Others(vec![other]));
    assert_eq!(end(asked(), list(&[foreign])), DeleteAnswer::Others(vec![foreign]));
    assert_eq!(end(of_failed(), list(&[listed(false)])), DeleteAnswer::Others(vec![listed(false)]), "it is done");
    for (answer, after) in [
        (LookUpAnswer::Incomplete(vec![listed(false)]), Duration::ZERO),
        (LookUpAnswer::Operator, Duration::ZERO),
        (LookUpAnswer::Later { after: AFTER }, AFTER),
    ] {
        assert_eq!(end(asked(), DeleteSaid::Listed(answer)), DeleteAnswer::Later { after });
    }
    let incomplete = LookUpAnswer::Incomplete(vec![other]);
    assert_eq!(end(asked(), DeleteSaid::Listed(incomplete)), DeleteAnswer::Others(vec![other]));
}

/// A key of another workspace gets a 404 for everything.
#[test]
fn a_404_counts_as_gone_only_to_a_key_that_knows_the_recording() {
    let not_found = || DeleteSaid::NotFound { after: AFTER };
    let of_transcript = || on(on(of_failed(), list(&[listed(true)])), not_found());
    let of_recording = || on(on(on(of_recording(), DeleteSaid::Holds(true)), list(&[])), not_found());
    let later = DeleteAnswer::Later { after: AFTER };
    for (presence, transcript, recording) in [
        (Presence::There, DeleteAnswer::Deleted, later.clone()),
        (Presence::Deleted, DeleteAnswer::Deleted, DeleteAnswer::Deleted),
        (Presence::Unknown, later.clone(), later.clone()),
    ] {
        for (deleting, expected) in [(of_transcript(), transcript), (of_recording(), recording)] {
            assert_eq!(deleting.step(), DeleteStep::RetrieveRecording);
            assert_eq!(end(deleting, DeleteSaid::Recording(presence)), expected, "{presence:?}");
        }
    }
}

/// Between the two calls the key may be changed back, and the transcript be done by then.
#[test]
fn a_transcript_that_cannot_be_retrieved_is_not_deleted() {
    let deleting = on(of_failed(), list(&[]));
    assert_eq!(deleting.step(), DeleteStep::RetrieveRecording);
    let later = DeleteAnswer::Later { after: Duration::ZERO };
    assert_eq!(end(deleting, DeleteSaid::Recording(Presence::Unknown)), later);
    assert_eq!(end(on(of_failed(), list(&[])), DeleteSaid::Recording(Presence::There)), DeleteAnswer::Deleted);
}
