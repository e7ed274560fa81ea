//! Our own paid attempts: when one is started, repeated, looked up, or not needed.

mod chain;
mod create_answers;
mod look_ups;

pub use self::{create_answers::CreateAnswer, look_ups::LookUpAnswer};
use super::{
    Command, Context, Creating, Decision, Hold, HoldCause, Job, Next, Reason, Recording, State, Transcript,
    waits::{ALL_REFUSED_GIVE_UP, CREATE_ERRORS_GIVE_UP, ERRORS_BEFORE_LOOK_UP, KEY_REUSE, LIST_SETTLE},
};
use crate::time::Timestamp;

impl Creating {
    /// Returns whether only a look-up can continue this attempt: its key is too old to be used, or Recall may be
    /// replaying one error under it.
    fn must_be_looked_up(&self, now: Timestamp) -> bool {
        now.since(self.first_call_at) >= KEY_REUSE || self.errors >= ERRORS_BEFORE_LOOK_UP
    }

    /// Has only a look-up continue this attempt. The row has no field for that: so many errors mean it, and if the
    /// look-up finds nothing, the next attempt waits as it does after so many server errors.
    fn only_looked_up(self) -> Self {
        Self { errors: ERRORS_BEFORE_LOOK_UP, ..self }
    }
}

impl Job {
    /// Advances our own attempt. The first of these that applies decides:
    ///
    /// 1. A create has no known outcome: its call is repeated, or looked up.
    /// 2. The recording is deleted, failed, or known only from transcripts of others: nothing.
    /// 3. No person requests an attempt, and one of our transcripts rules another one out: nothing, except that the
    ///    hold ends, and that a wake-up is sent if something is due.
    /// 4. The metadata asks to skip, and no person requests an attempt: the job is skipped.
    /// 5. The next attempt has its time, and that has not come: nothing yet.
    /// 6. Nothing more is tried: the hold ends, and the transcripts give the job's final status.
    /// 7. The metadata is unread, and no person requests an attempt: the recording is retrieved first.
    /// 8. No provider has tries left: nothing.
    /// 9. There is room under the limit: the attempt starts.
    /// 10. There is no room: a deletion makes room, or an attempt whose outcome stayed unknown is looked up again for a
    ///     person, or the job is parked. A job that is parked already ends here as well.
    pub(crate) fn pursue_attempt(mut self, context: Context<'_>) -> Decision {
        let creating = self.transcripts.iter().position(|transcript| matches!(transcript.state, State::Creating(_)));
        if let Some(index) = creating {
            return self.repeat_call(index, context);
        }
        match self.recording {
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Failed { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            // Transcripts that others requested are no reason to request one of our own.
            Recording::Unknown if self.attempts == 0 && self.retry.is_none() && !self.is_failure_unconfirmed() => {
                return Decision::Ignore(Reason::UnknownRecording);
            }
            Recording::Unknown | Recording::Done => {}
        }
        if !self.needs_attempt() {
            let was_held = self.hold.is_some();
            self.clear_unneeded_hold();
            // Something is due, and no worker has come for it. Perhaps its wake-up was lost, so another one is sent.
            if self.due_at().is_some_and(|due_at| due_at <= context.now) {
                return self.apply(Next::Act(Command::Wake));
            }
            if was_held {
                return self.apply(Next::Nothing);
            }
            return Decision::Ignore(Reason::AlreadyRequested);
        }
        if self.is_skip_requested() && self.retry.is_none() {
            if self.hold == Some(Hold::Skipped) {
                return Decision::Ignore(Reason::Skipped);
            }
            self.hold = Some(Hold::Skipped);
            return self.apply(Next::Nothing);
        }
        if self.held_until().is_some_and(|retry_at| context.now < retry_at) {
            return match self.hold {
                Some(Hold::Unread { retry_at, claim: Some(_), .. }) => Decision::Busy { retry_at },
                // The row says what comes next, and its time comes without another event.
                Some(
                    Hold::Unread { .. }
                    | Hold::Wait { .. }
                    | Hold::AllRefused { .. }
                    | Hold::LimitReached { .. }
                    | Hold::Skipped,
                )
                | None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        // Without a hold the job has ended: its status follows from its transcripts, and `commit` announces it.
        if self.is_hopeless(context.now) {
            (self.hold, self.retry) = (None, None);
            return self.apply(Next::Nothing);
        }
        // A person may request a transcript although the metadata is unread, but not while Recall is asked whether the
        // recording has failed.
        if self.overrides.is_none() && (self.retry.is_none() || self.is_failure_unconfirmed()) {
            return self.read_recording(context);
        }
        // The chain starts again: without its refusals, every provider may be used once more.
        if matches!(self.hold, Some(Hold::AllRefused { .. })) {
            self.transcripts.retain(|transcript| !transcript.is_refused());
        }
        let Some(provider) = self.next_provider(context) else {
            return Decision::Ignore(Reason::AlreadyEnded);
        };
        if self.transcript_count() < context.policy.max_transcripts {
            return self.start_attempt(provider, context);
        }
        self.make_room(context)
    }

    /// Advances our own attempt. If there is nothing to do for it, saves what the caller has changed.
    pub(crate) fn pursue_attempt_and_save(mut self, context: Context<'_>) -> Decision {
        match self.clone().pursue_attempt(context) {
            apply @ Decision::Apply { .. } => apply,
            Decision::Ignore(reason) => {
                self.finish_retry(reason);
                let next = self.held_until().map_or(Next::Nothing, |retry_at| Next::Wait { retry_at });
                self.apply(next)
            }
            Decision::Busy { retry_at } => self.apply(Next::Wait { retry_at }),
        }
    }

    /// No attempt was started, for this reason. A person's request for it stays if the attempt is still to come.
    /// Otherwise, at the limit or if the recording is gone, the request ends.
    pub(crate) fn finish_retry(&mut self, reason: Reason) {
        self.retry = self.retry.take().filter(|_| reason.leaves_attempt_pending());
    }

    /// Returns whether nothing more is tried: the cause of the hold has lasted too long, or the recording has expired.
    /// With a refused key, only the expiry ends the job.
    fn is_hopeless(&self, now: Timestamp) -> bool {
        let is_too_long = |since: Timestamp, give_up| self.expires_at.is_none() && now.since(since) >= give_up;
        let is_stuck = match self.hold {
            Some(Hold::Wait { .. } | Hold::Unread { .. }) => match self.hold.as_ref().and_then(Hold::cause) {
                Some((HoldCause::Errors | HoldCause::Full, _, since)) => is_too_long(since, CREATE_ERRORS_GIVE_UP),
                Some((HoldCause::Operator | HoldCause::Unknown | HoldCause::Throttled, ..)) | None => false,
            },
            Some(Hold::LimitReached { .. } | Hold::Skipped) | None => false,
            Some(Hold::AllRefused { .. }) => {
                self.refusals.is_some_and(|one| is_too_long(one.since, ALL_REFUSED_GIVE_UP))
            }
        };
        is_stuck || (self.hold.is_some() && !self.is_parked() && self.has_expired(now))
    }

    /// Claims a new attempt. The save makes the intent durable before the call is made.
    fn start_attempt(mut self, provider: String, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        self.attempts += 1;
        // A hold with Recall's status stays during the attempt, because it counts how many times in a row Recall has
        // answered like this. Until the outcome is known, `due_at` ignores it.
        if !matches!(self.hold, Some(Hold::Wait { status: Some(_), .. })) {
            self.hold = None;
        }
        let attempt = self.attempts;
        let creating = Creating {
            first_call_at: context.now,
            last_call_at: context.lease_until,
            calls: 1,
            errors: 0,
            conflicts: 0,
            retry_at: context.lease_until,
            claim: Some(claim),
            refusal: None,
            inconclusive_since: None,
            retry: self.retry.take(),
        };
        let creating = State::Creating(creating);
        self.transcripts.push(Transcript::new(Some(attempt), Some(provider.clone()), creating));
        self.call(attempt, provider, context)
    }

    /// Repeats the call of an attempt whose outcome is unknown. The key stays the same while Recall remembers it; after
    /// that, or if the same error keeps coming back, the transcript is looked up.
    pub(crate) fn repeat_call(mut self, index: usize, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let transcript = &mut self.transcripts[index];
        let (State::Creating(creating), Some(attempt)) = (&mut transcript.state, transcript.attempt) else {
            return Decision::Ignore(Reason::AlreadyRequested);
        };
        if context.now < creating.retry_at {
            return match creating.claim {
                Some(_) => Decision::Busy { retry_at: creating.retry_at },
                // The call is repeated at its time, without another event.
                None => Decision::Ignore(Reason::AlreadyRequested),
            };
        }
        let needs_look_up = creating.must_be_looked_up(context.now);
        let settled_at = creating.last_call_at.plus(LIST_SETTLE);
        // After a 400 to its only call, nothing is under way that the list would have to settle for.
        if needs_look_up && creating.refusal.is_none() && context.now < settled_at {
            (creating.retry_at, creating.claim) = (settled_at, None);
            return self.apply(Next::Wait { retry_at: settled_at });
        }
        creating.claim = Some(claim);
        creating.retry_at = context.lease_until;
        if needs_look_up || creating.refusal.is_some() {
            return self.apply(Next::Act(Command::LookUp { attempt, claim }));
        }
        creating.last_call_at = context.lease_until;
        creating.calls += 1;
        let provider = transcript.provider.clone().or_else(|| self.first_provider(context)).unwrap_or_default();
        self.call(attempt, provider, context)
    }

    fn call(mut self, attempt: u32, provider: String, context: Context<'_>) -> Decision {
        let (language, claim) = (self.language(&provider, context), self.next_claim());
        self.requested_language.clone_from(&language);
        self.apply(Next::Act(Command::Create { attempt, provider, language, claim }))
    }
}
