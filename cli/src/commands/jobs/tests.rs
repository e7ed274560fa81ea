use std::time::Duration;

use expect_test::expect;
use job::{Hold, Recording, State, Transcript, ids::TranscriptId, samples};

use super::*;
use crate::{
    output::Output,
    times::{TimeFormat, Times},
};

const NOW: Timestamp = samples::NOW;

fn output() -> Output {
    use clap::Parser as _;
    let args = crate::args::Args::parse_from(["recall-transcripts", "jobs"]);
    let mut output = Output::new(&args.global);
    output.times = Times::new(TimeFormat::Relative, NOW);
    output
}

fn hours_ago(hours: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(60 * 60 * hours))
}

/// One job of each kind that the command lists.
fn jobs() -> [Job; 3] {
    let job = |number: u128| Job {
        recording: Recording::Done,
        expires_at: Some(NOW.plus(Duration::from_secs(6 * 24 * 60 * 60))),
        attempts: 1,
        version: 1,
        ..Job::new(RecordingId::from_u128(number))
    };
    let provider = || Some("recallai_async".to_owned());
    let transcript_id = TranscriptId::from_u128(9);
    let failed = State::Failed { transcript_id, sub_code: None };
    let check_at = NOW.plus(Duration::from_secs(50 * 60));
    let running = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false };
    let retry_at = NOW.plus(Duration::from_secs(200));
    [
        Job {
            done_at: Some(hours_ago(30)),
            ended_at: Some(hours_ago(3)),
            transcripts: vec![Transcript::new(Some(1), provider(), failed.clone())],
            ..job(1)
        },
        Job {
            done_at: Some(hours_ago(2)),
            transcripts: vec![Transcript::new(Some(1), provider(), failed)],
            hold: Some(Hold::Wait { retry_at, status: None, times: 0, since: NOW }),
            ..job(2)
        },
        Job { done_at: Some(hours_ago(1)), transcripts: vec![Transcript::new(Some(1), provider(), running)], ..job(3) },
    ]
}

fn shown(width: u16) -> String {
    let table = in_table(&jobs(), &output(), width);
    let plain = anstream::adapter::strip_str(&table).to_string();
    assert!(plain.lines().all(|line| line.chars().count() <= usize::from(width)), "{plain}");
    plain
}

#[test]
fn table_has_all_columns_if_there_is_room() {
    expect![[r#"
        RECORDING                             STATUS        AGE  NEXT                                             PAID  EXPIRES  TITLE
        00000000-0000-0000-0000-000000000001  failed        1 d  a person decides                                 1     in 6 d
        00000000-0000-0000-0000-000000000002  waiting       2 h  in 3 min: start the next attempt                 1     in 6 d
        00000000-0000-0000-0000-000000000003  transcribing  1 h  in 50 min: ask Recall whether the transcript by  1     in 6 d
                                                                 recallai_async is done"#]].assert_eq(&shown(140));
}

#[test]
fn narrow_table_keeps_the_ids_whole() {
    expect![[r#"
        RECORDING                             STATUS        AGE  NEXT
        00000000-0000-0000-0000-000000000001  failed        1 d  a person decides
        00000000-0000-0000-0000-000000000002  waiting       2 h  in 3 min: start the
                                                                 next attempt
        00000000-0000-0000-0000-000000000003  transcribing  1 h  in 50 min: ask Recall
                                                                 whether the
                                                                 transcript by
                                                                 recallai_async is
                                                                 done"#]]
    .assert_eq(&shown(80));
}

#[test]
fn filters_let_only_matching_jobs_through() {
    use clap::Parser as _;
    let chosen = |arguments: &[&str]| {
        let args = crate::args::Args::parse_from([&["recall-transcripts", "jobs"], arguments].concat());
        let crate::args::Command::Jobs(chosen) = args.command else { panic!("another command") };
        jobs().iter().filter(|job| is_chosen(job, &chosen, NOW)).map(|job| job.status().as_str()).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&[]), ["failed", "waiting", "transcribing"]);
    assert_eq!(chosen(&["--status", "failed,waiting"]), ["failed", "waiting"]);
    assert_eq!(chosen(&["--older-than", "90m"]), ["failed", "waiting"]);
    assert_eq!(chosen(&["--provider", "rev_async"]), Vec::<&str>::new());
}
