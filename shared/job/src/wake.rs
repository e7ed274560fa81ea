//! A wake-up: the first thing whose time has come is taken up.

use super::{Context, Copying, Creating, Decision, Hold, Job, KeepReason, Next, Reason, State};
use crate::time::Timestamp;

impl Job {
    /// `now`: what waits is due as well, because an operator has fixed what it waited for.
    pub(super) fn on_wake(mut self, now: bool, context: Context<'_>) -> Decision {
        let before = now.then(|| self.clone());
        if now {
            self.end_waits(context);
        }
        // What has been due for longest comes first: work that kills its worker again and again holds up nothing else.
        let is_due = |at: &Timestamp| *at <= context.now;
        let transcripts = self.transcripts.iter().map(|transcript| transcript.state.due_at().filter(is_due));
        let transcript = transcripts.zip(0..).filter_map(|(at, index)| Some((at?, index))).min();
        let hold = self.hold.as_ref().filter(|_| !self.is_creating()).and_then(Hold::retry_at).filter(is_due);
        let others = transcript.map(|(at, _)| at).into_iter().chain(hold).min();
        if let Some(rendering) = self.rendering.filter(|one| is_due(&one.retry_at))
            && others.is_none_or(|at| rendering.retry_at <= at)
        {
            return self.render(context);
        }
        if let Some((at, index)) = transcript
            && hold.is_none_or(|hold| at <= hold)
        {
            match &self.transcripts[index].state {
                State::Creating(Creating { retry_at, .. }) if *retry_at <= context.now => {
                    return self.repeat(index, context);
                }
                State::Transcribing { transcript_id, check_at, .. } if *check_at <= context.now => {
                    let transcript_id = *transcript_id;
                    return self.copy(index, transcript_id, context);
                }
                State::Copying(Copying { transcript_id, retry_at, .. }) if *retry_at <= context.now => {
                    let transcript_id = *transcript_id;
                    return self.copy(index, transcript_id, context);
                }
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Failed { .. }
                | State::Refused { .. }
                | State::Lost { .. }
                | State::Foreign { .. } => {}
            }
        }
        if hold.is_some() {
            return self.end_hold(context);
        }
        // An alarm that the operator has put off since is due as well: it is noted for its new time.
        let expires =
            self.tell_expiry(context) || self.outbox.expiry_alarm_at.is_some_and(|expiry_at| expiry_at <= context.now);
        let due = self.deletion.is_some_and(|deletion| deletion.retry_at <= context.now)
            || (!self.outbox.notices.is_empty() && self.outbox.retry_at <= context.now)
            || before.is_some_and(|before| before != self);
        if expires || due { self.advanced(Next::Nothing, context) } else { Decision::Ignore(Reason::NotDue) }
    }

    /// A hold is over: the next attempt starts, or there is nothing left to wait for.
    fn end_hold(mut self, context: Context<'_>) -> Decision {
        if self.is_parked() {
            return self.check_for_room(context);
        }
        match self.clone().pursue(context) {
            decision @ (Decision::Apply { .. } | Decision::Busy { .. }) => decision,
            Decision::Ignore(reason) => {
                self.hold = None;
                self.end_retry(reason);
                self.advanced(Next::Nothing, context)
            }
        }
    }

    /// Ends the waits, and takes back what was concluded from refusals. Leases stand, and so does the time that a
    /// look-up needs to settle.
    fn end_waits(&mut self, context: Context<'_>) {
        let now = context.now;
        self.transcripts.iter_mut().for_each(|transcript| transcript.state.end_wait(now));
        for transcript in &mut self.transcripts {
            transcript.keep_reason = transcript.keep_reason.filter(|reason| *reason == KeepReason::Unreadable);
        }
        if let Some(hold) = &mut self.hold {
            hold.end_wait(now);
        }
        if let Some(deletion) = self.deletion.as_mut().filter(|deletion| deletion.claim.is_none()) {
            deletion.retry_at = now.min(deletion.retry_at);
        }
        if let Some(rendering) = self.rendering.as_mut().filter(|rendering| rendering.claim.is_none()) {
            rendering.retry_at = now.min(rendering.retry_at);
        }
        if !self.outbox.sending {
            self.outbox.retry_at = now.min(self.outbox.retry_at);
        }
    }
}
