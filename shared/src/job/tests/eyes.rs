//! Claims of fresh eyes.
use std::time::Duration;
use super::{CLAIM, NOW, OTHER, OURS, context, job, policy, receipt};
use crate::{ids::*, job::*, time::Timestamp};

fn quiet() -> Policy { Policy { announces: false, ..policy() } }
fn apply(d: Decision) -> (Job, Next) { match d { Decision::Apply { job, next } => (*job, next), o => panic!("{o:?}") } }

/// A: a language that makes no sense is fatal with the default chain.
#[test]
fn a_nonsense_language_is_fatal() {
    let policy = Policy { providers: vec!["recallai_async".into()], tries_per_provider: 2, max_transcripts: 10, ..quiet() };
    let meta: serde_json::Value = serde_json::json!({"transcript_language": "english"});
    let wishes = crate::providers::wishes(RecordingId::from_u128(7), &meta, &serde_json::Value::Null, &policy.providers);
    println!("{wishes:?}");
    let done = Event::RecordingDone(Finished { wishes: Some(wishes), ..Finished::default() });
    let (j, next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&done, context(&policy, NOW)));
    let Next::Act(Command::Create { attempt, claim, language, .. }) = next else { panic!() };
    println!("{language:?}");
    let (j, next) = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Refused { status: 400, code: None } }, context(&policy, NOW)));
    let Next::Act(Command::LookUp { attempt, claim }) = next else { panic!("{next:?}") };
    let (j, next) = apply(j.on_answer(&Answer::LookUp { attempt, claim, answer: LookUpAnswer::Listed(vec![]) }, context(&policy, NOW)));
    println!("status {:?} due {:?} next {next:?}", j.status(), j.due_at());
    assert_ne!(j.status(), Status::Failed, "nonsense in metadata was fatal");
}

/// B: a list that lags longer than assumed: paid twice, and nobody is told.
#[test]
fn a_lagging_list_is_noticed_as_docs_say() {
    let policy = Policy { providers: vec!["recallai_async".into()], tries_per_provider: 3, max_transcripts: 10, ..quiet() };
    let (j, next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW)));
    let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!() };
    let (mut j, mut next) = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Lost }, context(&policy, NOW)));
    let mut now = NOW;
    let mut creates = 1;
    loop {
        match next {
            Next::Again { at } => { now = at; match j.clone().on_event(&Event::Wake, context(&policy, now)) {
                Decision::Apply { job, next: n } => { j = *job; next = n; }
                Decision::Busy { until } => { next = Next::Again { at: until }; }
                o => panic!("{o:?}") } }
            Next::Act(Command::Create { attempt, claim, .. }) => {
                let answer = if attempt == 1 { CreateAnswer::Lost } else { CreateAnswer::Created { transcript_id: OTHER } };
                if attempt > 1 { creates += 1; }
                let r = apply(j.on_answer(&Answer::Create { attempt, claim, answer }, context(&policy, now))); j = r.0; next = r.1;
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let r = apply(j.on_answer(&Answer::LookUp { attempt, claim, answer: LookUpAnswer::Listed(vec![]) }, context(&policy, now))); j = r.0; next = r.1;
            }
            Next::Nothing => break,
            o => panic!("{o:?}"),
        }
    }
    println!("after {} s, creates {creates}, {:?}", now.since(NOW).as_secs(), j.transcripts);
    // The list lagged: attempt 1 exists after all.
    let mut twice = false;
    for (id, attempt) in [(OURS, 1), (OTHER, 2)] {
        let heard = Heard { transcript_id: id, attempt: Some(attempt) };
        let (k, next) = apply(j.on_event(&Event::TranscriptDone(heard), context(&policy, now)));
        twice |= k.paid_twice();
        let Next::Act(Command::Copy { claim, transcript_id, .. }) = next else { panic!("{next:?}") };
        let (k, next) = apply(k.on_answer(&Answer::Copy { transcript_id, claim, answer: CopyAnswer::Stored(receipt()) }, context(&policy, now)));
        println!("{next:?}");
        twice |= k.paid_twice();
        j = k;
    }
    println!("due {:?} count {} deletion {:?}", j.due_at(), j.transcript_count(), j.deletion);
    assert!(twice, "two transcripts were paid for one intended attempt, and paid_twice() never said so");
}

/// C: a worker that dies over a copy, again and again, for a year.
#[test]
fn a_copy_that_kills_its_worker_ends() {
    let policy = quiet();
    let mut j = job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0 }]);
    let mut now = NOW;
    let mut n = 0;
    while now.since(NOW) < Duration::from_secs(365 * 24 * 3600) {
        now = now.plus(Duration::from_secs(3600)).max(j.due_at().unwrap());
        (j, _) = apply(j.on_event(&Event::Wake, context(&policy, now)));
        n += 1;
        if j.due_at().is_none() { break; }
    }
    println!("{n} deaths: {:?} {:?}", j.status(), j.transcripts[0].state);
    assert_eq!(j.status(), Status::Lost, "tried for ever");
}

/// E: 401 after a lost answer: do delays grow?
#[test]
fn delays_grow_while_an_operator_is_needed() {
    let policy = quiet();
    let (j, next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW)));
    let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!() };
    let (mut j, mut next) = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Lost }, context(&policy, NOW)));
    let (mut now, mut waits) = (NOW, vec![]);
    for _ in 0..200 {
        match next {
            Next::Again { at } => { waits.push(at.since(now).as_secs()); now = at; match j.clone().on_event(&Event::Wake, context(&policy, now)) {
                Decision::Apply { job, next: n } => { j = *job; next = n; }
                Decision::Busy { until } => { next = Next::Again { at: until }; }
                o => panic!("{o:?}") } }
            Next::Act(Command::Create { attempt, claim, .. }) => {
                let r = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Operator { status: 401 } }, context(&policy, now))); j = r.0; next = r.1;
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                // Problem::Operator.after() = 300 s
                let r = apply(j.on_answer(&Answer::LookUp { attempt, claim, answer: LookUpAnswer::Later { after: Duration::from_secs(300) } }, context(&policy, now))); j = r.0; next = r.1;
            }
            o => panic!("{o:?}"),
        }
    }
    println!("waits {:?} … over {} h", &waits[..20.min(waits.len())], now.since(NOW).as_secs() / 3600);
    assert!(waits.iter().max() > Some(&301), "never longer than {:?}", waits.iter().max());
}

/// H: somebody else's transcript that failed shortens a pause that Recall or an operator asked for.
#[test]
fn others_failures_do_not_touch_our_wait() {
    let policy = Policy { tries_per_provider: 3, max_transcripts: 10, ..quiet() };
    let until = NOW.plus(Duration::from_secs(3600));
    let hold = Some(Hold::Wait { until, status: Some(429), times: 6 });
    let copying = Copying { transcript_id: OTHER, until: NOW.plus(Duration::from_secs(9)), claim: Some(CLAIM), since: NOW, tries: 0, deaths: 0, missing: 0 };
    let mut j = job([State::Copying(copying)]);
    j.transcripts[0].attempt = None;
    j.hold = hold.clone();
    let answer = Answer::Copy { transcript_id: OTHER, claim: CLAIM, answer: CopyAnswer::Failed { sub_code: None } };
    let (k, next) = apply(j.on_answer(&answer, context(&policy, NOW)));
    println!("{:?} {next:?}", k.hold);
    assert_eq!(k.hold, hold);
}

/// H2: and un-parks a job at its limit, which is then announced again.
#[test]
fn others_failures_do_not_announce_an_end_again() {
    let policy = Policy { tries_per_provider: 3, max_transcripts: 2, ..policy() };
    let copying = Copying { transcript_id: OTHER, until: NOW.plus(Duration::from_secs(9)), claim: Some(CLAIM), since: NOW, tries: 0, deaths: 0, missing: 0 };
    let mut j = job([State::Failed { transcript_id: OURS, sub_code: None }, State::Copying(copying)]);
    j.transcripts[1].attempt = None;
    j.hold = Some(Hold::LimitReached);
    let answer = Answer::Copy { transcript_id: OTHER, claim: CLAIM, answer: CopyAnswer::Failed { sub_code: None } };
    let (k, next) = apply(j.on_answer(&answer, context(&policy, NOW)));
    println!("{:?} {:?} {next:?}", k.hold, k.status());
    assert_eq!(k.hold, Some(Hold::LimitReached));
}

/// I: the chain is used up, but somebody else's transcript is stored.
#[test]
fn a_used_up_chain_is_failed_and_announced() {
    let policy = Policy { providers: vec!["recallai_async".into()], tries_per_provider: 1, max_transcripts: 10, ..policy() };
    let mut j = job([State::Transcribing { transcript_id: OURS, check_at: NOW.plus(Duration::from_secs(99)), checks: 0 }, State::Stored { transcript_id: OTHER, receipt: receipt() }]);
    j.transcripts[1].attempt = None;
    let heard = Heard { transcript_id: OURS, attempt: Some(1) };
    let (k, next) = apply(j.on_event(&Event::TranscriptFailed { heard, sub_code: Some("x".into()) }, context(&policy, NOW)));
    println!("{:?} {next:?} {:?}", k.status(), k.outbox);
    assert_eq!(k.status(), Status::Failed);
}

/// J: every create answered 500 for ten years.
#[test]
fn a_create_that_always_fails_ends() {
    let policy = Policy { max_transcripts: 10, ..policy() };
    let (mut j, mut next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW)));
    let mut now = NOW;
    let mut said = false;
    while now.since(NOW) < Duration::from_secs(10 * 365 * 24 * 3600) {
        match next {
            Next::Again { at } => { now = at; match j.clone().on_event(&Event::Wake, context(&policy, now)) {
                Decision::Apply { job, next: n } => { j = *job; next = n; }
                Decision::Busy { until } => { next = Next::Again { at: until }; }
                o => panic!("{o:?}") } }
            Next::Act(Command::Create { attempt, claim, .. }) => {
                let r = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::ServerError { after: Duration::ZERO } }, context(&policy, now))); j = r.0; next = r.1;
            }
            Next::Act(Command::LookUp { attempt, claim }) => {
                let r = apply(j.on_answer(&Answer::LookUp { attempt, claim, answer: LookUpAnswer::Listed(vec![]) }, context(&policy, now))); j = r.0; next = r.1;
            }
            Next::Act(Command::Announce { .. }) => { said = true; break; }
            Next::Nothing => break,
            o => panic!("{o:?}"),
        }
        if !j.outbox.notices.is_empty() { said = true; break; }
    }
    println!("{} days, attempts {}, {:?}, due {:?}", now.since(NOW).as_secs() / 86400, j.attempts, j.status(), j.due_at().is_some());
    assert!(said, "ten years of waiting, and nobody was told");
}

/// K: a wait goes past the moment at which the recording is gone.
#[test]
fn a_copy_is_tried_before_its_recording_goes() {
    let policy = quiet();
    let copying = Copying { transcript_id: OURS, until: NOW.plus(Duration::from_secs(9)), claim: Some(CLAIM), since: NOW, tries: 8, deaths: 0, missing: 0 };
    let mut j = job([State::Copying(copying)]);
    j.expires_at = Some(NOW.plus(Duration::from_secs(2 * 3600)));
    j.outbox.expiring = true;
    let answer = Answer::Copy { transcript_id: OURS, claim: CLAIM, answer: CopyAnswer::Later { after: Duration::from_secs(300) } };
    let (k, next) = apply(j.on_answer(&answer, context(&policy, NOW)));
    println!("{next:?} expires {:?}", k.expires_at);
    assert!(k.due_at() < k.expires_at, "next try after the recording is gone");
}

/// L: 400 at the limit with a list that lags by seconds is taken for a refusal.
#[test]
fn a_limit_seen_through_a_lagging_list_is_not_a_refusal() {
    let policy = Policy { providers: vec!["recallai_async".into()], max_transcripts: 10, ..quiet() };
    let (j, next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW)));
    let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!() };
    let (j, next) = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Refused { status: 400, code: None } }, context(&policy, NOW)));
    let Next::Act(Command::LookUp { attempt, claim }) = next else { panic!("{next:?}") };
    let listed = (0..9).map(|i| Listed { transcript_id: TranscriptId::from_u128(100 + i), attempt: None, ended: false }).collect();
    let (j, _) = apply(j.on_answer(&Answer::LookUp { attempt, claim, answer: LookUpAnswer::Listed(listed) }, context(&policy, NOW)));
    println!("{:?} {:?}", j.status(), j.transcripts[0].state);
    assert!(!matches!(j.transcripts[0].state, State::Refused { .. }));
}

/// M: a deleted failed transcript is asked of Recall by nobody: it goes unverified whatever it is by now. (shows the command)
#[test]
fn what_is_deleted_to_make_room_is_known_to_be_failed() {
    let policy = Policy { providers: vec!["recallai_async".into()], tries_per_provider: 5, on_limit: OnLimit::DeleteFailed, max_transcripts: 1, ..quiet() };
    let mut j = job([State::Failed { transcript_id: OURS, sub_code: None }]);
    j.hold = Some(Hold::Wait { until: NOW, status: None, times: 0 });
    let (k, next) = apply(j.on_event(&Event::Wake, context(&policy, NOW)));
    println!("{next:?}");
    // While A deletes, the done webhook arrives at B.
    let Next::Act(Command::Delete { target, claim, .. }) = next else { panic!() };
    let heard = Heard { transcript_id: OURS, attempt: Some(1) };
    let (k, n2) = apply(k.on_event(&Event::TranscriptDone(heard), context(&policy, NOW)));
    println!("{n2:?} {:?}", k.status());
    let (k, n3) = apply(k.on_answer(&Answer::Delete { target, claim, answer: DeleteAnswer::Deleted }, context(&policy, NOW)));
    println!("{n3:?} {:?} {:?}", k.status(), k.transcripts);
    // B finds it deleted at Recall.
    let Next::Act(Command::Copy { claim, transcript_id, .. }) = n2 else { panic!() };
    for answer in [CopyAnswer::Deleted, CopyAnswer::Missing] {
        println!("{:?}", k.clone().on_answer(&Answer::Copy { transcript_id, claim, answer }, context(&policy, NOW)));
    }
    let again = k.clone().on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW));
    println!("{again:?} due {:?}", k.due_at());
    assert_ne!(k.status(), Status::Lost, "our own deletion lost it, with four tries left");
}

/// N: after a thousand 429s our own webhooks are somebody else's.
#[test]
fn many_throttles_leave_our_numbers_ours() {
    let policy = Policy { max_transcripts: 10, copy_unrequested: false, ..quiet() };
    let (mut j, mut next) = apply(Job::new(RecordingId::from_u128(7)).on_event(&Event::RecordingDone(Finished::default()), context(&policy, NOW)));
    let mut now = NOW;
    for _ in 0..1001 {
        let Next::Act(Command::Create { attempt, claim, .. }) = next else { panic!("{next:?}") };
        let r = apply(j.on_answer(&Answer::Create { attempt, claim, answer: CreateAnswer::Throttled { after: Duration::from_secs(1) } }, context(&policy, now)));
        let Next::Again { at } = r.1 else { panic!() };
        now = at;
        (j, next) = apply(r.0.on_event(&Event::Wake, context(&policy, now)));
    }
    println!("attempt {} after {} s", j.attempts, now.since(NOW).as_secs());
    let heard = Heard { transcript_id: OURS, attempt: Some(j.attempts) };
    let (k, next) = apply(j.on_event(&Event::TranscriptDone(heard), context(&policy, now)));
    println!("{next:?} {:?}", k.transcripts);
    assert!(matches!(next, Next::Act(Command::Copy { .. })), "our own transcript is left as somebody else's");
}
