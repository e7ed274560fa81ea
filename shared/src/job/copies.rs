//! Copies to S3: how one is claimed, and what its answer does to a job.

use std::time::Duration;

use super::{
    Claim, Command, Context, CopyAnswer, Copying, Creating, Decision, Job, Next, Reason, State, TRANSCRIBING_CHECK,
    bounded, doubled, in_time,
};
use crate::ids::TranscriptId;

/// The first wait after a copy that did not come about; it doubles with every try.
const COPY_WAIT: Duration = Duration::from_secs(5);
const COPY_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// A wait from here on means that somebody has to mend something first; it doubles up to the longest.
const MENDING: Duration = Duration::from_secs(5 * 60);
const MENDING_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// A copy that has not come about in this time is given up, and somebody is told.
const COPY_PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// So often Recall is asked about a transcript that is not done: hourly, in the end, for a month.
const MOST_CHECKS: u32 = 30 * 24;
/// The first wait for a transcript that Recall does not know; it doubles with every try.
const MISSING_WAIT: Duration = Duration::from_secs(15);
/// So often Recall must say that it does not know a transcript before it counts as lost: an hour in all.
const MISSING_TRIES: u32 = 10;
/// The first wait for a transcript that is not done; it doubles with every check.
const CHECK_WAIT: Duration = Duration::from_secs(15);

impl Job {
    /// Claims the copy of a transcript to S3.
    pub(super) fn copy(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        if let Some(until) = self.being_deleted(transcript_id, context.now) {
            return Decision::Busy { until };
        }
        let (claim, bot_id) = (self.next_claim(), self.bot_id);
        let transcript = &mut self.transcripts[index];
        let attempt = transcript.attempt;
        let (until, since) = (context.lease_until, context.now);
        let first = Copying { transcript_id, until, claim: Some(claim), since, tries: 0, deaths: 0, missing: 0 };
        let copying = match transcript.state {
            State::Copying(before) => {
                let deaths = before.deaths.saturating_add(u32::from(before.claim.is_some()));
                Copying { until, claim: Some(claim), deaths, ..before }
            }
            // What Recall is asked about again counts as one try after the other.
            State::Transcribing { checks, .. } => Copying { tries: checks, ..first },
            State::Creating(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Left { .. } => first,
        };
        transcript.state = State::Copying(copying);
        let Copying { tries, deaths, .. } = copying;
        self.advanced(Next::Act(Command::Copy { transcript_id, attempt, bot_id, tries, deaths, claim }), context)
    }

    pub(super) fn on_copy_answer(
        mut self,
        transcript_id: TranscriptId,
        claim: Claim,
        answer: &CopyAnswer,
        context: Context<'_>,
    ) -> Decision {
        let (now, expires_at) = (context.now, self.expires_at);
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
            transcript.kept |= receipt.unreadable;
            self.settled();
            self.tell_stored(transcript_id, context);
            return self.advanced(Next::Nothing, context);
        }
        let Some(held) = transcript.state.copying().filter(|copying| copying.claim == Some(claim)) else {
            return Decision::Ignore(Reason::Overtaken);
        };
        let tries = held.tries.saturating_add(1);
        let again = |wait: Duration, missing| {
            let until = now.plus(in_time(wait, expires_at, now));
            (State::Copying(Copying { until, claim: None, tries, missing, ..held }), Next::Again { at: until })
        };
        let (state, next) = match answer {
            CopyAnswer::Stored(_) => return Decision::Ignore(Reason::AlreadyStored),
            // Nobody has mended it in all that time.
            CopyAnswer::Later { .. } if now.since(held.since) >= COPY_PATIENCE => {
                (State::Lost { transcript_id }, Next::Nothing)
            }
            CopyAnswer::NotReady { .. } if tries >= MOST_CHECKS => (State::Lost { transcript_id }, Next::Nothing),
            CopyAnswer::NotReady { after } => {
                let wait = bounded(*after).max(doubled(CHECK_WAIT, held.tries, TRANSCRIBING_CHECK));
                let check_at = now.plus(in_time(wait, expires_at, now));
                (State::Transcribing { transcript_id, check_at, checks: tries }, Next::Again { at: check_at })
            }
            CopyAnswer::Failed { sub_code } => {
                transcript.state = State::Failed { transcript_id, sub_code: sub_code.clone() };
                let ours = transcript.attempt.is_some();
                let next = if ours { self.after_failure(context) } else { Next::Nothing };
                return self.advanced(next, context);
            }
            CopyAnswer::Deleted => {
                transcript.deleted = true;
                (State::Lost { transcript_id }, Next::Nothing)
            }
            // A wrong base URL or workspace says the same for a while, so once is not enough.
            CopyAnswer::Missing if held.missing + 1 >= MISSING_TRIES => (State::Lost { transcript_id }, Next::Nothing),
            CopyAnswer::Missing => again(doubled(MISSING_WAIT, held.missing, COPY_WAIT_MAX), held.missing + 1),
            // What somebody has to mend first is asked for less and less often.
            CopyAnswer::Later { after } if *after >= MENDING => {
                again(doubled(bounded(*after), held.tries, MENDING_MAX), 0)
            }
            CopyAnswer::Later { after } => again(bounded(*after).max(doubled(COPY_WAIT, held.tries, COPY_WAIT_MAX)), 0),
        };
        transcript.state = state;
        self.advanced(next, context)
    }

    /// An attempt of ours stands, so nothing holds back the next one any more.
    pub(super) fn settled(&mut self) {
        if self.transcripts.iter().any(super::Transcript::stands) {
            self.hold = None;
        }
    }

    pub(super) fn is_creating(&self) -> bool {
        self.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(Creating { .. })))
    }
}
