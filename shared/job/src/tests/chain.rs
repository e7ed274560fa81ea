//! The chain of providers, the limit, and the overrides in metadata.

use std::time::Duration;

use super::{NOW, OTHER, context, done, failed, job, parked, policy};
use crate::{
    Answer, Command, Copying, CreateAnswer, Decision, Event, Failures, Hold, Job, ListedTranscript, LookUpAnswer, Next,
    Overrides, Policy, Recording, RecordingInfo, State, Status, TranscriptRef,
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

/// Plays the shell: `answer` answers every create, and every wait ends. Returns the providers asked, in order.
fn providers_asked(policy: &Policy, overrides: Overrides, answer: impl Fn(u32) -> CreateAnswer) -> (Vec<String>, Job) {
    let info = RecordingInfo { overrides: Some(overrides), ..RecordingInfo::default() };
    let (mut asked, mut now) = (Vec::new(), NOW);
    let mut decision = Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(info), context(policy, now));
    for _ in 0..1000 {
        let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
        decision = match next {
            Next::Act(Command::Create { attempt, provider, claim, .. }) => {
                asked.push(provider);
                let answer = Answer::Create { attempt, claim, answer: answer(attempt) };
                job.on_answer(&answer, context(policy, now))
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let answer = LookUpAnswer::Complete(Vec::new());
                job.on_answer(&Answer::LookUp { attempt, claim, answer }, context(policy, now))
            }
            Next::Act(Command::Announce { announcements }) => {
                let sent = announcements.iter().map(|announcement| announcement.notice).collect();
                job.on_answer(&Answer::Announce { sent }, context(policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(policy, now))
            }
            Next::Nothing
            | Next::Act(
                Command::ReadRecording { .. }
                | Command::List
                | Command::Copy { .. }
                | Command::Render { .. }
                | Command::FollowUp { .. }
                | Command::Delete { .. }
                | Command::Wake,
            ) => {
                match job.transcripts.last().map(|transcript| (&transcript.state, transcript.attempt)) {
                    // The created transcript fails at once.
                    Some((State::Transcribing { transcript_id, .. }, attempt)) => {
                        let reference =
                            TranscriptRef { transcript_id: *transcript_id, attempt, other_deployment: false };
                        let failed = Event::TranscriptFailed { reference, sub_code: Some("why".to_owned()) };
                        job.on_event(&failed, context(policy, now))
                    }
                    _ => return (asked, *job),
                }
            }
        };
    }
    panic!("no end");
}

/// The next check is a day away.
fn created(attempt: u32) -> CreateAnswer {
    CreateAnswer::Created { transcript_id: TranscriptId::from_u128(attempt.into()) }
}

fn chain(tries: u32, limit: u32) -> Policy {
    Policy { tries_per_provider: tries, max_transcripts: limit, ..policy() }
}

#[test]
fn chain_fails_after_every_provider_had_its_tries() {
    let (asked, job) = providers_asked(&chain(2, 10), Overrides::default(), created);
    assert_eq!(asked, ["recallai_async", "recallai_async", "rev_async", "rev_async"]);
    assert_eq!((job.status(), job.attempts, job.transcript_count()), (Status::Failed, 4, 4));
    assert!(job.due_at().is_none(), "{job:?}");
}

#[test]
fn chain_that_is_refused_starts_again_for_a_week() {
    let refused = |_| CreateAnswer::Refused { status: 400, code: Some("bad".to_owned()) };
    let (asked, job) = providers_asked(&chain(2, 10), Overrides::default(), refused);
    assert_eq!(asked[..4], ["recallai_async", "rev_async", "recallai_async", "rev_async"], "and then again");
    assert_eq!((job.status(), job.transcript_count()), (Status::Failed, 0));
    let rounds = job.refusals.expect("it was refused").rounds;
    assert_eq!(asked.len(), 2 * rounds as usize, "once in a round");
}

#[test]
fn recording_unknown_to_recall_is_requested_again() {
    let unknown = |_| CreateAnswer::Refused { status: 404, code: None };
    let (asked, job) = providers_asked(&chain(2, 10), Overrides::default(), unknown);
    assert!(asked.iter().all(|provider| provider == "recallai_async"), "no provider is used up: {asked:?}");
    assert!((24..36).contains(&asked.len()), "hourly in the end, for a day: {asked:?}");
    assert_eq!((job.status(), job.outbox.announced_ends, job.due_at()), (Status::Skipped, 0, None));
    // Recall knows the recording after all.
    let again = job.on_event(&done(), context(&chain(2, 10), NOW.plus(Duration::from_secs(2 * 24 * 60 * 60))));
    assert!(matches!(again, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{again:?}");
}

#[test]
fn chain_stops_at_the_limit() {
    let (asked, job) = providers_asked(&chain(2, 3), Overrides::default(), created);
    assert_eq!((asked.len(), job.status(), job.transcript_count()), (3, Status::LimitReached, 3));
}

#[test]
fn override_provider_comes_first_and_alone_gets_the_language() {
    let overrides = Overrides { provider: Some("rev_async".to_owned()), language: Some("de".to_owned()), skip: false };
    let (asked, _) = providers_asked(&chain(1, 10), overrides.clone(), created);
    assert_eq!(asked, ["rev_async", "recallai_async"]);
    let policy = chain(1, 10);
    let new = Job { overrides: Some(overrides), recording: Recording::Done, ..Job::new(RecordingId::from_u128(7)) };
    let languages = |job: &Job| match job
        .clone()
        .on_event(&Event::RecordingDone(RecordingInfo::default()), context(&policy, NOW))
    {
        Decision::Apply { next: Next::Act(Command::Create { provider, language, .. }), .. } => (provider, language),
        other @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => panic!("{other:?}"),
    };
    assert_eq!(languages(&new), ("rev_async".to_owned(), Some("de".to_owned())));
    let mut second = Job { attempts: 1, ..new };
    second.transcripts = job([State::Failed { transcript_id: OTHER, sub_code: None }]).transcripts;
    second.transcripts[0].provider = Some("rev_async".to_owned());
    assert_eq!(languages(&second), ("recallai_async".to_owned(), None));
}

#[test]
fn skip_lasts_until_the_metadata_changes() {
    let policy = policy();
    let done = |skip| {
        let overrides = Some(Overrides { skip, ..Overrides::default() });
        Event::RecordingDone(RecordingInfo { overrides, ..RecordingInfo::default() })
    };
    let new = Job::new(RecordingId::from_u128(7));
    let Decision::Apply { job, next: Next::Nothing } = new.on_event(&done(true), context(&policy, NOW)) else {
        panic!("not skipped")
    };
    assert_eq!((job.status(), job.due_at()), (Status::Skipped, None));
    assert!(matches!(job.clone().on_event(&done(true), context(&policy, NOW)), Decision::Ignore(_)));
    let changed = job.on_event(&done(false), context(&policy, NOW));
    assert!(matches!(changed, Decision::Apply { next: Next::Act(Command::Create { .. }), .. }), "{changed:?}");
}

#[test]
fn late_success_of_a_failed_attempt_is_kept_and_starts_no_other() {
    let policy = policy();
    let reference = TranscriptRef { transcript_id: OTHER, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let working = job([State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: false }]);
    let Decision::Apply { job, next: Next::Wait { retry_at: at } } = working.on_event(&failed, context(&policy, NOW))
    else {
        panic!("no next try")
    };
    assert_eq!(job.status(), Status::Waiting);
    let Decision::Apply { job, .. } = job.on_event(&Event::TranscriptDone(reference), context(&policy, NOW)) else {
        panic!("not taken")
    };
    assert_eq!((job.status(), &job.hold), (Status::Copying, &None));
    assert!(at > NOW);
}

#[test]
fn late_failure_of_an_old_attempt_does_not_affect_a_newer_one() {
    let policy = policy();
    let mut two = job([
        State::Transcribing {
            transcript_id: TranscriptId::from_u128(8),
            check_at: NOW,
            checks: 0,
            reported_done: false,
        },
        State::Transcribing {
            transcript_id: OTHER,
            check_at: NOW.plus(Duration::from_secs(60)),
            checks: 0,
            reported_done: false,
        },
    ]);
    two.attempts = 2;
    two.transcripts[1].attempt = Some(2);
    let reference =
        TranscriptRef { transcript_id: TranscriptId::from_u128(8), attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let Decision::Apply { job, next } = two.on_event(&failed, context(&policy, NOW)) else { panic!("not applied") };
    assert_eq!((job.status(), next, &job.hold), (Status::Transcribing, Next::Nothing, &None));
}

#[test]
fn next_try_waits_double_up_to_an_hour() {
    let policy = chain(10, 10);
    let mut waits = Vec::new();
    for failures in 1..10 {
        let mut job = job((0..failures).map(failed));
        job.transcripts[0].state =
            State::Transcribing { transcript_id: OTHER, check_at: NOW, checks: 0, reported_done: false };
        let reference = TranscriptRef { transcript_id: OTHER, attempt: Some(1), other_deployment: false };
        let event = Event::TranscriptFailed { reference, sub_code: None };
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_event(&event, context(&policy, NOW))
        else {
            panic!("no next try")
        };
        waits.push(at.since(NOW).as_secs());
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    assert!(NOW > Timestamp::default());
}

/// A 400 that means the limit: transcripts of others count, and no other provider is asked in vain.
/// A refusal between two tries does not end the outage that the first try met.
#[test]
fn last_try_comes_an_hour_after_the_last_paid_failure() {
    let providers = ["recallai_async", "refused_async", "rev_async"].map(str::to_owned).to_vec();
    let policy = Policy { providers, announces: false, ..chain(1, 10) };
    let (mut starts, mut now) = (Vec::new(), NOW);
    let mut decision = Job::new(RecordingId::from_u128(7)).on_event(&done(), context(&policy, now));
    while let Decision::Apply { job, next } = decision {
        decision = match next {
            Next::Act(Command::Create { attempt, claim, provider, .. }) => {
                starts.push((provider.clone(), now.since(NOW)));
                let refused = CreateAnswer::Refused { status: 422, code: None };
                let answer = if provider == "refused_async" { refused } else { created(attempt) };
                job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now))
            }
            Next::Wait { retry_at: at } => {
                now = at;
                job.on_event(&Event::WAKE, context(&policy, now))
            }
            Next::Nothing if starts.len() == 3 => break,
            Next::Nothing => {
                let attempt = job.attempts;
                let reference = TranscriptRef {
                    transcript_id: TranscriptId::from_u128(attempt.into()),
                    attempt: Some(attempt),
                    other_deployment: false,
                };
                job.on_event(&Event::TranscriptFailed { reference, sub_code: None }, context(&policy, now))
            }
            Next::Act(command) => panic!("{command:?}"),
        };
    }
    let minutes: Vec<(&str, u64)> = starts.iter().map(|(name, at)| (name.as_str(), at.as_secs() / 60)).collect();
    assert_eq!(minutes, [("recallai_async", 0), ("refused_async", 1), ("rev_async", 60)]);
}

#[test]
fn list_explains_a_400_at_the_limit() {
    let policy = Policy { max_transcripts: 10, ..policy() };
    let new = Job { recording: Recording::Done, ..Job::new(RecordingId::from_u128(7)) };
    let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } =
        new.on_event(&done(), context(&policy, NOW))
    else {
        panic!("not asked")
    };
    let refused = CreateAnswer::Refused { status: 400, code: None };
    let Decision::Apply { job, next: Next::Act(Command::LookUp { claim, .. }) } =
        job.on_answer(&Answer::Create { attempt, claim, answer: refused }, context(&policy, NOW))
    else {
        panic!("not looked up")
    };
    let list = |count: u128| {
        let listed = |number| ListedTranscript {
            transcript_id: TranscriptId::from_u128(number),
            attempt: None,
            ended: false,
            failed: false,
            other_deployment: false,
        };
        Answer::LookUp { attempt, claim, answer: LookUpAnswer::Complete((11..11 + count).map(listed).collect()) }
    };
    let Decision::Apply { job: full, .. } = job.clone().on_answer(&list(10), context(&policy, NOW)) else {
        panic!("nothing learned")
    };
    assert_eq!((&full.hold, full.transcript_count()), (&parked(), 10));
    let Decision::Apply { job: other, .. } = job.on_answer(&list(9), context(&policy, NOW)) else {
        panic!("nothing learned")
    };
    assert!(matches!(other.transcripts[0].state, State::Refused { status: 400, .. }), "{other:?}");
    assert!(matches!(other.hold, Some(Hold::Wait { status: None, .. })), "the next provider comes");
}

/// A look-up can show that an older attempt of ours exists after all. Then the wait for the next attempt is over.
#[test]
fn wait_ends_when_an_attempt_of_ours_succeeds() {
    let policy = policy();
    let check_at = NOW.plus(Duration::from_secs(60));
    let mut standing = job([State::Transcribing { transcript_id: OTHER, check_at, checks: 0, reported_done: false }]);
    standing.hold = Some(Hold::Wait { retry_at: NOW, status: None, times: 0, since: NOW });
    let Decision::Apply { job, next } = standing.on_event(&Event::WAKE, context(&policy, NOW)) else {
        panic!("due, and nothing done")
    };
    assert_eq!((next, &job.hold, job.due_at()), (Next::Nothing, &None, Some(check_at)));
}

#[test]
fn old_failure_after_done_starts_no_other_attempt() {
    let policy = policy();
    let retry_at = NOW.plus(Duration::from_secs(60));
    let failures = Failures { transient: 1, ..Failures::default() };
    let copying = Copying { transcript_id: OTHER, ..super::copying(retry_at, None, failures) };
    let reference = TranscriptRef { transcript_id: OTHER, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let decision = job([State::Copying(copying)]).on_event(&failed, context(&policy, NOW));
    assert!(matches!(decision, Decision::Ignore(_)), "{decision:?}");
}

#[test]
fn skipped_job_stays_skipped_when_a_foreign_transcript_fails() {
    let mut skipped = job([failed(9)]);
    skipped.transcripts[0].attempt = None;
    skipped.hold = Some(Hold::Skipped);
    skipped.overrides = Some(Overrides { skip: true, ..Overrides::default() });
    assert_eq!(skipped.status(), Status::Skipped);
}

/// A 503 may carry a Retry-After, too. Calling earlier costs nothing, but gains nothing either.
#[test]
fn server_error_with_retry_after_is_waited_for() {
    let policy = policy();
    for (after, waits) in [(0, 5), (90, 90), (1_000_000, 60 * 60)] {
        let info = done();
        let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } =
            Job::new(RecordingId::from_u128(7)).on_event(&info, context(&policy, NOW))
        else {
            panic!("nothing asked for")
        };
        let answer = CreateAnswer::ServerError { after: Duration::from_secs(after) };
        let decision = job.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, NOW));
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(at.since(NOW).as_secs(), waits);
    }
}
