//! What is announced, and when.

use std::time::Duration;

use super::{CLAIM, NOW, OTHER, OURS, context, done, job, policy, receipt};
use crate::{
    Answer, Command, CopyAnswer, Decision, Event, Failures, Hold, Job, Next, Notice, Overrides, Policy, Reason,
    Recording, RecordingInfo, State, Status, Transcript, TranscriptRef, ids::BotId,
};

fn copying() -> Job {
    let retry_at = NOW.plus(Duration::from_secs(9));
    let copying = super::copying(retry_at, Some(CLAIM), Failures::default());
    job([State::Copying(copying)])
}

fn stored(policy: &Policy) -> (Job, Next) {
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) };
    match copying().on_answer(&answer, context(policy, NOW)) {
        Decision::Apply { job, next } => (*job, next),
        other @ (Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn stored_transcript_is_announced_and_again_after_a_crash() {
    let policy = policy();
    let (job, next) = stored(&policy);
    let Next::Act(Command::Announce { announcements }) = next else { panic!("{next:?}") };
    assert_eq!(announcements.len(), 1);
    assert_eq!((announcements[0].detail_type, announcements[0].status), ("Transcript Stored", Status::Stored));
    assert_eq!(announcements[0].manifest_key.as_deref(), Some("m"));
    // The worker died: the row is due, and a wake-up announces the same again.
    let later = job.due_at().expect("it is due");
    let Decision::Apply { job, next: Next::Act(Command::Announce { announcements: again }) } =
        job.on_event(&Event::WAKE, context(&policy, later))
    else {
        panic!("not announced again")
    };
    assert_eq!(announcements, again, "the id is the same, too");
    let sent = Answer::Announce { sent: vec![Notice::Stored { transcript_id: OURS }] };
    let Decision::Apply { job, next: Next::Nothing } = job.on_answer(&sent, context(&policy, later)) else {
        panic!("not recorded")
    };
    assert_eq!((job.status(), job.due_at()), (Status::Stored, None));
}

#[test]
fn notices_are_not_kept_without_an_event_bus() {
    let silent = Policy { announces: false, ..policy() };
    let (job, next) = stored(&silent);
    assert_eq!((next, job.due_at()), (Next::Nothing, None));
}

#[test]
fn bad_end_is_announced_once_and_another_one_again() {
    let policy = Policy { tries_per_provider: 1, providers: vec!["recallai_async".to_owned()], ..policy() };
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: Some("why".to_owned()) };
    let working = job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false }]);
    let Decision::Apply { job, next: Next::Act(Command::Announce { announcements }) } =
        working.on_event(&failed, context(&policy, NOW))
    else {
        panic!("not announced")
    };
    let first = &announcements[0];
    assert_eq!((first.detail_type, first.status, first.attempt), ("Transcript Failed", Status::Failed, Some(1)));
    assert_eq!(first.sub_code.as_deref(), Some("why"));
    let sent = Answer::Announce { sent: vec![first.notice] };
    let Decision::Apply { job, .. } = job.on_answer(&sent, context(&policy, NOW)) else { panic!("not recorded") };
    // The transcript existed after all, but is deleted before it is copied: another end.
    let Decision::Apply { job, .. } = job.on_event(&Event::TranscriptDone(reference), context(&policy, NOW)) else {
        panic!("not taken up")
    };
    let claim = job.transcripts[0].state.copying().and_then(|copying| copying.claim).expect("a claim");
    let gone = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Deleted };
    let Decision::Apply { next: Next::Act(Command::Announce { announcements }), .. } =
        job.on_answer(&gone, context(&policy, NOW))
    else {
        panic!("not announced")
    };
    assert_eq!(announcements[0].status, Status::Lost);
    assert_ne!(announcements[0].id, first.id);
}

#[test]
fn expiring_recording_is_announced_once() {
    let policy = policy();
    let mut working = job([State::Transcribing {
        transcript_id: OURS,
        check_at: NOW.plus(Duration::MAX),
        checks: 0,
        reported_done: false,
    }]);
    working.expires_at = Some(NOW.plus(Duration::from_secs(25 * 60 * 60)));
    let Decision::Apply { job, .. } = working.on_event(
        &Event::RecordingDone(RecordingInfo { bot_id: Some(BotId::from_u128(1)), ..Default::default() }),
        context(&policy, NOW),
    ) else {
        panic!("not applied")
    };
    let due_at = job.due_at().expect("the alarm is due");
    assert_eq!(due_at, NOW.plus(Duration::from_secs(60 * 60)));
    let Decision::Apply { job, next: Next::Act(Command::Announce { announcements }) } =
        job.on_event(&Event::WAKE, context(&policy, due_at))
    else {
        panic!("not announced")
    };
    assert_eq!(announcements[0].detail_type, "Recording Expiring");
    assert!(announcements[0].expires_at.is_some());
    let sent = Answer::Announce { sent: vec![Notice::Expiring] };
    let Decision::Apply { job, .. } = job.on_answer(&sent, context(&policy, due_at)) else { panic!("not recorded") };
    assert!(matches!(job.on_event(&Event::WAKE, context(&policy, due_at)), Decision::Ignore(_)));
}

/// The operator has postponed the alarm: a job that is due by the old time gets the new one, and is not due forever.
#[test]
fn postponed_expiry_alarm_comes_later() {
    let policy = policy();
    let retry_at = NOW.plus(Duration::from_secs(60 * 60));
    let mut working = job([State::Transcribing {
        transcript_id: OURS,
        check_at: retry_at.plus(Duration::MAX),
        checks: 0,
        reported_done: false,
    }]);
    working.expires_at = Some(retry_at.plus(policy.expiry_alarm));
    working.outbox.expiry_alarm_at = Some(NOW);
    let Decision::Apply { job, next } = working.on_event(&Event::WAKE, context(&policy, NOW)) else {
        panic!("due, and nothing done")
    };
    assert_eq!((next, job.due_at(), job.outbox.expiry_announced), (Next::Nothing, Some(retry_at), false));
}

#[test]
fn same_bad_end_is_announced_again_if_the_job_continued() {
    let policy = Policy { tries_per_provider: 1, providers: vec!["recallai_async".to_owned()], ..policy() };
    let mut announced = job([State::Failed { transcript_id: OURS, sub_code: None }]);
    (announced.outbox.last_announced_end, announced.outbox.announced_ends) = (Some(Status::Failed), 1);
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let Decision::Apply { job, next: Next::Act(Command::Copy { claim, .. }) } =
        announced.on_event(&done, context(&policy, NOW))
    else {
        panic!("not taken up")
    };
    let failed = Answer::Copy { transcript_id: OURS, claim, answer: CopyAnswer::Failed { sub_code: None } };
    let Decision::Apply { job, next: Next::Act(Command::Announce { announcements }) } =
        job.on_answer(&failed, context(&policy, NOW))
    else {
        panic!("not announced")
    };
    assert_eq!(
        (job.outbox.announced_ends, announcements[0].notice),
        (2, Notice::Failed { status: Status::Failed, end: 2 })
    );
}

#[test]
fn foreign_failure_does_not_announce_an_end_again() {
    let policy = Policy { tries_per_provider: 1, providers: vec!["recallai_async".to_owned()], ..policy() };
    let mut announced = job([State::Failed { transcript_id: OURS, sub_code: None }]);
    (announced.outbox.last_announced_end, announced.outbox.announced_ends) = (Some(Status::Failed), 1);
    let reference = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let processing = Event::TranscriptProcessing(reference);
    let Decision::Apply { job, .. } = announced.on_event(&processing, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!(job.status(), Status::Transcribing);
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let Decision::Apply { job, next } = job.on_event(&failed, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!((next, job.status(), job.outbox.announced_ends), (Next::Nothing, Status::Failed, 1));
}

#[test]
fn failed_announcement_waits_longer_each_time() {
    let policy = policy();
    let (mut job, mut next) = stored(&policy);
    let (mut now, mut waits) = (NOW, Vec::new());
    for _ in 0..4 {
        assert!(matches!(next, Next::Act(Command::Announce { .. })), "{next:?}");
        let none = Answer::Announce { sent: Vec::new() };
        let Decision::Apply { job: waiting, next: Next::Wait { retry_at: at } } =
            job.on_answer(&none, context(&policy, now))
        else {
            panic!("no wait")
        };
        waits.push(at.since(now).as_secs());
        now = at;
        let Decision::Apply { job: woken, next: again } = waiting.on_event(&Event::WAKE, context(&policy, now)) else {
            panic!("not due")
        };
        (job, next) = (*woken, again);
    }
    assert_eq!(waits, [10, 20, 40, 80]);
}

#[test]
fn new_notice_is_sent_at_once_with_the_waiting_ones() {
    let policy = policy();
    let mut waiting = copying();
    waiting.outbox.notices.push(Notice::Expiring);
    (waiting.outbox.retry_at, waiting.outbox.tries) = (NOW.plus(Duration::from_secs(900)), 9);
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt()) };
    let decision = waiting.on_answer(&answer, context(&policy, NOW));
    let Decision::Apply { next: Next::Act(Command::Announce { announcements }), .. } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(announcements.len(), 2);
}

/// Recall can be told to keep a recording for a longer or a shorter time.
#[test]
fn newest_expiry_counts_for_the_alarm() {
    let policy = policy();
    let done = |hours: u64| {
        let expires_at = Some(NOW.plus(Duration::from_secs(60 * 60 * hours)));
        Event::RecordingDone(RecordingInfo { expires_at, ..RecordingInfo::default() })
    };
    let mut working = copying();
    for hours in [100, 200, 50] {
        let Decision::Apply { job, .. } = working.on_event(&done(hours), context(&policy, NOW)) else {
            panic!("ignored")
        };
        working = *job;
        let left = working.expires_at.map(|at| at.since(NOW).as_secs() / 60 / 60);
        assert_eq!(left, Some(hours));
    }
}

/// Every recording is deleted in the end, and for a skipped one that is not news.
#[test]
fn skipped_recording_that_is_deleted_is_not_lost() {
    let policy = policy();
    let unknown = Job { unknown_since: Some(NOW), ..job([]) };
    let unwanted = Job { overrides: Some(Overrides { skip: true, ..Overrides::default() }), ..job([]) };
    for skipped in [unknown, unwanted] {
        let skipped = Job { hold: Some(Hold::Skipped), ..skipped };
        let deleted = skipped.on_event(&Event::RecordingDeleted, context(&policy, NOW));
        let Decision::Apply { job, next } = deleted else { panic!("it is not noted") };
        assert_eq!((job.status(), next), (Status::Skipped, Next::Nothing));
    }
}

/// Every recording is deleted in the end. A bad end before that was announced already.
#[test]
fn deletion_after_a_bad_end_is_not_another_end() {
    let policy = Policy { max_transcripts: 0, ..policy() };
    let failed = Event::RecordingFailed { sub_code: None };
    let theirs = State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: false };
    for (what, before, ended, after) in [
        ("could not be recorded", Job { recording: Recording::Unknown, ..job([]) }, failed, Status::Failed),
        ("at the limit", job([]), done(), Status::Lost),
    ] {
        let Decision::Apply { job, next: Next::Act(Command::Announce { announcements }) } =
            before.on_event(&ended, context(&policy, NOW))
        else {
            panic!("{what}: not announced")
        };
        let sent = Answer::Announce { sent: announcements.iter().map(|one| one.notice).collect() };
        let Decision::Apply { mut job, .. } = job.on_answer(&sent, context(&policy, NOW)) else { panic!("{what}") };
        // A transcript of others is deleted with the recording.
        job.transcripts.push(Transcript::new(None, None, theirs.clone()));
        let decision = job.on_event(&Event::RecordingDeleted, context(&policy, NOW));
        let Decision::Apply { job, next } = decision else { panic!("{what}: {decision:?}") };
        assert_eq!((job.status(), job.transcript_count(), next), (after, 0, Next::Nothing), "{what}");
        assert_eq!((job.outbox.announced_ends, job.due_at()), (1, None), "{what}");
        let again = job.on_event(&Event::RecordingDeleted, context(&policy, NOW));
        assert_eq!(again, Decision::Ignore(Reason::AlreadyKnown), "{what}");
    }
}

/// An operator has fixed the bus: waiting notices are sent at once, and the ones being sent are left to their worker.
#[test]
fn wake_now_ends_an_announcement_wait_but_no_lease() {
    let policy = policy();
    let mut stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    stored.outbox.notices.push(Notice::Stored { transcript_id: OURS });
    stored.outbox.retry_at = NOW.plus(Duration::from_secs(900));
    let now = Event::Wake { now: true };
    let decision = stored.clone().on_event(&now, context(&policy, NOW));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Announce { .. }), .. }), "{decision:?}");
    stored.outbox.sending = true;
    assert_eq!(stored.on_event(&now, context(&policy, NOW)), Decision::Ignore(Reason::NotDue));
}

#[test]
fn expiry_alarm_is_not_sent_for_a_deleted_recording() {
    let policy = Policy { announces: false, ..policy() };
    let failed = State::Failed { transcript_id: OURS, sub_code: None };
    let failed = Job { expires_at: Some(NOW.plus(Duration::from_secs(48 * 60 * 60))), ..job([failed]) };
    let decision = failed.on_event(&Event::RecordingDeleted, context(&policy, NOW));
    let Decision::Apply { job, .. } = decision else { panic!("{decision:?}") };
    assert_eq!((job.status(), job.due_at()), (Status::Failed, None));
}
