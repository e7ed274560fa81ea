//! What is deleted at Recall: to make room at the limit, after the copy is verified, or because Recall made a
//! transcript twice.
//!
//! There is one deletion at a time. The row names the target before Recall is asked, and a transcript that has a copy
//! is deleted only after the copy was read back. A transcript that the job has given up may still exist, so a recording
//! is deleted only if Recall itself reported each of its transcripts as deleted or failed, or it is stored and
//! verified.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, Deletable, DeleteAfterStore, DeleteAnswer, Job, KeepReason, ListedTranscript,
    Next, OnLimit, Reason, Receipt, Recording, Role, State, Status, Transcript,
    leases::leased_until,
    waits::{DELETE_BACKOFF, MAX_DELETE_TRIES, recall_retry_at},
};
use crate::{ids::TranscriptId, time::Timestamp};

/// The deletion that waits or is being made. A job has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub target: DeletionTarget,
    pub reason: DeletionReason,
    pub retry_at: Timestamp,
    /// The worker that deletes; `None` while the deletion waits.
    pub claim: Option<Claim>,
    pub tries: u32,
}

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionTarget {
    Transcript(TranscriptId),
    Recording,
}

/// Why it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionReason {
    /// The next attempt needs the slot that the target takes.
    Room,
    /// The operator wants a stored transcript, or a finished recording, deleted at Recall.
    Stored,
    /// Another transcript of the same attempt is stored.
    PaidTwice,
}

impl Deletion {
    /// Returns the end of the lease that a worker holds.
    pub(crate) fn leased_until(&self, now: Timestamp) -> Option<Timestamp> {
        leased_until(self.claim, self.retry_at, now)
    }
}

impl Job {
    /// Drops a deletion that is no longer wanted. If the next attempt was waiting for it, schedules that attempt.
    pub(crate) fn drop_unneeded_deletion(&mut self, context: Context<'_>) -> Option<Next> {
        let unneeded = self.deletion.filter(|deletion| !self.is_needed(deletion, context))?;
        self.deletion = None;
        self.is_awaited(&unneeded).then(|| self.schedule_attempt(context.now))
    }

    /// Returns whether the next attempt waits for this deletion.
    fn is_awaited(&self, deletion: &Deletion) -> bool {
        deletion.reason == DeletionReason::Room && self.needs_attempt()
    }

    /// Starts the pending deletion, or the next one that is wanted, if its time has come. The webhook function leaves
    /// it to the worker.
    pub(crate) fn start_deletion(&mut self, context: Context<'_>) -> Option<Next> {
        // Another worker writes what the deletion would read back, or deletes already.
        if self.manifests_leased_until(context.now).is_some() {
            return None;
        }
        let deletion = self.deletion.or_else(|| {
            let (target, reason) = self.next_deletion(context)?;
            Some(Deletion { target, reason, retry_at: context.now, claim: None, tries: 0 })
        })?;
        // What Recall has not made ready yet would be deleted as well.
        let waits_for_data = deletion.reason == DeletionReason::Stored && self.follow_up.is_some();
        if context.now < deletion.retry_at || waits_for_data {
            return None;
        }
        // A claim that is still there belongs to a worker that died.
        let crashed = u32::from(deletion.claim.is_some());
        let deletion = Deletion { tries: deletion.tries.saturating_add(crashed), ..deletion };
        if deletion.tries >= MAX_DELETE_TRIES {
            self.stop_deletion(&deletion, KeepReason::NotDeleted);
            return if self.is_awaited(&deletion) {
                Some(self.schedule_attempt(context.now))
            } else {
                // The target has a reason to stay now, so the next deletion is another one.
                self.start_deletion(context)
            };
        }
        if context.role == Role::Webhook {
            self.deletion = Some(Deletion { claim: None, ..deletion });
            return Some(Next::Act(Command::Wake));
        }
        let claim = self.next_claim();
        self.deletion = Some(Deletion { retry_at: context.lease_until, claim: Some(claim), ..deletion });
        let target = deletion.target;
        let (verify, deletable) = (self.receipts(deletion), self.deletable(deletion));
        Some(Next::Act(Command::Delete { target, verify, deletable, claim }))
    }

    /// Returns whether a pending deletion is still to be made.
    fn is_needed(&self, deletion: &Deletion, context: Context<'_>) -> bool {
        match (deletion.reason, deletion.target) {
            (_, DeletionTarget::Transcript(id)) if self.is_of_other_deployment(id) => false,
            (DeletionReason::Room, DeletionTarget::Transcript(id)) => {
                let is_full = self.transcript_count() >= context.policy.max_transcripts;
                is_full && self.needs_attempt() && self.may_make_room(id, context)
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

    /// Returns whether nothing of the recording is needed at Recall anymore: it is done, our transcript is stored or
    /// none is wanted, nothing is in progress, and every transcript may be deleted.
    fn is_finished(&self, context: Context<'_>) -> bool {
        let ours = self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.receipt().is_some());
        context.policy.delete_after_store == DeleteAfterStore::Recording
            && self.recording == Recording::Done
            && self.status() == Status::Stored
            && self.retry.is_none()
            && (ours || self.is_skip_requested())
            && self.transcripts.iter().all(Transcript::may_go_with_its_recording)
    }

    fn may_make_room(&self, id: TranscriptId, context: Context<'_>) -> bool {
        let found = self.transcripts.iter().find(|one| one.state.transcript_id() == Some(id) && !one.deleted);
        found.is_some_and(|one| {
            one.keep_reason.is_none()
                && !one.other_deployment
                && match context.policy.on_limit {
                    OnLimit::Stop => false,
                    OnLimit::DeleteFailed => matches!(one.state, State::Failed { .. }),
                    OnLimit::DeleteStored => one.may_lose_original(),
                }
        })
    }

    /// Returns the transcript whose deletion makes room for another one, as far as the operator allows.
    pub(crate) fn deletable_for_room(&self, context: Context<'_>) -> Option<TranscriptId> {
        // The one that the row learned of first: no webhook says when a transcript was made.
        let mut ids = self.transcripts.iter().filter_map(|transcript| transcript.state.transcript_id());
        ids.find(|id| self.may_make_room(*id, context))
    }

    /// The target is deleted, or stays, or the deletion waits for its next try.
    pub(crate) fn on_delete_answer(
        mut self,
        target: DeletionTarget,
        claim: Claim,
        answer: &DeleteAnswer,
        context: Context<'_>,
    ) -> Decision {
        let held = self.deletion.filter(|deletion| deletion.claim == Some(claim));
        match (answer, held) {
            // The target is gone, whichever worker says so.
            (DeleteAnswer::Deleted, _) => {
                self.deletion = self.deletion.filter(|deletion| deletion.target != target);
                match target {
                    DeletionTarget::Transcript(id) => self.each_mut(id).for_each(Transcript::mark_deleted_by_us),
                    DeletionTarget::Recording => {
                        self.recording = Recording::Deleted;
                        self.transcripts.iter_mut().for_each(Transcript::mark_deleted);
                    }
                }
                self.pursue_attempt_and_save(context)
            }
            (DeleteAnswer::Unverified | DeleteAnswer::Others(_) | DeleteAnswer::Later { .. }, None) => {
                Decision::Ignore(Reason::Overtaken)
            }
            (DeleteAnswer::Others(listed), Some(deletion)) => {
                let (added, changed) = (self.merge_list(listed, None, context), self.believe_list(listed, context));
                if !added && !changed {
                    return self.retry_deletion(deletion, Duration::ZERO, context);
                }
                // `commit` decides on the deletion again at each save, for instance once these transcripts are stored.
                self.deletion = None;
                let is_awaited = self.is_awaited(&deletion);
                let next = if is_awaited { self.schedule_attempt(context.now) } else { self.wake_if_due(context.now) };
                self.apply(next)
            }
            (DeleteAnswer::Unverified, Some(deletion)) => {
                self.give_up_deletion(deletion, KeepReason::Unverified, context)
            }
            (DeleteAnswer::Later { after }, Some(deletion)) => self.retry_deletion(deletion, *after, context),
        }
    }

    /// Gives the deletion up. The target stays at Recall and keeps its slot. An attempt that waited for it is decided
    /// on again.
    fn give_up_deletion(mut self, deletion: Deletion, reason: KeepReason, context: Context<'_>) -> Decision {
        self.stop_deletion(&deletion, reason);
        if deletion.reason == DeletionReason::Room {
            return self.pursue_attempt_and_save(context);
        }
        self.apply(Next::Nothing)
    }

    /// Clears the deletion, and notes why its target stays, so that it is not deleted again by itself.
    fn stop_deletion(&mut self, deletion: &Deletion, reason: KeepReason) {
        self.deletion = None;
        match deletion.target {
            DeletionTarget::Transcript(id) => self.each_mut(id).for_each(|one| one.keep_reason = Some(reason)),
            DeletionTarget::Recording => self.transcripts.iter_mut().for_each(|one| one.keep_reason = Some(reason)),
        }
    }

    /// Believes Recall's list about transcripts that the row has as deleted, failed, or lost: they exist again, and
    /// those that were given up and have not failed are checked again now. Returns whether that changed any.
    fn believe_list(&mut self, listed: &[ListedTranscript], context: Context<'_>) -> bool {
        let (check_at, copies_others) = (context.now, context.policy.copy_unrequested);
        let mut changed = false;
        for one in listed {
            let transcript_id = one.transcript_id;
            for transcript in self.each_mut(transcript_id) {
                let was_given_up = match transcript.state {
                    State::Failed { .. } | State::Lost { .. } => true,
                    State::Creating(_)
                    | State::Transcribing { .. }
                    | State::Copying(_)
                    | State::Stored { .. }
                    | State::Refused { .. }
                    | State::Foreign { .. } => false,
                };
                // A list has no deleted transcripts. The list is believed once: if the transcript is listed again and
                // again, row and list will never agree.
                if transcript.deleted && !transcript.relisted {
                    changed = true;
                    transcript.deleted = false;
                    transcript.relisted = true;
                    if was_given_up && one.failed {
                        transcript.state = State::Failed { transcript_id, sub_code: None };
                    }
                }
                if one.failed || !was_given_up || transcript.deleted {
                    continue;
                }
                changed = true;
                transcript.state = if transcript.attempt.is_some() || copies_others {
                    State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false }
                } else {
                    State::Foreign { transcript_id }
                };
            }
        }
        self.clear_unneeded_hold();
        changed
    }

    /// Returns the end of the lease of a worker that is deleting this transcript: the outcome is unknown until then.
    pub(crate) fn deletion_lease_of(&self, id: TranscriptId, now: Timestamp) -> Option<Timestamp> {
        let deletion = self.deletion.filter(|deletion| deletion.target == DeletionTarget::Transcript(id));
        deletion.and_then(|deletion| deletion.leased_until(now))
    }

    fn retry_deletion(mut self, deletion: Deletion, after: Duration, context: Context<'_>) -> Decision {
        if deletion.tries + 1 >= MAX_DELETE_TRIES {
            return self.give_up_deletion(deletion, KeepReason::NotDeleted, context);
        }
        let own = self.wait_until(DELETE_BACKOFF.wait(deletion.tries), context.now);
        let retry_at = own.max(recall_retry_at(after, context.now));
        self.deletion = Some(Deletion { retry_at, claim: None, tries: deletion.tries + 1, ..deletion });
        self.apply(Next::Wait { retry_at })
    }

    /// Returns the next deletion that is wanted although no attempt waits for it.
    fn next_deletion(&self, context: Context<'_>) -> Option<(DeletionTarget, DeletionReason)> {
        let id = |transcript: &Transcript| transcript.state.transcript_id().map(DeletionTarget::Transcript);
        let duplicate = self.transcripts.iter().find(|one| {
            one.attempt.is_some()
                && one.exists()
                && one.keep_reason.is_none()
                && !one.other_deployment
                && one.state.leased_until(context.now).is_none()
                && self.stored_twin(one).is_some()
        });
        if let Some(target) = duplicate.and_then(id) {
            return Some((target, DeletionReason::PaidTwice));
        }
        let mut stored =
            self.transcripts.iter().filter(|one| one.may_lose_original() && !one.deleted && !one.other_deployment);
        match context.policy.delete_after_store {
            DeleteAfterStore::Nothing => None,
            DeleteAfterStore::Transcript => Some((stored.find_map(id)?, DeletionReason::Stored)),
            DeleteAfterStore::Recording => {
                self.is_finished(context).then_some((DeletionTarget::Recording, DeletionReason::Stored))
            }
        }
    }

    /// Returns the transcript of the same attempt that is kept: the first one that is stored and readable. `None` if
    /// `one` is that transcript, or if there is none. `one` must have an attempt.
    fn stored_twin(&self, one: &Transcript) -> Option<&Transcript> {
        let first = self.transcripts.iter().find(|other| other.attempt == one.attempt && other.may_lose_original())?;
        (first.state.transcript_id() != one.state.transcript_id() && !first.deleted).then_some(first)
    }

    /// Returns the receipts of the copies that must be read back first.
    fn receipts(&self, Deletion { target, reason, .. }: Deletion) -> Vec<Receipt> {
        let each = |id| self.transcripts.iter().filter(move |one| one.state.transcript_id() == Some(id));
        let receipt = |one: &Transcript| one.state.receipt().cloned();
        match target {
            // The twin that stays must be in S3, whatever is known of the duplicate.
            DeletionTarget::Transcript(id) if reason == DeletionReason::PaidTwice => {
                each(id).filter_map(|one| self.stored_twin(one)).chain(each(id)).filter_map(receipt).collect()
            }
            DeletionTarget::Transcript(id) => each(id).filter_map(receipt).collect(),
            DeletionTarget::Recording => self.transcripts.iter().filter_map(receipt).collect(),
        }
    }

    /// Returns what may be deleted with a recording, as far as the row knows. For a transcript: that transcript, if
    /// Recall has to be asked about it first; otherwise nothing.
    pub(crate) fn deletable(&self, Deletion { target, reason, .. }: Deletion) -> Deletable {
        let mut deletable = Deletable::default();
        for one in &self.transcripts {
            let Some(id) = one.state.transcript_id() else { continue };
            let has_failed = matches!(one.state, State::Failed { .. }) && !one.deleted;
            match target {
                DeletionTarget::Transcript(target) if target == id && has_failed && reason == DeletionReason::Room => {
                    deletable.failed.push(id);
                }
                // Perhaps no event carried its metadata, so Recall is asked whether it is another deployment's.
                DeletionTarget::Transcript(target) if target == id && one.attempt.is_none() => deletable.safe.push(id),
                DeletionTarget::Transcript(_) => {}
                DeletionTarget::Recording if has_failed => deletable.failed.push(id),
                DeletionTarget::Recording if one.may_lose_original() && !one.other_deployment => {
                    deletable.safe.push(id);
                }
                // If Recall lists this one all the same, the recording stays.
                DeletionTarget::Recording => {}
            }
        }
        deletable
    }

    fn each_mut(&mut self, id: TranscriptId) -> impl Iterator<Item = &mut Transcript> {
        self.transcripts.iter_mut().filter(move |transcript| transcript.state.transcript_id() == Some(id))
    }
}
