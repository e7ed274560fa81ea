//! A job in words: what happened, what happens next and when, and what a person can do.

use job::{Deletion, DeletionReason, DeletionTarget, Hold, Job, Recording, State, Status, Transcript, time::Timestamp};

/// Something that the pipeline will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: String,
    pub(crate) at: Timestamp,
}

/// Returns the title of the meeting, if a stored transcript has one.
pub(crate) fn title(job: &Job) -> Option<&str> {
    let stored = job.transcripts.iter().rev().filter_map(receipt);
    stored.filter_map(|receipt| receipt.title.as_deref()).next()
}

fn receipt(transcript: &Transcript) -> Option<&job::Receipt> {
    if let State::Stored { receipt, .. } = &transcript.state { Some(receipt) } else { None }
}

/// Returns the provider of the newest attempt.
pub(crate) fn provider(job: &Job) -> Option<&str> {
    job.transcripts.iter().rev().find_map(|transcript| transcript.provider.as_deref())
}

/// Returns how many attempts Recall has made a transcript for, or may have: it charges for each of them.
pub(crate) fn paid_attempts(job: &Job) -> usize {
    let is_paid = |transcript: &&Transcript| {
        let is_refused = matches!(&transcript.state, State::Refused { status, .. } if *status != UNKNOWN_OUTCOME);
        transcript.attempt.is_some() && !is_refused
    };
    job.transcripts.iter().filter(is_paid).count()
}

/// The status of an attempt whose outcome could never be determined.
const UNKNOWN_OUTCOME: u16 = 0;

/// Returns what the pipeline will do, the next step first.
pub(crate) fn steps(job: &Job) -> Vec<Step> {
    let mut steps: Vec<Step> = job.transcripts.iter().filter_map(step_of).collect();
    let is_creating = job.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(_)));
    if let Some(hold) = job.hold.as_ref().filter(|_| !is_creating) {
        steps.extend(step_of_hold(hold));
    }
    if let Some(Deletion { target, reason, retry_at, .. }) = job.deletion {
        let what = match target {
            DeletionTarget::Recording => "delete the recording at Recall".to_owned(),
            DeletionTarget::Transcript(id) => format!("delete transcript {id} at Recall"),
        };
        let why = match reason {
            DeletionReason::Stored => "DELETE_AFTER_STORE asks for it",
            DeletionReason::Room => "to make room for the next attempt",
            DeletionReason::PaidTwice => "another transcript of its attempt is stored",
        };
        steps.push(Step { what: format!("{what}, {why}"), at: retry_at });
    }
    if let Some(rendering) = job.rendering {
        steps.push(Step { what: "make the readable files again".to_owned(), at: rendering.retry_at });
    }
    if let Some(follow_up) = job.follow_up {
        let what = "fetch what Recall had not made ready about the meeting".to_owned();
        steps.push(Step { what, at: follow_up.retry_at });
    }
    if !job.outbox.notices.is_empty() {
        steps.push(Step { what: "announce the result on the event bus".to_owned(), at: job.outbox.retry_at });
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn step_of(transcript: &Transcript) -> Option<Step> {
    let provider = transcript.provider.as_deref().unwrap_or("an unknown provider");
    let (what, at) = match &transcript.state {
        State::Creating(creating) => {
            (format!("find out whether Recall accepted the attempt with {provider}"), creating.retry_at)
        }
        State::Transcribing { check_at, .. } => {
            (format!("ask Recall whether the transcript by {provider} is done"), *check_at)
        }
        State::Copying(copying) => ("copy the transcript to S3".to_owned(), copying.retry_at),
        State::Stored { .. }
        | State::Failed { .. }
        | State::Refused { .. }
        | State::Lost { .. }
        | State::Foreign { .. } => return None,
    };
    Some(Step { what, at })
}

fn step_of_hold(hold: &Hold) -> Option<Step> {
    let (what, at) = match hold {
        Hold::Wait { retry_at, status: None, .. } => ("start the next attempt".to_owned(), *retry_at),
        Hold::Wait { retry_at, status: Some(status), times, .. } => {
            (format!("start the attempt again, which Recall answered with {status} ({times} in a row)"), *retry_at)
        }
        Hold::Unread { retry_at, .. } => ("read the recording's metadata at Recall".to_owned(), *retry_at),
        Hold::AllRefused { retry_at } => {
            ("start the chain again, of which Recall refused every provider".to_owned(), *retry_at)
        }
        Hold::LimitReached { retry_at: Some(retry_at) } => {
            ("look whether there is room for another transcript".to_owned(), *retry_at)
        }
        Hold::LimitReached { retry_at: None } | Hold::Skipped => return None,
    };
    Some(Step { what, at })
}

/// Says what Recall has reported about the recording.
pub(crate) fn recording(job: &Job) -> String {
    match &job.recording {
        _ if job.is_unknown_to_recall() => "Recall does not know this recording".to_owned(),
        Recording::Unknown => "Recall has not reported the recording".to_owned(),
        Recording::Done => "the recording is done".to_owned(),
        Recording::Failed { sub_code } => format!("the recording failed{}", reason(sub_code.as_deref())),
        Recording::Deleted => "the recording is deleted at Recall".to_owned(),
    }
}

/// Says what became of a transcript.
pub(crate) fn transcript(transcript: &Transcript) -> String {
    let what = match &transcript.state {
        State::Creating(creating) => match creating.calls {
            0 | 1 => "requested; the outcome is unknown yet".to_owned(),
            calls => format!("requested; the outcome is unknown after {calls} calls"),
        },
        State::Transcribing { .. } => "Recall is working on it".to_owned(),
        State::Copying(copying) => match copying.failures.total() {
            0 => "done; it is being copied to S3".to_owned(),
            times => format!("done; copying it to S3 failed {times} times so far"),
        },
        State::Stored { receipt, .. } => {
            let minutes = receipt.counts.duration_ms / 60_000;
            let content = match (receipt.unreadable, receipt.empty) {
                (true, _) => "the file cannot be read as a transcript".to_owned(),
                (false, true) => "no one spoke".to_owned(),
                (false, false) => format!("{} words in {minutes} min", receipt.counts.words),
            };
            format!("stored, {content}")
        }
        State::Failed { sub_code, .. } => format!("failed at Recall{}", reason(sub_code.as_deref())),
        State::Refused { status: UNKNOWN_OUTCOME, .. } => {
            "given up: whether Recall accepted it could not be found out, so it may have been paid for".to_owned()
        }
        State::Refused { status, code } => format!("refused by Recall: {status}{}", reason(code.as_deref())),
        State::Lost { .. } => "lost: it was deleted, or given up, before it was copied".to_owned(),
        State::Foreign { .. } => "requested by someone else, and left alone".to_owned(),
    };
    if transcript.deleted { format!("{what}; deleted at Recall") } else { what }
}

fn reason(code: Option<&str>) -> String {
    code.map(|code| format!(" ({})", crate::output::plain(code))).unwrap_or_default()
}

/// Returns what a person can do about the job: commands, each with its effect.
pub(crate) fn options(job: &Job) -> Vec<(String, &'static str)> {
    let id = job.recording_id;
    let mut options = Vec::new();
    match job.status() {
        Status::Failed | Status::Lost if matches!(job.recording, Recording::Failed { .. } | Recording::Deleted) => {}
        Status::Failed | Status::Lost | Status::Skipped => {
            options.push((format!("retry {id}"), "pays for one more attempt"));
        }
        Status::LimitReached => options.push((
            format!("retry {id}"),
            "pays for one more attempt, once a transcript of the recording is deleted at Recall",
        )),
        Status::Stored => {
            options.push((format!("render {id}"), "makes the readable files again"));
            options.push((format!("retry {id}"), "pays for another transcript"));
        }
        Status::Creating | Status::Transcribing | Status::Copying | Status::Waiting => {}
    }
    if !steps(job).is_empty() {
        options.push((format!("wake {id}"), "does the next step now"));
    }
    if job.needs_attention() {
        options.push((format!("dismiss {id} --reason TEXT"), "takes the job out of the list"));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state is described in one line without a word of the code.
    #[test]
    fn every_job_is_described_in_words() {
        for job in Job::samples() {
            let lines: Vec<String> = [recording(&job)]
                .into_iter()
                .chain(job.transcripts.iter().map(transcript))
                .chain(steps(&job).into_iter().map(|step| step.what))
                .collect();
            for line in lines {
                assert!(!line.is_empty() && !line.contains("{") && !line.contains("Some("), "{line}");
            }
        }
    }

    /// What waits has a step, so that no one looks at a job and does not know what happens next.
    #[test]
    fn whatever_is_due_has_a_step() {
        for job in Job::samples() {
            let alarm = job.outbox.expiry_alarm_at;
            if let Some(due_at) = job.due_at().filter(|at| Some(*at) != alarm) {
                assert!(!steps(&job).is_empty(), "{due_at:?}: {job:?}");
            }
        }
    }

    #[test]
    fn only_attempts_that_may_cost_count_as_paid() {
        let state = |state| Transcript::new(Some(1), Some("p".to_owned()), state);
        let refused = |status| state(State::Refused { status, code: None });
        let job = Job {
            transcripts: vec![refused(400), refused(0), Transcript { attempt: None, ..refused(0) }],
            ..Job::new(job::ids::RecordingId::from_u128(1))
        };
        assert_eq!(paid_attempts(&job), 1);
    }
}
