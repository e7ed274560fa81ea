//! Look-ups: whether the transcript of an attempt exists, according to Recall's list.

use std::time::Duration;

use crate::{
    Claim, Command, Context, Creating, Decision, HoldCause, Job, ListedTranscript, Next, RECALL_MAX_TRANSCRIPTS,
    Reason, State, UnexplainedRefusal,
    state::OUTCOME_UNKNOWN,
    waits::{
        CREATE_BACKOFF, CREATE_OPERATOR_BACKOFF, ERRORS_BEFORE_LOOK_UP, KEY_REUSE, LOOK_UP_GIVE_UP, recall_retry_at,
    },
};

/// What the list of the recording's transcripts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// All transcripts that exist at Recall, the oldest first.
    Complete(Vec<ListedTranscript>),
    /// These transcripts exist. The list was not read to its end, or has entries without an id, so others may exist.
    Incomplete(Vec<ListedTranscript>),
    /// The list could not be read: Recall was throttling, failing, or out of reach.
    Later { after: Duration },
    /// 401, 402, 403: an operator has to act.
    Operator,
}

impl Job {
    /// A look-up was answered: adopts the transcript of the attempt, ends the attempt, or looks it up again later.
    pub(crate) fn on_look_up_answer(
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
                let Some((index, creating)) = self.claimed_attempt(attempt, claim) else {
                    return Decision::Ignore(Reason::Overtaken);
                };
                return self.look_up_later(index, creating, answer, context);
            }
        };
        let ours = listed.iter().find(|one| one.attempt == Some(attempt));
        let mut changed = self.merge_list(listed, ours, context);
        if is_complete {
            changed |= self.remove_unlisted(listed);
        }
        if let Some(ListedTranscript { transcript_id, ended, .. }) = ours {
            let check_at = self.first_check_at(*ended, context.now);
            // `adopt` makes an ended transcript due now, which `wake_if_due` cannot see yet.
            let next = if *ended { Next::Act(Command::Wake) } else { self.wake_if_due(context.now) };
            return match self.clone().adopt(attempt, *transcript_id, check_at, next, context) {
                Decision::Ignore(_) if changed => {
                    let next = self.wake_if_due(context.now);
                    self.apply(next)
                }
                decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => decision,
            };
        }
        let Some((index, creating)) = self.claimed_attempt(attempt, claim) else {
            let next = self.wake_if_due(context.now);
            return if changed { self.apply(next) } else { Decision::Ignore(Reason::Overtaken) };
        };
        // An entry that cannot be read may be this attempt. Only a complete list shows that the attempt does not exist.
        if !is_complete {
            return self.look_up_later(index, creating, answer, context);
        }
        let has_room = listed.len() < RECALL_MAX_TRANSCRIPTS as usize;
        // A 400 although there is room may be about the language, so the next attempt does without it.
        if creating.refusal.is_some() && has_room && self.drop_language() {
            self.remove_attempt(index);
            return self.pursue_attempt_and_save(context);
        }
        // More than the maximum, because the count includes this attempt.
        let is_row_full = self.transcript_count() > context.policy.max_transcripts;
        let has_repeated_errors = creating.errors >= ERRORS_BEFORE_LOOK_UP;
        // Every call was answered 409, and still no transcript exists: the 409 was a refusal.
        let only_conflicts = creating.conflicts >= creating.calls;
        match creating.refusal {
            None if only_conflicts => self.end_refused(index, 409, None, context),
            Some(UnexplainedRefusal { code }) if has_room => self.end_refused(index, 400, code, context),
            // Recall's list is full although the row has room: we do not know what Recall counts.
            Some(_) if !is_row_full => self.pause_attempts(index, HoldCause::Full, context.now),
            // The next attempt would most likely meet the same error.
            None if has_repeated_errors => self.pause_attempts(index, HoldCause::Errors, context.now),
            // The attempt had no effect: the limit was reached, or the call never arrived. The next attempt is decided
            // on with everything that is known now.
            Some(_) | None => {
                self.remove_attempt(index);
                self.pursue_attempt_and_save(context)
            }
        }
    }

    /// The row has no free slot, and one slot belongs to an attempt whose outcome stayed unknown. For a person who
    /// requests another attempt it is looked up once more: either it exists and serves the request, or its slot is
    /// free. The request takes an attempt number, so a second delivery of it is ignored.
    pub(crate) fn look_up_again(&mut self, context: Context<'_>) -> Option<Command> {
        // The key counts as too old to be used, so a repeat looks the transcript up and never calls create_transcript.
        let (claim, long_ago) = (self.next_claim(), context.now.minus(KEY_REUSE));
        let transcript = self.transcripts.iter_mut().find(|one| one.is_outcome_unknown())?;
        let attempt = transcript.attempt?;
        transcript.state = State::Creating(Creating {
            first_call_at: long_ago,
            last_call_at: long_ago,
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

    /// There is no list, or an inconclusive one: tries again later. After the recording's expiry, or after
    /// [`LOOK_UP_GIVE_UP`] if that is unknown, the outcome stays unknown, and only a person can start another attempt.
    fn look_up_later(
        mut self,
        index: usize,
        creating: Creating,
        answer: &LookUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        let now = context.now;
        let inconclusive_since = match answer {
            // Only an operator can fix a refused key. The time until then does not count as inconclusive: such a
            // look-up ends only with the recording's expiry.
            LookUpAnswer::Operator => None,
            LookUpAnswer::Complete(_) | LookUpAnswer::Incomplete(_) | LookUpAnswer::Later { .. } => {
                Some(creating.inconclusive_since.unwrap_or(now))
            }
        };
        let is_too_long = inconclusive_since.is_some_and(|since| now.since(since) >= LOOK_UP_GIVE_UP);
        if (is_too_long && self.expires_at.is_none()) || self.has_expired(now) {
            let code = Some("outcome_unknown".to_owned());
            self.transcripts[index].state = State::Refused { status: OUTCOME_UNKNOWN, code };
            self.hold = None;
            return self.apply(Next::Nothing);
        }
        let retry_at = match answer {
            LookUpAnswer::Later { after } => {
                let wait = CREATE_BACKOFF.growing_wait(creating.first_call_at, now);
                self.wait_until(wait, now).max(recall_retry_at(*after, now))
            }
            LookUpAnswer::Complete(_) | LookUpAnswer::Incomplete(_) | LookUpAnswer::Operator => {
                self.wait_until(CREATE_OPERATOR_BACKOFF.growing_wait(creating.first_call_at, now), now)
            }
        };
        self.retry_same_key(index, Creating { retry_at, inconclusive_since, ..creating })
    }
}
