//! Before anything is paid for: the recording's metadata must have been read, and Recall must know the recording.

use std::time::Duration;

use super::{
    Claim, Command, Context, Decision, Hold, HoldCause, Job, Next, Reason, Recording, RecordingAnswer, RecordingInfo,
    State, Transcript,
    waits::{asked, doubled},
};
use crate::time::Timestamp;

/// The first wait after a recording could not be retrieved; it doubles with every try.
const READ_WAIT: Duration = Duration::from_secs(5);
const READ_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The first wait for a recording that Recall does not know; it doubles with every try.
const UNKNOWN_WAIT: Duration = Duration::from_secs(60);
const UNKNOWN_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// A recording that Recall has not known for this long is nothing to wait for.
pub(super) const UNKNOWN_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// A recording may be kept longer than Recall has told, so a job goes on for this long after its expiry.
pub(super) const EXPIRY_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

impl Job {
    /// Notes what an event or an answer says about the recording. What it does not say stays as it was: only metadata
    /// that was read may lift a skip.
    pub(super) fn learn_recording(&mut self, info: &RecordingInfo) {
        self.recording = Recording::Done;
        // It is measured by, and decides nothing: worth keeping, but not worth a save of its own.
        self.done_at = self.done_at.or(info.done_at);
        self.bot_id = self.bot_id.or(info.bot_id);
        self.overrides = info.overrides.clone().or_else(|| self.overrides.take());
        self.expires_at = info.expires_at.or(self.expires_at);
    }

    /// The metadata asks for no transcript, as far as it was read.
    pub(super) fn skips(&self) -> bool {
        self.overrides.as_ref().is_some_and(|overrides| overrides.skip)
    }

    /// Retrieves the recording: nothing is paid for before its metadata was read.
    pub(super) fn read(mut self, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let before = self.hold.as_ref().and_then(Hold::cause);
        let (cause, times, since) = before.unwrap_or((HoldCause::default(), 0, context.now));
        self.hold = Some(Hold::Unread { retry_at: context.lease_until, claim: Some(claim), cause, times, since });
        self.advanced(Next::Act(Command::ReadRecording { claim }), context)
    }

    pub(super) fn on_recording_answer(
        mut self,
        claim: Claim,
        answer: &RecordingAnswer,
        context: Context<'_>,
    ) -> Decision {
        if self.is_parked() {
            return self.on_recording_of_parked(answer, context);
        }
        let Some(Hold::Unread { claim: Some(held), cause, times, since, .. }) = self.hold else {
            return Decision::Ignore(Reason::Overtaken);
        };
        if held != claim {
            return Decision::Ignore(Reason::Overtaken);
        }
        let (cause, after) = match answer {
            RecordingAnswer::Read(info) => {
                self.learn_recording(info);
                // Nothing asks for anything, and that was read, too.
                self.overrides.get_or_insert_default();
                self.is_known(context);
                self.hold = None;
                return self.go_on(context);
            }
            RecordingAnswer::Failed { sub_code } => {
                (self.hold, self.retry) = (None, None);
                self.recording = Recording::Failed { sub_code: sub_code.clone() };
                self.is_known(context);
                return self.advanced(Next::Nothing, context);
            }
            RecordingAnswer::Deleted => {
                (self.hold, self.retry) = (None, None);
                self.recording = Recording::Deleted;
                self.transcripts.iter_mut().for_each(Transcript::delete);
                return self.advanced(Next::Nothing, context);
            }
            RecordingAnswer::Unknown => return self.not_known(context),
            // The webhook's caller does not wait: the work queue takes it from here.
            RecordingAnswer::Operator | RecordingAnswer::Later { .. } if !context.worker => {
                self.hold = Some(Hold::Unread { retry_at: context.now, claim: None, cause, times, since });
                return self.advanced(Next::Act(Command::Wake), context);
            }
            RecordingAnswer::Operator => (HoldCause::Operator, Duration::ZERO),
            RecordingAnswer::Later { after } => (HoldCause::Errors, *after),
        };
        let (times, since) = self.held(cause, context.now);
        let wait = self.chosen(doubled(READ_WAIT, times, READ_WAIT_MAX), context.now);
        let retry_at = wait.max(asked(after, context.now));
        self.hold = Some(Hold::Unread { retry_at, claim: None, cause, times: times + 1, since });
        self.advanced(Next::Wait { retry_at: retry_at }, context)
    }

    /// Recall answers 404: it does not know the recording, or not yet, or not in this workspace. Nothing was paid, and
    /// the job waits quietly.
    pub(super) fn not_known(mut self, context: Context<'_>) -> Decision {
        let (times, since) = self.held(HoldCause::Unknown, context.now);
        let unknown_since = *self.unknown_since.get_or_insert(context.now);
        if context.now.since(unknown_since) >= UNKNOWN_PATIENCE {
            return self.give_up_unknown(context);
        }
        let retry_at = self.chosen(doubled(UNKNOWN_WAIT, times, UNKNOWN_WAIT_MAX), context.now);
        self.hold = Some(Hold::Wait { retry_at, status: Some(404), times: times + 1, since });
        // The sender is done with it: the sweep finds it when its time has come.
        let next = if context.worker { Next::Wait { retry_at: retry_at } } else { Next::Nothing };
        self.advanced(next, context)
    }

    /// What was never known ends as skipped, without a word; what was known once ends as what became of it.
    fn give_up_unknown(mut self, context: Context<'_>) -> Decision {
        (self.hold, self.retry) = ((!self.has_seen_ours()).then_some(Hold::Skipped), None);
        self.advanced(Next::Nothing, context)
    }

    /// Recall had a transcript of ours, so it knew the recording once.
    pub(super) fn has_seen_ours(&self) -> bool {
        self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.transcript_id().is_some())
    }

    /// Recall knows the recording after all. If the job had ended because it did not, the job goes on.
    pub(super) fn is_known(&mut self, context: Context<'_>) {
        self.may_be_known(context);
        self.unknown_since = None;
    }

    /// An event tells of the recording, so Recall may know it by now, and has another day to. Only Recall's own answer says
    /// that it does.
    pub(super) fn may_be_known(&mut self, context: Context<'_>) {
        if self.unknown_since.is_none() {
            return;
        }
        self.unknown_since = Some(context.now);
        if self.hold == Some(Hold::Skipped) && !self.skips() {
            self.hold = Some(Hold::Wait { retry_at: context.now, status: None, times: 0, since: context.now });
        }
        if self.is_parked() {
            self.park(context);
        }
    }

    /// An event says that it could not be captured, and Recall is being asked: what is not known there is not announced.
    pub(super) fn is_said_to_have_failed(&self) -> bool {
        self.recording == Recording::Unknown
            && self.attempts == 0
            && matches!(self.hold, Some(Hold::Unread { .. } | Hold::Wait { .. }))
    }

    /// Nobody but the sender of an event knows this recording: no transcript of it was ever seen at Recall, or none that
    /// is more than a failure of somebody else's.
    pub(super) fn is_only_hearsay(&self) -> bool {
        let hearsay = |state: &State| matches!(state, State::Copying(_) | State::Lost { .. } | State::Failed { .. });
        self.recording == Recording::Unknown
            && self.attempts == 0
            && self.transcripts.iter().all(|one| hearsay(&one.state))
    }

    /// It ends without a word: Recall does not know it, or all that events tell of it is that others' transcripts have
    /// failed or are deleted.
    pub(super) fn is_nobodys(&self) -> bool {
        let over = |one: &Transcript| one.deleted || matches!(one.state, State::Failed { .. });
        let all_over = !self.transcripts.is_empty() && self.transcripts.iter().all(over);
        self.is_only_hearsay() && (self.is_unknown_to_recall() || all_over)
    }

    /// Waits for Recall to know the recording, or has ended so: it is in no measure of what is late.
    pub fn is_unknown_to_recall(&self) -> bool {
        self.unknown_since.is_some()
    }

    /// Recall should have deleted it by now.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at.plus(EXPIRY_GRACE) <= now)
    }
}
