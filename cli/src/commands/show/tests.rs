use expect_test::expect;
use job::{Recording, samples::NOW};

use super::*;
use crate::{
    args::Args,
    output::Output,
    times::{TimeFormat, Times},
};

fn output() -> Output {
    use clap::Parser as _;
    let args = Args::parse_from(["recall-transcripts", "--color", "never", "man"]);
    let mut output = Output::new(&args.global);
    output.times = Times::new(TimeFormat::Utc, NOW);
    output
}

#[test]
fn story_of_a_failed_job_says_what_a_person_can_do() {
    let job = Job {
        recording: Recording::Done,
        done_at: Some(NOW),
        ended_at: Some(NOW),
        attempts: 1,
        version: 3,
        transcripts: vec![Transcript::new(
            Some(1),
            Some("recallai_async".to_owned()),
            State::Failed {
                transcript_id: job::ids::TranscriptId::from_u128(2),
                sub_code: Some("provider_connection_failed".to_owned()),
            },
        )],
        ..Job::new(RecordingId::from_u128(1))
    };
    let story = anstream::adapter::strip_str(&in_words(&job, "bucket", &output())).to_string();
    expect![[r#"
        A recording without a known title, failed
        recording  00000000-0000-0000-0000-000000000001

        At Recall, the recording is done.
          done       1970-01-12 13:46:40 UTC
          ended      1970-01-12 13:46:40 UTC

        Transcripts:
          attempt 1, recallai_async:  failed at Recall (provider_connection_failed)
            transcript 00000000-0000-0000-0000-000000000002

        Nothing is left to do.

        You can run:
          recall-transcripts retry 00000000-0000-0000-0000-000000000001
            pays for one more attempt
          recall-transcripts dismiss 00000000-0000-0000-0000-000000000001 --reason TEXT
            takes the job out of the list"#]]
    .assert_eq(&story);
}

/// The story of every kind of job can be told, also as JSON with the attributes of the table.
#[test]
fn every_job_has_a_story() {
    for job in Job::samples() {
        let story = in_words(&job, "bucket", &output());
        assert!(story.contains(&job.recording_id.to_string()) && !story.contains("https://"), "{story}");
        let json = as_json(&job);
        assert_eq!((&json["status"], &json["attempts"]), (&json!(job.status()), &json!(job.attempts)));
    }
}
