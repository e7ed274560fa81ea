//! What the answers to create_transcript and to look-ups do to a job.

use std::time::Duration;

use super::{
    Claim, Command, Context, Copying, CreateAnswer, Creating, Decision, ERRORS_BEFORE_LOOK_UP, Heard, Hold, Job,
    LIST_SETTLE, Listed, LookUpAnswer, Next, RECALL_MAX_TRANSCRIPTS, Reason, Recording, Refused, State,
    TRANSCRIBING_CHECK, bounded, doubled, in_time,
};
use crate::{ids::TranscriptId, time::Timestamp};

/// A key that is still at work is asked for again after this long.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(10);
/// The first wait after a lost answer or a server error; it doubles with every call.
const BACKOFF: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(5 * 60);
/// The first wait for an operator; it doubles every time.
const OPERATOR_WAIT: Duration = Duration::from_secs(5 * 60);
const OPERATOR_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The first wait before another attempt when nothing was wrong with the last one; it doubles every time.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// A wait that repeats grows to this part of the time since the first call.
const PATIENCE: u32 = 4;
/// Transcripts of one recording that the row remembers. Recall lets a recording have ten, and a hundred attempts.
const MAX_REMEMBERED: usize = 200;

impl Job {
    pub(super) fn on_create_answer(
        mut self,
        attempt: u32,
        claim: Claim,
        answer: &CreateAnswer,
        context: Context<'_>,
    ) -> Decision {
        let now = context.now;
        if let CreateAnswer::Created { transcript_id } = answer {
            return self.created(attempt, *transcript_id, now.plus(TRANSCRIBING_CHECK), Next::Nothing, context);
        }
        let Some((index, creating)) = self.claimed(attempt, claim) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        // What this call was told says nothing of an earlier one under the same key, which may have taken effect: only
        // a look-up can end such an attempt.
        let looked_up = Creating { errors: ERRORS_BEFORE_LOOK_UP, ..creating.clone() };
        let repeated = creating.calls > 1;
        let backoff = doubled(BACKOFF, creating.calls.saturating_sub(1), BACKOFF_MAX);
        let (creating, wait) = match answer {
            CreateAnswer::Throttled { after } if repeated => (looked_up, bounded(*after)),
            CreateAnswer::Operator { .. } if repeated => {
                let wait = patience(&creating, now, OPERATOR_WAIT_MAX).max(OPERATOR_WAIT);
                (looked_up, in_time(wait, self.expires_at, now))
            }
            CreateAnswer::Refused { .. } if repeated => (looked_up, LIST_SETTLE),
            CreateAnswer::Created { .. } => return Decision::Ignore(Reason::AlreadyKnown),
            CreateAnswer::InProgress => {
                let wait = patience(&creating, now, BACKOFF_MAX).max(IN_PROGRESS_WAIT);
                (creating, wait)
            }
            CreateAnswer::Lost => (creating, backoff),
            CreateAnswer::ServerError { after } => {
                (Creating { errors: creating.errors + 1, ..creating }, backoff.max(bounded(*after)))
            }
            CreateAnswer::Throttled { after } => return self.hold_off(index, 429, bounded(*after), context),
            CreateAnswer::Operator { status } => {
                let wait = doubled(OPERATOR_WAIT, self.times_held(), OPERATOR_WAIT_MAX);
                let wait = in_time(wait, self.expires_at, now);
                return self.hold_off(index, *status, wait, context);
            }
            // The limit, or something else? Never by the text: the list tells.
            CreateAnswer::Refused { status: 400, code } => {
                let (refused, claim) = (Some(Refused { code: code.clone() }), self.next_claim());
                let until = context.lease_until;
                self.transcripts[index].state = State::Creating(Creating { refused, claim, until, ..creating });
                return self.advanced(Next::Act(Command::LookUp { attempt, claim }), context);
            }
            CreateAnswer::Refused { status, code } => return self.refused(index, *status, code.clone(), context),
        };
        self.wait(index, Creating { until: now.plus(wait), last_call_at: now, ..creating }, context)
    }

    pub(super) fn on_look_up_answer(
        mut self,
        attempt: u32,
        claim: Claim,
        answer: &LookUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        let (listed, complete) = match answer {
            LookUpAnswer::Listed(listed) => (listed, true),
            LookUpAnswer::Incomplete(listed) => (listed, false),
            LookUpAnswer::Later { after } => {
                let Some((index, creating)) = self.claimed(attempt, claim) else {
                    return Decision::Ignore(Reason::Overtaken);
                };
                // Whoever asks for that much time most likely needs an operator.
                let most = if *after < OPERATOR_WAIT { BACKOFF_MAX } else { OPERATOR_WAIT_MAX };
                let wait = patience(&creating, context.now, most).max(bounded(*after));
                let wait = in_time(wait, self.expires_at, context.now);
                return self.wait(index, Creating { until: context.now.plus(wait), ..creating }, context);
            }
        };
        let ours = listed.iter().find(|one| one.attempt == Some(attempt));
        let news = self.take_in(listed, ours, context);
        if let Some(Listed { transcript_id, ended, .. }) = ours {
            let check_at = if *ended { context.now } else { context.now.plus(TRANSCRIBING_CHECK) };
            let next = if *ended { Next::Act(Command::Wake) } else { self.wake_if_due(context) };
            return match self.clone().created(attempt, *transcript_id, check_at, next, context) {
                Decision::Ignore(_) if news => {
                    let next = self.wake_if_due(context);
                    self.advanced(next, context)
                }
                decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => decision,
            };
        }
        let Some((index, creating)) = self.claimed(attempt, claim) else {
            let next = self.wake_if_due(context);
            return if news { self.advanced(next, context) } else { Decision::Ignore(Reason::Overtaken) };
        };
        if !complete {
            // Ours may be what cannot be read, and it may have been paid for.
            let wait = patience(&creating, context.now, OPERATOR_WAIT_MAX).max(OPERATOR_WAIT);
            let wait = in_time(wait, self.expires_at, context.now);
            return self.wait(index, Creating { until: context.now.plus(wait), ..creating }, context);
        }
        let room = listed.len() < RECALL_MAX_TRANSCRIPTS as usize;
        if creating.refused.is_some() && room && self.drop_language() {
            self.transcripts.remove(index);
            return self.go_on(context);
        }
        // Nobody can create anything at the moment, for a reason that the row does not know.
        let full = creating.refused.is_some() && self.transcript_count() <= context.policy.max_transcripts;
        let errors = creating.errors >= ERRORS_BEFORE_LOOK_UP;
        match creating.refused {
            Some(Refused { code }) if room => self.refused(index, 400, code, context),
            // Recall's list is full, and still the row has room: what it counts, we do not know.
            Some(_) if full => self.pause(index, 400, context),
            // The same error again and again: the next attempt would most likely meet it, too.
            None if errors => self.pause(index, 500, context),
            // At the limit, or made by nobody: either way the attempt had no effect, and the next one is decided on
            // anew, with all that is known now.
            Some(_) | None => {
                self.transcripts.remove(index);
                self.go_on(context)
            }
        }
    }

    /// A webhook about what a list brought may never come, so what has ended is taken up from the queue right away.
    pub(super) fn wake_if_due(&self, context: Context<'_>) -> Next {
        let due = self.due_at().is_some_and(|at| at <= context.now);
        if due { Next::Act(Command::Wake) } else { Next::Nothing }
    }

    /// Adds what the list has and the row does not know, so that it counts and is copied. Whether there was anything.
    pub(super) fn take_in(&mut self, listed: &[Listed], ours: Option<&Listed>, context: Context<'_>) -> bool {
        let mut news = false;
        for one in listed.iter().filter(|one| Some(*one) != ours) {
            let transcript_id = one.transcript_id;
            let known = self.transcripts.iter().any(|known| known.state.transcript_id() == Some(transcript_id));
            if known || self.transcripts.len() >= MAX_REMEMBERED {
                continue;
            }
            news = true;
            let check_at = if one.ended { context.now } else { context.now.plus(TRANSCRIBING_CHECK) };
            let state = if one.attempt.is_none() && !context.policy.copy_unrequested {
                State::Left { transcript_id }
            } else {
                State::Transcribing { transcript_id, check_at, checks: 0 }
            };
            self.learn(Heard { transcript_id, attempt: one.attempt }, state);
        }
        news
    }

    /// The transcript of this attempt exists: our create's answer says so, or a look-up found it.
    fn created(
        mut self,
        attempt: u32,
        transcript_id: TranscriptId,
        check_at: Timestamp,
        next: Next,
        context: Context<'_>,
    ) -> Decision {
        let waiting = self.transcripts.iter().position(|transcript| {
            matches!(transcript.state, State::Creating(_)) && transcript.attempt == Some(attempt)
        });
        let known =
            self.transcripts.iter().position(|transcript| transcript.state.transcript_id() == Some(transcript_id));
        match (waiting, known) {
            (Some(index), None) => {
                self.transcripts[index].state = State::Transcribing { transcript_id, check_at, checks: 0 };
            }
            // Its webhook came first and did not name our attempt: that entry is the one.
            (Some(index), Some(known)) => {
                let provider = self.transcripts[index].provider.take();
                let transcript = &mut self.transcripts[known];
                transcript.attempt = Some(attempt);
                transcript.provider = provider;
                if matches!(transcript.state, State::Left { .. }) {
                    transcript.state = State::Transcribing { transcript_id, check_at, checks: 0 };
                }
                self.transcripts.remove(index);
            }
            (None, Some(_)) => return Decision::Ignore(Reason::AlreadyKnown),
            (None, None) if self.recording == Recording::Deleted => {
                return Decision::Ignore(Reason::RecordingDeleted);
            }
            (None, None) => {
                let heard = Heard { transcript_id, attempt: Some(attempt) };
                self.learn(heard, State::Transcribing { transcript_id, check_at, checks: 0 });
            }
        }
        self.settled();
        self.advanced(next, context)
    }

    /// Recall would not make it, and nothing was paid.
    fn refused(mut self, index: usize, status: u16, code: Option<String>, context: Context<'_>) -> Decision {
        self.transcripts[index].state = State::Refused { status, code };
        self.hold = None;
        let next = self.after_failure(context);
        self.advanced(next, context)
    }

    /// The entry that still belongs to the worker of this claim.
    fn claimed(&self, attempt: u32, claim: Claim) -> Option<(usize, Creating)> {
        self.transcripts.iter().enumerate().find_map(|(index, transcript)| match &transcript.state {
            State::Creating(creating) if transcript.attempt == Some(attempt) && creating.claim == claim => {
                Some((index, creating.clone()))
            }
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(Copying { .. })
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Left { .. } => None,
        })
    }

    /// The same key again, later.
    fn wait(mut self, index: usize, creating: Creating, context: Context<'_>) -> Decision {
        let at = creating.until;
        self.transcripts[index].state = State::Creating(creating);
        self.advanced(Next::Again { at }, context)
    }

    /// The attempt certainly had no effect; the next one starts after a wait, under a new key.
    fn hold_off(mut self, index: usize, status: u16, wait: Duration, context: Context<'_>) -> Decision {
        self.transcripts.remove(index);
        let (times, until) = (self.times_held() + 1, context.now.plus(wait));
        self.hold = Some(Hold::Wait { until, status: Some(status), times });
        self.advanced(Next::Again { at: until }, context)
    }

    /// The same for a reason that will not pass soon.
    fn pause(self, index: usize, status: u16, context: Context<'_>) -> Decision {
        let wait = doubled(PAUSE, self.times_held(), PAUSE_MAX);
        let wait = in_time(wait, self.expires_at, context.now);
        self.hold_off(index, status, wait, context)
    }

    /// How often in a row Recall has held us off.
    fn times_held(&self) -> u32 {
        match self.hold {
            Some(Hold::Wait { times, status: Some(_), .. }) => times,
            Some(Hold::Wait { .. } | Hold::LimitReached | Hold::Skipped) | None => 0,
        }
    }
}

/// The longer it has taken, the longer the next wait.
fn patience(creating: &Creating, now: Timestamp, most: Duration) -> Duration {
    (now.since(creating.first_call_at) / PATIENCE).min(most)
}
