//! Jobs that ended without a transcript need attention until a person dismisses them.

use super::{HOUR, NOW, context, done, failed_job, policy, quiet, retry, stored};
use crate::{Decision, Event, Job, Next, Reason, State, Status, TranscriptRef, samples::OURS};

/// Returns the job after this event, or why nothing changed.
fn after(job: Job, event: &Event, now: crate::time::Timestamp) -> Result<Job, Reason> {
    match job.on_event(event, context(&quiet(), now)) {
        Decision::Apply { job, .. } => Ok(*job),
        Decision::Ignore(reason) => Err(reason),
        Decision::Busy { .. } => panic!("{event:?} is not busy"),
    }
}

/// A job whose attempts have all failed, and whose end was saved at this time.
fn ended(now: crate::time::Timestamp) -> Job {
    let deleted = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let job = after(failed_job(), &Event::TranscriptDeleted(deleted), now).expect("a change");
    assert_eq!((job.status(), job.ended_at), (Status::Failed, Some(now)));
    job
}

#[test]
fn end_needs_attention_until_it_is_dismissed() {
    let (job, end) = (ended(NOW), NOW.plus(HOUR));
    assert!(job.needs_attention());
    assert_eq!(after(job.clone(), &Event::Dismiss { ended_at: end }, end), Err(Reason::Overtaken));
    let dismissed = after(job, &Event::Dismiss { ended_at: NOW }, end).expect("a change");
    assert!(!dismissed.needs_attention() && dismissed.status() == Status::Failed);
    assert_eq!((dismissed.ended_at, dismissed.dismissed_at), (Some(NOW), Some(end)));
    assert_eq!(after(dismissed, &Event::Dismiss { ended_at: NOW }, end), Err(Reason::AlreadyKnown));
}

/// Announcements that are turned off do not matter.
#[test]
fn new_end_needs_attention_again() {
    let dismissed = after(ended(NOW), &Event::Dismiss { ended_at: NOW }, NOW).expect("a change");
    let policy = policy();
    let again = dismissed.on_event(&retry(2), context(&policy, NOW.plus(HOUR)));
    let Decision::Apply { job, next: Next::Act(_) } = again else { panic!("no attempt") };
    assert!(!job.needs_attention() && job.status() == Status::Creating);
    assert_eq!((job.ended_at, job.dismissed_at), (None, None), "the job continues");
}

#[test]
fn only_an_ended_job_can_be_dismissed() {
    let dismiss = Event::Dismiss { ended_at: NOW };
    let stored = super::job([stored(1)]);
    assert_eq!(after(stored, &dismiss, NOW), Err(Reason::NotEnded));
    let running = super::job([State::Transcribing {
        transcript_id: OURS,
        check_at: NOW.plus(HOUR),
        checks: 0,
        reported_done: false,
    }]);
    assert_eq!(after(running, &dismiss, NOW), Err(Reason::NotEnded));
    let unknown = Job::new(failed_job().recording_id);
    assert_eq!(after(unknown.clone(), &dismiss, NOW), Err(Reason::UnknownRecording));
    // An event that says nothing new leaves the row of an older version as it is.
    let older = failed_job();
    assert!(older.ended_at.is_none() && !older.needs_attention());
    assert!(after(older, &done(), NOW).is_err());
}
