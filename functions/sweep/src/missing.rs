//! The entries of Recall's lists, as the core takes them: it says what a job does not know. Pure.

use job::{
    Context, EntryStatus, Event, Job, Recording, RecordingEntry, TranscriptEntry, TranscriptRef, ids::RecordingId,
    time::Timestamp,
};
use pipeline::{
    recall::{RecordingArtifact, TranscriptArtifact},
    work_queue::Message,
};

use crate::DELIVERY_ID;

/// One entry of a list.
#[derive(Debug)]
pub(crate) enum ListEntry {
    Recording(Box<RecordingArtifact>),
    Transcript(TranscriptArtifact),
}

/// What a job has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The word for metrics.
    pub(crate) kind: &'static str,
    pub(crate) message: Message,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Missing {
    /// What expires first is told first, and what is not known to expire last.
    pub(crate) fn order(&self) -> (bool, Option<Timestamp>) {
        (self.expires_at.is_none(), self.expires_at)
    }
}

impl ListEntry {
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

    /// What this entry tells that the job does not know, if it is time to say so.
    pub(crate) fn missed(&self, job: &Job, deployment: Option<&str>, context: Context<'_>) -> Option<Missing> {
        let event = match self {
            Self::Recording(recording) => {
                let info = || recording.recording_info(&context.policy.providers);
                job.missed_recording(&seen_recording(recording, job.recording_id, deployment), info, context)
            }
            Self::Transcript(transcript) => {
                job.missed_transcript(&seen_transcript(transcript, job.recording_id, deployment), context)
            }
        }?;
        let kind = kind(&event, job);
        let message = Message::new(job.recording_id, event, DELIVERY_ID);
        Some(Missing { kind, message, expires_at: self.expires_at().or(job.expires_at) })
    }
}

/// The word for metrics: the event's name, or that of its only news.
fn kind(event: &Event, job: &Job) -> &'static str {
    let knows = job.recording == Recording::Done && !job.is_unknown_to_recall();
    if knows && matches!(event, Event::RecordingDone(_)) { "expires_at" } else { event.name() }
}

fn seen_recording(listed: &RecordingArtifact, id: RecordingId, deployment: Option<&str>) -> RecordingEntry {
    RecordingEntry {
        is_done: listed.status().is_none_or(|status| status == "done"),
        done_at: listed.completed_at(),
        expires_at: listed.expires_at(),
        transcript: listed.transcript().map(|one| seen_transcript(one, id, deployment)),
    }
}

fn seen_transcript(listed: &TranscriptArtifact, id: RecordingId, deployment: Option<&str>) -> TranscriptEntry {
    let (attempt, other_deployment) = (listed.attempt(id, deployment), listed.is_of_other_deployment(id, deployment));
    let status = match listed.status() {
        "done" => EntryStatus::Done,
        "processing" => EntryStatus::Processing,
        "failed" => EntryStatus::Failed { sub_code: listed.sub_code() },
        _ => EntryStatus::Other,
    };
    TranscriptEntry { reference: TranscriptRef { transcript_id: listed.id, attempt, other_deployment }, status }
}

#[cfg(test)]
mod tests;
