//! Our own attempts: when one is started, repeated, looked up, or not needed.

use super::{
    Command, Context, Creating, Decision, ERRORS_BEFORE_LOOK_UP, Hold, Job, KEY_REUSE, LIST_SETTLE, Next, Reason,
    State, Transcript,
};

impl Job {
    /// Brings our own attempt forward: starts one, repeats the call of one whose outcome is unknown, or finds that
    /// there is nothing left to ask for.
    pub(super) fn pursue(mut self, context: Context<'_>) -> Decision {
        let creating = self.transcripts.iter().position(|transcript| matches!(transcript.state, State::Creating(_)));
        if let Some(index) = creating {
            return self.repeat(index, context);
        }
        let mut ours = self.transcripts.iter().filter(|transcript| transcript.attempt.is_some()).peekable();
        if ours.peek().is_some() {
            // Somebody should have looked at it by now; perhaps the wake-up was lost.
            if ours.any(|transcript| transcript.state.due_at().is_some_and(|due_at| due_at <= context.now)) {
                return self.advanced(Next::Act(Command::Wake));
            }
            return Decision::Ignore(Reason::AlreadyRequested);
        }
        match self.hold {
            Some(Hold::Wait { until, .. }) if context.now < until => return Decision::Busy { until },
            Some(Hold::Wait { .. } | Hold::LimitReached) | None => {}
        }
        if self.transcript_count() < context.policy.max_transcripts {
            return self.start(context);
        }
        if self.hold == Some(Hold::LimitReached) {
            return Decision::Ignore(Reason::LimitReached);
        }
        self.hold = Some(Hold::LimitReached);
        self.advanced(Next::Nothing)
    }

    /// Claims a new attempt. The save makes the intent durable; the call follows it.
    fn start(mut self, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let provider = context.policy.provider.clone();
        self.attempts += 1;
        let attempt = self.attempts;
        let creating = Creating {
            first_call_at: context.now,
            last_call_at: context.now,
            calls: 1,
            errors: 0,
            until: context.lease_until,
            claim,
        };
        self.transcripts.push(Transcript {
            attempt: Some(attempt),
            provider: Some(provider.clone()),
            state: State::Creating(creating),
            deleted: false,
        });
        self.advanced(Next::Act(Command::Create { attempt, provider, claim }))
    }

    /// The same attempt and key again while Recall remembers the key; after that, or when the same error keeps
    /// coming back, a look-up.
    pub(super) fn repeat(mut self, index: usize, context: Context<'_>) -> Decision {
        let claim = self.next_claim();
        let transcript = &mut self.transcripts[index];
        let (State::Creating(creating), Some(attempt)) = (&mut transcript.state, transcript.attempt) else {
            return Decision::Ignore(Reason::AlreadyRequested);
        };
        if context.now < creating.until {
            return Decision::Busy { until: creating.until };
        }
        let look_up =
            context.now.since(creating.first_call_at) >= KEY_REUSE || creating.errors >= ERRORS_BEFORE_LOOK_UP;
        let settled = creating.last_call_at.plus(LIST_SETTLE);
        if look_up && context.now < settled {
            return Decision::Busy { until: settled };
        }
        creating.claim = claim;
        creating.until = context.lease_until;
        if look_up {
            return self.advanced(Next::Act(Command::LookUp { attempt, claim }));
        }
        creating.last_call_at = context.now;
        creating.calls += 1;
        let provider = transcript.provider.clone().unwrap_or_else(|| context.policy.provider.clone());
        self.advanced(Next::Act(Command::Create { attempt, provider, claim }))
    }
}
