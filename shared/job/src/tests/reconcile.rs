//! What the sweep reports to a job from Recall's lists: news, and nothing else.

use std::time::Duration;

use super::{HOUR, NOW, OTHER, OURS, context, job, policy, receipt};
use crate::{
    EntryStatus, Hold, Job, Recording, RecordingEntry, RecordingInfo, State, TranscriptEntry, TranscriptRef,
    ids::RecordingId, time::Timestamp,
};

fn new() -> Job {
    Job::new(RecordingId::from_u128(7))
}

fn entry() -> RecordingEntry {
    RecordingEntry { is_done: true, done_at: Some(NOW.minus(HOUR)), expires_at: None, transcript: None }
}

fn transcribing(check_at: Timestamp) -> Job {
    job([State::Transcribing { transcript_id: OURS, check_at, checks: 0, reported_done: false }])
}

/// The event that an entry of the list of recordings leads to.
fn reported(job: &Job, entry: &RecordingEntry) -> Option<&'static str> {
    let info = || RecordingInfo { expires_at: entry.expires_at, ..RecordingInfo::default() };
    job.missed_recording(entry, info, context(&policy(), NOW)).map(|event| event.name())
}

#[test]
fn sweep_leaves_webhooks_a_head_start_of_two_minutes() {
    let done_before = |seconds| RecordingEntry { done_at: Some(NOW.minus(Duration::from_secs(seconds))), ..entry() };
    assert_eq!(reported(&new(), &done_before(119)), None);
    assert_eq!(reported(&new(), &done_before(120)), Some("recording.done"));
    assert_eq!(reported(&new(), &RecordingEntry { done_at: None, ..entry() }), Some("recording.done"));
    assert_eq!(reported(&new(), &RecordingEntry { is_done: false, ..entry() }), None, "it has not ended");
}

#[test]
fn recording_is_reported_while_its_job_does_not_know_it() {
    let given_up = Job { hold: Some(Hold::Skipped), unknown_since: Some(NOW.minus(HOUR)), ..job([]) };
    let failed = Job { recording: Recording::Failed { sub_code: None }, ..new() };
    for (job, is_reported) in [
        (given_up, true),
        (failed, true),
        // Its webhook came, and a wake-up does the work that is due.
        (transcribing(NOW.minus(HOUR)), false),
        (Job { recording: Recording::Deleted, ..job([]) }, false),
    ] {
        assert_eq!(reported(&job, &entry()), is_reported.then_some("recording.done"), "{job:?}");
    }
}

/// No webhook carries the expiry of a recording.
#[test]
fn expiry_is_reported_while_there_is_something_to_lose() {
    let expires_at = Some(NOW.plus(100 * HOUR));
    let expiring = RecordingEntry { expires_at, ..entry() };
    let known = Job { expires_at, ..transcribing(NOW.minus(HOUR)) };
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    for (job, is_reported) in [(transcribing(NOW.plus(HOUR)), true), (known, false), (stored, false)] {
        assert_eq!(reported(&job, &expiring), is_reported.then_some("recording.done"), "{job:?}");
    }
}

#[test]
fn transcript_is_reported_if_it_has_ended_or_is_ours() {
    let tells = |job: &Job, attempt, status| {
        let reference = TranscriptRef { transcript_id: OTHER, attempt, other_deployment: false };
        let event = job.missed_transcript(&TranscriptEntry { reference, status }, context(&policy(), NOW));
        event.map(|event| event.name())
    };
    let failed = || EntryStatus::Failed { sub_code: None };
    for (attempt, status, event) in [
        (None, EntryStatus::Processing, None),
        (Some(1), EntryStatus::Processing, Some("transcript.processing")),
        (None, EntryStatus::Done, Some("transcript.done")),
        (None, failed(), Some("transcript.failed")),
        (Some(1), EntryStatus::Other, None),
    ] {
        assert_eq!(tells(&new(), attempt, status.clone()), event, "{attempt:?} {status:?}");
    }
    let left = job([State::Foreign { transcript_id: OTHER }]);
    assert_eq!(tells(&left, None, EntryStatus::Done), None, "the operator wants it left alone");
    let known = job([State::Failed { transcript_id: OTHER, sub_code: None }]);
    assert_eq!(tells(&known, Some(1), failed()), None, "reported once");
}

/// A lost row learns of the paid transcript before it learns that the recording is done.
#[test]
fn our_transcript_is_reported_before_its_recording() {
    let shown = |attempt| {
        let reference = TranscriptRef { transcript_id: OURS, attempt, other_deployment: false };
        RecordingEntry { transcript: Some(TranscriptEntry { reference, status: EntryStatus::Processing }), ..entry() }
    };
    assert_eq!(reported(&new(), &shown(Some(1))), Some("transcript.processing"));
    assert_eq!(reported(&new(), &shown(None)), Some("recording.done"));
}

#[test]
fn wake_up_is_sent_only_if_it_has_an_effect() {
    let can_be_woken = |job: Job| job.can_be_woken(context(&policy(), NOW));
    assert!(can_be_woken(transcribing(NOW)));
    assert!(!can_be_woken(transcribing(NOW.plus(HOUR))));
}
