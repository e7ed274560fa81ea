//! What Recall's lists say and a job does not know, and whether a message would do something. Only the sweep asks.
//!
//! The core is asked what it would do: what it would ignore, or has somebody at already, is not sent. So nothing is sent
//! twice once it was taken up.

use std::time::Duration;

use super::{Context, Decision, Event, Job, Recording, RecordingInfo, State, TranscriptRef};
use crate::time::Timestamp;

/// A recording that has just been done is left to its webhook for this long. Should both come, nothing is lost: one of
/// them finds that there is nothing to do.
pub const HEAD_START: Duration = Duration::from_secs(2 * 60);

/// A recording, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEntry {
    /// An entry without a status is as good as one that is done: it was listed because it has ended.
    pub is_done: bool,
    pub done_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// One of its transcripts, if the entry shows one.
    pub transcript: Option<TranscriptEntry>,
}

/// A transcript, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptEntry {
    pub reference: TranscriptRef,
    pub status: EntryStatus,
}

/// What Recall says of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    Processing,
    Done,
    Failed {
        sub_code: Option<String>,
    },
    /// It is deleted, or in a status that is newer than this code.
    Other,
}

impl Job {
    /// What an entry of the list of recordings tells that the job does not know, if it is time to say so. `finished`:
    /// all that the entry says of the recording; asked for only if there is something to tell.
    pub fn missed_recording(
        &self,
        seen: &RecordingEntry,
        info: impl FnOnce() -> RecordingInfo,
        context: Context<'_>,
    ) -> Option<Event> {
        if !seen.is_done || seen.done_at.is_some_and(|at| context.now < at.plus(HEAD_START)) {
            return None;
        }
        let is_news = match self.recording {
            Recording::Unknown | Recording::Failed { .. } => true,
            // Recall knows it after all. Or it is the expiry, of which no webhook tells: that is worth a message while
            // there is something to lose.
            Recording::Done => self.is_unknown_to_recall() || self.learns_expiry(seen),
            Recording::Deleted => false,
        };
        if !is_news {
            return None;
        }
        // A row that was lost first learns of the transcript that was paid for, and asks for no other.
        let shown = seen.transcript.as_ref().filter(|one| one.reference.attempt.is_some());
        shown.and_then(|one| self.missed_transcript(one, context)).or_else(|| {
            let done = Event::RecordingDone(info());
            self.would_apply(&done, context).then_some(done)
        })
    }

    /// What an entry of the list of transcripts tells that the job does not know.
    pub fn missed_transcript(&self, seen: &TranscriptEntry, context: Context<'_>) -> Option<Event> {
        let reference = seen.reference;
        let is_left = |state: &State| matches!(state, State::Foreign { transcript_id } if *transcript_id == reference.transcript_id);
        if self.transcripts.iter().any(|transcript| is_left(&transcript.state)) {
            return None;
        }
        let event = match &seen.status {
            EntryStatus::Done => Event::TranscriptDone(reference),
            // The answer to our create was lost, and so was its webhook.
            EntryStatus::Processing if reference.attempt.is_some() => Event::TranscriptProcessing(reference),
            EntryStatus::Failed { sub_code } => Event::TranscriptFailed { reference, sub_code: sub_code.clone() },
            EntryStatus::Processing | EntryStatus::Other => return None,
        };
        self.would_apply(&event, context).then_some(event)
    }

    /// Whether a wake-up would do something. What is due but nobody can bring forward (a wait that another worker
    /// prolongs, an alarm that the operator has put off) neither keeps the workers busy nor takes the place of others.
    pub fn can_be_woken(&self, context: Context<'_>) -> bool {
        self.would_apply(&Event::WAKE, context)
    }

    /// Whether the only news of this entry is when Recall deletes the recording.
    fn learns_expiry(&self, seen: &RecordingEntry) -> bool {
        self.expires_at.is_none() && seen.expires_at.is_some() && self.status().is_at_stake()
    }

    fn would_apply(&self, event: &Event, context: Context<'_>) -> bool {
        match self.clone().on_event(event, context) {
            Decision::Apply { .. } => true,
            Decision::Ignore(_) | Decision::Busy { .. } => false,
        }
    }
}
