//! What the answers to our own commands do to a job.
//!
//! An answer that carries an outdated claim comes from a worker whose lease had ended. It may still bring a fact (a
//! transcript that exists, a copy that is complete), and facts always count; but it may not end a wait or an attempt
//! that somebody else has taken over.

use std::time::Duration;

use super::{
    Claim, Command, Context, Copying, Creating, Decision, ERRORS_BEFORE_LOOK_UP, Heard, Hold, Job, LIST_SETTLE, Next,
    Reason, Receipt, Recording, State, TRANSCRIBING_CHECK,
};
use crate::{ids::TranscriptId, time::Timestamp};

/// A key that is still at work is asked for again after this long.
const IN_PROGRESS_WAIT: Duration = Duration::from_secs(10);
/// The first wait after a lost answer or a server error; it doubles with every call.
const BACKOFF: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(5 * 60);
/// The first wait after a copy that did not come about; it doubles with every try.
const COPY_WAIT: Duration = Duration::from_secs(5);
const COPY_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The first wait for a transcript that Recall does not know; it doubles with every try.
const MISSING_WAIT: Duration = Duration::from_secs(15);
/// So often Recall must say that it does not know a transcript before it counts as lost: an hour in all.
const MISSING_TRIES: u32 = 10;
/// The first wait for a transcript that is not done; it doubles with every check.
const CHECK_WAIT: Duration = Duration::from_secs(15);
/// Recall's Retry-After is kept within these bounds.
const THROTTLE_MIN: Duration = Duration::from_secs(1);
const THROTTLE_MAX: Duration = Duration::from_secs(60 * 60);
/// The first wait for an operator; it doubles every time.
const OPERATOR_WAIT: Duration = Duration::from_secs(5 * 60);
const OPERATOR_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Create {
        attempt: u32,
        claim: Claim,
        answer: CreateAnswer,
    },
    LookUp {
        attempt: u32,
        claim: Claim,
        answer: LookUpAnswer,
    },
    Copy {
        transcript_id: TranscriptId,
        claim: Claim,
        answer: CopyAnswer,
    },
    /// Whether the wake-up is on the queue.
    Wake {
        sent: bool,
    },
}

/// How one call of create_transcript ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created {
        transcript_id: TranscriptId,
    },
    /// 409: the same key is still being worked on.
    InProgress,
    /// No answer: whether it took effect is unknown.
    Lost,
    /// 5xx: whether it took effect is unknown, and Recall may replay the error under this key.
    ServerError,
    /// 429: nothing happened.
    Throttled {
        after: Duration,
    },
    /// 401, 402, 403: nothing happened, and somebody has to do something.
    Operator {
        status: u16,
    },
    /// 400, 404 and other definite refusals.
    Refused {
        status: u16,
        code: Option<String>,
    },
}

impl CreateAnswer {
    /// The word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::InProgress => "in_progress",
            Self::Lost => "lost",
            Self::ServerError => "server_error",
            Self::Throttled { .. } => "throttled",
            Self::Operator { .. } => "operator",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What a look-up found for our attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// The oldest transcript that carries our attempt; `ended` if Recall is not working on it any more.
    Found {
        transcript_id: TranscriptId,
        ended: bool,
    },
    Nothing,
    /// The list could not be had.
    Later {
        after: Duration,
    },
}

/// How a copy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyAnswer {
    Stored(Receipt),
    /// Recall is still at work, or has no URL for it yet.
    NotReady {
        after: Duration,
    },
    /// Recall says that it failed.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that it was deleted.
    Deleted,
    /// Recall does not know it, or not yet.
    Missing,
    /// Something on the way is out of order; nothing is lost.
    Later {
        after: Duration,
    },
}

impl Job {
    /// Decides what the answer to a command means.
    pub fn on_answer(self, answer: &Answer, context: Context<'_>) -> Decision {
        match answer {
            Answer::Create { attempt, claim, answer } => self.on_create_answer(*attempt, *claim, answer, context),
            Answer::LookUp { attempt, claim, answer } => self.on_look_up_answer(*attempt, *claim, answer, context),
            Answer::Copy { transcript_id, claim, answer } => {
                self.on_copy_answer(*transcript_id, *claim, answer, context)
            }
            Answer::Wake { sent: true } => Decision::Ignore(Reason::AlreadyKnown),
            // The row says all that is to be said, but nobody will look at it soon: the event has to come again.
            Answer::Wake { sent: false } => Decision::Busy { until: context.now.plus(BACKOFF) },
        }
    }

    fn on_create_answer(mut self, attempt: u32, claim: Claim, answer: &CreateAnswer, context: Context<'_>) -> Decision {
        if let CreateAnswer::Created { transcript_id } = answer {
            return self.created(attempt, *transcript_id, context.now.plus(TRANSCRIBING_CHECK), Next::Nothing);
        }
        let Some((index, creating)) = self.claimed(attempt, claim) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let now = context.now;
        // What this call was told says nothing of an earlier one under the same key, which may have taken effect: only
        // a look-up can end such an attempt.
        let looked_up = Creating { errors: ERRORS_BEFORE_LOOK_UP, ..creating };
        let repeated = creating.calls > 1;
        let backoff = doubled(BACKOFF, creating.calls.saturating_sub(1), BACKOFF_MAX);
        match answer {
            CreateAnswer::Throttled { after } if repeated => {
                self.wait(index, Creating { until: now.plus(bounded(*after)), ..looked_up })
            }
            CreateAnswer::Operator { .. } if repeated => {
                self.wait(index, Creating { until: now.plus(OPERATOR_WAIT), ..looked_up })
            }
            CreateAnswer::Refused { .. } if repeated => {
                self.wait(index, Creating { until: now.plus(LIST_SETTLE), ..looked_up })
            }
            CreateAnswer::Created { .. } => Decision::Ignore(Reason::AlreadyKnown),
            CreateAnswer::InProgress => self.wait(index, Creating { until: now.plus(IN_PROGRESS_WAIT), ..creating }),
            CreateAnswer::Lost => self.wait(index, Creating { until: now.plus(backoff), ..creating }),
            CreateAnswer::ServerError => {
                self.wait(index, Creating { errors: creating.errors + 1, until: now.plus(backoff), ..creating })
            }
            CreateAnswer::Throttled { after } => self.hold_off(index, 429, now.plus(bounded(*after))),
            CreateAnswer::Operator { status } => {
                let wait = doubled(OPERATOR_WAIT, self.times_held(), OPERATOR_WAIT_MAX);
                self.hold_off(index, *status, now.plus(wait))
            }
            CreateAnswer::Refused { status, code } => {
                self.transcripts[index].state = State::Refused { status: *status, code: code.clone() };
                self.settled();
                self.advanced(Next::Nothing)
            }
        }
    }

    /// The transcript of this attempt exists: our create's answer says so, or a look-up found it.
    fn created(mut self, attempt: u32, transcript_id: TranscriptId, check_at: Timestamp, next: Next) -> Decision {
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
                self.transcripts[known].attempt = Some(attempt);
                self.transcripts[known].provider = provider;
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
        self.advanced(next)
    }

    fn on_look_up_answer(
        mut self,
        attempt: u32,
        claim: Claim,
        answer: &LookUpAnswer,
        context: Context<'_>,
    ) -> Decision {
        match answer {
            LookUpAnswer::Found { transcript_id, ended: false } => {
                self.created(attempt, *transcript_id, context.now.plus(TRANSCRIBING_CHECK), Next::Nothing)
            }
            // Its webhook may never come, so it is taken up from the queue right away.
            LookUpAnswer::Found { transcript_id, ended: true } => {
                self.created(attempt, *transcript_id, context.now, Next::Act(Command::Wake))
            }
            LookUpAnswer::Nothing => match self.claimed(attempt, claim) {
                Some((index, _)) => {
                    self.transcripts.remove(index);
                    match self.clone().pursue(context) {
                        apply @ Decision::Apply { .. } => apply,
                        // Nothing more to ask for now, but the attempt is over all the same.
                        Decision::Ignore(_) => self.advanced(Next::Nothing),
                        Decision::Busy { until } => self.advanced(Next::Again { at: until }),
                    }
                }
                None => Decision::Ignore(Reason::Overtaken),
            },
            LookUpAnswer::Later { after } => match self.claimed(attempt, claim) {
                Some((index, creating)) => {
                    self.wait(index, Creating { until: context.now.plus(bounded(*after)), ..creating })
                }
                None => Decision::Ignore(Reason::Overtaken),
            },
        }
    }

    fn on_copy_answer(
        mut self,
        transcript_id: TranscriptId,
        claim: Claim,
        answer: &CopyAnswer,
        context: Context<'_>,
    ) -> Decision {
        let now = context.now;
        let Some(transcript) =
            self.transcripts.iter_mut().find(|transcript| transcript.state.transcript_id() == Some(transcript_id))
        else {
            return Decision::Ignore(Reason::Overtaken);
        };
        if let CopyAnswer::Stored(receipt) = answer {
            if matches!(transcript.state, State::Stored { .. }) {
                return Decision::Ignore(Reason::AlreadyStored);
            }
            // Whoever says so: the manifest stands.
            transcript.state = State::Stored { transcript_id, receipt: receipt.clone() };
            return self.advanced(Next::Nothing);
        }
        let Some(held) = transcript.state.copying().filter(|copying| copying.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let tries = held.tries.saturating_add(1);
        let wait = |wait: Duration, missing| {
            let until = now.plus(wait);
            (State::Copying(Copying { until, claim: None, tries, missing, ..held }), Next::Again { at: until })
        };
        let (state, next) = match answer {
            CopyAnswer::Stored(_) => return Decision::Ignore(Reason::AlreadyStored),
            CopyAnswer::NotReady { after } => {
                let check_at = now.plus(bounded(*after).max(doubled(CHECK_WAIT, held.tries, TRANSCRIBING_CHECK)));
                (State::Transcribing { transcript_id, check_at, checks: tries }, Next::Again { at: check_at })
            }
            CopyAnswer::Failed { sub_code } => {
                (State::Failed { transcript_id, sub_code: sub_code.clone() }, Next::Nothing)
            }
            CopyAnswer::Deleted => {
                transcript.deleted = true;
                (State::Lost { transcript_id }, Next::Nothing)
            }
            // A wrong base URL or workspace says the same for a while, so once is not enough.
            CopyAnswer::Missing if held.missing + 1 >= MISSING_TRIES => (State::Lost { transcript_id }, Next::Nothing),
            CopyAnswer::Missing => wait(doubled(MISSING_WAIT, held.missing, COPY_WAIT_MAX), held.missing + 1),
            CopyAnswer::Later { after } => wait(bounded(*after).max(doubled(COPY_WAIT, held.tries, COPY_WAIT_MAX)), 0),
        };
        transcript.state = state;
        self.advanced(next)
    }

    /// The entry that still belongs to the worker of this claim.
    fn claimed(&self, attempt: u32, claim: Claim) -> Option<(usize, Creating)> {
        self.transcripts.iter().enumerate().find_map(|(index, transcript)| match transcript.state {
            State::Creating(creating) if transcript.attempt == Some(attempt) && creating.claim == claim => {
                Some((index, creating))
            }
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. } => None,
        })
    }

    /// The same key again, later.
    fn wait(mut self, index: usize, creating: Creating) -> Decision {
        self.transcripts[index].state = State::Creating(creating);
        self.advanced(Next::Again { at: creating.until })
    }

    /// The attempt certainly had no effect; the next one starts after a wait, under a new key.
    fn hold_off(mut self, index: usize, status: u16, until: Timestamp) -> Decision {
        self.transcripts.remove(index);
        let times = self.times_held() + 1;
        self.hold = Some(Hold::Wait { until, status, times });
        self.advanced(Next::Again { at: until })
    }

    fn times_held(&self) -> u32 {
        match self.hold {
            Some(Hold::Wait { times, .. }) => times,
            Some(Hold::LimitReached) | None => 0,
        }
    }
}

/// A wait that Recall asks for, whatever it says.
fn bounded(after: Duration) -> Duration {
    after.clamp(THROTTLE_MIN, THROTTLE_MAX)
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(most)
}
