//! Converts the entries of Recall's lists for the core, which says what a job does not know yet. Nothing here does I/O.

use job::{
    Context, EntryStatus, Event, Job, Recording, RecordingEntry, TranscriptEntry, TranscriptRef, ids::RecordingId,
    time::Timestamp,
};
use pipeline::{
    recall::{RecordingArtifact, TranscriptArtifact},
    work_queue::Message,
};

use crate::DELIVERY_ID;

/// One entry of a list of Recall's.
#[derive(Debug)]
pub(crate) enum ListEntry {
    Recording(Box<RecordingArtifact>),
    Transcript(Box<TranscriptArtifact>),
}

/// An event that a job does not know yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The name for metrics.
    pub(crate) kind: &'static str,
    pub(crate) message: Message,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Missing {
    /// Events of recordings that expire first are sent first, and those without a known expiry last.
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

    /// Returns the event in this entry that the job does not know, if it is time to send it.
    pub(crate) fn missing(&self, job: &Job, deployment: Option<&str>, context: Context<'_>) -> Option<Missing> {
        let event = match self {
            Self::Recording(recording) => {
                let info = || recording.recording_info(&context.policy.providers);
                job.missed_recording(&recording_entry(recording, job.recording_id, deployment), info, context)
            }
            Self::Transcript(transcript) => {
                job.missed_transcript(&transcript_entry(transcript, job.recording_id, deployment), context)
            }
        }?;
        let kind = kind(&event, job);
        let message = Message::new(job.recording_id, event, DELIVERY_ID);
        Some(Missing { kind, message, expires_at: self.expires_at().or(job.expires_at) })
    }
}

/// The name for metrics: the event's name, or `expires_at` if the expiry is all that the job did not know.
fn kind(event: &Event, job: &Job) -> &'static str {
    let knows_recording = job.recording == Recording::Done && !job.is_unknown_to_recall();
    if knows_recording && matches!(event, Event::RecordingDone(_)) { "expires_at" } else { event.name() }
}

fn recording_entry(listed: &RecordingArtifact, id: RecordingId, deployment: Option<&str>) -> RecordingEntry {
    RecordingEntry {
        is_done: listed.status().is_none_or(|status| status == "done"),
        done_at: listed.completed_at(),
        expires_at: listed.expires_at(),
        transcript: listed.transcript().map(|transcript| transcript_entry(transcript, id, deployment)),
    }
}

fn transcript_entry(listed: &TranscriptArtifact, id: RecordingId, deployment: Option<&str>) -> TranscriptEntry {
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
