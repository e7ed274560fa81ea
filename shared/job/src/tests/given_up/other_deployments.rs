//! What another deployment requested is never deleted.

use std::{ops::ControlFlow, time::Duration};

use super::super::{CLAIM, NOW, OTHER, OURS, context, copying, done, job, receipt};
use super::{beside, deletes_the_recording, job_of, quiet, stored, then};
use crate::{
    Answer, Command, CopyAnswer, Copying, Decision, DeleteAfterStore, DeleteAnswer, DeleteStep, DeleteStepAnswer,
    DeletionSteps, DeletionTarget, Event, Failures, ListedTranscript, LookUpAnswer, Next, OnLimit, Policy, State,
    Status, TranscriptRef,
};

#[test]
fn other_deployments_transcripts_are_never_deleted() {
    let other_deployment = |state| {
        let mut job = beside(None, state);
        job.transcripts[1].other_deployment = true;
        job
    };
    let failed = || State::Failed { transcript_id: OTHER, sub_code: None };
    for state in [stored(), failed()] {
        let (_, next) = then(other_deployment(state), &quiet(DeleteAfterStore::Recording));
        assert!(!deletes_the_recording(&next), "{next:?}");
    }
    let (job, next) = then(other_deployment(stored()), &quiet(DeleteAfterStore::Transcript));
    let Next::Act(Command::Delete { target: DeletionTarget::Transcript(OURS), claim, .. }) = next else {
        panic!("{next:?}")
    };
    let deleted = Answer::Delete { target: DeletionTarget::Transcript(OURS), claim, answer: DeleteAnswer::Deleted };
    let decision = job.on_answer(&deleted, context(&quiet(DeleteAfterStore::Transcript), NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Nothing, .. }), "theirs stays: {decision:?}");
    // It is not deleted to make room either.
    for (on_limit, state) in [(OnLimit::DeleteStored, stored()), (OnLimit::DeleteFailed, failed())] {
        let policy = Policy { on_limit, max_transcripts: 1, ..quiet(DeleteAfterStore::Nothing) };
        let mut theirs = job_of(None, state);
        theirs.transcripts[0].other_deployment = true;
        let Decision::Apply { job, .. } = theirs.on_event(&done(), context(&policy, NOW)) else { panic!("ignored") };
        assert_eq!((job.status(), job.deletion), (Status::LimitReached, None), "{on_limit:?}");
    }
}

/// The webhook's metadata names the other deployment, and the row remembers it.
#[test]
fn other_deployments_event_prevents_a_deletion() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: true });
    let decision = job([]).on_event(&done, context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
        panic!("{decision:?}")
    };
    let stored = Answer::Copy { transcript_id: OTHER, claim, answer: CopyAnswer::Stored(receipt()) };
    let decision = job.on_answer(&stored, context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Nothing, .. }), "{decision:?}");
}

/// Not every event about a transcript carries its metadata.
#[test]
fn other_deployment_may_become_known_late() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let reference = |other_deployment| TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment };
    let (processing, done) = (Event::TranscriptProcessing(reference(true)), Event::TranscriptDone(reference(true)));
    let failed = Event::TranscriptFailed { reference: reference(true), sub_code: None };
    let transcribing = State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: false };
    for event in [processing, done, failed, Event::TranscriptDeleted(reference(true))] {
        for state in [transcribing.clone(), stored(), State::Failed { transcript_id: OTHER, sub_code: None }] {
            let decision = job_of(None, state).on_event(&event, context(&policy, NOW));
            let Decision::Apply { job, next } = decision else { panic!("{}: {decision:?}", event.name()) };
            assert!(job.transcripts[0].other_deployment, "{}: {job:?}", event.name());
            assert!(!matches!(next, Next::Act(Command::Delete { .. })), "{}: {next:?}", event.name());
            // An event without metadata changes nothing, and a repeated one is not news.
            let again = job.clone().on_event(&Event::TranscriptProcessing(reference(false)), context(&policy, NOW));
            assert!(matches!(again, Decision::Ignore(_)), "{again:?}");
        }
    }
    // A list names the other deployment, too.
    let listed =
        ListedTranscript { transcript_id: OTHER, attempt: None, ended: true, failed: false, other_deployment: true };
    let list = Answer::List(LookUpAnswer::Complete(vec![listed]));
    let Decision::Apply { job, .. } = job_of(None, stored()).on_answer(&list, context(&policy, NOW)) else {
        panic!("no news")
    };
    assert!(job.transcripts[0].other_deployment);
}

/// If no event named the other deployment, Recall is asked, because it has the metadata.
#[test]
fn unattributed_transcript_is_retrieved_before_its_deletion() {
    let retry_at = NOW.plus(Duration::from_secs(9));
    let copied = copying(retry_at, Some(CLAIM), Failures::default());
    let copied = State::Copying(Copying { transcript_id: OTHER, ..copied });
    let answer = Answer::Copy { transcript_id: OTHER, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) };
    let after_store = quiet(DeleteAfterStore::Transcript);
    let for_room = Policy { on_limit: OnLimit::DeleteStored, max_transcripts: 1, ..quiet(DeleteAfterStore::Nothing) };
    for (decision, policy) in [
        (job_of(None, copied).on_answer(&answer, context(&after_store, NOW)), &after_store),
        (job_of(None, stored()).on_event(&done(), context(&for_room, NOW)), &for_room),
    ] {
        let Decision::Apply { job, next: Next::Act(Command::Delete { target, deletable, claim, verify }) } = decision
        else {
            panic!("{decision:?}")
        };
        let deleting = DeletionSteps::new(target, verify, deletable);
        let ControlFlow::Continue(deleting) = deleting.on_answer(DeleteStepAnswer::Holds(true)) else {
            panic!("it ends")
        };
        assert_eq!(deleting.step(), DeleteStep::Retrieve(OTHER));
        let listed = |other_deployment| ListedTranscript {
            transcript_id: OTHER,
            attempt: None,
            ended: true,
            failed: false,
            other_deployment,
        };
        let said = |other_deployment| DeleteStepAnswer::Listed(LookUpAnswer::Complete(vec![listed(other_deployment)]));
        let ControlFlow::Break(answer) = deleting.on_answer(said(true)) else { panic!("it continues") };
        assert_eq!(answer, DeleteAnswer::Others(vec![listed(true)]));
        let decision = job.on_answer(&Answer::Delete { target, claim, answer }, context(policy, NOW));
        let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
        assert_eq!((job.deletion, job.transcripts[0].other_deployment), (None, true));
    }
}

/// No webhook named the other deployment. Recall's list does, before the recording is deleted.
#[test]
fn recording_stays_while_recall_lists_another_deployments_transcript() {
    let policy = Policy { copy_unrequested: false, ..quiet(DeleteAfterStore::Recording) };
    let (job, next) = then(beside(None, stored()), &policy);
    let Next::Act(Command::Delete { target, deletable, claim, .. }) = next else { panic!("{next:?}") };
    let listed = |other_deployment| ListedTranscript {
        transcript_id: OTHER,
        attempt: None,
        ended: true,
        failed: false,
        other_deployment,
    };
    assert_eq!(deletable.not_deletable(vec![listed(false)]), []);
    let theirs = deletable.not_deletable(vec![listed(true)]);
    assert_eq!(theirs, [listed(true)]);
    let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Others(theirs) };
    let Decision::Apply { job, next } = job.on_answer(&answer, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!((next, job.deletion, job.due_at()), (Next::Nothing, None, None));
    assert!(job.transcripts[1].other_deployment);
}
