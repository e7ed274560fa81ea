//! What Recall's lists say and a job does not know. Pure.

use std::time::Duration;

use shared::{
    ids::RecordingId,
    job::{Context, Decision, Event, Heard, Job, Recording, State, Status},
    recall::{RecordingArtifact, TranscriptArtifact},
    time::Timestamp,
    work::Message,
};

use crate::TRACE;

/// A recording that has just been done is left to its webhook for this long. Should both come, nothing is lost: one of
/// them finds that there is nothing to do.
const HEAD_START: Duration = Duration::from_secs(2 * 60);

/// One entry of a list.
#[derive(Debug)]
pub(crate) enum Listed {
    Recording(Box<RecordingArtifact>),
    Transcript(TranscriptArtifact),
}

/// What a job has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The word for metrics.
    pub(crate) kind: &'static str,
    pub(crate) message: Message,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Missed {
    /// What expires first is told first, and what is not known to expire last.
    pub(crate) fn order(&self) -> (bool, Option<Timestamp>) {
        (self.expires_at.is_none(), self.expires_at)
    }
}

impl Listed {
    pub(crate) fn recording_id(&self) -> Option<RecordingId> {
        match self {
            Self::Recording(recording) => Some(recording.id),
            Self::Transcript(transcript) => transcript.recording_id(),
        }
    }

    fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Recording(recording) => recording.expires_at(),
            Self::Transcript(_) => None,
        }
    }

    /// What this entry tells that the job does not know, if it is time to say so. The core is asked what it would do:
    /// what it would ignore, or has somebody at already, is not sent. So nothing is sent twice once it was taken up.
    pub(crate) fn missed(&self, job: &Job, deployment: Option<&str>, context: Context<'_>) -> Option<Missed> {
        let (first, second) = match self {
            Self::Recording(recording) => {
                let done = of_recording(recording, job, context)?;
                // A row that was lost first learns of the transcript that was paid for, and asks for no other.
                let shown = recording.transcript().map(|one| (one, one.attempt(job.recording_id, deployment)));
                let ours = shown.filter(|(_, attempt)| attempt.is_some());
                (
                    ours.and_then(|(one, attempt)| {
                        of_transcript(one, attempt, one.is_foreign(job.recording_id, deployment), job)
                    }),
                    done,
                )
            }
            Self::Transcript(transcript) => {
                let attempt = transcript.attempt(job.recording_id, deployment);
                let foreign = transcript.is_foreign(job.recording_id, deployment);
                (None, of_transcript(transcript, attempt, foreign, job)?)
            }
        };
        let matters = |(_, event): &Told| match job.clone().on_event(event, context) {
            Decision::Apply { .. } => true,
            Decision::Ignore(_) | Decision::Busy { .. } => false,
        };
        let (kind, event) = first.filter(matters).or(Some(second).filter(matters))?;
        let message = Message::new(job.recording_id, event, TRACE);
        Some(Missed { kind, message, expires_at: self.expires_at().or(job.expires_at) })
    }
}

/// A kind, as in [`Missed`], and what the job has to be told.
type Told = (&'static str, Event);

fn of_recording(listed: &RecordingArtifact, job: &Job, context: Context<'_>) -> Option<Told> {
    let done = listed.status().is_none_or(|status| status == "done");
    if !done || listed.completed_at().is_some_and(|at| context.now < at.plus(HEAD_START)) {
        return None;
    }
    let expires_at = listed.expires_at();
    let kind = match job.recording {
        Recording::Unknown | Recording::Failed { .. } => "recording.done",
        // Recall knows it after all.
        Recording::Done if job.is_unknown_to_recall() => "recording.done",
        // No webhook tells this. It is worth a message while there is something to lose.
        Recording::Done if job.expires_at.is_none() && expires_at.is_some() && is_at_stake(job.status()) => {
            "expires_at"
        }
        Recording::Done | Recording::Deleted => return None,
    };
    Some((kind, Event::RecordingDone(listed.finished(&context.policy.providers))))
}

/// `attempt`: ours that made it, as its metadata says.
fn of_transcript(listed: &TranscriptArtifact, attempt: Option<u32>, foreign: bool, job: &Job) -> Option<Told> {
    let left = |state: &State| matches!(state, State::Left { transcript_id } if *transcript_id == listed.id);
    if job.transcripts.iter().any(|transcript| left(&transcript.state)) {
        return None;
    }
    let heard = Heard { transcript_id: listed.id, attempt, foreign };
    match listed.status() {
        "done" => Some(("transcript.done", Event::TranscriptDone(heard))),
        // The answer to our create was lost, and so was its webhook.
        "processing" if attempt.is_some() => Some(("transcript.processing", Event::TranscriptProcessing(heard))),
        "failed" => Some(("transcript.failed", Event::TranscriptFailed { heard, sub_code: listed.sub_code() })),
        _ => None,
    }
}

/// Nothing of it is in S3 yet, and it could be.
pub(crate) fn is_at_stake(status: Status) -> bool {
    match status {
        Status::Stored | Status::Lost | Status::Skipped => false,
        Status::Creating
        | Status::Transcribing
        | Status::Copying
        | Status::Waiting
        | Status::LimitReached
        | Status::Failed => true,
    }
}

#[cfg(test)]
mod tests;
