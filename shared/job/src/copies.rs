//! Copies to S3: how one is claimed, and what its answer does to a job.

use std::time::Duration;

use super::{
    Claim, Command, Context, Contradiction, CopyAnswer, Copying, Creating, Decision, Failures, Job, KeepReason, Next,
    Reason, State, TRANSCRIBING_CHECK,
    reading::{EXPIRY_GRACE, UNKNOWN_PATIENCE},
    waits::{asked, chosen, doubled},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// The first wait after a copy that failed; it doubles with every failure of the same kind.
const COPY_WAIT: Duration = Duration::from_secs(5);
const COPY_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The first wait for an operator; it doubles every time.
const OPERATOR_WAIT: Duration = Duration::from_secs(5 * 60);
const OPERATOR_WAIT_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// A copy that has failed for this long is given up, and an operator is told, where it is not known when the recording
/// expires.
const COPY_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Where it is known, a copy is tried until then, and for this long in any case: Recall may keep a recording longer.
const EXPIRED_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Recall is asked about a transcript that is not ready this many times: hourly, in the end, for a month.
const MOST_CHECKS: u32 = 30 * 24;
/// The first wait for a transcript that Recall does not know; it doubles with every try.
const MISSING_WAIT: Duration = Duration::from_secs(15);
const MISSING_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// After this many times, two hours, that Recall did not know a transcript although it knows the recording, the next
/// time says that the transcript is deleted.
const MISSING_TRIES: u32 = 9;
/// The first wait for a transcript that is not done; it doubles with every check.
const CHECK_WAIT: Duration = Duration::from_secs(15);
/// The first wait after a transcript that is said to be done had failed when it was retrieved; it doubles every time.
const DOUBT_WAIT: Duration = Duration::from_secs(60 * 60);
const DOUBT_WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Job {
    /// Claims the copy of a transcript to S3.
    pub(super) fn copy(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        if let Some(retry_at) = self.being_deleted(transcript_id, context.now) {
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
            State::Copying(before) if before.claim.is_some() && is_hopeless(before.since, expires_at, context.now) => {
                return self.lose(index, transcript_id, context);
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
        let failures = copying.failures;
        self.advanced(Next::Act(Command::Copy { transcript_id, attempt, bot_id, failures, claim }), context)
    }

    pub(super) fn on_copy_answer(
        mut self,
        transcript_id: TranscriptId,
        claim: Claim,
        answer: &CopyAnswer,
        context: Context<'_>,
    ) -> Decision {
        let (now, expires_at, is_hearsay) = (context.now, self.expires_at, self.is_only_hearsay());
        let Some(index) = self.transcripts.iter().position(|one| one.state.transcript_id() == Some(transcript_id))
        else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let transcript = &mut self.transcripts[index];
        if let CopyAnswer::Stored(receipt) = answer {
            if matches!(transcript.state, State::Stored { .. }) {
                return Decision::Ignore(Reason::AlreadyStored);
            }
            // Whichever worker says so: the manifest is there.
            transcript.state = State::Stored { transcript_id, receipt: receipt.clone() };
            if receipt.unreadable {
                transcript.keep_reason = Some(KeepReason::Unreadable);
            }
            self.is_known(context);
            self.settled();
            self.tell_stored(transcript_id, context);
            return self.advanced(Next::Nothing, context);
        }
        let Some(held) = transcript.state.copying().filter(|copying| copying.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let Copying { mut failures, checks, reported_done, .. } = held;
        let missing_since = held.missing_since.unwrap_or(now);
        // What the refused key has cost of the patience is not counted.
        let was_refused = failures.operator > 0 && *answer != CopyAnswer::Operator;
        let since = if was_refused { now } else { held.since };
        let (retry_at, missing_since) = match answer {
            CopyAnswer::Stored(_) => return Decision::Ignore(Reason::AlreadyStored),
            CopyAnswer::Failed { sub_code } => {
                if reported_done {
                    let times = transcript.contradiction.map_or(0, |contradiction| contradiction.times);
                    let retry_at = chosen(doubled(DOUBT_WAIT, times, DOUBT_WAIT_MAX), expires_at, now);
                    transcript.contradiction = Some(Contradiction { retry_at, times: times + 1 });
                }
                transcript.state = State::Failed { transcript_id, sub_code: sub_code.clone() };
                let ours = transcript.attempt.is_some();
                self.is_known(context);
                let next = if ours { self.after_failure(context) } else { Next::Nothing };
                return self.advanced(next, context);
            }
            CopyAnswer::Deleted => return self.gone(index, transcript_id, context),
            CopyAnswer::NotReady if checks + 1 >= MOST_CHECKS => {
                return self.lose(index, transcript_id, context);
            }
            CopyAnswer::NotReady => {
                let wait = doubled(CHECK_WAIT, checks, TRANSCRIBING_CHECK);
                let check_at = chosen(wait, expires_at, now);
                transcript.state = State::Transcribing { transcript_id, check_at, checks: checks + 1, reported_done };
                self.is_known(context);
                return self.advanced(Next::Wait { retry_at: check_at }, context);
            }
            // Recall knows its recording, so it is this transcript that is gone.
            CopyAnswer::Missing { recording_known: true } if failures.gone >= MISSING_TRIES => {
                return self.gone(index, transcript_id, context);
            }
            // A wrong base URL or workspace says the same for a while.
            CopyAnswer::Missing { .. } if now.since(missing_since) >= UNKNOWN_PATIENCE => {
                return self.lose(index, transcript_id, context);
            }
            // Nobody has fixed it in all that time.
            CopyAnswer::Later { .. } | CopyAnswer::Rejected if is_hopeless(since, expires_at, now) => {
                return self.lose(index, transcript_id, context);
            }
            // A refused key ends nothing that Recall still has.
            CopyAnswer::Operator if expires_at.is_some() && is_hopeless(since, expires_at, now) => {
                return self.lose(index, transcript_id, context);
            }
            CopyAnswer::Missing { recording_known } => {
                let count = if *recording_known { &mut failures.gone } else { &mut failures.missing };
                let wait = doubled(MISSING_WAIT, *count, MISSING_WAIT_MAX);
                *count += 1;
                (chosen(wait, expires_at, now), Some(missing_since))
            }
            CopyAnswer::Operator => {
                let wait = doubled(OPERATOR_WAIT, failures.operator, OPERATOR_WAIT_MAX);
                failures.operator += 1;
                (chosen(wait, expires_at, now), None)
            }
            CopyAnswer::Rejected => {
                let wait = doubled(OPERATOR_WAIT, failures.rejected, OPERATOR_WAIT_MAX);
                failures.rejected += 1;
                (chosen(wait, expires_at, now), None)
            }
            CopyAnswer::Later { after } => {
                let wait = doubled(COPY_WAIT, failures.transient, COPY_WAIT_MAX);
                failures.transient += 1;
                (chosen(wait, expires_at, now).max(asked(*after, now)), None)
            }
            CopyAnswer::RenditionsRefused => {
                let wait = doubled(COPY_WAIT, failures.renditions_refused, COPY_WAIT_MAX);
                failures.renditions_refused += 1;
                (chosen(wait, expires_at, now), None)
            }
            CopyAnswer::RenditionsLate => {
                let wait = doubled(COPY_WAIT, failures.renditions_late, COPY_WAIT_MAX);
                failures.renditions_late += 1;
                (chosen(wait, expires_at, now), None)
            }
            CopyAnswer::EmptyBody => {
                let wait = doubled(COPY_WAIT, failures.empty_bodies, COPY_WAIT_MAX);
                failures.empty_bodies += 1;
                (chosen(wait, expires_at, now), None)
            }
        };
        match answer {
            CopyAnswer::Missing { recording_known: false } if is_hearsay => {
                self.unknown_since.get_or_insert(now);
            }
            CopyAnswer::Missing { recording_known: false } => {}
            CopyAnswer::Missing { recording_known: true } => self.is_known(context),
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
        // Only one time after the other does it show that the transcript is gone.
        if !matches!(answer, CopyAnswer::Missing { recording_known: true }) {
            failures.gone = 0;
        }
        if *answer != CopyAnswer::Operator {
            failures.operator = 0;
        }
        let copying = Copying { retry_at, claim: None, since, failures, missing_since, ..held };
        self.transcripts[index].state = State::Copying(copying);
        self.advanced(Next::Wait { retry_at: retry_at }, context)
    }

    /// Recall says that it is deleted.
    fn gone(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        self.transcripts[index].deleted = true;
        self.is_known(context);
        self.lose(index, transcript_id, context)
    }

    /// It is given up. Unless Recall has said that it is deleted, it may still exist there.
    fn lose(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        self.transcripts[index].state = State::Lost { transcript_id };
        self.advanced(Next::Nothing, context)
    }

    /// An attempt of ours stands, so the next one is not held back any more.
    pub(super) fn settled(&mut self) {
        if !self.wants_attempt() {
            self.hold = None;
        }
    }

    pub(super) fn is_creating(&self) -> bool {
        self.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(Creating { .. })))
    }
}

/// Nothing has helped for long, and the recording has expired if it is known when it does.
fn is_hopeless(since: Timestamp, expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    let tried = now.since(since);
    match expires_at {
        Some(at) => at.plus(EXPIRY_GRACE) <= now && tried >= EXPIRED_PATIENCE,
        None => tried >= COPY_PATIENCE,
    }
}
