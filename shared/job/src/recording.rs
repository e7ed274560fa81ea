//! What is known about the recording itself, and whether Recall knows it at all.

mod read_answers;
mod recording_events;

use serde::{Deserialize, Serialize};

pub use self::read_answers::RecordingAnswer;
use super::{Command, Context, Decision, Hold, HoldCause, Job, Next, Overrides, State, Transcript};
use crate::{ids::BotId, time::Timestamp};

/// What Recall has said about the recording itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Recording {
    /// Nothing: we only know of its transcripts.
    Unknown,
    Done,
    Failed {
        sub_code: Option<String>,
    },
    Deleted,
}

/// What an event or an answer says about a recording that is done. A missing value is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingInfo {
    #[serde(default)]
    pub bot_id: Option<BotId>,
    /// `None`: the metadata was not read, or only in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

impl Recording {
    /// Returns why there is no recording, in Recall's words.
    pub(crate) fn sub_code(&self) -> Option<String> {
        if let Self::Failed { sub_code } = self { sub_code.clone() } else { None }
    }
}

impl Job {
    /// Notes what an event or an answer says about the recording. A missing value changes nothing: only metadata that
    /// was read may lift a skip.
    fn update_recording(&mut self, info: &RecordingInfo) {
        self.recording = Recording::Done;
        // `done_at` is used only for metrics, so it is kept but does not justify a save of its own.
        self.done_at = self.done_at.or(info.done_at);
        self.bot_id = self.bot_id.or(info.bot_id);
        self.overrides = info.overrides.clone().or_else(|| self.overrides.take());
        self.expires_at = info.expires_at.or(self.expires_at);
    }

    /// Returns whether the metadata was read and asks for no transcript.
    pub(crate) fn is_skip_requested(&self) -> bool {
        self.overrides.as_ref().is_some_and(|overrides| overrides.skip)
    }

    /// Retrieves the recording: its metadata must have been read before anything is paid for.
    pub(crate) fn read_recording(mut self, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let before = self.hold.as_ref().and_then(Hold::cause);
        let (cause, times, since) = before.unwrap_or((HoldCause::default(), 0, context.now));
        self.hold = Some(Hold::Unread { retry_at: context.lease_until, claim: Some(claim), cause, times, since });
        self.apply(Next::Act(Command::ReadRecording { claim }))
    }

    /// Notes that Recall knows the recording. If the job had ended because Recall did not, the job continues.
    pub(crate) fn mark_known_to_recall(&mut self, now: Timestamp) {
        self.extend_unknown_wait(now);
        self.unknown_since = None;
    }

    /// Waits another day for a recording that Recall does not know, because an event is about it and Recall may know it
    /// by now. Only Recall's own answer proves that it does.
    pub(crate) fn extend_unknown_wait(&mut self, now: Timestamp) {
        if self.unknown_since.is_none() {
            return;
        }
        self.unknown_since = Some(now);
        if self.hold == Some(Hold::Skipped) && !self.is_skip_requested() {
            self.hold = Some(Hold::Wait { retry_at: now, status: None, times: 0, since: now });
        }
        if self.is_parked() {
            self.park(now);
        }
    }

    /// Returns whether Recall does not know the recording: the job waits for it, or has ended because of that. Such a
    /// job counts in no measure of what is late.
    pub fn is_unknown_to_recall(&self) -> bool {
        self.unknown_since.is_some()
    }

    /// Returns whether Recall had a transcript of ours, and so knew the recording at some time.
    fn had_transcript_of_ours(&self) -> bool {
        self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.transcript_id().is_some())
    }

    /// Returns whether Recall has said what happened to the recording, or we have requested a transcript of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.recording != Recording::Unknown || self.attempts > 0
    }

    /// Returns whether an event says that the recording failed, and Recall is being asked. Until Recall confirms it,
    /// the failure is not announced.
    pub(crate) fn is_failure_unconfirmed(&self) -> bool {
        self.recording == Recording::Unknown
            && self.attempts == 0
            && matches!(self.hold, Some(Hold::Unread { .. } | Hold::Wait { .. }))
    }

    /// Returns whether only the sender of events knows this recording: no transcript of it was ever seen at Recall,
    /// except failed ones that someone else requested.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        let unconfirmed = |state: &State| match state {
            State::Copying(_) | State::Lost { .. } | State::Failed { .. } => true,
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Stored { .. }
            | State::Refused { .. }
            | State::Foreign { .. } => false,
        };
        self.recording == Recording::Unknown
            && self.attempts == 0
            && self.transcripts.iter().all(|one| unconfirmed(&one.state))
    }

    /// Returns whether the job ends without an announcement: Recall does not know the recording, or all that events
    /// say is that transcripts of others have failed or are deleted.
    pub(crate) fn ends_silently(&self) -> bool {
        let is_over = |one: &Transcript| one.deleted || matches!(one.state, State::Failed { .. });
        let all_over = !self.transcripts.is_empty() && self.transcripts.iter().all(is_over);
        self.is_unconfirmed() && (self.is_unknown_to_recall() || all_over)
    }
}
