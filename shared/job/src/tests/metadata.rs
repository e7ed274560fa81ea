//! Nothing is paid for before the recording's metadata was read, and only metadata that was read lifts a skip.

use std::time::Duration;

use super::{DAY, NOW, OTHER, OURS, context, job, policy};
use crate::{
    Answer, Claim, Command, Context, CopyAnswer, CreateAnswer, Decision, Event, Hold, HoldCause, Job, Next, Overrides,
    Policy, Reason, Recording, RecordingAnswer, RecordingInfo, Role, State, Status, TranscriptRef, ids::RecordingId,
    time::Timestamp,
};

fn quiet() -> Policy {
    Policy { announces: false, ..policy() }
}

/// A delivery without the bot's metadata.
fn without_bot() -> Event {
    Event::RecordingDone(RecordingInfo::default())
}

fn with(overrides: Overrides) -> Event {
    Event::RecordingDone(RecordingInfo { overrides: Some(overrides), ..RecordingInfo::default() })
}

fn skip() -> Overrides {
    Overrides { skip: true, ..Overrides::default() }
}

fn reading(policy: &Policy, context: Context<'_>) -> (Job, Claim) {
    let decision = Job::new(RecordingId::from_u128(7)).on_event(&without_bot(), context);
    let Decision::Apply { job, next: Next::Act(Command::ReadRecording { claim }) } = decision else {
        panic!("{policy:?}: {decision:?}")
    };
    assert_eq!((job.status(), job.attempts), (Status::Waiting, 0), "nothing is paid for");
    (*job, claim)
}

#[test]
fn metadata_is_read_before_paying_if_the_bot_is_missing() {
    let policy = quiet();
    let context = context(&policy, NOW);
    let (job, claim) = reading(&policy, context);
    let read =
        |overrides| RecordingAnswer::Read(RecordingInfo { overrides: Some(overrides), ..RecordingInfo::default() });
    let answer = |overrides| Answer::ReadRecording { claim, answer: read(overrides) };
    let Decision::Apply { job: skipped, next } = job.clone().on_answer(&answer(skip()), context) else { panic!() };
    assert_eq!((skipped.status(), next), (Status::Skipped, Next::Nothing));
    let paid = job.on_answer(&answer(Overrides::default()), context);
    assert!(matches!(paid, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{paid:?}");
}

#[test]
fn unread_metadata_is_handed_over_and_never_paid_for() {
    let policy = quiet();
    let webhook = Context { role: Role::Webhook, ..context(&policy, NOW) };
    for answer in [RecordingAnswer::Later { after: Duration::ZERO }, RecordingAnswer::Operator] {
        let (job, claim) = reading(&policy, webhook);
        let failed = Answer::ReadRecording { claim, answer: answer.clone() };
        let Decision::Apply { job, next } = job.on_answer(&failed, webhook) else { panic!("stuck") };
        assert_eq!(next, Next::Act(Command::Wake), "the work queue takes it from here");
        // The worker reads the metadata, and waits longer each time.
        let (mut job, mut now, mut waits) = (*job, NOW, Vec::new());
        for _ in 0..5 {
            let worker = context(&policy, now);
            let Decision::Apply { job: reading, next: Next::Act(Command::ReadRecording { claim }) } =
                job.on_event(&Event::WAKE, worker)
            else {
                panic!("not read again")
            };
            let failed = Answer::ReadRecording { claim, answer: answer.clone() };
            let Decision::Apply { job: later, next: Next::Wait { retry_at: at } } = reading.on_answer(&failed, worker)
            else {
                panic!("no wait")
            };
            waits.push(at.since(now).as_secs());
            (job, now) = (*later, at);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80]);
        assert_eq!(job.attempts, 0);
    }
}

#[test]
fn deleted_or_unknown_recording_is_not_paid_for() {
    let policy = quiet();
    let context = context(&policy, NOW);
    let (job, claim) = reading(&policy, context);
    let deleted = Answer::ReadRecording { claim, answer: RecordingAnswer::Deleted };
    let Decision::Apply { job: lost, .. } = job.clone().on_answer(&deleted, context) else { panic!("stuck") };
    assert_eq!((&lost.recording, lost.due_at()), (&Recording::Deleted, None));
    let unknown = Answer::ReadRecording { claim, answer: RecordingAnswer::Unknown };
    let Decision::Apply { job, .. } = job.on_answer(&unknown, context) else { panic!("stuck") };
    assert!(job.is_unknown_to_recall() && matches!(job.hold, Some(Hold::Wait { status: Some(404), .. })), "{job:?}");
}

/// How the job ends if reading always gets this answer, and after how long, if that is within 60 days.
fn fails_to_be_read(expires_at: Option<Timestamp>, answer: &RecordingAnswer) -> (Status, Option<Duration>) {
    let policy = quiet();
    let (job, claim) = reading(&policy, context(&policy, NOW));
    let (mut job, mut next) = (Job { expires_at, ..job }, Next::Act(Command::ReadRecording { claim }));
    let mut now = NOW;
    while now.since(NOW) < 60 * DAY {
        let decision = match next {
            Next::Act(Command::ReadRecording { claim }) => {
                job.on_answer(&Answer::ReadRecording { claim, answer: answer.clone() }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Nothing => return (job.status(), Some(now.since(NOW))),
            Next::Act(command) => panic!("{command:?}"),
        };
        let Decision::Apply { job: after, next: then } = decision else { panic!("{decision:?}") };
        (job, next) = (*after, then);
    }
    (job.status(), None)
}

#[test]
fn refused_key_does_not_end_reading_before_the_expiry() {
    let operator = RecordingAnswer::Operator;
    assert_eq!(fails_to_be_read(None, &operator), (Status::Waiting, None));
    let (status, ended) = fails_to_be_read(Some(NOW.plus(40 * DAY)), &operator);
    assert_eq!(status, Status::Lost);
    assert!(ended.is_some_and(|after| after >= 40 * DAY), "{ended:?}");
    let (status, ended) = fails_to_be_read(None, &RecordingAnswer::Later { after: Duration::ZERO });
    assert_eq!(status, Status::Lost);
    assert!(ended.is_some_and(|after| after >= 30 * DAY), "server errors have an end: {ended:?}");
}

/// The job counts as unfinished again, and a later 404 begins another day.
#[test]
fn recording_that_was_read_is_known_to_recall() {
    let policy = quiet();
    let (job, claim) = reading(&policy, context(&policy, NOW));
    let unknown = Answer::ReadRecording { claim, answer: RecordingAnswer::Unknown };
    let Decision::Apply { job, next: Next::Wait { retry_at: at } } = job.on_answer(&unknown, context(&policy, NOW))
    else {
        panic!("no wait")
    };
    let Decision::Apply { job, next: Next::Act(Command::ReadRecording { claim }) } =
        job.on_event(&Event::WAKE, context(&policy, at))
    else {
        panic!("not read again")
    };
    let read = Answer::ReadRecording { claim, answer: RecordingAnswer::Read(RecordingInfo::default()) };
    let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } =
        job.on_answer(&read, context(&policy, at))
    else {
        panic!("not asked for")
    };
    assert!(job.is_open() && !job.is_unknown_to_recall(), "{job:?}");
    let later = at.plus(Duration::from_secs(2 * 24 * 60 * 60));
    let unknown = CreateAnswer::Refused { status: 404, code: None };
    let decision = job.on_answer(&Answer::Create { attempt, claim, answer: unknown }, context(&policy, later));
    let Decision::Apply { job, next: Next::Wait { .. } } = decision else { panic!("{decision:?}") };
    assert_eq!((job.status(), job.unknown_since), (Status::Waiting, Some(later)));
}

#[test]
fn skip_is_lifted_only_by_metadata_that_was_read() {
    let policy = quiet();
    let context = context(&policy, NOW);
    let decision = Job::new(RecordingId::from_u128(7)).on_event(&with(skip()), context);
    let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(job.status(), Status::Skipped);
    let again = job.clone().on_event(&without_bot(), context);
    assert_eq!(again, Decision::Ignore(Reason::Skipped), "a delivery without a bot says nothing of it");
    let lifted = job.on_event(&with(Overrides::default()), context);
    assert!(matches!(lifted, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{lifted:?}");
}

#[test]
fn overrides_stay_when_a_delivery_carries_none() {
    let policy = quiet();
    let overrides = Overrides { provider: Some("rev_async".to_owned()), ..Overrides::default() };
    let waits = Job { overrides: Some(overrides.clone()), ..job([]) };
    let decision = waits.on_event(&without_bot(), context(&policy, NOW));
    let Decision::Apply { job, next: Next::Act(Command::Create { provider, .. }) } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!((provider.as_str(), job.overrides), ("rev_async", Some(overrides)));
}

/// A lost row first learns of a transcript: its next attempt is not paid for unread either.
#[test]
fn later_attempts_are_not_paid_for_unread() {
    let policy = quiet();
    let failed = State::Failed { transcript_id: OURS, sub_code: None };
    let unread = Job { overrides: None, ..job([failed]) };
    let decision = unread.on_event(&without_bot(), context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::ReadRecording { .. }), .. }), "{decision:?}");
    // A worker that died while reading delays nothing.
    let retry_at = NOW.minus(Duration::from_secs(1));
    let hold =
        Some(Hold::Unread { retry_at, claim: Some(Claim(9)), cause: HoldCause::Errors, times: 0, since: retry_at });
    let decision = Job { hold, overrides: None, ..job([]) }.on_event(&Event::WAKE, context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::ReadRecording { .. }), .. }), "{decision:?}");
}

/// A provider's options were refused; then the key was one of another workspace for a day.
#[test]
fn refused_attempts_end_as_skipped_for_an_unknown_recording() {
    let policy = Policy { max_transcripts: 10, ..quiet() };
    let wait = Some(Hold::Wait { retry_at: NOW, status: Some(404), times: 9, since: NOW.minus(DAY) });
    let (refused, failed) =
        (State::Refused { status: 400, code: None }, State::Failed { transcript_id: OURS, sub_code: None });
    for (state, ends) in [(refused, Status::Skipped), (failed, Status::Failed)] {
        let unknown = Job { hold: wait.clone(), unknown_since: Some(NOW.minus(DAY)), ..job([state]) };
        let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } =
            unknown.on_event(&Event::WAKE, context(&policy, NOW))
        else {
            panic!("not asked")
        };
        let unknown = Answer::Create { attempt, claim, answer: CreateAnswer::Refused { status: 404, code: None } };
        let Decision::Apply { job, next } = job.on_answer(&unknown, context(&policy, NOW)) else { panic!("stuck") };
        assert_eq!((job.status(), job.due_at(), next), (ends, None, Next::Nothing));
    }
}

/// The first event after the row was lost is the failure of our attempt.
#[test]
fn lost_row_continues_from_the_attempt_of_an_event() {
    let policy = quiet();
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let decision = Job::new(RecordingId::from_u128(7)).on_event(&failed, context(&policy, NOW));
    let Decision::Apply { job, next: Next::Wait { retry_at: at } } = decision else { panic!("{decision:?}") };
    let decision = job.on_event(&Event::WAKE, context(&policy, at));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::ReadRecording { .. }), .. }), "{decision:?}");
}

/// With a key of another workspace, only a webhook is about the recording: such a job is never late.
#[test]
fn unconfirmed_recording_is_waited_for_quietly() {
    let policy = quiet();
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let captured = Job { attempts: 0, ..job([]) };
    for (job, is_quiet) in [(Job::new(RecordingId::from_u128(7)), true), (captured, false)] {
        let decision = job.on_event(&done, context(&policy, NOW));
        let Decision::Apply { job, next: Next::Act(Command::Copy { claim, .. }) } = decision else {
            panic!("{decision:?}")
        };
        let missing = CopyAnswer::Missing { recording_known: false };
        let missing = Answer::Copy { transcript_id: OTHER, claim, answer: missing };
        let Decision::Apply { job, .. } = job.on_answer(&missing, context(&policy, NOW)) else { panic!("stuck") };
        assert_eq!((job.status(), job.is_unknown_to_recall(), job.is_open()), (Status::Copying, is_quiet, !is_quiet));
    }
}

/// The sweep's entry, or another delivery, has the metadata that Recall did not let us read.
#[test]
fn metadata_of_an_event_ends_the_wait_for_it() {
    let policy = quiet();
    let (reading, claim) = reading(&policy, context(&policy, NOW));
    let retry_at = context(&policy, NOW).lease_until;
    let busy = reading.clone().on_event(&without_bot(), context(&policy, NOW));
    assert_eq!(busy, Decision::Busy { retry_at }, "a worker is reading");
    let operator = Answer::ReadRecording { claim, answer: RecordingAnswer::Operator };
    let Decision::Apply { job, .. } = reading.on_answer(&operator, context(&policy, NOW)) else { panic!("stuck") };
    let nothing_new = job.clone().on_event(&without_bot(), context(&policy, NOW));
    assert_eq!(nothing_new, Decision::Ignore(Reason::AlreadyRequested));
    let decision = job.clone().on_event(&with(Overrides::default()), context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{decision:?}");
    let Decision::Apply { job, .. } = job.on_event(&with(skip()), context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!((job.status(), job.due_at()), (Status::Skipped, None));
}

/// An event is about a transcript, so Recall may know the recording by now: the quiet day begins again, and a given-up
/// job continues.
#[test]
fn event_extends_the_wait_for_an_unknown_recording() {
    let reference = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let wait = Hold::Wait { retry_at: NOW.plus(DAY), status: Some(404), times: 9, since: NOW };
    for copy_unrequested in [true, false] {
        let policy = Policy { copy_unrequested, ..quiet() };
        for event in [
            Event::TranscriptProcessing(reference),
            Event::TranscriptDone(reference),
            Event::TranscriptFailed { reference, sub_code: None },
        ] {
            for (hold, goes_on) in [(wait.clone(), NOW.plus(DAY)), (Hold::Skipped, NOW)] {
                let unknown = Job { hold: Some(hold), unknown_since: Some(NOW.minus(DAY)), ..job([]) };
                let decision = unknown.on_event(&event, context(&policy, NOW));
                let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
                assert_eq!(job.unknown_since, Some(NOW), "{}: {job:?}", event.name());
                assert_eq!(job.held_until(), Some(goes_on), "{}", event.name());
            }
        }
    }
}

/// Recall answers the question whether the recording has failed.
fn asked(job: Job, answer: RecordingAnswer, context: Context<'_>) -> (Job, Next) {
    let Some(Hold::Unread { claim: Some(claim), .. }) = job.hold else { panic!("not asked: {job:?}") };
    let decision = job.on_answer(&Answer::ReadRecording { claim, answer }, context);
    let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
    (*job, next)
}

/// `recording.failed` is the first event about the recording.
fn said_to_have_failed(context: Context<'_>) -> Job {
    let failed = Event::RecordingFailed { sub_code: None };
    let decision = Job::new(RecordingId::from_u128(7)).on_event(&failed, context);
    let Decision::Apply { job, next: Next::Act(Command::ReadRecording { .. }) } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!((job.status(), job.outbox.announced_ends), (Status::Waiting, 0));
    assert_eq!(job.clone().on_event(&failed, context), Decision::Ignore(Reason::AlreadyKnown));
    *job
}

#[test]
fn failed_recording_is_announced_once_recall_confirms_it() {
    let policy = policy();
    let context = context(&policy, NOW);
    let sub_code = Some("internal_error".to_owned());
    let (job, next) =
        asked(said_to_have_failed(context), RecordingAnswer::Failed { sub_code: sub_code.clone() }, context);
    assert_eq!((job.status(), job.outbox.announced_ends), (Status::Failed, 1));
    assert!(matches!(&next, Next::Act(Command::Announce { announcements }) if announcements[0].sub_code == sub_code));
    let again = job.on_event(&Event::RecordingFailed { sub_code }, context);
    assert_eq!(again, Decision::Ignore(Reason::AlreadyKnown));
}

#[test]
fn unconfirmed_failure_is_not_forgotten() {
    let policy = policy();
    let (mut job, mut now) = (said_to_have_failed(context(&policy, NOW)), NOW);
    let later = RecordingAnswer::Later { after: Duration::ZERO };
    // Recall is down, then it refuses our key, then it does not know the recording yet.
    for answer in [later, RecordingAnswer::Operator, RecordingAnswer::Unknown] {
        let (waits, next) = asked(job, answer, context(&policy, now));
        assert!(matches!(next, Next::Wait { retry_at: at } if Some(at) == waits.due_at()), "{next:?}");
        assert_eq!((waits.status(), waits.outbox.announced_ends), (Status::Waiting, 0));
        now = waits.due_at().expect("it waits");
        let decision = waits.on_event(&Event::WAKE, context(&policy, now));
        let Decision::Apply { job: again, next: Next::Act(Command::ReadRecording { .. }) } = decision else {
            panic!("not asked again: {decision:?}")
        };
        job = *again;
    }
    let (job, _) = asked(job, RecordingAnswer::Failed { sub_code: None }, context(&policy, now));
    assert_eq!((job.status(), job.outbox.announced_ends, job.is_unknown_to_recall()), (Status::Failed, 1, false));
}

/// "Send example": whatever the event is, and whichever others have the same ids.
#[test]
fn example_webhook_ends_silently_whatever_its_event_is() {
    let policy = policy();
    let examples = Event::example_samples();
    for first in &examples {
        for second in &examples {
            let (mut job, mut now, mut unknown) = (Job::new(RecordingId::from_u128(7)), NOW, 0);
            let mut reference = vec![second.clone(), first.clone()];
            for _ in 0..200 {
                let event = reference.pop().unwrap_or(Event::WAKE);
                let mut decision = job.clone().on_event(&event, context(&policy, now));
                while let Decision::Apply { job: saved, next } = decision {
                    unknown += u32::from(saved.is_unknown_to_recall() && !job.is_unknown_to_recall());
                    job = *saved;
                    let answer = match next {
                        Next::Act(Command::Create { attempt, claim, .. }) => {
                            let answer = CreateAnswer::Refused { status: 404, code: None };
                            Answer::Create { attempt, claim, answer }
                        }
                        Next::Act(Command::ReadRecording { claim }) => {
                            Answer::ReadRecording { claim, answer: RecordingAnswer::Unknown }
                        }
                        Next::Act(Command::Copy { transcript_id, claim, .. }) => {
                            let answer = CopyAnswer::Missing { recording_known: false };
                            Answer::Copy { transcript_id, claim, answer }
                        }
                        Next::Nothing | Next::Wait { .. } => break,
                        Next::Act(other) => panic!("{first:?}, {second:?}: {other:?}"),
                    };
                    decision = job.clone().on_answer(&answer, context(&policy, now));
                }
                match job.due_at() {
                    Some(at) if reference.is_empty() => now = now.max(at),
                    None if reference.is_empty() => break,
                    Some(_) | None => {}
                }
            }
            let what = format!("{}, then {}: {job:?}", first.name(), second.name());
            assert_eq!((job.due_at(), job.outbox.announced_ends, job.outbox.notices.len()), (None, 0, 0), "{what}");
            assert!(job.version == 0 || job.status() == Status::Skipped, "{what}");
            assert!(unknown <= 1, "counted {unknown} times: {what}");
        }
    }
}

/// A person requests a transcript of an unconfirmed recording, and then an event says that it failed.
#[test]
fn unconfirmed_failure_delays_a_retry() {
    let policy = policy();
    let retry = Some(crate::Retry { provider: None });
    let job = Job { retry, ..said_to_have_failed(context(&policy, NOW)) };
    let later = job.due_at().expect("a lease ends");
    let decision = job.on_event(&Event::WAKE, context(&policy, later));
    let Decision::Apply { job, next: Next::Act(Command::ReadRecording { .. }) } = decision else {
        panic!("{decision:?}")
    };
    let (job, _) = asked(*job, RecordingAnswer::Failed { sub_code: None }, context(&policy, later));
    assert_eq!((job.status(), job.retry, job.outbox.announced_ends), (Status::Failed, None, 1));
}
