//! The job: one item of the jobs table, with everything known about one recording.

use serde::{Deserialize, Serialize};

use super::{
    Claim, Decision, Deletion, DeletionReason, FollowUp, Hold, Next, Outbox, Overrides, Recording, Refusals, Rendering,
    Retry, State, Transcript,
};
use crate::{
    ids::{BotId, RecordingId},
    time::Timestamp,
};

/// Everything known about one recording; one item of the jobs table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub recording_id: RecordingId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    pub recording: Recording,
    /// When the recording was done; `None` if Recall has not told the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
    /// When Recall will delete the recording; `None` while Recall has not told the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What the metadata asks for. `None` means that the metadata has never been read, so nothing may be paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// Set while Recall answers that it does not know the recording. The job waits for a day from this time; an event
    /// about the recording starts the day again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// Set once Recall has refused our attempts with every provider that had tries left. `None` again once an answer or
    /// a look-up names our transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusals: Option<Refusals>,
    /// Another attempt that a person requested and that has not started yet, or had no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The request to render the readable files again, until it is served or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<Rendering>,
    /// When the newest request to render was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering_stopped_at: Option<Timestamp>,
    /// The work that follows a copy, until it is done or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<FollowUp>,
    /// The language that the newest create_transcript call asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_language: Option<String>,
    /// Languages from the metadata that Recall refused. They are never requested again, even if the metadata is
    /// received again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_languages: Vec<String>,
    /// When a paid attempt of ours last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// The highest attempt number that is taken; 0 before the first. A retry that only looks an old attempt up takes a
    /// number as well.
    pub attempts: u32,
    /// The transcripts, in the order in which the job learned of them.
    pub transcripts: Vec<Transcript>,
    /// Why the next attempt does not start now. `None` if nothing holds it back, if a deletion has to make room first,
    /// if our transcript is in progress or stored, or if the job has ended with the status that its transcripts give.
    /// While a create has no known outcome, the hold only keeps the count of Recall's answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The deletion at Recall that waits or is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// When the job ended without a transcript; `None` if it has not, or if it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When a person dismissed this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed_at: Option<Timestamp>,
    #[serde(default)]
    pub outbox: Outbox,
    /// Counts the saves. 0 means that the job is not in the table yet.
    pub version: u64,
}

impl Job {
    /// A job about which nothing is known yet.
    pub fn new(recording_id: RecordingId) -> Self {
        Self {
            recording_id,
            bot_id: None,
            recording: Recording::Unknown,
            done_at: None,
            expires_at: None,
            overrides: None,
            unknown_since: None,
            refusals: None,
            retry: None,
            rendering: None,
            rendering_stopped_at: None,
            follow_up: None,
            requested_language: None,
            refused_languages: Vec::new(),
            failed_at: None,
            attempts: 0,
            transcripts: Vec::new(),
            hold: None,
            deletion: None,
            ended_at: None,
            dismissed_at: None,
            outbox: Outbox::default(),
            version: 0,
        }
    }

    /// How many transcripts exist, or may exist, on the recording.
    pub fn transcript_count(&self) -> u32 {
        let count = self.transcripts.iter().filter(|transcript| transcript.exists()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Returns whether two transcripts carry the same attempt of ours: Recall made both of them and charged for both.
    pub fn paid_twice(&self) -> bool {
        let made = self.transcripts.iter().filter(|transcript| transcript.state.transcript_id().is_some());
        let attempts: Vec<u32> = made.filter_map(|transcript| transcript.attempt).collect();
        attempts.iter().enumerate().any(|(index, attempt)| attempts[..index].contains(attempt))
    }

    /// When the job must be looked at again; `None` if nothing is pending.
    pub fn due_at(&self) -> Option<Timestamp> {
        // While a create has no known outcome, a hold only keeps the count of Recall's answers.
        let hold = self.hold.as_ref().filter(|_| !self.is_creating()).and_then(Hold::retry_at);
        // What the operator wants deleted waits for the work that follows a copy.
        let follow_up = self.follow_up.map(|follow_up| follow_up.retry_at);
        let deletion = self.deletion.map(|deletion| match deletion.reason {
            DeletionReason::Stored => follow_up.map_or(deletion.retry_at, |until| until.max(deletion.retry_at)),
            DeletionReason::Room | DeletionReason::PaidTwice => deletion.retry_at,
        });
        let rendering = self.rendering.map(|rendering| rendering.retry_at);
        let outbox = Some(self.outbox.retry_at).filter(|_| !self.outbox.notices.is_empty());
        let transcripts = self.transcripts.iter().filter_map(|transcript| transcript.state.due_at());
        let others = [hold, deletion, rendering, follow_up, outbox, self.outbox.expiry_alarm_at];
        transcripts.chain(others.into_iter().flatten()).min()
    }

    /// Returns whether a create of ours still waits for its outcome.
    pub(crate) fn is_creating(&self) -> bool {
        self.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(_)))
    }

    /// Returns the claim of the lease that the coming save takes.
    pub(crate) fn next_claim(&self) -> Claim {
        Claim(self.version + 1)
    }

    /// Returns a wake-up if something is due, otherwise nothing. A transcript that was only found in a list may never
    /// have a webhook, so a message makes sure that it is handled right away.
    pub(crate) fn wake_if_due(&self, now: Timestamp) -> Next {
        let is_due = self.due_at().is_some_and(|at| at <= now);
        if is_due { Next::Act(super::Command::Wake) } else { Next::Nothing }
    }

    /// The decision to save this job and to continue with `next`.
    pub(crate) fn apply(self, next: Next) -> Decision {
        Decision::Apply { job: Box::new(self), next }
    }
}
