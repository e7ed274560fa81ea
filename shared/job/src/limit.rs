//! At the limit of transcripts: room is made, or the job is parked until there is some.

use std::time::Duration;

use super::{
    Command, Context, Decision, Deletion, DeletionReason, DeletionTarget, Hold, Job, LookUpAnswer, Next, Reason,
    Recording, RecordingAnswer, State, Transcript, reading::UNKNOWN_PATIENCE,
};
use crate::ids::TranscriptId;

/// A parked job looks for room this often, besides whenever it changes.
const PARKED_CHECK: Duration = Duration::from_secs(24 * 60 * 60);

impl Job {
    /// At the limit: deletes what may go, or parks the job.
    pub(super) fn make_room(mut self, context: Context<'_>) -> Decision {
        if let Some(deletion) = self.deletion
            && context.now < deletion.retry_at
        {
            return match deletion.claim {
                Some(_) => Decision::Busy { retry_at: deletion.retry_at },
                None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        // The attempt that would be decided on again is this one.
        let _ = self.keep_what_is_needed(context);
        if self.deletion.is_none() {
            let Some(id) = self.to_make_room(context) else {
                if self.retry.is_some()
                    && let Some(command) = self.look_up_again(context)
                {
                    return self.advanced(Next::Act(command), context);
                }
                // What a person has asked for beyond the policy is refused, not parked.
                if self.retry.take().is_some() && !self.wants_attempt() {
                    return Decision::Ignore(Reason::LimitReached);
                }
                if self.is_parked() {
                    return Decision::Ignore(Reason::LimitReached);
                }
                self.park(context);
                return self.advanced(Next::Nothing, context);
            };
            let (target, reason) = (DeletionTarget::Transcript(id), DeletionReason::Room);
            self.hold = None;
            self.deletion = Some(Deletion { target, reason, retry_at: context.now, claim: None, tries: 0 });
        }
        let next = self.delete(context).unwrap_or(Next::Nothing);
        self.advanced(next, context)
    }

    pub(super) fn is_parked(&self) -> bool {
        matches!(self.hold, Some(Hold::LimitReached { .. }))
    }

    /// Parks the job until its next check. Once the recording has expired there is nothing to check for.
    pub(super) fn park(&mut self, context: Context<'_>) {
        let retry_at = (!self.has_expired(context.now)).then(|| self.chosen(PARKED_CHECK, context.now));
        self.hold = Some(Hold::LimitReached { retry_at });
    }

    /// Whether the next attempt could start, or make itself room.
    fn finds_room(&self, context: Context<'_>) -> bool {
        self.transcript_count() < context.policy.max_transcripts || self.to_make_room(context).is_some()
    }

    /// If the job is parked and there is room now, or something may be deleted, whatever the reason, it goes on.
    pub(super) fn go_on_in_new_room(&mut self, context: Context<'_>) -> Option<Next> {
        (self.is_parked() && self.finds_room(context)).then(|| self.start_soon(context))
    }

    /// Its time has come: the policy may have changed, or a transcript may have gone without a word to us.
    pub(super) fn check_for_room(mut self, context: Context<'_>) -> Decision {
        if self.finds_room(context) {
            let next = self.start_soon(context);
            return self.advanced(next, context);
        }
        if self.has_expired(context.now) {
            self.hold = Some(Hold::LimitReached { retry_at: None });
            return self.advanced(Next::Nothing, context);
        }
        self.hold = Some(Hold::LimitReached { retry_at: Some(context.lease_until) });
        if self.recording == Recording::Done && self.expires_at.is_none() {
            let claim = self.next_claim();
            return self.advanced(Next::Act(Command::ReadRecording { claim }), context);
        }
        self.advanced(Next::Act(Command::List), context)
    }

    /// Where nobody knows when the recording expires, it is retrieved before each look: a recording that is gone would be
    /// looked at for ever.
    pub(super) fn on_recording_of_parked(mut self, answer: &RecordingAnswer, context: Context<'_>) -> Decision {
        match answer {
            RecordingAnswer::Read(info) => {
                self.learn_recording(info);
                self.is_known(context);
                self.hold = Some(Hold::LimitReached { retry_at: Some(context.lease_until) });
                return self.advanced(Next::Act(Command::List), context);
            }
            RecordingAnswer::Deleted => return self.on_recording_deleted(context),
            // Nothing can be made of it any more.
            RecordingAnswer::Failed { sub_code } => {
                self.recording = Recording::Failed { sub_code: sub_code.clone() };
                self.hold = Some(Hold::LimitReached { retry_at: None });
            }
            RecordingAnswer::Unknown => {
                let unknown_since = *self.unknown_since.get_or_insert(context.now);
                self.park(context);
                if context.now.since(unknown_since) >= UNKNOWN_PATIENCE {
                    self.hold = Some(Hold::LimitReached { retry_at: None });
                }
            }
            RecordingAnswer::Operator | RecordingAnswer::Later { .. } => self.park(context),
        }
        self.advanced(Next::Nothing, context)
    }

    pub(super) fn on_list_answer(mut self, answer: &LookUpAnswer, context: Context<'_>) -> Decision {
        match answer {
            LookUpAnswer::Complete(listed) => {
                self.take_in(listed, None, context);
                self.drop_unmade(listed);
                let ids: Vec<TranscriptId> = listed.iter().map(|one| one.transcript_id).collect();
                // The list may lag behind: of what is on its way, its own next check tells.
                let is_gone = |one: &&mut Transcript| {
                    let ends = !matches!(one.state, State::Transcribing { .. } | State::Copying(_));
                    ends && one.state.transcript_id().is_some_and(|id| !ids.contains(&id))
                };
                self.transcripts.iter_mut().filter(is_gone).for_each(Transcript::delete);
            }
            LookUpAnswer::Incomplete(listed) => drop(self.take_in(listed, None, context)),
            LookUpAnswer::Later { .. } | LookUpAnswer::Operator => {}
        }
        if self.is_parked() {
            self.park(context);
        }
        let next = self.wake_if_due(context);
        self.advanced(next, context)
    }
}
