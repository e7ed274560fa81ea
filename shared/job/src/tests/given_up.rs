//! A transcript that was only given up is not gone: it stays at Recall, and keeps its place under the limit.

mod other_deployments;

use std::time::Duration;

use super::{CLAIM, NOW, OTHER, OURS, context, copying, job, policy, receipt};
use crate::{
    Answer, Command, CopyAnswer, Decision, Deletable, DeleteAfterStore, DeleteAnswer, Deletion, DeletionReason,
    DeletionTarget, Event, Failures, Hold, Job, KeepReason, ListedTranscript, LookUpAnswer, Next, OnLimit, Policy,
    Receipt, Recording, State, Status, Transcript, TranscriptRef,
};

fn quiet(delete_after_store: DeleteAfterStore) -> Policy {
    Policy { announces: false, delete_after_store, ..policy() }
}

/// A worker copies our transcript, and the other one is in this state.
fn beside(attempt: Option<u32>, state: State) -> Job {
    let mut two = job([State::Copying(copying(NOW.plus(Duration::from_secs(9)), Some(CLAIM), Failures::default()))]);
    two.transcripts.push(Transcript::new(attempt, None, state));
    two
}

fn stored() -> State {
    State::Stored { transcript_id: OTHER, receipt: receipt() }
}

/// Stores our transcript, and returns what comes next.
fn then(job: Job, policy: &Policy) -> (Job, Next) {
    let stored = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) };
    let Decision::Apply { job, next } = job.on_answer(&stored, context(policy, NOW)) else { panic!("not stored") };
    (*job, next)
}

fn deletes_the_recording(next: &Next) -> bool {
    matches!(next, Next::Act(Command::Delete { target: DeletionTarget::Recording, .. }))
}

#[test]
fn recording_is_deleted_only_with_reported_or_stored_transcripts() {
    let policy = quiet(DeleteAfterStore::Recording);
    let lost = || State::Lost { transcript_id: OTHER };
    for (what, attempt, state, goes) in [
        ("lost after many failures", Some(2), lost(), false),
        ("foreign, lost", None, lost(), false),
        ("left alone", None, State::Foreign { transcript_id: OTHER }, false),
        ("failed at Recall", None, State::Failed { transcript_id: OTHER, sub_code: None }, true),
        ("stored", None, stored(), true),
        ("refused", Some(2), State::Refused { status: 400, code: None }, true),
    ] {
        let (_, next) = then(beside(attempt, state.clone()), &policy);
        assert_eq!(deletes_the_recording(&next), goes, "{what}: {next:?}");
        let mut deleted = beside(attempt, state);
        deleted.transcripts[1].deleted = true;
        let (_, next) = then(deleted, &policy);
        assert!(deletes_the_recording(&next), "{what}, and Recall has said that it is deleted: {next:?}");
    }
    let unreadable = Receipt { unreadable: true, ..receipt() };
    let (_, next) = then(beside(None, State::Stored { transcript_id: OTHER, receipt: unreadable }), &policy);
    assert!(!deletes_the_recording(&next), "it was never copied: {next:?}");
}

/// Our attempts failed, and a transcript of others does not hide that.
#[test]
fn skipped_needs_a_job_that_never_requested_anything() {
    let left = || State::Foreign { transcript_id: OTHER };
    let theirs = || Job { attempts: 0, recording: Recording::Unknown, ..job_of(None, left()) };
    assert_eq!(theirs().status(), Status::Skipped);
    assert_eq!(Job { attempts: 3, ..theirs() }.status(), Status::Lost);
    assert_eq!(Job { recording: Recording::Done, ..theirs() }.status(), Status::Lost);
}

#[test]
fn lost_transcript_counts_until_recall_reports_its_deletion() {
    let mut lost = job([State::Lost { transcript_id: OURS }]);
    assert_eq!(lost.transcript_count(), 1);
    lost.transcripts[0].deleted = true;
    assert_eq!(lost.transcript_count(), 0);
}

/// Even for a deletion that the row should not want, only deletable transcripts count as safe.
#[test]
fn deletable_never_includes_what_must_stay() {
    let row = beside(None, State::Foreign { transcript_id: OTHER });
    let deletion = Deletion {
        target: DeletionTarget::Recording,
        reason: DeletionReason::Stored,
        retry_at: NOW,
        claim: None,
        tries: 0,
    };
    assert_eq!(row.deletable(deletion), Deletable::default(), "one is being copied, the other was left alone");
}

fn job_of(attempt: Option<u32>, state: State) -> Job {
    let mut job = job([]);
    job.transcripts.push(Transcript::new(attempt, None, state));
    job
}

/// Ten 404s to a key that knows the recording, and then Recall lists the transcript after all: it was never copied.
#[test]
fn recording_stays_while_recall_lists_a_deleted_transcript() {
    let policy = quiet(DeleteAfterStore::Recording);
    let deleted = || {
        let mut two = beside(None, State::Lost { transcript_id: OTHER });
        two.transcripts[1].deleted = true;
        two
    };
    let listed =
        |failed| ListedTranscript { transcript_id: OTHER, attempt: None, ended: true, failed, other_deployment: false };
    let others = |claim, listed: Vec<ListedTranscript>| {
        let (target, answer) = (DeletionTarget::Recording, DeleteAnswer::Others(listed));
        Answer::Delete { target, claim, answer }
    };
    for (failed, status) in [(false, Status::Transcribing), (true, Status::Stored)] {
        let (job, next) = then(deleted(), &policy);
        let Next::Act(Command::Delete { deletable, claim, .. }) = next else { panic!("{next:?}") };
        let not_deletable = deletable.not_deletable(vec![listed(failed)]);
        assert_eq!(not_deletable, [listed(failed)]);
        let Decision::Apply { job, .. } = job.on_answer(&others(claim, not_deletable), context(&policy, NOW)) else {
            panic!("stuck")
        };
        assert_eq!((job.status(), job.transcript_count()), (status, 2), "failed: {failed}");
        assert!(matches!((failed, &job.transcripts[1].state), (false, _) | (true, State::Failed { .. })), "{job:?}");
    }
    // A deleted transcript is not listed, and a stored one may still be listed.
    let (_, next) = then(deleted(), &policy);
    let Next::Act(Command::Delete { deletable, .. }) = next else { panic!("{next:?}") };
    assert_eq!(deletable.not_deletable(vec![ListedTranscript { transcript_id: OURS, ..listed(false) }]), []);
}

/// Recall lists a transcript, but reports it as deleted when it is retrieved.
#[test]
fn contradicting_recall_is_not_asked_forever() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut two = beside(None, State::Lost { transcript_id: OTHER });
    two.transcripts[1].deleted = true;
    let (mut job, mut next) = then(two, &policy);
    let (mut now, mut copies) = (NOW, 0);
    loop {
        let answer = match next {
            Next::Act(Command::Delete { target, claim, .. }) => {
                let other = ListedTranscript {
                    transcript_id: OTHER,
                    attempt: None,
                    ended: true,
                    failed: false,
                    other_deployment: false,
                };
                Answer::Delete { target, claim, answer: DeleteAnswer::Others(vec![other]) }
            }
            Next::Act(Command::Copy { transcript_id, claim, .. }) => {
                copies += 1;
                Answer::Copy { transcript_id, claim, answer: CopyAnswer::Deleted }
            }
            Next::Act(Command::Wake) | Next::Wait { .. } => {
                now = now.max(job.due_at().expect("it is due"));
                let decision = job.on_event(&Event::WAKE, context(&policy, now));
                let Decision::Apply { job: woken, next: then } = decision else { panic!("{decision:?}") };
                (job, next) = (*woken, then);
                continue;
            }
            Next::Act(_) => panic!("{next:?}"),
            Next::Nothing => break,
        };
        let Decision::Apply { job: saved, next: then } = job.on_answer(&answer, context(&policy, now)) else {
            panic!("stuck")
        };
        (job, next) = (*saved, then);
        assert!(now.since(NOW) < Duration::from_secs(7 * 24 * 60 * 60), "still deleting: {job:?}");
    }
    assert_eq!((copies, job.due_at(), job.transcripts[0].keep_reason), (1, None, Some(KeepReason::NotDeleted)));
}

/// Every transcript of the recording is gone, and still Recall does not delete the recording.
#[test]
fn recording_that_recall_refuses_to_delete_is_left_alone() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    stored.transcripts[0].deleted = true;
    let (target, reason, retry_at) =
        (DeletionTarget::Recording, DeletionReason::Stored, NOW.plus(Duration::from_secs(9)));
    stored.deletion = Some(Deletion { target, reason, retry_at, claim: Some(CLAIM), tries: 15 });
    let refused = Answer::Delete { target, claim: CLAIM, answer: DeleteAnswer::Later { after: Duration::ZERO } };
    let Decision::Apply { job, next } = stored.on_answer(&refused, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!(
        (next, job.deletion, job.transcripts[0].keep_reason),
        (Next::Nothing, None, Some(KeepReason::NotDeleted))
    );
}

/// The twin that stays has to be readable before the duplicate is deleted.
#[test]
fn twin_of_an_unreadable_transcript_stays() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let twin = State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: false };
    let unreadable = CopyAnswer::Stored(Receipt { unreadable: true, ..receipt() });
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: unreadable };
    let decision = beside(Some(1), twin.clone()).on_answer(&answer, context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Nothing, .. }), "{decision:?}");
    let (_, next) = then(beside(Some(1), twin), &policy);
    assert!(matches!(next, Next::Act(Command::Delete { target: DeletionTarget::Transcript(OTHER), .. })), "{next:?}");
}

/// Whatever Recall answers, it is not asked forever, and an unconfirmed deletion does not free a slot.
#[test]
fn refused_deletion_is_stopped_until_an_operator_wakes_the_job() {
    let policy = quiet(DeleteAfterStore::Transcript);
    let (mut job, mut next) = then(beside(None, State::Failed { transcript_id: OTHER, sub_code: None }), &policy);
    let (mut now, mut calls) = (NOW, 0);
    while let Next::Act(Command::Delete { target, claim, .. }) = next {
        calls += 1;
        assert!(calls < 100, "it is asked for ever");
        let refused = Answer::Delete { target, claim, answer: DeleteAnswer::Later { after: Duration::ZERO } };
        let Decision::Apply { job: refused, next: then } = job.on_answer(&refused, context(&policy, now)) else {
            panic!("stuck")
        };
        job = *refused;
        next = then;
        if let Next::Wait { retry_at: at } = next {
            now = at;
            let Decision::Apply { job: woken, next: then } = job.on_event(&Event::WAKE, context(&policy, now)) else {
                panic!("not due")
            };
            (job, next) = (*woken, then);
        }
    }
    let hours = now.since(NOW).as_secs() / 3600;
    assert!(calls == 16 && (30..=42).contains(&hours), "{calls} calls in {hours} hours: about a day and a half");
    assert_eq!(
        (job.transcripts[0].keep_reason, job.due_at(), job.transcript_count()),
        (Some(KeepReason::NotDeleted), None, 2)
    );
    let woken = job.clone().on_event(&Event::WAKE, context(&policy, now));
    assert!(matches!(woken, Decision::Ignore(_)), "{woken:?}");
    let woken = job.on_event(&Event::Wake { now: true }, context(&policy, now));
    assert!(matches!(woken, Decision::Apply { next: Next::Act(Command::Delete { .. }), .. }), "{woken:?}");
}

#[test]
fn lost_transcript_that_is_done_after_all_is_copied() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let decision =
        job([State::Lost { transcript_id: OURS }]).on_event(&Event::TranscriptDone(reference), context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. }), "{decision:?}");
}

/// Nothing was stored, and Recall reports the failure: the chain continues.
#[test]
fn given_up_transcript_that_failed_leads_to_the_next_attempt() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let mut lost = job([State::Lost { transcript_id: OURS }]);
    let Decision::Apply { job, next } = lost.clone().on_event(&failed, context(&policy, NOW)) else {
        panic!("no other attempt is to come")
    };
    assert_eq!(job.status(), Status::Waiting);
    assert!(matches!(next, Next::Wait { .. }), "{next:?}");
    // A deletion is not a failure of the provider.
    lost.transcripts[0].deleted = true;
    assert!(matches!(lost.on_event(&failed, context(&policy, NOW)), Decision::Ignore(_)));
}

/// A transcript of others was the first sign that the key works again.
#[test]
fn job_resumes_when_recall_knows_its_recording_after_all() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let claim = CLAIM;
    let copying = State::Copying(copying(NOW.plus(Duration::from_secs(9)), Some(claim), Failures::default()));
    let mut unknown = job([copying]);
    unknown.transcripts[0].attempt = None;
    (unknown.unknown_since, unknown.hold) = (Some(NOW), Some(Hold::Skipped));
    let stored = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Stored(receipt()) };
    let Decision::Apply { job, .. } = unknown.on_answer(&stored, context(&policy, NOW)) else { panic!("not stored") };
    assert_eq!((job.status(), job.due_at()), (Status::Waiting, Some(NOW)));
    let Decision::Apply { next, .. } = job.on_event(&Event::WAKE, context(&policy, NOW)) else { panic!("not due") };
    assert!(matches!(next, Next::Act(Command::Create { .. })), "{next:?}");
}

/// The transcript was made a moment ago, and its webhook was faster than the list.
#[test]
fn lagging_list_does_not_end_work_in_progress() {
    let policy = quiet(DeleteAfterStore::Nothing);
    let check_at = NOW.plus(Duration::from_secs(60));
    let mut parked = job([
        State::Transcribing { transcript_id: OURS, check_at, checks: 0, reported_done: false },
        State::Failed { transcript_id: OTHER, sub_code: None },
    ]);
    parked.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
    parked.hold = Some(Hold::LimitReached { retry_at: Some(NOW) });
    let listed = Answer::List(LookUpAnswer::Complete(Vec::new()));
    let Decision::Apply { job, .. } = parked.on_answer(&listed, context(&policy, NOW)) else { panic!("not taken") };
    assert!(matches!(job.transcripts[0].state, State::Transcribing { .. }), "{job:?}");
    assert!(job.transcripts[1].deleted, "{job:?}");
}

/// No answer arrives, so the next worker counts the crash.
#[test]
fn deletion_that_kills_every_worker_is_stopped() {
    let policy = Policy { on_limit: OnLimit::DeleteStored, max_transcripts: 1, ..quiet(DeleteAfterStore::Transcript) };
    for reason in [DeletionReason::Stored, DeletionReason::Room, DeletionReason::PaidTwice] {
        let mut held = job_of((reason != DeletionReason::Room).then_some(1), stored());
        if reason == DeletionReason::PaidTwice {
            let kept = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
            held.transcripts.splice(0..0, kept.transcripts);
        }
        let target = DeletionTarget::Transcript(OTHER);
        held.deletion = Some(Deletion { target, reason, retry_at: NOW, claim: Some(CLAIM), tries: 0 });
        let (mut now, mut crashes) = (NOW, 0);
        while held.transcripts.iter().all(|one| one.keep_reason.is_none()) {
            let decision = held.on_event(&Event::WAKE, context(&policy, now));
            let Decision::Apply { job, .. } = decision else { panic!("{reason:?}: {decision:?}") };
            (held, crashes) = (*job, crashes + 1);
            now = held.due_at().unwrap_or(now);
            assert!(crashes <= 16, "{reason:?}: still deleting: {:?}", held.deletion);
        }
        let kept =
            held.transcripts.iter().find(|one| one.keep_reason.is_some()).and_then(|one| one.state.transcript_id());
        assert_eq!((crashes, kept), (16, Some(OTHER)), "{reason:?}");
    }
}

/// The list says that a deleted transcript exists and has failed. What is in S3 stays there.
#[test]
fn stored_transcript_stays_stored_whatever_a_list_says() {
    let policy = quiet(DeleteAfterStore::Recording);
    let mut job = beside(Some(1), stored());
    for one in &mut job.transcripts {
        one.deleted = true;
    }
    let listed: Vec<ListedTranscript> = job
        .transcripts
        .iter()
        .filter_map(|one| one.state.transcript_id())
        .map(|transcript_id| ListedTranscript {
            transcript_id,
            attempt: None,
            ended: true,
            failed: true,
            other_deployment: false,
        })
        .collect();
    let claim = CLAIM;
    let target = DeletionTarget::Recording;
    let deletion = Deletion { target, reason: DeletionReason::Stored, retry_at: NOW, claim: Some(claim), tries: 0 };
    let states = |job: &Job| job.transcripts.iter().map(|one| one.state.clone()).collect::<Vec<_>>();
    let before = states(&job);
    let answer = Answer::Delete { target, claim, answer: DeleteAnswer::Others(listed) };
    let deleting = Job { deletion: Some(deletion), ..job };
    let Decision::Apply { job, .. } = deleting.on_answer(&answer, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!(states(&job), before);
}
