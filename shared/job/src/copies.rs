//! Copies to S3: how a copy is claimed, and what its answer means.

use std::time::Duration;

use super::{
    Claim, Command, Context, Contradiction, Copying, Decision, Failures, Job, KeepReason, Next, Reason, Receipt, State,
    waits::{
        CHECK_BACKOFF, CONTRADICTION_BACKOFF, COPY_BACKOFF, COPY_OPERATOR_BACKOFF, MAX_CHECKS, MAX_MISSING,
        MISSING_BACKOFF, UNKNOWN_GIVE_UP, is_copy_hopeless, recall_retry_at, wait_until,
    },
};
use crate::ids::TranscriptId;

/// How a copy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyAnswer {
    Stored(Receipt),
    /// Recall is still working on the transcript, or has no URL for it yet.
    NotReady,
    /// Recall says that the transcript failed.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that the transcript is deleted.
    Deleted,
    /// 404. `recording_known`: Recall knows the recording with the same key, so it is the transcript that is gone.
    Missing {
        recording_known: bool,
    },
    /// The network, S3, or Recall failed. The copy can be tried again.
    Later {
        after: Duration,
    },
    /// 401, 402, 403: an operator has to act.
    Operator,
    /// We rejected what Recall offers: it is on a host that is not allowed, too large, another recording's, or cannot
    /// be understood. Someone has to fix something first.
    Rejected,
    /// The verbatim file is in S3, but S3 refused one of its renditions.
    RenditionsRefused,
    /// The verbatim file is in S3, but the time ran out before its renditions were.
    RenditionsLate,
    /// The download had no bytes.
    EmptyBody,
}

impl Job {
    /// Claims the copy of a transcript to S3. The callers have checked that no lease on it runs.
    pub(crate) fn start_copy(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        if let Some(retry_at) = self.deletion_lease_of(transcript_id, context.now) {
            return Decision::Busy { retry_at };
        }
        let (claim, bot_id, expires_at) = (self.next_claim(), self.bot_id, self.expires_at);
        let transcript = &mut self.transcripts[index];
        let attempt = transcript.attempt;
        let (retry_at, since) = (context.lease_until, context.now);
        let first = Copying {
            transcript_id,
            retry_at,
            claim: Some(claim),
            since,
            failures: Failures::default(),
            missing_since: None,
            checks: 0,
            reported_done: false,
        };
        let copying = match transcript.state {
            // A claim that is still there belongs to a worker that died. A copy over which workers die has no answer
            // that could end it, so it ends here.
            State::Copying(before)
                if before.claim.is_some() && is_copy_hopeless(before.since, expires_at, context.now) =>
            {
                return self.end_lost(index, transcript_id);
            }
            State::Copying(before) => {
                let mut failures = before.failures;
                failures.crashes = failures.crashes.saturating_add(u32::from(before.claim.is_some()));
                Copying { retry_at, claim: Some(claim), failures, ..before }
            }
            State::Transcribing { checks, reported_done, .. } => Copying { checks, reported_done, ..first },
            State::Creating(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => first,
        };
        transcript.state = State::Copying(copying);
        let (failures, newest_stored) = (copying.failures, self.newest_stored());
        self.apply(Next::Act(Command::Copy { transcript_id, attempt, bot_id, failures, newest_stored, claim }))
    }

    /// A copy is complete, or waits for its next try, or is given up.
    pub(crate) fn on_copy_answer(
        mut self,
        transcript_id: TranscriptId,
        claim: Claim,
        answer: &CopyAnswer,
        context: Context<'_>,
    ) -> Decision {
        let (now, expires_at, is_unconfirmed) = (context.now, self.expires_at, self.is_unconfirmed());
        let Some(index) = self.position(transcript_id) else { return Decision::Ignore(Reason::Overtaken) };
        if let CopyAnswer::Stored(receipt) = answer {
            return self.on_stored(index, transcript_id, receipt, context);
        }
        let transcript = &mut self.transcripts[index];
        let Some(held) = transcript.state.copying().filter(|copying| copying.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let Copying { mut failures, checks, reported_done, .. } = held;
        let missing_since = held.missing_since.unwrap_or(now);
        // A refused key works again: the time until now does not count against the copy.
        let key_works_again = failures.operator > 0 && *answer != CopyAnswer::Operator;
        let since = if key_works_again { now } else { held.since };
        let own = |wait: Duration| wait_until(wait, expires_at, now);
        // Ends the copy and returns, or says when the next try is and since when Recall has answered only 404.
        let (retry_at, still_missing_since) = match answer {
            // Handled above.
            CopyAnswer::Stored(_) => return Decision::Ignore(Reason::AlreadyStored),
            CopyAnswer::Failed { sub_code } => {
                if reported_done {
                    let times = transcript.contradiction.map_or(0, |one| one.times);
                    let retry_at = own(CONTRADICTION_BACKOFF.wait(times));
                    transcript.contradiction = Some(Contradiction { retry_at, times: times + 1 });
                }
                transcript.state = State::Failed { transcript_id, sub_code: sub_code.clone() };
                let is_ours = transcript.attempt.is_some();
                self.mark_known_to_recall(now);
                let next = if is_ours { self.schedule_after_failure(context) } else { Next::Nothing };
                return self.apply(next);
            }
            CopyAnswer::Deleted => return self.end_deleted(index, transcript_id, context),
            CopyAnswer::NotReady if checks + 1 >= MAX_CHECKS => return self.end_lost(index, transcript_id),
            CopyAnswer::NotReady => {
                let check_at = own(CHECK_BACKOFF.wait(checks));
                transcript.state = State::Transcribing { transcript_id, check_at, checks: checks + 1, reported_done };
                self.mark_known_to_recall(now);
                return self.apply(Next::Wait { retry_at: check_at });
            }
            // Recall knows the recording, so it is the transcript that is gone.
            CopyAnswer::Missing { recording_known: true } if failures.gone >= MAX_MISSING => {
                return self.end_deleted(index, transcript_id, context);
            }
            // With a wrong base URL or workspace Recall answers the same, so the copy ends only after a day of 404s.
            CopyAnswer::Missing { .. } if now.since(missing_since) >= UNKNOWN_GIVE_UP => {
                return self.end_lost(index, transcript_id);
            }
            // It has failed until its give-up time, whatever the cause was.
            CopyAnswer::Later { .. } | CopyAnswer::Rejected if is_copy_hopeless(since, expires_at, now) => {
                return self.end_lost(index, transcript_id);
            }
            // A refused key does not end a copy while Recall still has the recording.
            CopyAnswer::Operator if expires_at.is_some() && is_copy_hopeless(since, expires_at, now) => {
                return self.end_lost(index, transcript_id);
            }
            CopyAnswer::Missing { recording_known } => {
                let count = if *recording_known { &mut failures.gone } else { &mut failures.missing };
                let wait = MISSING_BACKOFF.wait(*count);
                *count += 1;
                (own(wait), Some(missing_since))
            }
            CopyAnswer::Operator => (own(COPY_OPERATOR_BACKOFF.wait(count_failure(&mut failures.operator))), None),
            CopyAnswer::Rejected => (own(COPY_OPERATOR_BACKOFF.wait(count_failure(&mut failures.rejected))), None),
            CopyAnswer::Later { after } => {
                let wait = COPY_BACKOFF.wait(count_failure(&mut failures.transient));
                (own(wait).max(recall_retry_at(*after, now)), None)
            }
            CopyAnswer::RenditionsRefused => {
                (own(COPY_BACKOFF.wait(count_failure(&mut failures.renditions_refused))), None)
            }
            CopyAnswer::RenditionsLate => (own(COPY_BACKOFF.wait(count_failure(&mut failures.renditions_late))), None),
            CopyAnswer::EmptyBody => (own(COPY_BACKOFF.wait(count_failure(&mut failures.empty_bodies))), None),
        };
        // `missing` counts until an answer that is not a 404; `gone` and `operator` count answers in a row.
        match answer {
            CopyAnswer::Missing { recording_known: false } if is_unconfirmed => {
                self.unknown_since.get_or_insert(now);
            }
            CopyAnswer::Missing { recording_known: false } => {}
            CopyAnswer::Missing { recording_known: true } => self.mark_known_to_recall(now),
            CopyAnswer::Stored(_)
            | CopyAnswer::NotReady
            | CopyAnswer::Failed { .. }
            | CopyAnswer::Deleted
            | CopyAnswer::Later { .. }
            | CopyAnswer::Operator
            | CopyAnswer::Rejected
            | CopyAnswer::RenditionsRefused
            | CopyAnswer::RenditionsLate
            | CopyAnswer::EmptyBody => failures.missing = 0,
        }
        // Only answers in a row show that the transcript is gone.
        if !matches!(answer, CopyAnswer::Missing { recording_known: true }) {
            failures.gone = 0;
        }
        if *answer != CopyAnswer::Operator {
            failures.operator = 0;
        }
        let missing_since = still_missing_since;
        let copying = Copying { retry_at, claim: None, since, failures, missing_since, ..held };
        self.transcripts[index].state = State::Copying(copying);
        self.apply(Next::Wait { retry_at })
    }

    /// The copy is complete. The manifest proves it, so the claim of the worker does not matter.
    fn on_stored(
        mut self,
        index: usize,
        transcript_id: TranscriptId,
        receipt: &Receipt,
        context: Context<'_>,
    ) -> Decision {
        let transcript = &mut self.transcripts[index];
        if matches!(transcript.state, State::Stored { .. }) {
            return Decision::Ignore(Reason::AlreadyStored);
        }
        transcript.state = State::Stored { transcript_id, receipt: receipt.clone() };
        if receipt.unreadable {
            transcript.keep_reason = Some(KeepReason::Unreadable);
        }
        self.mark_known_to_recall(context.now);
        self.clear_unneeded_hold();
        self.note_stored(transcript_id, context);
        self.note_follow_up(receipt, context);
        self.apply(Next::Nothing)
    }

    /// Recall says that the transcript is deleted.
    fn end_deleted(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        self.transcripts[index].deleted = true;
        self.mark_known_to_recall(context.now);
        self.end_lost(index, transcript_id)
    }

    /// The copy is given up. Unless Recall has said that the transcript is deleted, it may still exist there.
    fn end_lost(mut self, index: usize, transcript_id: TranscriptId) -> Decision {
        self.transcripts[index].state = State::Lost { transcript_id };
        self.apply(Next::Nothing)
    }
}

/// Adds one failure to the count, and returns the count before.
fn count_failure(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}
