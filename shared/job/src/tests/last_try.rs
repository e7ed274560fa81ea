//! The last try of a chain outlasts an outage.

use std::time::Duration;

use super::{HOUR, NOW, OURS, context, job, quiet};
use crate::{Answer, Command, CreateAnswer, Decision, Event, Job, Next, OnLimit, Policy, State, TranscriptRef};

/// With the default settings, half an hour of provider trouble fails nothing.
#[test]
fn chain_outlasts_an_outage_of_its_provider() {
    let providers = vec!["recallai_async".to_owned()];
    let policy = Policy { providers, tries_per_provider: 3, ..quiet() };
    let (mut job, mut now, mut starts) = (job([]), NOW, Vec::new());
    job.attempts = 0;
    let mut decision = job.on_event(&super::done(), context(&policy, now));
    while let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, .. }) } = decision {
        starts.push(now.since(NOW));
        let transcript_id = crate::ids::TranscriptId::from_u128(attempt.into());
        let created = Answer::Create { attempt, claim, answer: CreateAnswer::Created { transcript_id } };
        let Decision::Apply { job, .. } = job.on_answer(&created, context(&policy, now)) else { panic!("lost") };
        let reference = TranscriptRef { transcript_id, attempt: Some(attempt), other_deployment: false };
        let failed = Event::TranscriptFailed { reference, sub_code: None };
        let Decision::Apply { job, next } = job.on_event(&failed, context(&policy, now)) else { panic!("ignored") };
        let Next::Wait { retry_at: at } = next else { break };
        now = at;
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    assert_eq!(starts.len(), 3);
    assert!(starts[1] <= Duration::from_secs(5 * 60), "an early try comes quickly: {starts:?}");
    assert!(starts[2] - starts[1] >= HOUR, "the last one outlasts an outage: {starts:?}");
}

#[test]
fn last_try_comes_earlier_if_the_recording_expires_soon() {
    let policy = Policy { tries_per_provider: 1, ..quiet() };
    let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
    let job = Job { expires_at: Some(NOW.plus(HOUR)), ..job([transcribing]) };
    let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = job.on_event(&failed, context(&policy, NOW)) else {
        panic!("no wait")
    };
    assert_eq!(at.since(NOW), HOUR / 24 * 5, "a quarter, less the jitter of the queue");
}

/// The last try that fits under the limit is the last one, unless room is made for more.
#[test]
fn last_try_under_the_limit_outlasts_an_outage() {
    for (on_limit, wait) in [(OnLimit::Stop, HOUR), (OnLimit::DeleteFailed, Duration::from_secs(60))] {
        let policy = Policy { tries_per_provider: 5, max_transcripts: 2, on_limit, ..quiet() };
        let transcribing = State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false };
        let reference = TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false };
        let failed = Event::TranscriptFailed { reference, sub_code: None };
        let decision = job([transcribing]).on_event(&failed, context(&policy, NOW));
        let Decision::Apply { next: Next::Wait { retry_at: at }, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(at.since(NOW), wait, "{on_limit:?}");
    }
}
