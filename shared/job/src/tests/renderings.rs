//! Rendering needs a lease, and is not tried forever.

use std::time::Duration;

use super::{CLAIM, HOUR, NOW, OTHER, OURS, context, job, quiet, receipt};
use crate::{
    Answer, Command, Decision, DeleteAfterStore, Deletion, DeletionReason, DeletionTarget, Event, Job, Next, Policy,
    Reason, RenderAnswer, Rendering, State, Status, TranscriptRef,
};

#[test]
fn rendering_takes_a_lease_and_is_retried() {
    let policy = quiet();
    let render = Event::Render { transcript_id: None };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let failed = job([State::Failed { transcript_id: OURS, sub_code: None }]);
    assert_eq!(failed.on_event(&render, context(&policy, NOW)), Decision::Ignore(Reason::NothingStored));
    let Decision::Apply { job: rendering, next: Next::Act(Command::Render { transcripts, claim, .. }) } =
        stored().on_event(&render, context(&policy, NOW))
    else {
        panic!("not rendered")
    };
    assert_eq!((transcripts, rendering.status()), (vec![(OURS, receipt())], Status::Stored));
    let busy = rendering.clone().on_event(&render, context(&policy, NOW));
    assert!(matches!(busy, Decision::Busy { .. }), "one worker at a time: {busy:?}");
    let later = RenderAnswer::Later { after: Duration::ZERO };
    let answer = Answer::Render { claim, answer: later };
    let Decision::Apply { job: waits, next: Next::Wait { retry_at: at } } =
        rendering.on_answer(&answer, context(&policy, NOW))
    else {
        panic!("no wait")
    };
    for (event, now) in [(&Event::WAKE, at), (&render, NOW)] {
        let again = waits.clone().on_event(event, context(&policy, now));
        assert!(matches!(again, Decision::Apply { next: Next::Act(Command::Render { .. }), .. }), "{again:?}");
    }
}

/// A deletion reads back what a rendering writes.
#[test]
fn rendering_and_deletion_exclude_each_other() {
    let policy = Policy { delete_after_store: DeleteAfterStore::Transcript, ..quiet() };
    let (retry_at, render) = (NOW.plus(HOUR), Event::Render { transcript_id: None });
    let just_before = retry_at.minus(Duration::from_secs(1));
    let (target, reason) = (DeletionTarget::Transcript(OURS), DeletionReason::Stored);
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let deletion = Some(Deletion { target, reason, retry_at, claim: Some(CLAIM), tries: 0 });
    let deleting = Job { deletion, ..stored() };
    assert_eq!(deleting.clone().on_event(&render, context(&policy, just_before)), Decision::Busy { retry_at });
    let decision = deleting.on_event(&render, context(&policy, retry_at));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Render { .. }), .. }), "{decision:?}");
    let rendering = Some(Rendering { transcript_id: None, retry_at, claim: Some(CLAIM), tries: 0 });
    let failed = Event::TranscriptFailed {
        reference: TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false },
        sub_code: None,
    };
    for (now, deletes) in [(just_before, false), (retry_at, true)] {
        let decision = Job { rendering, ..stored() }.on_event(&failed, context(&policy, now));
        let Decision::Apply { next, .. } = decision else { panic!("{decision:?}") };
        assert_eq!(matches!(next, Next::Act(Command::Delete { .. })), deletes, "{next:?}");
    }
}

#[test]
fn rendering_is_tried_16_times() {
    let policy = quiet();
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let (mut now, mut waits) = (NOW, Vec::new());
    let mut decision = stored.on_event(&Event::Render { transcript_id: None }, context(&policy, now));
    while let Decision::Apply { job, next: Next::Act(Command::Render { claim, .. }) } = decision {
        let answer = RenderAnswer::Later { after: Duration::ZERO };
        let Decision::Apply { job, next } = job.on_answer(&Answer::Render { claim, answer }, context(&policy, now))
        else {
            panic!("stuck")
        };
        let Next::Wait { retry_at: at } = next else {
            assert_eq!((job.status(), job.rendering, job.due_at()), (Status::Stored, None, None));
            break;
        };
        waits.push(at.since(now).as_secs());
        assert!(waits.len() < 100, "it is tried for ever");
        now = at;
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    assert_eq!(waits[..9], [10, 20, 40, 80, 160, 320, 640, 1280, 2560]);
    assert_eq!(waits[9..], [3600; 6], "16 tries have 15 waits");
}

#[test]
fn rendering_belongs_to_one_worker_until_its_lease_ends() {
    let policy = quiet();
    let render = Event::Render { transcript_id: None };
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let Decision::Apply { job, .. } = stored.on_event(&render, context(&policy, NOW)) else { panic!("not rendered") };
    let retry_at = context(&policy, NOW).lease_until;
    let before = job.clone().on_event(&render, context(&policy, retry_at.minus(Duration::from_secs(1))));
    assert_eq!(before, Decision::Busy { retry_at });
    let decision = job.on_event(&render, context(&policy, retry_at));
    assert!(matches!(decision, Decision::Apply { next: Next::Act(Command::Render { .. }), .. }), "{decision:?}");
}

/// A second request does not replace the first one.
#[test]
fn rendering_requests_for_two_transcripts_become_one_for_all() {
    let policy = quiet();
    let stored = job([OURS, OTHER].map(|transcript_id| State::Stored { transcript_id, receipt: receipt() }));
    let waits = Some(Rendering { transcript_id: Some(OURS), retry_at: NOW.plus(HOUR), claim: None, tries: 3 });
    for (asked, rendered) in [(Some(OURS), vec![OURS]), (Some(OTHER), vec![OURS, OTHER]), (None, vec![OURS, OTHER])] {
        let waiting = Job { rendering: waits, ..stored.clone() };
        let decision = waiting.on_event(&Event::Render { transcript_id: asked }, context(&policy, NOW));
        let Decision::Apply { next: Next::Act(Command::Render { transcripts, .. }), .. } = decision else {
            panic!("{decision:?}")
        };
        assert_eq!(transcripts.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), rendered, "{asked:?}");
    }
}

#[test]
fn rendering_that_kills_every_worker_is_given_up() {
    let policy = quiet();
    let stored = job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let mut decision = stored.on_event(&Event::Render { transcript_id: None }, context(&policy, NOW));
    let mut crashes = 0;
    while let Decision::Apply { job, next: Next::Act(Command::Render { .. }) } = decision {
        crashes += 1;
        assert!(crashes <= 16, "still rendering: {:?}", job.rendering);
        let now = job.due_at().expect("a lease ends");
        decision = job.on_event(&Event::WAKE, context(&policy, now));
    }
    let Decision::Apply { job, next: Next::Nothing } = decision else { panic!("{decision:?}") };
    assert_eq!((crashes, job.rendering, job.due_at()), (16, None, None));
    assert!(job.rendering_stopped_at.is_some());
}

#[test]
fn rendering_that_is_given_up_is_noted_in_the_row() {
    let policy = quiet();
    let render = Event::Render { transcript_id: None };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let end_of = |mut decision: Decision, answer: RenderAnswer| {
        let mut now = NOW;
        loop {
            let Decision::Apply { job, next } = decision else { panic!("{decision:?}") };
            decision = match next {
                Next::Act(Command::Render { claim, .. }) => {
                    job.on_answer(&Answer::Render { claim, answer }, context(&policy, now))
                }
                Next::Wait { retry_at: at } => {
                    now = at;
                    job.on_event(&Event::WAKE, context(&policy, now))
                }
                Next::Nothing => return (*job, now),
                Next::Act(_) => panic!("{next:?}"),
            };
        }
    };
    let later = RenderAnswer::Later { after: Duration::ZERO };
    for (answer, hours) in [(later, 7), (RenderAnswer::NotAsStored, 0)] {
        let (job, now) = end_of(stored().on_event(&render, context(&policy, NOW)), answer);
        assert_eq!((job.rendering, job.rendering_stopped_at, job.due_at()), (None, Some(now), None), "{answer:?}");
        assert_eq!(now.since(NOW).as_secs() / 3600, hours);
        // A person requests it again, and this time it works.
        let asked = job.on_event(&render, context(&policy, NOW));
        assert!(matches!(&asked, Decision::Apply { job, .. } if job.rendering_stopped_at.is_none()), "{asked:?}");
        let (job, _) = end_of(asked, RenderAnswer::Rendered);
        assert_eq!((job.rendering, job.rendering_stopped_at), (None, None));
    }
}
