//! What is left to do after a transcript was stored.

use std::time::Duration;

use super::{CLAIM, DAY, HOUR, NOW, OTHER, OURS, context, copying, job, policy, quiet, receipt};
use crate::{
    Answer, Claim, Command, CopyAnswer, Decision, DeleteAfterStore, Deletion, DeletionReason, DeletionTarget, Event,
    Failures, FollowUp, FollowUpAnswer, Job, Next, Policy, Receipt, Rendering, Role, State, Status, Transcript,
    ids::TranscriptId,
};

fn incomplete() -> Receipt {
    Receipt { awaits_meeting_data: true, ..receipt() }
}

/// The copy of our transcript ends with this receipt.
fn stored_with(receipt: Receipt, job: Job, policy: &Policy) -> (Job, Next) {
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Stored(receipt) };
    match job.on_answer(&answer, context(policy, NOW)) {
        Decision::Apply { job, next } => (*job, next),
        decision @ (Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{decision:?}"),
    }
}

fn being_copied() -> Job {
    job([State::Copying(copying(NOW.plus(HOUR), Some(CLAIM), Failures::default()))])
}

fn follow_up(claim: Option<Claim>) -> FollowUp {
    FollowUp { retry_at: NOW.plus(HOUR), claim, tries: 0, repeat: false }
}

/// A job with a stored transcript of ours, which is followed up.
fn followed_up(follow_up: FollowUp) -> Job {
    Job { follow_up: Some(follow_up), ..job([State::Stored { transcript_id: OURS, receipt: incomplete() }]) }
}

#[test]
fn follow_up_begins_only_if_something_is_missing() {
    let policy = quiet();
    for has_knowledge in [false, true] {
        let policy = Policy { has_knowledge, ..quiet() };
        let (complete, _) = stored_with(receipt(), being_copied(), &policy);
        assert_eq!((complete.follow_up, complete.due_at()), (None, None));
    }
    let (waits, next) = stored_with(incomplete(), being_copied(), &policy);
    assert_eq!(next, Next::Nothing);
    let at = waits.due_at().expect("it is due later");
    assert_eq!((waits.status(), at.since(NOW)), (Status::Stored, Duration::from_secs(120)));
    let Decision::Apply { next: Next::Act(Command::FollowUp { transcripts, newest, .. }), .. } =
        waits.on_event(&Event::WAKE, context(&policy, at))
    else {
        panic!("not followed up")
    };
    assert_eq!((transcripts, newest), (vec![(OURS, incomplete())], OURS));
}

#[test]
fn follow_up_has_a_few_tries_before_the_recording_expires() {
    let policy = quiet();
    for (expires_at, answer, max) in [
        (None, FollowUpAnswer::NotReady, 3 * HOUR),
        (None, FollowUpAnswer::Later { after: Duration::ZERO }, 3 * HOUR),
        (Some(NOW.plus(Duration::from_secs(600))), FollowUpAnswer::NotReady, Duration::from_secs(600)),
    ] {
        let (mut job, _) = stored_with(incomplete(), Job { expires_at, ..being_copied() }, &policy);
        let (mut now, mut tries, mut is_last) = (NOW, 0, false);
        while let Some(at) = job.follow_up.map(|waiting| waiting.retry_at) {
            assert!(!is_last, "the last try was not the last one");
            now = at;
            let decision = job.on_event(&Event::WAKE, context(&policy, now));
            let Decision::Apply { job: claimed, next: Next::Act(Command::FollowUp { claim, is_last_try, .. }) } =
                decision
            else {
                panic!("{decision:?}")
            };
            (tries, is_last) = (tries + 1, is_last_try);
            let answer = Answer::FollowUp { claim, answer };
            let Decision::Apply { job: after, .. } = claimed.on_answer(&answer, context(&policy, now)) else {
                panic!("ignored")
            };
            job = *after;
        }
        assert!(is_last, "{expires_at:?}");
        assert!((2..10).contains(&tries) && now.since(NOW) < max, "{tries} tries, {:?}", now.since(NOW));
        assert_eq!(job.status(), Status::Stored);
        // A worker that failed may have withdrawn readable files.
        let is_repaired = job.rendering.is_some_and(|rendering| rendering.retry_at == now);
        assert_eq!(is_repaired, matches!(answer, FollowUpAnswer::Later { .. }), "{answer:?}");
    }
}

#[test]
fn follow_up_that_kills_every_worker_is_given_up() {
    let policy = quiet();
    let mut job = followed_up(FollowUp { retry_at: NOW, ..follow_up(None) });
    for crashes in 0..20 {
        let at = job.due_at().unwrap_or(NOW);
        match job.on_event(&Event::WAKE, context(&policy, at)) {
            Decision::Apply { job: claimed, next: Next::Act(Command::FollowUp { .. }) } => job = *claimed,
            Decision::Apply { job, next: Next::Nothing } => {
                assert_eq!((job.follow_up, job.rendering.map(|rendering| rendering.tries)), (None, Some(0)));
                assert_eq!(crashes, crate::waits::MAX_FOLLOW_UP_TRIES);
                return;
            }
            decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{decision:?}"),
        }
    }
    panic!("no end");
}

/// Recall deletes the data together with the recording.
#[test]
fn deletion_after_storing_waits_for_the_follow_up() {
    for delete_after_store in [DeleteAfterStore::Transcript, DeleteAfterStore::Recording] {
        let policy = Policy { delete_after_store, ..quiet() };
        let (waits, next) = stored_with(incomplete(), being_copied(), &policy);
        assert_eq!((next, waits.deletion), (Next::Nothing, None), "{delete_after_store:?}");
        let at = waits.due_at().expect("it is due later");
        let Decision::Apply { job, next: Next::Act(Command::FollowUp { claim, .. }) } =
            waits.on_event(&Event::WAKE, context(&policy, at))
        else {
            panic!("not followed up")
        };
        let answer = Answer::FollowUp { claim, answer: FollowUpAnswer::Done };
        let Decision::Apply { next: Next::Act(Command::Delete { .. }), .. } =
            job.on_answer(&answer, context(&policy, at))
        else {
            panic!("not deleted")
        };
    }
}

/// A pending deletion waits as well, but making room does not.
#[test]
fn pending_deletion_waits_for_the_follow_up_of_a_later_transcript() {
    let policy = Policy { delete_after_store: DeleteAfterStore::Transcript, ..quiet() };
    let target = DeletionTarget::Transcript(OURS);
    let deletion = |reason| Deletion { target, reason, retry_at: NOW, claim: None, tries: 0 };
    for (reason, starts) in [(DeletionReason::Stored, false), (DeletionReason::PaidTwice, true)] {
        let job = Job { deletion: Some(deletion(reason)), ..followed_up(follow_up(None)) };
        let decision = job.on_event(&Event::WAKE, context(&policy, NOW));
        let deletes = matches!(&decision, Decision::Apply { next: Next::Act(Command::Delete { .. }), .. });
        assert_eq!(deletes, starts, "{decision:?}");
    }
}

/// Each of them writes or reads back the same manifests.
#[test]
fn follow_up_rendering_and_deletion_exclude_each_other() {
    let policy = Policy { delete_after_store: DeleteAfterStore::Transcript, ..quiet() };
    let until = NOW.plus(HOUR);
    let busy = Decision::Busy { retry_at: until };
    let render = Event::Render { transcript_id: None };
    let leased = followed_up(follow_up(Some(CLAIM)));
    assert_eq!(leased.on_event(&render, context(&policy, NOW)), busy);
    let due = FollowUp { retry_at: NOW, ..follow_up(None) };
    let rendering = Rendering { transcript_id: None, retry_at: until, claim: Some(CLAIM), tries: 0 };
    let deletion = Deletion {
        target: DeletionTarget::Transcript(OURS),
        reason: DeletionReason::PaidTwice,
        retry_at: until,
        claim: Some(CLAIM),
        tries: 0,
    };
    for job in
        [Job { rendering: Some(rendering), ..followed_up(due) }, Job { deletion: Some(deletion), ..followed_up(due) }]
    {
        assert_eq!(job.on_event(&Event::WAKE, context(&policy, NOW)), busy);
    }
}

#[test]
fn webhook_leaves_the_follow_up_to_the_worker() {
    let policy = quiet();
    let context = crate::Context { role: Role::Webhook, ..context(&policy, NOW) };
    // A claim that is still there belongs to a worker that died.
    for (claim, tries) in [(None, 0), (Some(CLAIM), 1)] {
        let due = followed_up(FollowUp { retry_at: NOW, ..follow_up(claim) });
        let Decision::Apply { job, next } = due.on_event(&Event::WAKE, context) else { panic!("not due") };
        let waiting = FollowUp { retry_at: NOW, tries, ..follow_up(None) };
        assert_eq!((next, job.follow_up), (Next::Act(Command::Wake), Some(waiting)));
    }
}

/// Only the newest transcript keeps its knowledge document, so the older one's must go.
#[test]
fn second_stored_transcript_is_followed_up_at_once() {
    let policy = Policy { has_knowledge: true, ..quiet() };
    let older = Receipt { created_at: Some(NOW.minus(DAY)), ..receipt() };
    let mut both = being_copied();
    both.transcripts.push(Transcript::new(None, None, State::Stored { transcript_id: OTHER, receipt: older }));
    let newer = Receipt { created_at: Some(NOW), ..receipt() };
    let (job, next) = stored_with(newer, both, &policy);
    let Next::Act(Command::FollowUp { transcripts, newest, claim, .. }) = next else { panic!("{next:?}") };
    assert_eq!((transcripts.len(), newest), (2, OURS));
    let done = Answer::FollowUp { claim, answer: FollowUpAnswer::Done };
    let Decision::Apply { job, next } = job.on_answer(&done, context(&policy, NOW)) else { panic!("ignored") };
    assert_eq!((next, job.follow_up), (Next::Nothing, None));
}

#[test]
fn follow_up_starts_again_if_a_transcript_was_stored_meanwhile() {
    let policy = Policy { has_knowledge: true, ..quiet() };
    let mut busy = being_copied();
    let theirs = State::Stored { transcript_id: OTHER, receipt: receipt() };
    busy.transcripts.push(Transcript::new(None, None, theirs));
    let running = FollowUp { retry_at: NOW.plus(HOUR), claim: Some(Claim(2)), tries: 3, repeat: false };
    let (job, next) = stored_with(receipt(), Job { follow_up: Some(running), ..busy }, &policy);
    assert_eq!((next, job.follow_up), (Next::Nothing, Some(FollowUp { repeat: true, ..running })));
    let done = Answer::FollowUp { claim: Claim(2), answer: FollowUpAnswer::Done };
    let Decision::Apply { job, next } = job.on_answer(&done, context(&policy, NOW)) else { panic!("ignored") };
    assert!(matches!(next, Next::Act(Command::FollowUp { .. })), "{next:?}");
    assert_eq!(job.follow_up.map(|one| (one.tries, one.repeat)), Some((0, false)));
}

#[test]
fn newest_transcript_is_the_one_that_recall_created_last() {
    let at = |created_at| Receipt { created_at, ..receipt() };
    let stored = |number, receipt| State::Stored { transcript_id: TranscriptId::from_u128(number), receipt };
    let mut job = job([stored(1, at(None)), stored(2, at(Some(NOW))), stored(3, at(Some(NOW))), stored(9, at(None))]);
    job.transcripts[1].attempt = Some(2);
    let newest = job.newest_stored().map(|version| version.transcript_id);
    assert_eq!(newest, Some(TranscriptId::from_u128(2)), "the latest creation, then the latest attempt");
    assert_eq!(super::job([State::Foreign { transcript_id: OTHER }]).newest_stored(), None);
}

#[test]
fn title_is_announced_with_the_stored_transcript() {
    let policy = policy();
    let titled = Receipt { title: Some("Standup".to_owned()), ..receipt() };
    let (_, next) = stored_with(titled, being_copied(), &policy);
    let Next::Act(Command::Announce { announcements }) = next else { panic!("{next:?}") };
    assert_eq!(announcements[0].title.as_deref(), Some("Standup"));
}

/// Nothing is being done, so the work that waited is done at once, for both transcripts.
#[test]
fn waiting_follow_up_starts_when_another_transcript_is_stored() {
    let policy = Policy { has_knowledge: true, ..quiet() };
    let mut waiting = being_copied();
    let theirs = State::Stored { transcript_id: OTHER, receipt: incomplete() };
    waiting.transcripts.push(Transcript::new(None, None, theirs));
    let later = FollowUp { tries: 3, ..follow_up(None) };
    let (job, next) = stored_with(receipt(), Job { follow_up: Some(later), ..waiting }, &policy);
    assert!(matches!(next, Next::Act(Command::FollowUp { .. })), "{next:?}");
    assert_eq!(job.follow_up.map(|one| (one.tries, one.repeat)), Some((0, false)));
}
