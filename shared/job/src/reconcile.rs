//! What Recall's lists tell that a job does not know, and whether a message would have an effect. Only the sweep asks.
//!
//! The sweep asks the core what it would do. A message that the core would ignore, or whose work a worker already has,
//! is not sent. So nothing is sent again after it was applied.

use std::time::Duration;

use super::{Context, Decision, Event, Job, Recording, RecordingInfo, State, TranscriptRef};
use crate::time::Timestamp;

/// A recording that has just finished is left to its webhook for this long. If both arrive, nothing is lost: one of
/// them finds that there is nothing to do.
pub const HEAD_START: Duration = Duration::from_secs(120);

/// A recording, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEntry {
    /// An entry without a status counts as done: it is listed because it has ended.
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

/// What Recall says about a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    Processing,
    Done,
    Failed {
        sub_code: Option<String>,
    },
    /// The transcript is deleted, or in a status that is newer than this code.
    Other,
}

impl Job {
    /// Returns the event that an entry of the list of recordings stands for, if the job does not know it and it is time
    /// to send it. `info`: everything that the entry says about the recording; called only if there is news.
    pub fn missed_recording(
        &self,
        entry: &RecordingEntry,
        info: impl FnOnce() -> RecordingInfo,
        context: Context<'_>,
    ) -> Option<Event> {
        if !entry.is_done || entry.done_at.is_some_and(|at| context.now < at.plus(HEAD_START)) {
            return None;
        }
        let is_news = match self.recording {
            Recording::Unknown | Recording::Failed { .. } => true,
            // Recall knows the recording after all. Or the news is the expiry, which no webhook carries: it is worth a
            // message while there is something to lose.
            Recording::Done => self.is_unknown_to_recall() || self.learns_expiry(entry),
            Recording::Deleted => false,
        };
        if !is_news {
            return None;
        }
        // A row that was lost first learns of the paid transcript, so that it does not request another one.
        let shown = entry.transcript.as_ref().filter(|one| one.reference.attempt.is_some());
        shown.and_then(|one| self.missed_transcript(one, context)).or_else(|| {
            let done = Event::RecordingDone(info());
            self.would_apply(&done, context).then_some(done)
        })
    }

    /// Returns the event that an entry of the list of transcripts stands for, if the job does not know it.
    pub fn missed_transcript(&self, entry: &TranscriptEntry, context: Context<'_>) -> Option<Event> {
        let reference = entry.reference;
        let is_foreign = self
            .position(reference.transcript_id)
            .is_some_and(|index| matches!(self.transcripts[index].state, State::Foreign { .. }));
        if is_foreign {
            return None;
        }
        let event = match &entry.status {
            EntryStatus::Done => Event::TranscriptDone(reference),
            // Both the answer to our create and its webhook were lost.
            EntryStatus::Processing if reference.attempt.is_some() => Event::TranscriptProcessing(reference),
            EntryStatus::Failed { sub_code } => Event::TranscriptFailed { reference, sub_code: sub_code.clone() },
            EntryStatus::Processing | EntryStatus::Other => return None,
        };
        self.would_apply(&event, context).then_some(event)
    }

    /// Returns whether a wake-up would have an effect. Work that is due but that no one can advance (a wait that
    /// another worker prolongs, an alarm that the operator has postponed) must not keep the workers busy or displace
    /// other work.
    pub fn can_be_woken(&self, context: Context<'_>) -> bool {
        self.would_apply(&Event::WAKE, context)
    }

    /// Returns whether the entry says for the first time when Recall deletes the recording, and that matters.
    fn learns_expiry(&self, entry: &RecordingEntry) -> bool {
        self.expires_at.is_none() && entry.expires_at.is_some() && self.status().is_at_stake()
    }

    fn would_apply(&self, event: &Event, context: Context<'_>) -> bool {
        match self.clone().on_event(event, context) {
            Decision::Apply { .. } => true,
            Decision::Ignore(_) | Decision::Busy { .. } => false,
        }
    }
}
