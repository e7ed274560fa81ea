//! What is deleted at Recall: to make room at the limit, after the copy is verified, or because it was paid for twice.
//!
//! One deletion at a time. The row says what is to go before Recall is asked, and nothing that has a copy goes before
//! that copy was read back. A transcript that the job has given up on is not gone: with a recording goes only what
//! Recall itself reported as deleted or failed, or what is stored and verified.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Deletable, DeleteAfterStore, DeleteAnswer, Job, KeepReason, ListedTranscript,
    Next, OnLimit, Reason, Receipt, Recording, State, Status, Transcript,
    waits::{asked, doubled},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// The first wait after a deletion that failed; it doubles with every try.
const DELETE_WAIT: Duration = Duration::from_secs(15);
const DELETE_WAIT_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// After this many tries, about a day and a half, the deletion is stopped and an operator is told.
const DELETE_TRIES: u32 = 16;

/// A deletion that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub target: DeletionTarget,
    pub reason: DeletionReason,
    pub retry_at: Timestamp,
    /// The worker that deletes; `None` while it waits.
    pub claim: Option<Claim>,
    pub tries: u32,
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionTarget {
    Transcript(TranscriptId),
    Recording,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionReason {
    /// The next attempt needs its place.
    Room,
    /// The operator wants nothing left at Recall that is stored.
    Stored,
    /// Another transcript of the same attempt is stored.
    PaidTwice,
}

impl Job {
    /// What has been learned since a deletion was noted may be a reason to keep its target.
    pub(super) fn keep_what_is_needed(&mut self, context: Context<'_>) -> Option<Next> {
        let unwanted = self.deletion.filter(|deletion| !self.is_wanted(deletion, context))?;
        self.deletion = None;
        self.awaited(&unwanted).then(|| self.start_soon(context))
    }

    /// Whether the next attempt waited for this deletion.
    fn awaited(&self, deletion: &Deletion) -> bool {
        deletion.reason == DeletionReason::Room && self.wants_attempt()
    }

    /// Takes up the deletion that is wanted, if there is one and no worker holds it.
    pub(super) fn delete(&mut self, context: Context<'_>) -> Option<Next> {
        if self.is_rendering(context.now) {
            return None;
        }
        let deletion = self.deletion.or_else(|| {
            let (target, reason) = self.to_delete(context)?;
            Some(Deletion { target, reason, retry_at: context.now, claim: None, tries: 0 })
        })?;
        if context.now < deletion.retry_at {
            return None;
        }
        // Who held it before never said how it went: it died.
        let died = u32::from(deletion.claim.is_some());
        let deletion = Deletion { tries: deletion.tries.saturating_add(died), ..deletion };
        if deletion.tries >= DELETE_TRIES {
            self.stop(&deletion, KeepReason::NotDeleted);
            return if self.awaited(&deletion) { Some(self.start_soon(context)) } else { self.delete(context) };
        }
        if !context.worker {
            self.deletion = Some(Deletion { claim: None, ..deletion });
            return Some(Next::Act(Command::Wake));
        }
        let claim = self.next_claim();
        self.deletion = Some(Deletion { retry_at: context.lease_until, claim: Some(claim), ..deletion });
        let target = deletion.target;
        let (verify, deletable) = (self.receipts(deletion), self.deletable(deletion));
        Some(Next::Act(Command::Delete { target, verify, deletable, claim }))
    }

    /// Whether a deletion that was noted is still to be made.
    fn is_wanted(&self, deletion: &Deletion, context: Context<'_>) -> bool {
        match (deletion.reason, deletion.target) {
            (_, DeletionTarget::Transcript(id)) if self.is_of_other_deployment(id) => false,
            (DeletionReason::Room, DeletionTarget::Transcript(id)) => {
                let full = self.transcript_count() >= context.policy.max_transcripts;
                full && self.wants_attempt() && self.may_make_room(id, context)
            }
            (DeletionReason::Stored, DeletionTarget::Transcript(_)) => {
                context.policy.delete_after_store == DeleteAfterStore::Transcript
            }
            (DeletionReason::PaidTwice, DeletionTarget::Transcript(_)) => true,
            (DeletionReason::Stored, DeletionTarget::Recording) => self.is_finished(context),
            (DeletionReason::Room | DeletionReason::PaidTwice, DeletionTarget::Recording) => false,
        }
    }

    fn is_of_other_deployment(&self, id: TranscriptId) -> bool {
        self.transcripts.iter().any(|one| one.state.transcript_id() == Some(id) && one.other_deployment)
    }

    /// Nothing of the recording is needed at Recall any more: it is done, what was asked for is stored, or nothing is
    /// to be asked for, nothing is in progress, and every transcript may go.
    fn is_finished(&self, context: Context<'_>) -> bool {
        let ours = self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.receipt().is_some());
        context.policy.delete_after_store == DeleteAfterStore::Recording
            && self.recording == Recording::Done
            && self.status() == Status::Stored
            && self.retry.is_none()
            && (ours || self.skips())
            && self.transcripts.iter().all(Transcript::may_go_with_its_recording)
    }

    fn may_make_room(&self, id: TranscriptId, context: Context<'_>) -> bool {
        let of = self.transcripts.iter().find(|one| one.state.transcript_id() == Some(id) && !one.deleted);
        of.is_some_and(|one| {
            one.keep_reason.is_none()
                && !one.other_deployment
                && match context.policy.on_limit {
                    OnLimit::Stop => false,
                    OnLimit::DeleteFailed => matches!(one.state, State::Failed { .. }),
                    OnLimit::DeleteStored => one.is_safe(),
                }
        })
    }

    /// What makes room for another transcript, as far as the operator allows.
    pub(super) fn to_make_room(&self, context: Context<'_>) -> Option<TranscriptId> {
        // In the order in which we learned of them: no webhook says when a transcript was made.
        let mut ids = self.transcripts.iter().filter_map(|transcript| transcript.state.transcript_id());
        ids.find(|id| self.may_make_room(*id, context))
    }

    pub(super) fn on_delete_answer(
        mut self,
        target: DeletionTarget,
        claim: Claim,
        answer: &DeleteAnswer,
        context: Context<'_>,
    ) -> Decision {
        let held = self.deletion.filter(|deletion| deletion.claim == Some(claim));
        match (answer, held) {
            // Whichever worker says so: it is gone.
            (DeleteAnswer::Deleted, _) => {
                let waits = self.deletion.filter(|deletion| deletion.target != target);
                self.deletion = waits;
                match target {
                    DeletionTarget::Transcript(id) => self.of_mut(id).for_each(Transcript::give_up),
                    DeletionTarget::Recording => {
                        self.recording = Recording::Deleted;
                        self.transcripts.iter_mut().for_each(Transcript::delete);
                    }
                }
                self.go_on(context)
            }
            (DeleteAnswer::Unverified | DeleteAnswer::Others(_) | DeleteAnswer::Later { .. }, None) => {
                Decision::Ignore(Reason::Overtaken)
            }
            (DeleteAnswer::Others(listed), Some(deletion)) => {
                let (new, changed) = (self.take_in(listed, None, context), self.take_up_again(listed, context));
                if !new && !changed {
                    return self.delete_later(deletion, Duration::ZERO, context);
                }
                // It is decided on again once these are stored, or left alone.
                self.deletion = None;
                let awaited = self.awaited(&deletion);
                let next = if awaited { self.start_soon(context) } else { self.wake_if_due(context) };
                self.advanced(next, context)
            }
            (DeleteAnswer::Unverified, Some(deletion)) => self.keep(deletion, KeepReason::Unverified, context),
            (DeleteAnswer::Later { after }, Some(deletion)) => self.delete_later(deletion, *after, context),
        }
    }

    /// The deletion is stopped: its target stays at Recall, and keeps its place under the limit.
    fn keep(mut self, deletion: Deletion, reason: KeepReason, context: Context<'_>) -> Decision {
        self.stop(&deletion, reason);
        if deletion.reason == DeletionReason::Room {
            return self.go_on(context);
        }
        self.advanced(Next::Nothing, context)
    }

    fn stop(&mut self, deletion: &Deletion, reason: KeepReason) {
        self.deletion = None;
        match deletion.target {
            DeletionTarget::Transcript(id) => {
                self.of_mut(id).for_each(|transcript| transcript.keep_reason = Some(reason))
            }
            DeletionTarget::Recording => {
                self.transcripts.iter_mut().for_each(|transcript| transcript.keep_reason = Some(reason))
            }
        }
    }

    /// What the row calls failed, lost or deleted, and Recall lists as something else. Whether there was any.
    fn take_up_again(&mut self, listed: &[ListedTranscript], context: Context<'_>) -> bool {
        let (check_at, copies_others) = (context.now, context.policy.copy_unrequested);
        let mut news = false;
        for one in listed {
            let transcript_id = one.transcript_id;
            for transcript in self.of_mut(transcript_id) {
                let given_up = matches!(transcript.state, State::Failed { .. } | State::Lost { .. });
                // A list has nothing that is deleted. Where it says so again and again, one of the two is wrong for good.
                if transcript.deleted && !transcript.relisted {
                    (transcript.deleted, transcript.relisted, news) = (false, true, true);
                    if given_up && one.failed {
                        transcript.state = State::Failed { transcript_id, sub_code: None };
                    }
                }
                if one.failed || !given_up || transcript.deleted {
                    continue;
                }
                news = true;
                transcript.state = if transcript.attempt.is_some() || copies_others {
                    State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false }
                } else {
                    State::Foreign { transcript_id }
                };
            }
        }
        self.settled();
        news
    }

    /// Until when a worker is deleting this very transcript: the outcome is not known before.
    pub(super) fn being_deleted(&self, id: TranscriptId, now: Timestamp) -> Option<Timestamp> {
        let held = self.deletion.filter(|one| one.claim.is_some() && one.target == DeletionTarget::Transcript(id));
        held.map(|deletion| deletion.retry_at).filter(|retry_at| now < *retry_at)
    }

    fn delete_later(mut self, deletion: Deletion, after: Duration, context: Context<'_>) -> Decision {
        if deletion.tries + 1 >= DELETE_TRIES {
            return self.keep(deletion, KeepReason::NotDeleted, context);
        }
        let wait = doubled(DELETE_WAIT, deletion.tries, DELETE_WAIT_MAX);
        let retry_at = self.chosen(wait, context.now).max(asked(after, context.now));
        self.deletion = Some(Deletion { retry_at, claim: None, tries: deletion.tries + 1, ..deletion });
        self.advanced(Next::Wait { retry_at: retry_at }, context)
    }

    /// Goes on with our own attempt, and saves what has changed in any case.
    pub(super) fn go_on(mut self, context: Context<'_>) -> Decision {
        match self.clone().pursue(context) {
            apply @ Decision::Apply { .. } => apply,
            Decision::Ignore(reason) => {
                self.end_retry(reason);
                let next = self.held_until().map_or(Next::Nothing, |at| Next::Wait { retry_at: at });
                self.advanced(next, context)
            }
            Decision::Busy { retry_at } => self.advanced(Next::Wait { retry_at: retry_at }, context),
        }
    }

    fn to_delete(&self, context: Context<'_>) -> Option<(DeletionTarget, DeletionReason)> {
        let id = |transcript: &Transcript| transcript.state.transcript_id().map(DeletionTarget::Transcript);
        let spare = self.transcripts.iter().find(|one| {
            one.attempt.is_some()
                && one.exists()
                && one.keep_reason.is_none()
                && !one.other_deployment
                && one.state.busy(context.now).is_none()
                && self.kept_twin(one).is_some()
        });
        if let Some(target) = spare.and_then(id) {
            return Some((target, DeletionReason::PaidTwice));
        }
        let mut stored = self.transcripts.iter().filter(|one| one.is_safe() && !one.deleted && !one.other_deployment);
        match context.policy.delete_after_store {
            DeleteAfterStore::Nothing => None,
            DeleteAfterStore::Transcript => Some((stored.find_map(id)?, DeletionReason::Stored)),
            DeleteAfterStore::Recording => {
                self.is_finished(context).then_some((DeletionTarget::Recording, DeletionReason::Stored))
            }
        }
    }

    /// The transcript of the same attempt that stays: the first that is stored and readable. `None` for that one itself.
    fn kept_twin(&self, one: &Transcript) -> Option<&Transcript> {
        let first = self.transcripts.iter().find(|other| other.attempt == one.attempt && other.is_safe())?;
        (first.state.transcript_id() != one.state.transcript_id() && !first.deleted).then_some(first)
    }

    /// The copies that must be read back first.
    fn receipts(&self, Deletion { target, reason, .. }: Deletion) -> Vec<Receipt> {
        let of = |id| self.transcripts.iter().filter(move |one| one.state.transcript_id() == Some(id));
        let receipt = |one: &Transcript| one.state.receipt().cloned();
        match target {
            // What stays must be there, whatever is known of the spare one.
            DeletionTarget::Transcript(id) if reason == DeletionReason::PaidTwice => {
                of(id).filter_map(|one| self.kept_twin(one)).chain(of(id)).filter_map(receipt).collect()
            }
            DeletionTarget::Transcript(id) => of(id).filter_map(receipt).collect(),
            DeletionTarget::Recording => self.transcripts.iter().filter_map(receipt).collect(),
        }
    }

    pub(super) fn deletable(&self, Deletion { target, reason, .. }: Deletion) -> Deletable {
        let mut deletable = Deletable::default();
        for one in &self.transcripts {
            let Some(id) = one.state.transcript_id() else { continue };
            let has_failed = matches!(one.state, State::Failed { .. }) && !one.deleted;
            match target {
                DeletionTarget::Transcript(target) if target == id && has_failed && reason == DeletionReason::Room => {
                    deletable.failed.push(id);
                }
                // Whose it is was never seen, if nothing that told of it carried its metadata.
                DeletionTarget::Transcript(target) if target == id && one.attempt.is_none() => deletable.safe.push(id),
                DeletionTarget::Transcript(_) => {}
                DeletionTarget::Recording if has_failed => deletable.failed.push(id),
                // Recall must not list what it reported as deleted.
                DeletionTarget::Recording if one.is_safe() && !one.other_deployment => deletable.safe.push(id),
                DeletionTarget::Recording => {}
            }
        }
        deletable
    }

    fn of_mut(&mut self, id: TranscriptId) -> impl Iterator<Item = &mut Transcript> {
        self.transcripts.iter_mut().filter(move |transcript| transcript.state.transcript_id() == Some(id))
    }
}

impl Transcript {
    /// Recall reported it as deleted or failed, or it is stored. What was merely given up on, or left alone, stays, and
    /// its recording with it; so does everything of another deployment's.
    fn may_go_with_its_recording(&self) -> bool {
        let may_go = match self.state {
            State::Refused { .. } => true,
            State::Failed { .. } => self.keep_reason.is_none(),
            State::Stored { .. } => self.is_safe(),
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(_)
            | State::Lost { .. }
            | State::Foreign { .. } => false,
        };
        self.keep_reason != Some(KeepReason::NotDeleted) && (self.deleted || (may_go && !self.other_deployment))
    }
}
