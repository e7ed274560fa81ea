//! Every situation of a job against every input, as a table. `UPDATE_EXPECT=1 cargo test -p job` rewrites the table;
//! read the difference before you keep it. For other settings, only the rows that differ are shown.

mod situations;

use std::{fmt::Write as _, time::Duration};

use expect_test::expect_file;

use self::situations::{creating, situations};
use super::{CLAIM, NOW, OTHER, OURS, context, done, job, policy, receipt};
use crate::{
    Answer, Command, CopyAnswer, CreateAnswer, Decision, DeleteAfterStore, Event, Hold, Job, Next, OnLimit, Overrides,
    Policy, Recording, RecordingInfo, State, Status, TranscriptRef, time::Timestamp,
};

/// Short names for ids and claims, so that a row fits a line.
fn input(debug: String) -> String {
    let receipt = format!("({:?})", receipt());
    let done = format!("{:?}", done());
    let unread = format!("{:?}", Event::RecordingDone(RecordingInfo::default()));
    let info = format!("({:?})", RecordingInfo { overrides: Some(Overrides::default()), ..RecordingInfo::default() });
    let short = [
        (done.as_str(), "RecordingDone"),
        (info.as_str(), ""),
        (unread.as_str(), "RecordingDone without metadata"),
        ("TranscriptId(00000000-0000-0000-0000-000000000001)", "ours"),
        ("TranscriptId(00000000-0000-0000-0000-000000000002)", "another"),
        ("TranscriptRef { transcript_id: ", "TranscriptRef { "),
        ("(TranscriptRef { ", "("),
        ("reference: TranscriptRef { ", ""),
        (" }, sub_code", ", sub_code"),
        (receipt.as_str(), ""),
        ("claim: Claim(3), ", ""),
        ("claim: Claim(2), ", "outdated claim, "),
        ("answer: ", ""),
        ("transcript_id: ", ""),
        ("attempt: Some(1)", "attempt 1"),
        ("attempt: None", "no attempt"),
        ("attempt: 1, ", ""),
        (" })", ")"),
        ("ListedTranscript { ", "{ "),
        (", failed: false, other_deployment: false }", " }"),
        (", other_deployment: false", ""),
        (" { now: false }", ""),
    ];
    short.into_iter().fold(debug, |text, (long, short)| text.replace(long, short))
}

fn decision(decision: Decision) -> String {
    let seconds = |retry_at: Timestamp| retry_at.since(NOW).as_secs();
    match decision {
        Decision::Ignore(reason) => format!("ignore: {}", reason.as_str()),
        Decision::Busy { retry_at } => format!("busy for {} s", seconds(retry_at)),
        Decision::Apply { job, next } => {
            let next = match next {
                Next::Nothing => String::new(),
                Next::Act(command) => format!(", then {}", command.name()),
                Next::Wait { retry_at: at } => format!(", again in {} s", seconds(at)),
            };
            format!("{} ({}){next}", job.status().as_str(), job.transcript_count())
        }
    }
}

/// A line for each input, with the decision.
fn rows(job: &Job, policy: &Policy) -> Vec<String> {
    let context = context(policy, NOW);
    let of_events = Event::samples().into_iter().map(|event| {
        let result = decision(job.clone().on_event(&event, context));
        format!("    {:<72} {result}", input(format!("{event:?}")))
    });
    let of_answers = Answer::samples().into_iter().map(|answer| {
        let result = decision(job.clone().on_answer(&answer, context));
        format!("    {:<72} {result}", input(format!("{answer:?}")))
    });
    of_events.chain(of_answers).collect()
}

/// The other settings that an operator may choose.
fn other_policies() -> Vec<(&'static str, Policy)> {
    // A new setting does not compile until it is named here. Give it a line below, unless no decision depends on it.
    let Policy {
        providers: _,
        tries_per_provider: _,
        max_transcripts: _,
        on_limit: _,
        copy_unrequested: _,
        delete_after_store: _,
        announces: _,
        has_knowledge: _,
        expiry_alarm: _,
    } = policy();
    vec![
        ("ON_LIMIT=delete_failed", Policy { on_limit: OnLimit::DeleteFailed, ..policy() }),
        ("ON_LIMIT=delete_stored", Policy { on_limit: OnLimit::DeleteStored, ..policy() }),
        ("DELETE_AFTER_STORE=transcript", Policy { delete_after_store: DeleteAfterStore::Transcript, ..policy() }),
        ("DELETE_AFTER_STORE=recording", Policy { delete_after_store: DeleteAfterStore::Recording, ..policy() }),
        ("COPY_UNREQUESTED=false", Policy { copy_unrequested: false, ..policy() }),
        ("RENDITIONS=knowledge", Policy { has_knowledge: true, ..policy() }),
    ]
}

#[test]
fn table_of_every_situation_and_input() {
    let base = policy();
    let mut table = String::from("Status (count of transcripts) after each input; the limit is 2.\n");
    for (name, job) in situations() {
        writeln!(table, "\n{name}: {} ({})", job.status().as_str(), job.transcript_count()).expect("a String");
        for row in rows(&job, &base) {
            writeln!(table, "{row}").expect("a String");
        }
    }
    for (setting, policy) in other_policies() {
        writeln!(table, "\n\nWith {setting}, where that makes a difference.").expect("a String");
        for (name, job) in situations() {
            let before = rows(&job, &base);
            let differ: Vec<_> = rows(&job, &policy).into_iter().filter(|row| !before.contains(row)).collect();
            if !differ.is_empty() {
                writeln!(table, "\n{name}: {} ({})", job.status().as_str(), job.transcript_count()).expect("a String");
                differ.iter().for_each(|row| writeln!(table, "{row}").expect("a String"));
            }
        }
    }
    expect_file!["table.txt"].assert_eq(&table);
}

/// A new variant has samples, and so it has to be among the situations.
#[test]
fn situations_include_every_state_hold_and_recording() {
    fn missing<'a, T: std::fmt::Debug>(samples: &'a [T], found: &[T]) -> Vec<&'a T> {
        let kinds: Vec<_> = found.iter().map(std::mem::discriminant).collect();
        samples.iter().filter(|sample| !kinds.contains(&std::mem::discriminant(*sample))).collect()
    }
    let jobs: Vec<Job> = situations().into_iter().map(|(_, job)| job).collect();
    let states: Vec<State> = jobs.iter().flat_map(|job| &job.transcripts).map(|one| one.state.clone()).collect();
    let holds: Vec<Hold> = jobs.iter().filter_map(|job| job.hold.clone()).collect();
    let recordings: Vec<Recording> = jobs.iter().map(|job| job.recording.clone()).collect();
    assert!(missing(&State::samples(), &states).is_empty());
    assert!(missing(&Hold::samples(), &holds).is_empty());
    assert!(missing(&Recording::samples(), &recordings).is_empty());
    let statuses: Vec<Status> = jobs.iter().map(Job::status).collect();
    assert!(missing(&Status::samples(), &statuses).is_empty());
}

#[test]
fn states_are_all_in_the_diagram() {
    let (_, rest) = include_str!("../lib.rs").split_once("//! # States of one transcript").expect("the diagram");
    let (diagram, _) = rest.split_once("\n\n").expect("its end");
    for state in State::samples() {
        let debug = format!("{state:?}");
        let name = debug.split([' ', '(']).next().expect("a name");
        assert!(diagram.contains(name), "{name}");
    }
}

/// Logs, metrics, and messages all use Recall's name of the event.
#[test]
fn event_has_one_name() {
    for event in Event::samples() {
        let message = serde_json::to_value(&event).expect("JSON");
        assert_eq!(message["event"], event.name());
    }
}

#[test]
fn foreign_transcripts_are_left_alone_if_configured() {
    let policy = Policy { copy_unrequested: false, ..policy() };
    let context = context(&policy, NOW);
    let other = Event::TranscriptDone(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let later = NOW.plus(Duration::from_secs(1));
    let known = job([State::Transcribing { transcript_id: OURS, check_at: later, checks: 0, reported_done: false }]);
    assert_eq!(decision(known.on_event(&other, context)), "transcribing (2)", "noted, and left alone");
    // The same holds while a create of ours waits for its answer: our transcripts carry our metadata.
    let waiting = creating(Duration::from_secs(1), 0, NOW.plus(Duration::from_secs(9)));
    assert_eq!(decision(waiting.on_event(&other, context)), "creating (2)");
}

/// Webhooks arrive in any order.
#[test]
fn foreign_failure_is_left_alone_in_any_order_of_events() {
    let policy = Policy { copy_unrequested: false, ..policy() };
    let reference = TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false };
    let processing = Event::TranscriptProcessing(reference);
    let failed = Event::TranscriptFailed { reference, sub_code: None };
    for events in [vec![&failed], vec![&processing, &failed], vec![&failed, &processing]] {
        let mut job = job([]);
        for event in events {
            if let Decision::Apply { job: next, .. } = job.clone().on_event(event, context(&policy, NOW)) {
                job = *next;
            }
        }
        assert_eq!(job.transcripts[0].state, State::Foreign { transcript_id: OTHER });
        assert_eq!((job.transcripts.len(), job.transcript_count()), (1, 1), "it counts towards the limit");
    }
}

#[test]
fn refused_create_that_exists_was_paid_once() {
    let policy = policy();
    let context = context(&policy, NOW);
    let refused = job([State::Refused { status: 400, code: None }]);
    let done = Event::TranscriptDone(TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false });
    let Decision::Apply { job, .. } = refused.on_event(&done, context) else { panic!("not applied") };
    assert!(!job.paid_twice() && job.transcripts.len() == 1, "{job:?}");
}

#[test]
fn unattributed_transcript_is_joined_with_our_attempt() {
    let policy = policy();
    let context = context(&policy, NOW);
    let unnamed = Event::TranscriptDone(TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false });
    let waiting = creating(Duration::from_secs(1), 0, NOW.plus(Duration::from_secs(9)));
    let Decision::Apply { job, .. } = waiting.on_event(&unnamed, context) else { panic!("not applied") };
    let answer = CreateAnswer::Created { transcript_id: OTHER };
    let Decision::Apply { job, .. } = job.on_answer(&Answer::Create { attempt: 1, claim: CLAIM, answer }, context)
    else {
        panic!("not applied")
    };
    assert_eq!(job.transcripts.len(), 1);
    assert_eq!(job.transcripts[0].attempt, Some(1));
}

/// Each wait is longer than the one before, up to a limit, and a missing transcript is not given up soon.
#[test]
fn copy_waits_grow_and_nothing_is_given_up_soon() {
    let policy = Policy { announces: false, ..policy() };
    let waits = |answer: &CopyAnswer, tries: usize| {
        let mut now = NOW;
        let mut job =
            job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, reported_done: false }]);
        let mut waits = Vec::new();
        for _ in 0..tries {
            let context = context(&policy, now);
            let Decision::Apply { job: taken, next: Next::Act(Command::Copy { claim, .. }) } =
                job.clone().on_event(&Event::WAKE, context)
            else {
                break;
            };
            let answer = Answer::Copy { transcript_id: OURS, claim, answer: answer.clone() };
            let Decision::Apply { job: next, .. } = taken.on_answer(&answer, context) else { panic!("not applied") };
            job = *next;
            let Some(due_at) = job.due_at() else { break };
            waits.push(due_at.since(now).as_secs());
            now = due_at;
        }
        (waits, job.status())
    };
    let after = Duration::ZERO;
    let (later, status) = waits(&CopyAnswer::Later { after }, 12);
    assert_eq!(later, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]);
    assert_eq!(status, Status::Copying);
    let (operator, _) = waits(&CopyAnswer::Operator, 9);
    assert_eq!(
        operator.iter().map(|seconds| seconds / 60).collect::<Vec<_>>(),
        [5, 10, 20, 40, 80, 160, 320, 360, 360],
        "up to six hours"
    );
    let (not_ready, _) = waits(&CopyAnswer::NotReady, 10);
    assert_eq!(not_ready, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let (missing, status) = waits(&CopyAnswer::Missing { recording_known: true }, 99);
    assert_eq!(missing, [15, 30, 60, 120, 240, 480, 960, 1920, 3600]);
    assert_eq!(status, Status::Lost);
}
