//! Every situation of a job against every input, written out. `UPDATE_EXPECT=1 cargo test -p shared` renews it;
//! read the difference before you keep it.

use std::{fmt::Write as _, time::Duration};

use expect_test::expect_file;

use crate::{
    ids::{RecordingId, TranscriptId},
    job::{
        Answer, Claim, Command, CopyAnswer, Copying, CreateAnswer, Creating, Decision, DeleteAnswer, Deletion, Event,
        Failures, Heard, Hold, Job, KEY_REUSE, Listed, LookUpAnswer, Next, Notice, Policy, Recording, Refused, State,
        Status, Target, Why, Wishes,
        tests::{CLAIM, NOW, OTHER, OURS, context, done, job, policy, receipt},
    },
    time::Timestamp,
};

fn earlier(time: Duration) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - i64::try_from(time.as_millis()).expect("short"))
}

fn creating(first_call: Duration, errors: u32, until: Timestamp) -> Job {
    let first_call_at = earlier(first_call);
    let last_call_at = earlier(first_call.min(Duration::from_secs(300)));
    let calls = if first_call_at < last_call_at { 2 } else { 1 };
    job([State::Creating(Creating {
        first_call_at,
        last_call_at,
        calls,
        errors,
        conflicts: 0,
        until,
        claim: Some(CLAIM),
        refused: None,
    })])
}

fn situations() -> Vec<(&'static str, Job)> {
    let soon = NOW.plus(Duration::from_secs(9));
    let passed = earlier(Duration::from_secs(1));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let wait = |until, status| Some(Hold::Wait { until, status, times: 1, since: NOW });
    let deletion =
        |why, until| Some(Deletion { target: Target::Transcript(OURS), why, until, claim: Some(CLAIM), tries: 0 });
    let refused_creating = || {
        let mut job = creating(minutes(1), 0, soon);
        if let State::Creating(creating) = &mut job.transcripts[0].state {
            creating.refused = Some(Refused { code: None });
        }
        job
    };
    let told = |mut job: Job| {
        job.outbox.told = Some(job.status());
        job
    };
    let copying = |until, claim, missing| {
        let failures = Failures { transient: 2, missing, ..Failures::default() };
        let missing_since = (missing > 0).then(|| earlier(Duration::from_secs(60 * 60)));
        job([State::Copying(Copying { missing_since, ..super::copying(until, claim, failures) })])
    };
    let transcribing =
        |check_at| job([State::Transcribing { transcript_id: OURS, check_at, checks: 0, told_done: false }]);
    let deleted = |mut job: Job| {
        job.transcripts[0].deleted = true;
        job
    };
    let stored = || job([State::Stored { transcript_id: OURS, receipt: receipt() }]);
    let failed = || job([State::Failed { transcript_id: OURS, sub_code: None }]);
    let refused = || job([State::Refused { status: 400, code: None }]);
    let used_up = || {
        let mut transcripts = [failed().transcripts, refused().transcripts].concat();
        transcripts[1].provider = Some("rev_async".to_owned());
        transcripts
    };
    let left = || {
        let mut job = job([State::Left { transcript_id: OTHER }]);
        job.transcripts[0].attempt = None;
        job
    };
    let new = || Job::new(RecordingId::from_u128(7));
    let crowded = || {
        let mut job =
            job([OTHER, TranscriptId::from_u128(3)]
                .map(|transcript_id| State::Failed { transcript_id, sub_code: None }));
        job.transcripts.iter_mut().for_each(|transcript| transcript.attempt = None);
        job
    };
    let full = || Job { transcripts: [failed().transcripts, crowded().transcripts].concat(), ..failed() };
    vec![
        ("nothing known", new()),
        ("recording failed", Job { recording: Recording::Failed { sub_code: None }, version: 1, ..new() }),
        ("recording deleted", Job { recording: Recording::Deleted, version: 2, ..new() }),
        ("creating, leased", creating(minutes(1), 0, soon)),
        ("creating, lease over", creating(minutes(10), 0, passed)),
        ("creating, just called, same error thrice", creating(minutes(1), 3, passed)),
        ("creating, same error thrice", creating(minutes(10), 3, passed)),
        ("creating, a 400 to be understood", refused_creating()),
        ("creating, key too old", creating(KEY_REUSE, 0, passed)),
        ("transcribing", transcribing(soon)),
        ("transcribing, check due", transcribing(passed)),
        ("copying, leased", copying(soon, Some(CLAIM), 0)),
        ("copying, lease over", copying(passed, Some(CLAIM), 0)),
        ("copying, missing so often, leased", copying(soon, Some(CLAIM), 9)),
        ("copying, to be tried again", copying(soon, None, 0)),
        ("copying, to be tried again now", copying(passed, None, 0)),
        ("stored", stored()),
        ("stored, deleted at Recall", deleted(stored())),
        ("stored, to be deleted at Recall", Job { deletion: deletion(Why::Stored, soon), ..stored() }),
        ("failed, the next provider to come", Job { hold: wait(soon, None), ..failed() }),
        ("failed, the chain used up", told(Job { transcripts: used_up(), ..failed() })),
        ("refused, the next provider to come", Job { hold: wait(passed, None), ..refused() }),
        ("lost, Recall did not know it", job([State::Lost { transcript_id: OURS }])),
        ("lost, deleted", deleted(job([State::Lost { transcript_id: OURS }]))),
        ("somebody else's, left alone", left()),
        ("waiting", Job { hold: wait(soon, Some(429)), ..job([]) }),
        ("waiting, time over", Job { hold: wait(passed, Some(429)), ..job([]) }),
        (
            "skipped",
            Job { hold: Some(Hold::Skipped), wishes: Some(Wishes { skip: true, ..Wishes::default() }), ..job([]) },
        ),
        ("others' transcripts fill the limit", crowded()),
        ("making room", Job { deletion: deletion(Why::Room, soon), ..crowded() }),
        ("making room, of our own", Job { deletion: deletion(Why::Room, soon), ..full() }),
        ("limit reached", told(Job { hold: Some(Hold::LimitReached { until: None }), ..crowded() })),
    ]
}

fn events() -> Vec<Event> {
    let ours = Heard { transcript_id: OURS, attempt: Some(1), foreign: false };
    let other = Heard { transcript_id: OTHER, attempt: None, foreign: false };
    let again = Heard { transcript_id: OTHER, attempt: Some(1), foreign: false };
    vec![
        done(),
        Event::RecordingFailed { sub_code: None },
        Event::RecordingDeleted,
        Event::TranscriptProcessing(ours),
        Event::TranscriptDone(ours),
        Event::TranscriptFailed { heard: ours, sub_code: None },
        Event::TranscriptDeleted(ours),
        Event::TranscriptProcessing(other),
        Event::TranscriptDone(other),
        Event::TranscriptDone(again),
        Event::TranscriptFailed { heard: other, sub_code: None },
        Event::TranscriptDeleted(other),
        Event::WAKE,
    ]
}

fn answers() -> Vec<Answer> {
    let after = Duration::from_secs(30);
    let create = |answer| Answer::Create { attempt: 1, claim: CLAIM, answer };
    let look_up = |answer| Answer::LookUp { attempt: 1, claim: CLAIM, answer };
    let listed =
        |transcript_id, attempt, ended| Listed { transcript_id, attempt, ended, failed: false, foreign: false };
    let list = |listed: &[Listed]| look_up(LookUpAnswer::Listed(listed.to_vec()));
    let delete = |answer| Answer::Delete { target: Target::Transcript(OURS), claim: CLAIM, answer };
    let copy = |answer| Answer::Copy { transcript_id: OURS, claim: CLAIM, answer };
    vec![
        create(CreateAnswer::Created { transcript_id: OURS }),
        create(CreateAnswer::Created { transcript_id: OTHER }),
        create(CreateAnswer::InProgress),
        create(CreateAnswer::Lost),
        create(CreateAnswer::ServerError { after }),
        create(CreateAnswer::Throttled { after }),
        create(CreateAnswer::Operator { status: 402 }),
        create(CreateAnswer::Refused { status: 400, code: None }),
        Answer::Create { attempt: 1, claim: Claim(2), answer: CreateAnswer::Throttled { after } },
        create(CreateAnswer::Refused { status: 404, code: None }),
        list(&[listed(OURS, Some(1), false)]),
        list(&[listed(OURS, Some(1), true)]),
        list(&[listed(OURS, Some(1), true), listed(OTHER, Some(1), true)]),
        list(&[listed(OTHER, None, true)]),
        list(&[]),
        look_up(LookUpAnswer::Later { after }),
        copy(CopyAnswer::Stored(receipt())),
        copy(CopyAnswer::NotReady),
        copy(CopyAnswer::Failed { sub_code: None }),
        copy(CopyAnswer::Deleted),
        copy(CopyAnswer::Missing { recording_known: false }),
        copy(CopyAnswer::Later { after }),
        Answer::Copy { transcript_id: OURS, claim: Claim(2), answer: CopyAnswer::Deleted },
        delete(DeleteAnswer::Deleted),
        delete(DeleteAnswer::Unverified),
        delete(DeleteAnswer::Others(vec![listed(OTHER, None, true)])),
        delete(DeleteAnswer::Others(vec![listed(OURS, Some(1), true)])),
        delete(DeleteAnswer::Later { after }),
        Answer::Announce { sent: vec![Notice::Stored { transcript_id: OURS }] },
        Answer::Announce { sent: Vec::new() },
        Answer::Wake { sent: true },
        Answer::Wake { sent: false },
    ]
}

/// Short names for ids and claims, so that a row fits a line.
fn input(debug: String) -> String {
    let receipt = format!("({:?})", receipt());
    let done = format!("{:?}", done());
    let short = [
        (done.as_str(), "RecordingDone"),
        ("TranscriptId(00000000-0000-0000-0000-000000000001)", "ours"),
        ("TranscriptId(00000000-0000-0000-0000-000000000002)", "another"),
        ("Heard { transcript_id: ", "Heard { "),
        ("(Heard { ", "("),
        ("heard: Heard { ", ""),
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
        ("Listed { ", "{ "),
        (", failed: false, foreign: false }", " }"),
        (", foreign: false", ""),
        (" { now: false }", ""),
    ];
    short.into_iter().fold(debug, |text, (long, short)| text.replace(long, short))
}

fn decision(decision: Decision) -> String {
    let seconds = |until: Timestamp| until.since(NOW).as_secs();
    match decision {
        Decision::Ignore(reason) => format!("ignore: {}", reason.as_str()),
        Decision::Busy { until } => format!("busy for {} s", seconds(until)),
        Decision::Apply { job, next } => {
            let next = match next {
                Next::Nothing => String::new(),
                Next::Act(command) => format!(", then {}", command.name()),
                Next::Again { at } => format!(", again in {} s", seconds(at)),
            };
            format!("{} ({}){next}", job.status().as_str(), job.transcript_count())
        }
    }
}

#[test]
fn every_situation_meets_every_input() {
    let policy = policy();
    let context = context(&policy, NOW);
    let mut table = String::from("Status (count of transcripts) after each input; the limit is 2.\n");
    for (name, job) in situations() {
        writeln!(table, "\n{name}: {} ({})", job.status().as_str(), job.transcript_count()).expect("a String");
        for event in events() {
            let result = decision(job.clone().on_event(&event, context));
            writeln!(table, "    {:<72} {result}", input(format!("{event:?}"))).expect("a String");
        }
        for answer in answers() {
            let result = decision(job.clone().on_answer(&answer, context));
            writeln!(table, "    {:<72} {result}", input(format!("{answer:?}"))).expect("a String");
        }
    }
    expect_file!["table.txt"].assert_eq(&table);
}

#[test]
fn others_transcripts_are_left_alone_if_the_operator_wants_that() {
    let policy = Policy { copy_unrequested: false, ..policy() };
    let context = context(&policy, NOW);
    let other = Event::TranscriptDone(Heard { transcript_id: OTHER, attempt: None, foreign: false });
    let later = NOW.plus(Duration::from_secs(1));
    let known = job([State::Transcribing { transcript_id: OURS, check_at: later, checks: 0, told_done: false }]);
    assert_eq!(decision(known.on_event(&other, context)), "transcribing (2)", "noted, and left alone");
    // Also while a create of ours waits for its answer: whatever we made says so in its metadata.
    let waiting = creating(Duration::from_secs(1), 0, NOW.plus(Duration::from_secs(9)));
    assert_eq!(decision(waiting.on_event(&other, context)), "creating (2)");
}

#[test]
fn a_create_that_was_refused_and_exists_all_the_same_was_paid_once() {
    let policy = policy();
    let context = context(&policy, NOW);
    let refused = job([State::Refused { status: 400, code: None }]);
    let done = Event::TranscriptDone(Heard { transcript_id: OURS, attempt: Some(1), foreign: false });
    let Decision::Apply { job, .. } = refused.on_event(&done, context) else { panic!("not applied") };
    assert!(!job.paid_twice() && job.transcripts.len() == 1, "{job:?}");
}

#[test]
fn an_unnamed_transcript_that_was_ours_is_joined_with_its_attempt() {
    let policy = policy();
    let context = context(&policy, NOW);
    let unnamed = Event::TranscriptDone(Heard { transcript_id: OTHER, attempt: None, foreign: false });
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

/// Every wait in a row is longer, up to a limit, and a transcript that Recall does not know is not given up soon.
#[test]
fn waits_grow_and_nothing_is_given_up_soon() {
    let policy = Policy { announces: false, ..policy() };
    let waits = |answer: &CopyAnswer, tries: usize| {
        let mut now = NOW;
        let mut job = job([State::Transcribing { transcript_id: OURS, check_at: NOW, checks: 0, told_done: false }]);
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
    let (not_ready, _) = waits(&CopyAnswer::NotReady, 10);
    assert_eq!(not_ready, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let (missing, status) = waits(&CopyAnswer::Missing { recording_known: true }, 99);
    assert_eq!(missing, [15, 30, 60, 120, 240, 480, 960, 1920, 3600]);
    assert_eq!(status, Status::Lost);
}
