//! A wake-up: the work that has been due for longest is done first.

use super::{Context, Copying, Decision, Hold, Job, KeepReason, Next, Reason, State};
use crate::time::Timestamp;

impl Job {
    /// The job may be due. `now`: waits end, because an operator has fixed what the job waited for.
    pub(crate) fn on_wake(mut self, now: bool, context: Context<'_>) -> Decision {
        let before = now.then(|| self.clone());
        if now {
            self.end_waits(context);
        }
        // What has been due for longest comes first, so that work that kills its worker every time delays nothing else.
        let is_due = |at: &Timestamp| *at <= context.now;
        let transcripts = self.transcripts.iter().map(|transcript| transcript.state.due_at().filter(is_due));
        let transcript = transcripts.zip(0..).filter_map(|(at, index)| Some((at?, index))).min();
        // While a create has no known outcome, a hold only keeps the count of Recall's answers.
        let hold = self.hold.as_ref().filter(|_| !self.is_creating()).and_then(Hold::retry_at).filter(is_due);
        // A rendering goes first if it has been due for as long as the first of the transcripts and the hold.
        let first_of_others = transcript.map(|(at, _)| at).into_iter().chain(hold).min();
        if let Some(rendering) = self.rendering.filter(|one| is_due(&one.retry_at))
            && first_of_others.is_none_or(|at| rendering.retry_at <= at)
        {
            return self.start_rendering(context);
        }
        if let Some((at, index)) = transcript
            && hold.is_none_or(|hold| at <= hold)
        {
            match self.transcripts[index].state {
                State::Creating(_) => return self.repeat_call(index, context),
                State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                    return self.start_copy(index, transcript_id, context);
                }
                // These are never due.
                State::Stored { .. }
                | State::Failed { .. }
                | State::Refused { .. }
                | State::Lost { .. }
                | State::Foreign { .. } => {}
            }
        }
        if hold.is_some() {
            return self.end_hold(context);
        }
        // If the operator has postponed the alarm, its old time is due: `commit` computes the new one.
        let expiry_due = self.note_expiry(context) || self.outbox.expiry_alarm_at.as_ref().is_some_and(is_due);
        let other_due = self.deletion.is_some_and(|deletion| is_due(&deletion.retry_at))
            || (!self.outbox.notices.is_empty() && is_due(&self.outbox.retry_at))
            || before.is_some_and(|before| before != self);
        let is_follow_up_due = self.follow_up.is_some_and(|follow_up| is_due(&follow_up.retry_at));
        if is_follow_up_due && let Some(retry_at) = self.manifests_leased_until(context.now) {
            return Decision::Busy { retry_at };
        }
        if expiry_due || other_due || is_follow_up_due {
            self.apply(Next::Nothing)
        } else {
            Decision::Ignore(Reason::NotDue)
        }
    }

    /// The time of a hold has come: the next attempt starts, or there is nothing left to wait for.
    fn end_hold(mut self, context: Context<'_>) -> Decision {
        if self.is_parked() {
            return self.check_for_room(context);
        }
        match self.clone().pursue_attempt(context) {
            decision @ (Decision::Apply { .. } | Decision::Busy { .. }) => decision,
            Decision::Ignore(reason) => {
                self.hold = None;
                self.finish_retry(reason);
                self.apply(Next::Nothing)
            }
        }
    }

    /// Ends the waits, and forgets what was concluded from refusals. Leases stay, and so does the time before a look-up
    /// counts.
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
        if let Some(follow_up) = self.follow_up.as_mut().filter(|follow_up| follow_up.claim.is_none()) {
            follow_up.retry_at = now.min(follow_up.retry_at);
        }
        if !self.outbox.sending {
            self.outbox.retry_at = now.min(self.outbox.retry_at);
        }
    }
}
