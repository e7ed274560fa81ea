//! What the answers to create_transcript and to look-ups do to a job.

use std::time::Duration;

use super::{
    Claim, Command, Context, Copying, CreateAnswer, Creating, Decision, ERRORS_BEFORE_LOOK_UP, Hold, HoldCause, Job,
    KEY_REUSE, LIST_SETTLE, ListedTranscript, LookUpAnswer, Next, RECALL_MAX_TRANSCRIPTS, Reason, Recording, State,
    TRANSCRIBING_CHECK, Transcript, TranscriptRef, UnexplainedRefusal,
    state::OUTCOME_UNKNOWN,
    waits::{asked, doubled},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// A key that is still in progress is asked for again after this long.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(10);
/// The first wait after a lost answer or a server error; it doubles with every call.
const BACKOFF: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(5 * 60);
/// The wait after a 429 that does not say how long.
const THROTTLED_WAIT: Duration = Duration::from_secs(15);
/// The first wait for an operator; it doubles every time.
const OPERATOR_WAIT: Duration = Duration::from_secs(5 * 60);
const OPERATOR_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The first wait before another attempt when nothing was wrong with the last one; it doubles every time.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// A wait that repeats grows to this part of the time since the first call.
const PATIENCE: u32 = 4;
/// How long a look-up is tried, where it is not known when the recording expires. A refused key does not count.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Transcripts of one recording that the row remembers. Recall lets a recording have ten, and a hundred attempts.
pub(super) const MAX_REMEMBERED: usize = 200;

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
            let check_at = self.chosen(TRANSCRIBING_CHECK, now);
            return self.created(attempt, *transcript_id, check_at, Next::Nothing, context);
        }
        let Some((index, creating)) = self.claimed(attempt, claim) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        // What this call was told says nothing of an earlier one under the same key, which may have taken effect: only
        // a look-up can end such an attempt.
        let looked_up = Creating { errors: ERRORS_BEFORE_LOOK_UP, ..creating.clone() };
        let repeated = creating.calls > 1;
        let backoff = self.chosen(doubled(BACKOFF, creating.calls.saturating_sub(1), BACKOFF_MAX), now);
        let (creating, retry_at) = match answer {
            CreateAnswer::Throttled { after } if repeated => {
                (looked_up, self.asked_or_chosen(*after, THROTTLED_WAIT, now))
            }
            CreateAnswer::Operator { .. } if repeated => {
                let wait = patience(&creating, now, OPERATOR_WAIT_MAX).max(OPERATOR_WAIT);
                (looked_up, self.chosen(wait, now))
            }
            CreateAnswer::Refused { .. } if repeated => (looked_up, now.plus(LIST_SETTLE)),
            CreateAnswer::Created { .. } => return Decision::Ignore(Reason::AlreadyKnown),
            CreateAnswer::InProgress => {
                let wait = patience(&creating, now, BACKOFF_MAX).max(IN_PROGRESS_WAIT);
                let retry_at = self.chosen(wait, now);
                (Creating { conflicts: creating.conflicts + 1, ..creating }, retry_at)
            }
            CreateAnswer::Lost => (creating, backoff),
            CreateAnswer::ServerError { after } => {
                (Creating { errors: creating.errors + 1, ..creating }, backoff.max(asked(*after, now)))
            }
            CreateAnswer::Throttled { after } => {
                let retry_at = self.asked_or_chosen(*after, THROTTLED_WAIT, now);
                return self.hold_off(index, 429, retry_at, context);
            }
            CreateAnswer::Operator { status } => {
                let retry_at =
                    self.chosen(doubled(OPERATOR_WAIT, self.held(HoldCause::Operator, now).0, OPERATOR_WAIT_MAX), now);
                return self.hold_off(index, *status, retry_at, context);
            }
            // The recording, not the attempt, is what Recall does not know.
            CreateAnswer::Refused { status: 404, .. } => {
                self.take_back(index);
                return self.not_known(context);
            }
            // The limit, or something else? Never by the text: the list tells.
            CreateAnswer::Refused { status: 400, code } => {
                let (refusal, claim) = (Some(UnexplainedRefusal { code: code.clone() }), self.next_claim());
                let retry_at = context.lease_until;
                let creating = Creating { refusal, claim: Some(claim), retry_at, ..creating };
                self.transcripts[index].state = State::Creating(creating);
                return self.advanced(Next::Act(Command::LookUp { attempt, claim }), context);
            }
            CreateAnswer::Refused { status, code } => return self.refused(index, *status, code.clone(), context),
        };
        self.wait(index, Creating { retry_at, last_call_at: now, ..creating }, context)
    }

    pub(super) fn on_look_up_answer(
        mut self,
        attempt: u32,
        claim: Claim,
        answer: &LookUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        let (listed, is_complete) = match answer {
            LookUpAnswer::Complete(listed) => (listed, true),
            LookUpAnswer::Incomplete(listed) => (listed, false),
            LookUpAnswer::Later { .. } | LookUpAnswer::Operator => {
                let Some((index, creating)) = self.claimed(attempt, claim) else {
                    return Decision::Ignore(Reason::Overtaken);
                };
                return self.look_up_later(index, creating, answer, context);
            }
        };
        let ours = listed.iter().find(|one| one.attempt == Some(attempt));
        let mut news = self.take_in(listed, ours, context);
        if is_complete {
            news |= self.drop_unmade(listed);
        }
        if let Some(ListedTranscript { transcript_id, ended, .. }) = ours {
            let check_at = if *ended { context.now } else { self.chosen(TRANSCRIBING_CHECK, context.now) };
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
        // What cannot be read may be this very attempt: only a complete list says that it does not exist.
        if !is_complete {
            return self.look_up_later(index, creating, answer, context);
        }
        let room = listed.len() < RECALL_MAX_TRANSCRIPTS as usize;
        if creating.refusal.is_some() && room && self.drop_language() {
            self.take_back(index);
            return self.go_on(context);
        }
        // Nobody can create anything at the moment, for a reason that the row does not know.
        let full = creating.refusal.is_some() && self.transcript_count() <= context.policy.max_transcripts;
        let errors = creating.errors >= ERRORS_BEFORE_LOOK_UP;
        // Every call was told that the same key is in progress, and nothing came of it.
        let only_conflicts = creating.conflicts >= creating.calls;
        match creating.refusal {
            None if only_conflicts => self.refused(index, 409, None, context),
            Some(UnexplainedRefusal { code }) if room => self.refused(index, 400, code, context),
            // Recall's list is full, and still the row has room: what it counts, we do not know.
            Some(_) if full => self.pause(index, 400, context),
            // The same error again and again: the next attempt would most likely meet it, too.
            None if errors => self.pause(index, 500, context),
            // At the limit, or made by nobody: either way the attempt had no effect, and the next one is decided on
            // with all that is known now.
            Some(_) | None => {
                self.take_back(index);
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
    pub(super) fn take_in(
        &mut self,
        listed: &[ListedTranscript],
        ours: Option<&ListedTranscript>,
        context: Context<'_>,
    ) -> bool {
        let mut news = false;
        for one in listed.iter().filter(|one| Some(*one) != ours) {
            let transcript_id = one.transcript_id;
            news |= self.learn_whose(transcript_id, one.other_deployment);
            let known = self.transcripts.iter().any(|known| known.state.transcript_id() == Some(transcript_id));
            if known || self.transcripts.len() >= MAX_REMEMBERED {
                continue;
            }
            news = true;
            let check_at = if one.ended { context.now } else { self.chosen(TRANSCRIBING_CHECK, context.now) };
            let state = if one.attempt.is_none() && !context.policy.copy_unrequested {
                State::Foreign { transcript_id }
            } else {
                State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false }
            };
            self.learn(
                TranscriptRef { transcript_id, attempt: one.attempt, other_deployment: one.other_deployment },
                state,
            );
        }
        news
    }

    /// A complete list does not have them, so these attempts had no effect after all. Whether there were any.
    pub(super) fn drop_unmade(&mut self, listed: &[ListedTranscript]) -> bool {
        let before = self.transcripts.len();
        let is_listed = |one: &Transcript| listed.iter().any(|listed| listed.attempt == one.attempt);
        self.transcripts.retain(|one| !one.is_outcome_unknown() || is_listed(one));
        self.transcripts.len() < before
    }

    /// An attempt whose outcome was never found out takes the last place. It is looked up once more, for a person who asks
    /// for another one: if it exists, that is the one; if it does not, there is room. The request takes a number, so that
    /// it changes nothing when it comes again.
    pub(super) fn look_up_again(&mut self, context: Context<'_>) -> Option<Command> {
        let (claim, longest_ago) = (self.next_claim(), context.now.minus(KEY_REUSE));
        let transcript = self.transcripts.iter_mut().find(|one| one.is_outcome_unknown())?;
        let attempt = transcript.attempt?;
        transcript.state = State::Creating(Creating {
            first_call_at: longest_ago,
            last_call_at: longest_ago,
            calls: 1,
            errors: 0,
            conflicts: 0,
            retry_at: context.lease_until,
            claim: Some(claim),
            refusal: None,
            inconclusive_since: None,
            retry: self.retry.take(),
        });
        self.attempts += 1;
        Some(Command::LookUp { attempt, claim })
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
        let transcribing = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false };
        self.is_known(context);
        self.refusals = None;
        match (waiting, known) {
            (Some(index), None) => self.transcripts[index].state = transcribing,
            // Its webhook came first and did not name our attempt: that entry is the one.
            (Some(index), Some(known)) => {
                let provider = self.transcripts[index].provider.take();
                let transcript = &mut self.transcripts[known];
                transcript.attempt = Some(attempt);
                transcript.provider = provider;
                if matches!(transcript.state, State::Foreign { .. }) {
                    transcript.state = transcribing;
                }
                self.transcripts.remove(index);
            }
            (None, Some(_)) => return Decision::Ignore(Reason::AlreadyKnown),
            (None, None) if self.recording == Recording::Deleted => {
                return Decision::Ignore(Reason::RecordingDeleted);
            }
            (None, None) => {
                let reference = TranscriptRef { transcript_id, attempt: Some(attempt), other_deployment: false };
                self.learn(reference, transcribing);
            }
        }
        self.settled();
        self.advanced(next, context)
    }

    /// Recall would not make it, and nothing was paid.
    fn refused(mut self, index: usize, status: u16, code: Option<String>, context: Context<'_>) -> Decision {
        self.transcripts[index].state = State::Refused { status, code };
        self.hold = None;
        let next = self.after_refusal(context);
        self.advanced(next, context)
    }

    /// The entry that still belongs to the worker of this claim.
    fn claimed(&self, attempt: u32, claim: Claim) -> Option<(usize, Creating)> {
        self.transcripts.iter().enumerate().find_map(|(index, transcript)| match &transcript.state {
            State::Creating(creating) if transcript.attempt == Some(attempt) && creating.claim == Some(claim) => {
                Some((index, creating.clone()))
            }
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(Copying { .. })
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => None,
        })
    }

    /// There is no list, or none that tells. In the end nobody will ever know, and then no other attempt is started.
    fn look_up_later(
        mut self,
        index: usize,
        creating: Creating,
        answer: &LookUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        let inconclusive_since = match answer {
            // Nobody but an operator can change that, and it never ends a job.
            LookUpAnswer::Operator => None,
            LookUpAnswer::Complete(_) | LookUpAnswer::Incomplete(_) | LookUpAnswer::Later { .. } => {
                Some(creating.inconclusive_since.unwrap_or(context.now))
            }
        };
        let patience_is_over = |since| context.now.since(since) >= LOOK_UP_PATIENCE;
        let for_long = self.expires_at.is_none() && inconclusive_since.is_some_and(patience_is_over);
        if for_long || self.has_expired(context.now) {
            let code = Some("outcome_unknown".to_owned());
            self.transcripts[index].state = State::Refused { status: OUTCOME_UNKNOWN, code };
            self.hold = None;
            return self.advanced(Next::Nothing, context);
        }
        let retry_at = match answer {
            LookUpAnswer::Later { after } => {
                let wait = patience(&creating, context.now, BACKOFF_MAX).max(BACKOFF);
                self.chosen(wait, context.now).max(asked(*after, context.now))
            }
            LookUpAnswer::Complete(_) | LookUpAnswer::Incomplete(_) | LookUpAnswer::Operator => {
                let wait = patience(&creating, context.now, OPERATOR_WAIT_MAX).max(OPERATOR_WAIT);
                self.chosen(wait, context.now)
            }
        };
        self.wait(index, Creating { retry_at, inconclusive_since, ..creating }, context)
    }

    /// The same key again, later.
    fn wait(mut self, index: usize, creating: Creating, context: Context<'_>) -> Decision {
        let at = creating.retry_at;
        self.transcripts[index].state = State::Creating(Creating { claim: None, ..creating });
        self.advanced(Next::Wait { retry_at: at }, context)
    }

    /// The attempt had no effect, so it leaves the list. The retry that it was made for stays.
    fn take_back(&mut self, index: usize) {
        if let State::Creating(Creating { retry: Some(retry), .. }) = self.transcripts.remove(index).state {
            self.retry = Some(retry);
        }
    }

    /// The attempt certainly had no effect; the next one starts after a wait, under a new key.
    fn hold_off(mut self, index: usize, status: u16, retry_at: Timestamp, context: Context<'_>) -> Decision {
        self.take_back(index);
        let (times, since) = self.held(HoldCause::of(status), context.now);
        self.hold = Some(Hold::Wait { retry_at, status: Some(status), times: times + 1, since });
        self.advanced(Next::Wait { retry_at: retry_at }, context)
    }

    /// The same for a reason that will not pass soon.
    fn pause(self, index: usize, status: u16, context: Context<'_>) -> Decision {
        let retry_at =
            self.chosen(doubled(PAUSE, self.held(HoldCause::of(status), context.now).0, PAUSE_MAX), context.now);
        self.hold_off(index, status, retry_at, context)
    }

    /// How many times in a row Recall has held us off with this, and since when.
    pub(super) fn held(&self, by: HoldCause, now: Timestamp) -> (u32, Timestamp) {
        let before = self.hold.as_ref().and_then(Hold::cause).filter(|(cause, ..)| *cause == by);
        before.map_or((0, now), |(_, times, since)| (times, since))
    }
}

/// The longer it has taken, the longer the next wait.
fn patience(creating: &Creating, now: Timestamp, most: Duration) -> Duration {
    (now.since(creating.first_call_at) / PATIENCE).min(most)
}
