//! A parked job resumes as soon as there is room, whatever the cause.

use std::time::Duration;

use super::{DAY, NOW, OTHER, context, done, failed, job, policy, receipt, stored};
use crate::{
    Answer, Command, CopyAnswer, Decision, DeleteAnswer, Event, Failures, Hold, Job, ListedTranscript, LookUpAnswer,
    Next, OnLimit, Policy, Reason, Recording, RecordingAnswer, RecordingInfo, State, Status, Transcript, TranscriptRef,
    ids::TranscriptId, time::Timestamp,
};

fn quiet(on_limit: OnLimit) -> Policy {
    Policy { announces: false, on_limit, ..policy() }
}

fn id(number: u128) -> TranscriptId {
    TranscriptId::from_u128(number)
}

/// Transcripts of others fill the limit of two, so ours does not fit.
fn parked(states: [State; 2], policy: &Policy) -> Job {
    let mut full = job([]);
    (full.attempts, full.expires_at) = (0, Some(NOW.plus(100 * DAY)));
    full.transcripts.extend(states.map(|state| Transcript::new(None, None, state)));
    let Decision::Apply { job, next } = full.on_event(&done(), context(policy, NOW)) else { panic!("ignored") };
    assert_eq!((job.status(), next), (Status::LimitReached, Next::Nothing));
    *job
}

fn woken(job: Job, policy: &Policy, now: Timestamp) -> (Job, Next) {
    let Decision::Apply { job, next } = job.on_event(&Event::WAKE, context(policy, now)) else { panic!("not due") };
    (*job, next)
}

#[test]
fn parked_job_resumes_when_a_copy_is_stored() {
    let policy = quiet(OnLimit::DeleteStored);
    let claim = super::CLAIM;
    let mut copying = super::copying(NOW.plus(Duration::from_secs(9)), Some(claim), Failures::default());
    copying.transcript_id = OTHER;
    let mut full = job([]);
    full.transcripts.extend([State::Copying(copying), failed(9)].map(|state| Transcript::new(None, None, state)));
    full.hold = Some(Hold::LimitReached { retry_at: Some(NOW.plus(DAY)) });
    let answer = Answer::Copy { transcript_id: OTHER, claim, answer: CopyAnswer::Stored(receipt()) };
    let Decision::Apply { job, next } = full.on_answer(&answer, context(&policy, NOW)) else { panic!("not stored") };
    assert_eq!((job.status(), next), (Status::Waiting, Next::Act(Command::Wake)), "it resumes");
    let (_, next) = woken(*job, &policy, NOW);
    assert!(matches!(next, Next::Act(Command::Delete { .. })), "{next:?}");
}

#[test]
fn parked_job_is_not_hidden_by_stored_foreign_transcripts() {
    let policy = quiet(OnLimit::Stop);
    assert_eq!(parked([stored(8), failed(9)], &policy).status(), Status::LimitReached);
}

#[test]
fn parked_job_notices_a_policy_change_within_a_day() {
    let stop = quiet(OnLimit::Stop);
    for (changed, creates) in [
        (Policy { max_transcripts: 3, ..stop.clone() }, true),
        (Policy { on_limit: OnLimit::DeleteFailed, ..stop.clone() }, false),
        (Policy { on_limit: OnLimit::DeleteStored, ..stop.clone() }, false),
    ] {
        let job = parked([stored(8), failed(9)], &stop);
        let due_at = job.due_at().expect("it looks again");
        assert_eq!(due_at, NOW.plus(DAY));
        let (job, next) = woken(job, &changed, due_at);
        assert_eq!(next, Next::Act(Command::Wake));
        let (_, next) = woken(job, &changed, due_at);
        let Next::Act(command) = next else { panic!("{next:?}") };
        assert_eq!(command.name(), if creates { "create" } else { "delete" });
    }
}

#[test]
fn parked_job_notices_an_unreported_deletion_within_a_day() {
    let policy = quiet(OnLimit::Stop);
    let job = parked([stored(8), failed(9)], &policy);
    let (job, next) = woken(job, &policy, NOW.plus(DAY));
    assert_eq!(next, Next::Act(Command::List));
    let listed =
        ListedTranscript { transcript_id: id(9), attempt: None, ended: true, failed: true, other_deployment: false };
    let unsure = Answer::List(LookUpAnswer::Incomplete(vec![listed]));
    let Decision::Apply { job: still, .. } = job.clone().on_answer(&unsure, context(&policy, NOW.plus(DAY))) else {
        panic!("stuck")
    };
    assert_eq!((still.status(), still.due_at()), (Status::LimitReached, Some(NOW.plus(2 * DAY))), "not all was read");
    let answer = Answer::List(LookUpAnswer::Complete(vec![listed]));
    let Decision::Apply { job, next } = job.on_answer(&answer, context(&policy, NOW.plus(DAY))) else {
        panic!("stuck")
    };
    assert_eq!((next, job.transcript_count()), (Next::Act(Command::Wake), 1));
    let (_, next) = woken(*job, &policy, NOW.plus(DAY));
    assert!(matches!(next, Next::Act(Command::Create { .. })), "{next:?}");
}

/// Once the recording is deleted there is nothing to look for.
#[test]
fn parked_job_stops_looking_when_its_recording_has_expired() {
    let policy = quiet(OnLimit::Stop);
    let job = Job { expires_at: Some(NOW.plus(8 * DAY)), ..parked([stored(8), failed(9)], &policy) };
    let (mut job, mut now, mut looks) = (job, NOW, 0);
    while let Some(due_at) = job.due_at() {
        now = now.max(due_at);
        let (next_job, next) = woken(job, &policy, now);
        job = next_job;
        if next == Next::Act(Command::List) {
            looks += 1;
            assert!(looks < 100, "it looks for ever");
            let later = Answer::List(LookUpAnswer::Later { after: Duration::ZERO });
            let Decision::Apply { job: parked, .. } = job.on_answer(&later, context(&policy, now)) else { panic!() };
            job = *parked;
        }
    }
    assert_eq!(job.status(), Status::LimitReached);
    assert!(looks > 8 && now.since(NOW) < 11 * DAY, "{looks} looks");
}

/// The daily check retrieves the recording first, and Recall gives this answer.
fn looked(job: Job, answer: RecordingAnswer, policy: &Policy, now: Timestamp) -> (Job, Next) {
    let (job, next) = woken(job, policy, now);
    let Next::Act(Command::ReadRecording { claim }) = next else { panic!("{next:?}") };
    let decision = job.on_answer(&Answer::ReadRecording { claim, answer }, context(policy, now));
    let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
    (*job, next)
}

#[test]
fn parked_job_learns_the_expiry() {
    let policy = quiet(OnLimit::Stop);
    let job = Job { expires_at: None, ..parked([stored(8), failed(9)], &policy) };
    let expires_at = Some(NOW.plus(30 * DAY));
    let read = RecordingAnswer::Read(RecordingInfo { expires_at, ..RecordingInfo::default() });
    let (job, next) = looked(job, read, &policy, NOW.plus(DAY));
    assert_eq!((next, job.status(), job.expires_at), (Next::Act(Command::List), Status::LimitReached, expires_at));
    let later = Answer::List(LookUpAnswer::Later { after: Duration::ZERO });
    let Decision::Apply { job, .. } = job.on_answer(&later, context(&policy, NOW.plus(DAY))) else { panic!("stuck") };
    let (_, next) = woken(*job, &policy, NOW.plus(2 * DAY));
    assert_eq!(next, Next::Act(Command::List), "it is known now");
}

/// The expiry of the recording is unknown.
#[test]
fn parked_job_stops_looking_when_its_recording_is_gone() {
    let policy = quiet(OnLimit::Stop);
    let parked = || Job { expires_at: None, ..parked([stored(8), failed(9)], &policy) };
    let (job, next) = looked(parked(), RecordingAnswer::Deleted, &policy, NOW.plus(DAY));
    assert_eq!((&job.recording, job.due_at(), next), (&Recording::Deleted, None, Next::Nothing));
    assert_eq!(job.outbox.announced_ends, 1, "its end was announced");
    // A key of another workspace gets the same answer for a while.
    let (job, _) = looked(parked(), RecordingAnswer::Unknown, &policy, NOW.plus(DAY));
    assert_eq!((job.status(), job.due_at()), (Status::LimitReached, Some(NOW.plus(2 * DAY))));
    for answer in [RecordingAnswer::Operator, RecordingAnswer::Later { after: Duration::ZERO }] {
        let (job, next) = looked(job.clone(), answer, &policy, NOW.plus(2 * DAY));
        assert_eq!((job.due_at(), next), (Some(NOW.plus(3 * DAY)), Next::Nothing), "that says nothing");
    }
    let (job, next) = looked(job, RecordingAnswer::Unknown, &policy, NOW.plus(2 * DAY));
    assert_eq!((job.status(), job.due_at(), next), (Status::LimitReached, None, Next::Nothing));
    // An event is about the recording after all.
    let processing =
        Event::TranscriptProcessing(TranscriptRef { transcript_id: id(10), attempt: None, other_deployment: false });
    for event in [done(), processing] {
        let decision = job.clone().on_event(&event, context(&policy, NOW.plus(9 * DAY)));
        let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
        let look_at = job.hold.as_ref().and_then(Hold::retry_at);
        assert_eq!(look_at, Some(NOW.plus(10 * DAY)), "{event:?}");
    }
}

#[test]
fn retry_never_exceeds_the_limit() {
    let policy = Policy { max_transcripts: 2, ..quiet(OnLimit::Stop) };
    let mut stored_twice = job([stored(8), stored(9)]);
    stored_twice.attempts = 2;
    let retry = Event::Retry { provider: None, after_attempt: 2 };
    let decision = stored_twice.on_event(&retry, context(&policy, NOW));
    assert_eq!(decision, Decision::Ignore(Reason::LimitReached), "and it stays stored");
}

/// The deletion that was to make room turns out to be impossible.
#[test]
fn retry_without_room_is_over() {
    let policy = Policy { max_transcripts: 1, ..quiet(OnLimit::DeleteStored) };
    let retry = Event::Retry { provider: None, after_attempt: 1 };
    let Decision::Apply { job, next: Next::Act(Command::Delete { target, claim, .. }) } =
        job([stored(8)]).on_event(&retry, context(&policy, NOW))
    else {
        panic!("no room is made")
    };
    assert!(job.retry.is_some());
    let kept = Answer::Delete { target, claim, answer: DeleteAnswer::Unverified };
    let Decision::Apply { job, next } = job.on_answer(&kept, context(&policy, NOW)) else { panic!("stuck") };
    assert_eq!((job.status(), &job.retry, job.due_at(), next), (Status::Stored, &None, None, Next::Nothing));
}

#[test]
fn freed_slot_is_used_at_once() {
    let policy = quiet(OnLimit::Stop);
    let deleted =
        Event::TranscriptDeleted(TranscriptRef { transcript_id: id(8), attempt: None, other_deployment: false });
    let decision = parked([stored(8), failed(9)], &policy).on_event(&deleted, context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Wake), .. }), "{decision:?}");
}

/// Webhooks arrive in any order: an older one about a deleted transcript takes no place under the limit.
#[test]
fn deleted_transcript_takes_no_place_whatever_later_events_say() {
    let policy = quiet(OnLimit::Stop);
    let reference = |number| TranscriptRef { transcript_id: id(number), attempt: None, other_deployment: false };
    let events = |number| {
        [
            Event::TranscriptProcessing(reference(number)),
            Event::TranscriptDone(reference(number)),
            Event::TranscriptFailed { reference: reference(number), sub_code: None },
        ]
    };
    let mut full = parked([stored(8), failed(9)], &policy);
    // The row does not know the second transcript.
    for number in [9, 10] {
        let deleted = Event::TranscriptDeleted(reference(number));
        let Decision::Apply { job, .. } = full.on_event(&deleted, context(&policy, NOW)) else { panic!("ignored") };
        assert_eq!(job.transcript_count(), 1);
        for late in events(number) {
            let decision = job.clone().on_event(&late, context(&policy, NOW));
            assert!(matches!(decision, Decision::Ignore(_)), "{late:?}: {decision:?}");
        }
        full = *job;
    }
    // Nothing is stored about an unknown recording.
    let unheard = Event::TranscriptDeleted(reference(10));
    for unknown in [Job::new(full.recording_id), Job { recording: Recording::Deleted, ..full.clone() }] {
        let ours = Job { transcripts: Vec::new(), ..unknown };
        let decision = ours.on_event(&unheard, context(&policy, NOW));
        assert_eq!(decision, Decision::Ignore(Reason::UnknownTranscript));
    }
    for number in 100..400 {
        let deleted = Event::TranscriptDeleted(reference(number));
        if let Decision::Apply { job, .. } = full.clone().on_event(&deleted, context(&policy, NOW)) {
            full = *job;
        }
    }
    assert_eq!(full.transcripts.len(), 200, "the row remembers only so much");
}
