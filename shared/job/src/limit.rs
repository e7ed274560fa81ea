//! At the limit of transcripts: the job makes room, or is parked until there is room.

use super::{
    Command, Context, Decision, Deletion, DeletionReason, DeletionTarget, Hold, Job, LookUpAnswer, Next, Reason,
    Recording, Transcript, waits::PARKED_CHECK,
};
use crate::{ids::TranscriptId, time::Timestamp};

/// Recall's own limit of transcripts per recording.
pub const RECALL_MAX_TRANSCRIPTS: u32 = 10;

impl Job {
    /// At the limit: deletes a transcript that may go, or parks the job.
    pub(crate) fn make_room(mut self, context: Context<'_>) -> Decision {
        if let Some(deletion) = self.deletion
            && context.now < deletion.retry_at
        {
            return match deletion.claim {
                Some(_) => Decision::Busy { retry_at: deletion.retry_at },
                None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        // The result is ignored, because the attempt that it would schedule is the one being decided on here. If that
        // sets the hold, the hold is due now, or replaced below.
        let _ = self.drop_unneeded_deletion(context);
        if self.deletion.is_none() {
            let Some(id) = self.deletable_for_room(context) else {
                if self.retry.is_some()
                    && let Some(command) = self.look_up_again(context)
                {
                    return self.apply(Next::Act(command));
                }
                // A person's request ends here. If the policy wants no attempt either, nothing is parked.
                if self.retry.take().is_some() && !self.needs_attempt() {
                    return Decision::Ignore(Reason::LimitReached);
                }
                if self.is_parked() {
                    return Decision::Ignore(Reason::LimitReached);
                }
                self.park(context.now);
                return self.apply(Next::Nothing);
            };
            let (target, reason) = (DeletionTarget::Transcript(id), DeletionReason::Room);
            self.hold = None;
            self.deletion = Some(Deletion { target, reason, retry_at: context.now, claim: None, tries: 0 });
        }
        let next = self.start_deletion(context).unwrap_or(Next::Nothing);
        self.apply(next)
    }

    /// Parks the job until its next check. After the recording has expired there is no next check.
    pub(crate) fn park(&mut self, now: Timestamp) {
        let retry_at = (!self.has_expired(now)).then(|| self.wait_until(PARKED_CHECK, now));
        self.hold = Some(Hold::LimitReached { retry_at });
    }

    /// Returns whether the next attempt could start, or make room for itself.
    fn has_room(&self, context: Context<'_>) -> bool {
        self.transcript_count() < context.policy.max_transcripts || self.deletable_for_room(context).is_some()
    }

    /// Resumes a parked job if there is room now, or if something may be deleted, whatever the reason.
    pub(crate) fn resume_in_freed_slot(&mut self, context: Context<'_>) -> Option<Next> {
        (self.is_parked() && self.has_room(context)).then(|| self.schedule_attempt(context.now))
    }

    /// Looks for room when the time of a parked job has come: the policy may have changed, or a transcript may have
    /// been deleted without an event.
    pub(crate) fn check_for_room(mut self, context: Context<'_>) -> Decision {
        if self.has_room(context) {
            let next = self.schedule_attempt(context.now);
            return self.apply(next);
        }
        if self.has_expired(context.now) {
            self.hold = Some(Hold::LimitReached { retry_at: None });
            return self.apply(Next::Nothing);
        }
        self.hold = Some(Hold::LimitReached { retry_at: Some(context.lease_until) });
        if self.recording == Recording::Done && self.expires_at.is_none() {
            // The command needs a claim, but a parked job keeps none: it takes any answer, because it only learns facts
            // from it.
            let claim = self.next_claim();
            return self.apply(Next::Act(Command::ReadRecording { claim }));
        }
        self.apply(Next::Act(Command::List))
    }

    /// Recall's list has arrived for a parked job. A transcript that is not in progress and not on a complete list
    /// counts as deleted, and frees its slot.
    pub(crate) fn on_list_answer(mut self, answer: &LookUpAnswer, context: Context<'_>) -> Decision {
        match answer {
            LookUpAnswer::Complete(listed) => {
                self.merge_list(listed, None, context);
                self.remove_unlisted(listed);
                let ids: Vec<TranscriptId> = listed.iter().map(|one| one.transcript_id).collect();
                // The list may lag behind, so a transcript in progress is left to its own next check.
                let is_gone = |one: &&mut Transcript| {
                    !one.state.is_in_progress() && one.state.transcript_id().is_some_and(|id| !ids.contains(&id))
                };
                self.transcripts.iter_mut().filter(is_gone).for_each(Transcript::mark_deleted);
            }
            LookUpAnswer::Incomplete(listed) => drop(self.merge_list(listed, None, context)),
            LookUpAnswer::Later { .. } | LookUpAnswer::Operator => {}
        }
        if self.is_parked() {
            self.park(context.now);
        }
        let next = self.wake_if_due(context.now);
        self.apply(next)
    }
}
