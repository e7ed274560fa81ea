//! The entry points of the core: an event or an answer goes in, a decision comes out. [`Job::commit`] has the steps
//! that every save takes.
//!
//! An answer that carries an outdated claim comes from a worker whose lease had ended. Its facts still count (a
//! transcript exists, a copy is complete), but it may not end a wait or an attempt that another worker has taken over.

use super::{Answer, Context, Decision, Event, Job, Next, Reason, waits::WAKE_WAIT};

impl Job {
    /// Decides what an event means.
    pub fn on_event(mut self, event: &Event, context: Context<'_>) -> Decision {
        let marked = event
            .transcript()
            .is_some_and(|reference| self.mark_other_deployment(reference.transcript_id, reference.other_deployment));
        // That another deployment requested the transcript is saved even if the event itself changes nothing.
        let with_mark = marked.then(|| self.clone());
        match (self.handle_event(event, context), with_mark) {
            (Decision::Ignore(_), Some(job)) => job.commit(Next::Nothing, context),
            (decision, _) => decision.commit(context),
        }
    }

    /// Decides what the answer to a command means.
    pub fn on_answer(self, answer: &Answer, context: Context<'_>) -> Decision {
        self.handle_answer(answer, context).commit(context)
    }

    fn handle_event(self, event: &Event, context: Context<'_>) -> Decision {
        match event {
            Event::RecordingDone(info) => self.on_recording_done(info, context),
            Event::RecordingFailed { sub_code } => self.on_recording_failed(sub_code.clone(), context),
            Event::RecordingDeleted => self.on_recording_deleted(context),
            Event::TranscriptProcessing(reference) => self.on_processing(*reference, context),
            Event::TranscriptDone(reference) => self.on_done(*reference, context),
            Event::TranscriptFailed { reference, sub_code } => self.on_failed(*reference, sub_code.clone(), context),
            Event::TranscriptDeleted(reference) => self.on_deleted(*reference, context),
            Event::Wake { now } => self.on_wake(*now, context),
            Event::Retry { provider, after_attempt } => self.on_retry(provider.as_deref(), *after_attempt, context),
            Event::Render { transcript_id } => self.on_render(*transcript_id, context),
            Event::Dismiss { ended_at } => self.on_dismiss(*ended_at, context),
        }
    }

    fn handle_answer(self, answer: &Answer, context: Context<'_>) -> Decision {
        match answer {
            Answer::Create { attempt, claim, answer } => self.on_create_answer(*attempt, *claim, answer, context),
            Answer::LookUp { attempt, claim, answer } => self.on_look_up_answer(*attempt, *claim, answer, context),
            Answer::ReadRecording { claim, answer } => self.on_recording_answer(*claim, answer, context),
            Answer::List(answer) => self.on_list_answer(answer, context),
            Answer::Render { claim, answer } => self.on_render_answer(*claim, *answer, context),
            Answer::FollowUp { claim, answer } => self.on_follow_up_answer(*claim, *answer, context),
            Answer::Copy { transcript_id, claim, answer } => {
                self.on_copy_answer(*transcript_id, *claim, answer, context)
            }
            Answer::Delete { target, claim, answer } => self.on_delete_answer(*target, *claim, answer, context),
            Answer::Announce { sent } => self.on_announce_answer(sent, context),
            // Nothing changes in the row. The loop in `advance.rs` then ends the event as applied.
            Answer::Wake { sent: true } => Decision::Ignore(Reason::AlreadyKnown),
            // The row is complete, but nothing will look at it soon, so the event has to be delivered again.
            Answer::Wake { sent: false } => Decision::Busy { retry_at: self.wait_until(WAKE_WAIT, context.now) },
        }
    }

    /// Completes the job that is about to be saved. Every save, whatever led to it, takes these steps:
    ///
    /// 1. drops a pending deletion that is no longer wanted: its purpose is gone, or its target is needed after all;
    /// 2. if the job has ended without a transcript, and that is news, notes it for the outbox;
    /// 3. if nothing else comes next, starts the first of these that is possible:
    ///    - the attempt that waited for the dropped deletion
    ///    - the attempt of a parked job that has room now
    ///    - an announcement
    ///    - the work that follows a copy
    ///    - a deletion
    ///    - a retry that a person requested
    /// 4. computes when the expiry of the recording is worth an alarm;
    /// 5. adds one to the version.
    fn commit(mut self, next: Next, context: Context<'_>) -> Decision {
        let after_deletion = self.drop_unneeded_deletion(context);
        self.note_end(context);
        let next = match next {
            Next::Nothing => after_deletion
                .or_else(|| self.resume_in_freed_slot(context))
                .or_else(|| self.start_announcing(context))
                .or_else(|| self.start_follow_up(context))
                .or_else(|| self.start_deletion(context))
                .or_else(|| self.resume_retry(context.now))
                .unwrap_or(Next::Nothing),
            next @ (Next::Act(_) | Next::Wait { .. }) => next,
        };
        self.outbox.expiry_alarm_at = self.next_expiry_alarm(context);
        self.version += 1;
        self.apply(next)
    }
}

impl Decision {
    /// Commits the job if it is to be saved.
    fn commit(self, context: Context<'_>) -> Self {
        match self {
            Self::Apply { job, next } => job.commit(next, context),
            decision @ (Self::Ignore(_) | Self::Busy { .. }) => decision,
        }
    }
}
