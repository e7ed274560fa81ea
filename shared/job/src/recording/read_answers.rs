//! Answers to retrieving the recording: its metadata is read before anything is paid for.

use std::time::Duration;

use crate::{
    Claim, Command, Context, Decision, Hold, HoldCause, Job, Next, Reason, Recording, RecordingInfo, Role, Transcript,
    waits::{READ_BACKOFF, UNKNOWN_BACKOFF, UNKNOWN_GIVE_UP, recall_retry_at},
};

/// What retrieving the recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingAnswer {
    Read(RecordingInfo),
    /// Recall says that the recording could not be captured.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that the recording is deleted.
    Deleted,
    /// 404: Recall does not know the recording, or not yet.
    Unknown,
    /// 401, 402, 403: an operator has to act.
    Operator,
    Later {
        after: Duration,
    },
}

impl Job {
    /// The recording was retrieved, or not: the attempt that waited for its metadata continues, or waits.
    pub(crate) fn on_recording_answer(
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
        // Returns, or says why the recording could not be read.
        let (new_cause, after) = match answer {
            RecordingAnswer::Read(info) => {
                self.update_recording(info);
                // `Some` means that the metadata was read, even if it overrides nothing.
                self.overrides.get_or_insert_default();
                self.mark_known_to_recall(context.now);
                self.hold = None;
                return self.pursue_attempt_and_save(context);
            }
            RecordingAnswer::Failed { sub_code } => {
                (self.hold, self.retry) = (None, None);
                self.recording = Recording::Failed { sub_code: sub_code.clone() };
                self.mark_known_to_recall(context.now);
                return self.apply(Next::Nothing);
            }
            RecordingAnswer::Deleted => {
                (self.hold, self.retry) = (None, None);
                self.recording = Recording::Deleted;
                self.transcripts.iter_mut().for_each(Transcript::mark_deleted);
                return self.apply(Next::Nothing);
            }
            RecordingAnswer::Unknown => return self.wait_for_unknown_recording(context),
            // The sender of the webhook should not wait for this, so a wake-up on the work queue takes over.
            RecordingAnswer::Operator | RecordingAnswer::Later { .. } if context.role == Role::Webhook => {
                self.hold = Some(Hold::Unread { retry_at: context.now, claim: None, cause, times, since });
                return self.apply(Next::Act(Command::Wake));
            }
            RecordingAnswer::Operator => (HoldCause::Operator, Duration::ZERO),
            RecordingAnswer::Later { after } => (HoldCause::Errors, *after),
        };
        let (times, since) = self.times_held(new_cause, context.now);
        let own = self.wait_until(READ_BACKOFF.wait(times), context.now);
        let retry_at = own.max(recall_retry_at(after, context.now));
        self.hold = Some(Hold::Unread { retry_at, claim: None, cause: new_cause, times: times + 1, since });
        self.apply(Next::Wait { retry_at })
    }

    /// Recall answers 404: it does not know the recording, or not yet, or not in this workspace. Nothing was paid, and
    /// the job waits quietly for a day.
    pub(crate) fn wait_for_unknown_recording(mut self, context: Context<'_>) -> Decision {
        let (times, since) = self.times_held(HoldCause::Unknown, context.now);
        let unknown_since = *self.unknown_since.get_or_insert(context.now);
        if context.now.since(unknown_since) >= UNKNOWN_GIVE_UP {
            return self.give_up_unknown_recording();
        }
        let retry_at = self.wait_until(UNKNOWN_BACKOFF.wait(times), context.now);
        self.hold = Some(Hold::Wait { retry_at, status: Some(404), times: times + 1, since });
        // The sender of the webhook gets its 200, and no wake-up is sent: the sweep finds the job at `retry_at`.
        let next = match context.role {
            Role::Worker => Next::Wait { retry_at },
            Role::Webhook => Next::Nothing,
        };
        self.apply(next)
    }

    /// A recording that Recall never knew ends as skipped, without an announcement. One that Recall once knew ends with
    /// the status of its transcripts.
    fn give_up_unknown_recording(mut self) -> Decision {
        (self.hold, self.retry) = ((!self.had_transcript_of_ours()).then_some(Hold::Skipped), None);
        self.apply(Next::Nothing)
    }

    /// A parked job that does not know when its recording expires retrieves the recording before it looks for room.
    /// Otherwise it would look forever for a recording that is gone. There is no claim to compare, because any answer
    /// is a fact.
    fn on_recording_of_parked(mut self, answer: &RecordingAnswer, context: Context<'_>) -> Decision {
        match answer {
            RecordingAnswer::Read(info) => {
                self.update_recording(info);
                self.mark_known_to_recall(context.now);
                self.hold = Some(Hold::LimitReached { retry_at: Some(context.lease_until) });
                return self.apply(Next::Act(Command::List));
            }
            RecordingAnswer::Deleted => return self.on_recording_deleted(context),
            // No transcript can be made of the recording anymore.
            RecordingAnswer::Failed { sub_code } => {
                self.recording = Recording::Failed { sub_code: sub_code.clone() };
                self.hold = Some(Hold::LimitReached { retry_at: None });
            }
            RecordingAnswer::Unknown => {
                let unknown_since = *self.unknown_since.get_or_insert(context.now);
                self.park(context.now);
                if context.now.since(unknown_since) >= UNKNOWN_GIVE_UP {
                    self.hold = Some(Hold::LimitReached { retry_at: None });
                }
            }
            RecordingAnswer::Operator | RecordingAnswer::Later { .. } => self.park(context.now),
        }
        self.apply(Next::Nothing)
    }
}
