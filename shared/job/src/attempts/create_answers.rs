//! Answers to create_transcript: the transcript is adopted, or the attempt is repeated, looked up, refused, or removed.

use std::time::Duration;

use crate::{
    Claim, Command, Context, Creating, Decision, Hold, HoldCause, Job, Next, Reason, Recording, State, TranscriptRef,
    UnexplainedRefusal,
    ids::TranscriptId,
    time::Timestamp,
    waits::{
        CREATE_BACKOFF, CREATE_OPERATOR_BACKOFF, IN_PROGRESS_BACKOFF, LIST_SETTLE, NO_EFFECT_BACKOFF, THROTTLED_WAIT,
        recall_retry_at,
    },
};

/// How one call of create_transcript ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created {
        transcript_id: TranscriptId,
    },
    /// 409: a call with the same key is still in progress.
    InProgress,
    /// No answer: whether the call took effect is unknown.
    Lost,
    /// 5xx: whether the call took effect is unknown, and Recall may replay the error under this key.
    ServerError {
        after: Duration,
    },
    /// 429: nothing happened.
    Throttled {
        after: Duration,
    },
    /// 401, 402, 403: nothing happened, and an operator has to act.
    Operator {
        status: u16,
    },
    /// 400, 404, and other definite refusals.
    Refused {
        status: u16,
        code: Option<String>,
    },
}

impl CreateAnswer {
    /// Returns the name for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::InProgress => "in_progress",
            Self::Lost => "lost",
            Self::ServerError { .. } => "server_error",
            Self::Throttled { .. } => "throttled",
            Self::Operator { .. } => "operator",
            Self::Refused { .. } => "refused",
        }
    }
}

impl Job {
    /// A create was answered, or its answer was lost.
    pub(crate) fn on_create_answer(
        mut self,
        attempt: u32,
        claim: Claim,
        answer: &CreateAnswer,
        context: Context<'_>,
    ) -> Decision {
        let now = context.now;
        if let CreateAnswer::Created { transcript_id } = answer {
            let check_at = self.first_check_at(false, now);
            return self.adopt(attempt, *transcript_id, check_at, Next::Nothing, context);
        }
        let Some((index, creating)) = self.claimed_attempt(attempt, claim) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        // The answer to this call says nothing about an earlier call under the same key, which may have taken effect.
        // Only a look-up can end such an attempt.
        let is_repeated = creating.calls > 1;
        let backoff = self.wait_until(CREATE_BACKOFF.wait(creating.calls.saturating_sub(1)), now);
        let (creating, retry_at) = match answer {
            CreateAnswer::Throttled { after } if is_repeated => {
                (creating.only_looked_up(), self.recall_or_own_retry_at(*after, THROTTLED_WAIT, now))
            }
            CreateAnswer::Operator { .. } if is_repeated => {
                let wait = CREATE_OPERATOR_BACKOFF.growing_wait(creating.first_call_at, now);
                (creating.only_looked_up(), self.wait_until(wait, now))
            }
            CreateAnswer::Refused { .. } if is_repeated => (creating.only_looked_up(), now.plus(LIST_SETTLE)),
            // Handled above.
            CreateAnswer::Created { .. } => return Decision::Ignore(Reason::AlreadyKnown),
            CreateAnswer::InProgress => {
                let wait = IN_PROGRESS_BACKOFF.growing_wait(creating.first_call_at, now);
                let retry_at = self.wait_until(wait, now);
                (Creating { conflicts: creating.conflicts + 1, ..creating }, retry_at)
            }
            CreateAnswer::Lost => (creating, backoff),
            CreateAnswer::ServerError { after } => {
                (Creating { errors: creating.errors + 1, ..creating }, backoff.max(recall_retry_at(*after, now)))
            }
            CreateAnswer::Throttled { after } => {
                let retry_at = self.recall_or_own_retry_at(*after, THROTTLED_WAIT, now);
                return self.retry_with_new_key(index, 429, retry_at, now);
            }
            CreateAnswer::Operator { status } => {
                let (times, _) = self.times_held(HoldCause::Operator, now);
                let retry_at = self.wait_until(CREATE_OPERATOR_BACKOFF.wait(times), now);
                return self.retry_with_new_key(index, *status, retry_at, now);
            }
            // Recall does not know the recording; the attempt itself is fine.
            CreateAnswer::Refused { status: 404, .. } => {
                self.remove_attempt(index);
                return self.wait_for_unknown_recording(context);
            }
            // A 400 means the limit, or something else. Its text does not say reliably; the list does.
            CreateAnswer::Refused { status: 400, code } => {
                let (refusal, claim) = (Some(UnexplainedRefusal { code: code.clone() }), self.next_claim());
                let retry_at = context.lease_until;
                let creating = Creating { refusal, claim: Some(claim), retry_at, ..creating };
                self.transcripts[index].state = State::Creating(creating);
                return self.apply(Next::Act(Command::LookUp { attempt, claim }));
            }
            CreateAnswer::Refused { status, code } => {
                return self.end_refused(index, *status, code.clone(), context);
            }
        };
        self.retry_same_key(index, Creating { retry_at, last_call_at: now, ..creating })
    }

    /// The transcript of this attempt exists: the answer to our create says so, or a look-up found it.
    pub(super) fn adopt(
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
        let known = self.position(transcript_id);
        let transcribing = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false };
        self.mark_known_to_recall(context.now);
        self.refusals = None;
        match (waiting, known) {
            (Some(index), None) => self.transcripts[index].state = transcribing,
            // A webhook about this transcript came first, without our metadata, so the row has it as someone else's.
            // The two entries become one.
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
                self.insert(reference, transcribing);
            }
        }
        self.clear_unneeded_hold();
        self.apply(next)
    }

    /// Recall definitely refused the attempt, and nothing was paid.
    pub(super) fn end_refused(
        mut self,
        index: usize,
        status: u16,
        code: Option<String>,
        context: Context<'_>,
    ) -> Decision {
        self.transcripts[index].state = State::Refused { status, code };
        self.hold = None;
        let next = self.schedule_next_try(context);
        self.apply(next)
    }

    /// Returns the attempt if the worker with this claim still holds it.
    pub(super) fn claimed_attempt(&self, attempt: u32, claim: Claim) -> Option<(usize, Creating)> {
        self.transcripts.iter().enumerate().find_map(|(index, transcript)| {
            let State::Creating(creating) = &transcript.state else { return None };
            let is_held = transcript.attempt == Some(attempt) && creating.claim == Some(claim);
            is_held.then(|| (index, creating.clone()))
        })
    }

    /// Repeats the attempt with the same key, later.
    pub(super) fn retry_same_key(mut self, index: usize, creating: Creating) -> Decision {
        let retry_at = creating.retry_at;
        self.transcripts[index].state = State::Creating(Creating { claim: None, ..creating });
        self.apply(Next::Wait { retry_at })
    }

    /// The attempt certainly had no effect. The next one starts after a wait, with a new key.
    fn retry_with_new_key(mut self, index: usize, status: u16, retry_at: Timestamp, now: Timestamp) -> Decision {
        self.remove_attempt(index);
        let (times, since) = self.times_held(HoldCause::of_status(status), now);
        self.hold = Some(Hold::Wait { retry_at, status: Some(status), times: times + 1, since });
        self.apply(Next::Wait { retry_at })
    }

    /// The attempt had no effect, for a cause that will not pass soon. The next attempt starts after a minute or more.
    pub(super) fn pause_attempts(self, index: usize, cause: HoldCause, now: Timestamp) -> Decision {
        let (times, _) = self.times_held(cause, now);
        let retry_at = self.wait_until(NO_EFFECT_BACKOFF.wait(times), now);
        self.retry_with_new_key(index, cause.http_status(), retry_at, now)
    }

    /// Removes an attempt that had no effect. If a person requested it, the request waits for the next attempt.
    pub(super) fn remove_attempt(&mut self, index: usize) {
        if let State::Creating(Creating { retry: Some(retry), .. }) = self.transcripts.remove(index).state {
            self.retry = Some(retry);
        }
    }
}
