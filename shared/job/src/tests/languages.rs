//! A language in metadata that Recall refuses.

use super::{NOW, context, policy};
use crate::{
    Answer, Command, CreateAnswer, Decision, Event, Hold, Job, LookUpAnswer, Next, Overrides, Policy, RecordingInfo,
    State, Status, ids::RecordingId,
};

fn quiet_with(tries_per_provider: u32) -> Policy {
    Policy { tries_per_provider, max_transcripts: 10, announces: false, ..policy() }
}

/// Requests this language and is refused with a 400 that the limit does not explain. Returns what comes next.
fn refused_for(language: &str, job: Job, policy: &Policy) -> (Job, Next) {
    let overrides = Overrides { language: Some(language.to_owned()), ..Overrides::default() };
    let done = Event::RecordingDone(RecordingInfo { overrides: Some(overrides), ..RecordingInfo::default() });
    let Decision::Apply { job, next: Next::Act(Command::Create { attempt, claim, language: asked, .. }) } =
        job.on_event(&done, context(policy, NOW))
    else {
        panic!("not asked")
    };
    assert_eq!(asked.as_deref(), Some(language));
    let refused = CreateAnswer::Refused { status: 400, code: None };
    let Decision::Apply { job, next: Next::Act(Command::LookUp { claim, .. }) } =
        job.on_answer(&Answer::Create { attempt, claim, answer: refused }, context(policy, NOW))
    else {
        panic!("not looked up")
    };
    let none = Answer::LookUp { attempt, claim, answer: LookUpAnswer::Complete(Vec::new()) };
    let Decision::Apply { job, next } = job.on_answer(&none, context(policy, NOW)) else { panic!("stuck") };
    (*job, next)
}

/// An invalid value in metadata must not cost the transcript.
#[test]
fn refused_language_is_dropped_for_the_same_provider() {
    let policy = Policy { providers: vec!["recallai_async".to_owned()], ..quiet_with(1) };
    let (job, next) = refused_for("english", Job::new(RecordingId::from_u128(7)), &policy);
    let Next::Act(Command::Create { attempt, provider, language, claim }) = next else { panic!("{next:?}") };
    assert_eq!((attempt, provider.as_str(), language), (2, "recallai_async", None));
    // Recall refuses again, so the language was not the cause.
    let refused = CreateAnswer::Refused { status: 400, code: None };
    let Decision::Apply { job, next: Next::Act(Command::LookUp { claim, .. }) } =
        job.on_answer(&Answer::Create { attempt, claim, answer: refused }, context(&policy, NOW))
    else {
        panic!("not looked up")
    };
    let none = Answer::LookUp { attempt, claim, answer: LookUpAnswer::Complete(Vec::new()) };
    let Decision::Apply { job, .. } = job.on_answer(&none, context(&policy, NOW)) else { panic!("stuck") };
    assert!(matches!((job.status(), &job.hold), (Status::Waiting, Some(Hold::AllRefused { .. }))), "{job:?}");
}

#[test]
fn refused_language_does_not_return_with_the_same_metadata() {
    let policy = quiet_with(2);
    let (mut job, _) = refused_for("english", Job::new(RecordingId::from_u128(7)), &policy);
    job.transcripts.clear();
    let wished = |language: &str| {
        let overrides = Overrides { language: Some(language.to_owned()), ..Overrides::default() };
        Event::RecordingDone(RecordingInfo { overrides: Some(overrides), ..RecordingInfo::default() })
    };
    for (language, asked) in [("english", None), ("en", Some("en"))] {
        let decision = job.clone().on_event(&wished(language), context(&policy, NOW));
        let Decision::Apply { next: Next::Act(Command::Create { language, .. }), .. } = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(language.as_deref(), asked);
    }
}

#[test]
fn dropped_languages_are_limited() {
    let policy = quiet_with(1);
    let mut job = Job::new(RecordingId::from_u128(7));
    for number in 0..10 {
        (job, _) = refused_for(&format!("x{number}"), job, &policy);
        job.transcripts.clear();
    }
    let (job, next) = refused_for("y", job, &policy);
    assert!(matches!(next, Next::Wait { .. }), "the next provider comes: {next:?}");
    assert!(matches!(job.transcripts[0].state, State::Refused { status: 400, .. }), "{job:?}");
}
