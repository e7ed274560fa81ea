//! Events about one transcript.

use crate::{Context, Copying, Decision, Hold, Job, Next, Reason, Recording, State, TranscriptRef};

impl Job {
    /// Recall is working on a transcript: our create took effect, or someone else requested one.
    pub(crate) fn on_processing(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let (transcript_id, check_at) = (reference.transcript_id, self.first_check_at(false, context.now));
        let state = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false };
        match self.find(reference) {
            None if self.is_unwanted(reference, context) => return self.insert_foreign(reference, context.now),
            None => drop(self.insert(reference, state)),
            Some(index) => match self.transcripts[index].state {
                State::Creating(_) => self.transcripts[index].state = state,
                State::Transcribing { .. } | State::Copying(_) | State::Foreign { .. } => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        }
        self.extend_unknown_wait(context.now);
        self.clear_unneeded_hold();
        self.apply(Next::Nothing)
    }

    /// A transcript is done: copies it to S3.
    pub(crate) fn on_done(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let (transcript_id, check_at) = (reference.transcript_id, context.now);
        let done = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: true };
        let index = match self.find(reference) {
            None if self.is_unwanted(reference, context) => return self.insert_foreign(reference, context.now),
            None => self.insert(reference, done.clone()),
            Some(index) => match self.transcripts[index].state {
                State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                    return Decision::Busy { retry_at };
                }
                // The copy waits for its next try, which comes without another delivery.
                State::Copying(Copying { retry_at, .. }) if context.now < retry_at => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                // It was reported as done before and was not ready. The next check comes without another event.
                State::Transcribing { reported_done: true, check_at, .. } if context.now < check_at => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                State::Creating(_) | State::Transcribing { .. } | State::Copying(_) => index,
                // It was reported as done before, and had failed when it was retrieved. Until its next check is due,
                // another such report must not delay the next attempt.
                State::Failed { .. } if self.is_contradiction_pending(index, context) => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
                // It was given up, or Recall said that it failed; now Recall says that it is done.
                State::Lost { .. } | State::Failed { .. } if !self.transcripts[index].deleted => index,
                State::Foreign { .. } => return Decision::Ignore(Reason::AlreadyKnown),
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        };
        // What is counted of a copy, or of checks after an earlier report, is kept. Anything else starts from `done`.
        match self.transcripts[index].state {
            State::Copying(_) | State::Transcribing { reported_done: true, .. } => {}
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => self.transcripts[index].state = done,
        }
        self.extend_unknown_wait(context.now);
        self.clear_unneeded_hold();
        self.start_copy(index, reference.transcript_id, context)
    }

    /// Returns whether it is too early to retrieve a transcript again that Recall reported as done and had as failed.
    /// If the next attempt is scheduled, the transcript waits until that has started.
    fn is_contradiction_pending(&self, index: usize, context: Context<'_>) -> bool {
        let next_is_scheduled = matches!(self.hold, Some(Hold::Wait { status: None, .. }));
        self.transcripts[index].contradiction.is_some_and(|one| next_is_scheduled || context.now < one.retry_at)
    }

    /// Recall could not make a transcript: schedules the next attempt if it was ours.
    pub(crate) fn on_failed(
        mut self,
        reference: TranscriptRef,
        sub_code: Option<String>,
        context: Context<'_>,
    ) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let state = State::Failed { transcript_id: reference.transcript_id, sub_code };
        let index = match self.find(reference) {
            None if self.is_unwanted(reference, context) => return self.insert_foreign(reference, context.now),
            None => self.insert(reference, state),
            Some(index) => match self.transcripts[index].state {
                State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                    return Decision::Busy { retry_at };
                }
                // The next try of the copy asks Recall itself whether the transcript failed. The end of someone else's
                // transcript that is not copied does not matter.
                State::Copying(_) | State::Foreign { .. } => return Decision::Ignore(Reason::AlreadyKnown),
                State::Creating(_) | State::Transcribing { .. } => {
                    self.transcripts[index].state = state;
                    index
                }
                // It was given up, and now its end is known: another attempt may start.
                State::Lost { .. } if !self.transcripts[index].deleted => {
                    self.transcripts[index].state = state;
                    index
                }
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        };
        self.extend_unknown_wait(context.now);
        self.clear_unneeded_hold();
        let is_ours = self.transcripts[index].attempt.is_some();
        let next = if is_ours { self.schedule_after_failure(context) } else { Next::Nothing };
        self.apply(next)
    }

    /// Recall has deleted a transcript.
    pub(crate) fn on_deleted(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        let Some(index) = self.find(reference) else { return self.insert_deleted(reference) };
        let transcript = &mut self.transcripts[index];
        match transcript.state {
            State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                return Decision::Busy { retry_at };
            }
            State::Creating(_) => {
                transcript.state = State::Lost { transcript_id: reference.transcript_id };
                transcript.deleted = true;
            }
            State::Refused { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } | State::Foreign { .. }
                if transcript.deleted =>
            {
                return Decision::Ignore(Reason::AlreadyKnown);
            }
            State::Transcribing { .. }
            | State::Copying(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => transcript.mark_deleted(),
        }
        self.clear_unneeded_hold();
        self.apply(Next::Nothing)
    }
}
