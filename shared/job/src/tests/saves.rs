//! What every save does, and what a job reports about itself.

use std::{collections::BTreeSet, time::Duration};

use super::{CLAIM, DAY, HOUR, NOW, OTHER, OURS, context, creating, failed, job, quiet, receipt, stored};
use crate::{
    Claim, Command, Contradiction, CreateAnswer, Decision, Deletion, DeletionReason, DeletionTarget, Event, Failures,
    Hold, HoldCause, Job, KeepReason, Next, Reason, Rendering, Retry, State, Status, Transcript, TranscriptRef,
    time::Timestamp,
};

fn making_room() -> Deletion {
    Deletion {
        target: DeletionTarget::Transcript(OURS),
        reason: DeletionReason::Room,
        retry_at: NOW.plus(HOUR),
        claim: Some(CLAIM),
        tries: 0,
    }
}

fn waiting() -> Option<Hold> {
    Some(Hold::Wait { retry_at: NOW, status: None, times: 0, since: NOW })
}

/// The claim of a lease is the version of the save that takes it.
#[test]
fn save_adds_one_to_the_version() {
    let policy = quiet();
    let decision = Job { version: 9, attempts: 0, ..job([]) }.on_event(&super::done(), context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Create { claim, .. }) } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!((job.version, claim), (10, Claim(10)));
}

#[test]
fn create_without_outcome_is_due_before_any_hold() {
    let until = NOW.plus(HOUR);
    let creating = Job { hold: waiting(), ..job([creating(until, Some(CLAIM))]) };
    assert!(creating.is_creating());
    assert_eq!(creating.due_at(), Some(until), "the hold only keeps the count of Recall's answers");
    assert!(!job([failed(1)]).is_creating());
}

#[test]
fn attempt_is_pending_while_it_waits_for_its_time_or_for_room() {
    let pending = |hold, deletion| Job { hold, deletion, ..job([failed(1)]) }.is_attempt_pending();
    assert!(pending(waiting(), None));
    assert!(pending(None, Some(making_room())));
    let other = Deletion { reason: DeletionReason::PaidTwice, ..making_room() };
    for (hold, deletion) in [(None, None), (Some(Hold::Skipped), None), (None, Some(other))] {
        assert!(!pending(hold, deletion));
    }
}

#[test]
fn retry_waits_for_a_hold_a_create_or_a_deletion() {
    let asked = || Job { retry: Some(Retry { provider: None }), ..job([failed(1)]) };
    assert!(asked().resume_retry(NOW).is_some());
    for mut waits in [
        Job { hold: waiting(), ..asked() },
        Job { transcripts: job([creating(NOW, None)]).transcripts, ..asked() },
        Job { deletion: Some(making_room()), ..asked() },
        job([failed(1)]),
    ] {
        assert_eq!(waits.resume_retry(NOW), None, "{waits:?}");
    }
}

#[test]
fn only_a_requested_attempt_is_still_to_come() {
    assert!(Reason::AlreadyRequested.leaves_attempt_pending());
    assert!(!Reason::LimitReached.leaves_attempt_pending());
}

#[test]
fn cause_of_a_hold_is_read_as_it_was_written() {
    for cause in [HoldCause::Full, HoldCause::Operator, HoldCause::Unknown, HoldCause::Throttled, HoldCause::Errors] {
        assert_eq!(HoldCause::of_status(cause.http_status()), cause);
    }
    assert_eq!(
        [402, 403, 503].map(HoldCause::of_status),
        [HoldCause::Operator, HoldCause::Operator, HoldCause::Errors]
    );
}

#[test]
fn events_from_recall_are_those_of_its_webhooks() {
    let names: Vec<&str> = Event::names_from_recall().into_iter().collect();
    let expected = [
        "recording.deleted",
        "recording.done",
        "recording.failed",
        "transcript.deleted",
        "transcript.done",
        "transcript.failed",
        "transcript.processing",
    ];
    assert_eq!(names, expected);
    let examples: BTreeSet<&str> = Event::example_samples().iter().map(Event::name).collect();
    assert!(examples.into_iter().eq(expected), "one example of each");
}

#[test]
fn deleted_transcript_keeps_only_the_reasons_that_still_hold() {
    let marked = |reason| {
        let mut one = Transcript { keep_reason: Some(reason), ..Transcript::new(Some(1), None, stored(1)) };
        one.mark_deleted();
        one.keep_reason
    };
    assert_eq!(marked(KeepReason::NotDeleted), None);
    assert_eq!(marked(KeepReason::Unreadable), Some(KeepReason::Unreadable));
}

#[test]
fn transcript_that_is_not_ready_is_first_checked_in_an_hour() {
    let job = job([]);
    assert_eq!((job.first_check_at(true, NOW), job.first_check_at(false, NOW)), (NOW, NOW.plus(HOUR)));
}

#[test]
fn unknown_outcome_is_removed_only_if_it_is_not_listed() {
    let unknown = State::Refused { status: crate::state::OUTCOME_UNKNOWN, code: None };
    let mut with = job([unknown]);
    assert!(with.remove_unlisted(&[]) && with.transcripts.is_empty());
    let mut without = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    assert!(!without.remove_unlisted(&[]));
}

/// Work that kills its worker every time must not delay other work.
#[test]
fn wake_does_first_what_has_been_due_for_longest() {
    let policy = quiet();
    let (early, late) = (NOW, NOW.plus(HOUR));
    let now = NOW.plus(DAY);
    let copied = |retry_at| State::Copying(super::copying(retry_at, None, Failures::default()));
    let command = |job: Job| match job.on_event(&Event::WAKE, context(&policy, now)) {
        Decision::Apply { next: Next::Act(command), .. } => command.name(),
        decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{decision:?}"),
    };
    let with_rendering = |rendered_at, copied_at| {
        let rendering = Some(Rendering { transcript_id: None, retry_at: rendered_at, claim: None, tries: 0 });
        command(Job { rendering, ..job([stored(9), copied(copied_at)]) })
    };
    assert_eq!(with_rendering(early, late), "render");
    assert_eq!(with_rendering(early, early), "render");
    assert_eq!(with_rendering(late, early), "copy");
    let with_hold = |held_until, copied_at| {
        let hold = Some(Hold::Wait { retry_at: held_until, status: None, times: 0, since: NOW });
        let mut foreign = Job { hold, attempts: 0, ..job([copied(copied_at)]) };
        foreign.transcripts[0].attempt = None;
        command(foreign)
    };
    assert_eq!(with_hold(early, late), "create");
    assert_eq!(with_hold(early, early), "copy");
    assert_eq!(with_hold(late, early), "copy");
}

/// A lease that ends now is over.
#[test]
fn lease_of_a_copy_ends_on_time() {
    let policy = quiet();
    let copied = || job([State::Copying(super::copying(NOW, Some(CLAIM), Failures::default()))]);
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    for event in [
        Event::TranscriptFailed { reference, sub_code: None },
        Event::TranscriptDeleted(reference),
        Event::TranscriptDone(reference),
    ] {
        let before = copied().on_event(&event, context(&policy, NOW.minus(Duration::from_millis(1))));
        assert_eq!(before, Decision::Busy { retry_at: NOW });
        let after = copied().on_event(&event, context(&policy, NOW));
        assert!(!matches!(after, Decision::Busy { .. }), "{after:?}");
    }
}

/// Logs and metrics count by these names.
#[test]
fn answers_to_a_create_have_names_of_their_own() {
    let answers = CreateAnswer::samples();
    let names: BTreeSet<&str> = answers.iter().map(CreateAnswer::as_str).collect();
    let kinds: BTreeSet<String> =
        answers.iter().map(|answer| format!("{:?}", std::mem::discriminant(answer))).collect();
    assert_eq!(names.len(), kinds.len(), "{names:?}");
}

/// A transcript that Recall had as failed is not retrieved again before this time.
#[test]
fn contradiction_is_over_on_time() {
    let policy = quiet();
    let mut contradicting = job([failed(1)]);
    contradicting.transcripts[0].contradiction = Some(Contradiction { retry_at: NOW, times: 1 });
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let copies = |now: Timestamp| {
        let decision = contradicting.clone().on_event(&done, context(&policy, now));
        matches!(decision, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. })
    };
    assert!(!copies(NOW.minus(Duration::from_millis(1))));
    assert!(copies(NOW));
}

/// Something else may still come of the job, so its next bad end is news again.
#[test]
fn end_is_news_again_while_an_attempt_waits_or_something_is_stored() {
    let policy = quiet();
    let reference = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let event = Event::TranscriptFailed { reference, sub_code: None };
    for (what, job, is_news) in [
        ("waits", Job { hold: waiting(), ..job([failed(1)]) }, true),
        ("stored", job([stored(1)]), true),
        ("failed", job([failed(1)]), false),
    ] {
        let mut told = job;
        told.outbox.last_announced_end = Some(Status::Failed);
        let Decision::Apply { job, .. } = told.on_event(&event, context(&policy, NOW)) else { panic!("{what}") };
        assert_eq!(job.outbox.last_announced_end.is_none(), is_news, "{what}");
    }
}

/// A row that was restored from a backup may lack what was to be rendered.
#[test]
fn rendering_of_what_is_not_stored_ends() {
    let policy = quiet();
    let rendering = Some(Rendering { transcript_id: Some(OURS), retry_at: NOW, claim: None, tries: 0 });
    let decision = Job { rendering, ..job([stored(9)]) }.on_event(&Event::WAKE, context(&policy, NOW));
    let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
    assert_eq!((job.rendering, next), (None, Next::Nothing));
}

/// A transcript that was reported as done and was not ready is retrieved again when its next check is due.
#[test]
fn check_of_a_transcript_reported_done_is_due_on_time() {
    let policy = quiet();
    let state = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 1, reported_done: true };
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let before = job([state.clone()]).on_event(&done, context(&policy, NOW.minus(Duration::from_millis(1))));
    assert_eq!(before, Decision::Ignore(Reason::AlreadyKnown));
    let after = job([state]).on_event(&done, context(&policy, NOW));
    assert!(matches!(after, Decision::Apply { next: Next::Act(Command::Copy { .. }), .. }), "{after:?}");
}
