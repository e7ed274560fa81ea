//! What is deleted at Recall: to make room at the limit, after the copy is verified, or because it was made twice.
//!
//! One deletion at a time. The row says what is to go before Recall is asked, and nothing that has a copy goes
//! before that copy was read back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Claim, Command, Context, Decision, DeleteAfterStore, Job, Listed, Next, OnLimit, Reason, Receipt, Recording, State,
    Status, Transcript, bounded, doubled,
};
use crate::{ids::TranscriptId, time::Timestamp};

/// The first wait after a deletion that did not come about; it doubles with every try.
const DELETE_WAIT: Duration = Duration::from_secs(15);
const DELETE_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// A deletion that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub target: Target,
    pub why: Why,
    pub until: Timestamp,
    /// The worker that is at it; `None` while it waits.
    pub claim: Option<Claim>,
    pub tries: u32,
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Transcript(TranscriptId),
    Recording,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The next attempt needs its place.
    Room,
    /// The operator wants nothing left at Recall that is stored.
    Stored,
    /// Another transcript of the same attempt is stored.
    PaidTwice,
}

/// How a deletion went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// It is gone, or was already.
    Deleted,
    /// The copy in S3 is not what the row says: nothing was deleted.
    Unverified,
    /// There are transcripts that the row does not know, such as one whose webhook was lost, or that it calls failed
    /// and Recall does not: nothing was deleted.
    Others(Vec<Listed>),
    Later {
        after: Duration,
    },
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
        deletion.why == Why::Room && !self.transcripts.iter().any(Transcript::stands)
    }

    /// Takes up the deletion that is wanted, if there is one and nobody is at it.
    pub(super) fn delete(&mut self, context: Context<'_>) -> Option<Next> {
        let deletion = self.deletion.or_else(|| {
            let (target, why) = self.to_delete(context)?;
            Some(Deletion { target, why, until: context.now, claim: None, tries: 0 })
        })?;
        if context.now < deletion.until {
            return None;
        }
        if !context.worker {
            self.deletion = Some(deletion);
            return Some(Next::Act(Command::Wake));
        }
        let claim = self.next_claim();
        self.deletion = Some(Deletion { until: context.lease_until, claim: Some(claim), ..deletion });
        let target = deletion.target;
        let known = match target {
            Target::Transcript(_) => Vec::new(),
            Target::Recording => self.transcripts.iter().filter_map(|one| one.state.transcript_id()).collect(),
        };
        let (verify, failed) = (self.receipts(target), self.said_to_have_failed(deletion));
        Some(Next::Act(Command::Delete { target, verify, known, failed, claim }))
    }

    /// Whether a deletion that was noted is still to be made.
    fn is_wanted(&self, deletion: &Deletion, context: Context<'_>) -> bool {
        match (deletion.why, deletion.target) {
            (Why::Room, Target::Transcript(id)) => {
                let full = self.transcript_count() >= context.policy.max_transcripts;
                full && !self.transcripts.iter().any(Transcript::stands) && self.may_make_room(id, context)
            }
            (Why::Stored, Target::Transcript(_)) => context.policy.delete_after_store == DeleteAfterStore::Transcript,
            (Why::PaidTwice, Target::Transcript(_)) => true,
            (Why::Stored, Target::Recording) => self.is_finished(context),
            (Why::Room | Why::PaidTwice, Target::Recording) => false,
        }
    }

    /// Nothing of the recording is needed at Recall any more: it is done, what was asked for is stored, or nothing is
    /// to be asked for, and nothing is on its way.
    fn is_finished(&self, context: Context<'_>) -> bool {
        let ours = self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.receipt().is_some());
        context.policy.delete_after_store == DeleteAfterStore::Recording
            && self.recording == Recording::Done
            && self.status() == Status::Stored
            && (ours || self.wishes.skip)
            && !self.transcripts.iter().any(|transcript| transcript.kept)
    }

    fn may_make_room(&self, id: TranscriptId, context: Context<'_>) -> bool {
        let of = self.transcripts.iter().find(|one| one.state.transcript_id() == Some(id) && !one.deleted);
        of.is_some_and(|one| match context.policy.on_limit {
            OnLimit::Stop => false,
            OnLimit::DeleteFailed => matches!(one.state, State::Failed { .. }),
            OnLimit::DeleteStored => !one.kept && one.state.receipt().is_some(),
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
        target: Target,
        claim: Claim,
        answer: &DeleteAnswer,
        context: Context<'_>,
    ) -> Decision {
        let held = self.deletion.filter(|deletion| deletion.claim == Some(claim));
        match (answer, held) {
            // Whoever says so: it is gone.
            (DeleteAnswer::Deleted, _) => {
                let waits = self.deletion.filter(|deletion| deletion.target != target);
                self.deletion = waits;
                match target {
                    Target::Transcript(id) => self.of_mut(id).for_each(Transcript::give_up),
                    Target::Recording => {
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
                let (new, mended) = (self.take_in(listed, None, context), self.take_up_again(listed, context));
                if !new && !mended {
                    return self.delete_later(deletion, DELETE_WAIT, context);
                }
                // It is decided on anew once these are stored, or left alone.
                self.deletion = None;
                let awaited = self.awaited(&deletion);
                let next = if awaited { self.start_soon(context) } else { self.wake_if_due(context) };
                self.advanced(next, context)
            }
            (DeleteAnswer::Unverified, Some(deletion)) => {
                self.deletion = None;
                match target {
                    Target::Transcript(id) => self.of_mut(id).for_each(|transcript| transcript.kept = true),
                    Target::Recording => self.transcripts.iter_mut().for_each(|transcript| transcript.kept = true),
                }
                if deletion.why == Why::Room {
                    return self.go_on(context);
                }
                self.advanced(Next::Nothing, context)
            }
            (DeleteAnswer::Later { after }, Some(deletion)) => self.delete_later(deletion, *after, context),
        }
    }

    /// What the row calls failed and Recall does not was done after all, and nobody told us. Whether there was any.
    fn take_up_again(&mut self, listed: &[Listed], context: Context<'_>) -> bool {
        let (check_at, copies_others) = (context.now, context.policy.copy_unrequested);
        let mut news = false;
        for one in listed.iter().filter(|one| !one.failed) {
            let transcript_id = one.transcript_id;
            for transcript in self.of_mut(transcript_id) {
                if !matches!(transcript.state, State::Failed { .. }) || transcript.deleted {
                    continue;
                }
                news = true;
                transcript.state = if transcript.attempt.is_some() || copies_others {
                    State::Transcribing { transcript_id, check_at, checks: 0 }
                } else {
                    State::Left { transcript_id }
                };
            }
        }
        self.settled();
        news
    }

    /// Until when a worker is deleting this very transcript: what it comes to is not known before.
    pub(super) fn being_deleted(&self, id: TranscriptId, now: Timestamp) -> Option<Timestamp> {
        let held = self.deletion.filter(|one| one.claim.is_some() && one.target == Target::Transcript(id));
        held.map(|deletion| deletion.until).filter(|until| now < *until)
    }

    fn delete_later(mut self, deletion: Deletion, after: Duration, context: Context<'_>) -> Decision {
        let wait = bounded(after).max(doubled(DELETE_WAIT, deletion.tries, DELETE_WAIT_MAX));
        let until = context.now.plus(wait);
        self.deletion = Some(Deletion { until, claim: None, tries: deletion.tries + 1, ..deletion });
        self.advanced(Next::Again { at: until }, context)
    }

    /// Goes on with our own attempt, and saves what has changed in any case.
    pub(super) fn go_on(self, context: Context<'_>) -> Decision {
        match self.clone().pursue(context) {
            apply @ Decision::Apply { .. } => apply,
            Decision::Ignore(_) => self.advanced(Next::Nothing, context),
            Decision::Busy { until } => self.advanced(Next::Again { at: until }, context),
        }
    }

    fn to_delete(&self, context: Context<'_>) -> Option<(Target, Why)> {
        let id = |transcript: &Transcript| transcript.state.transcript_id().map(Target::Transcript);
        let stored = |transcript: &&Transcript| transcript.state.receipt().is_some();
        let spare = self.transcripts.iter().find(|one| {
            let twin = |other: &&Transcript| {
                other.attempt == one.attempt && other.state.transcript_id() != one.state.transcript_id()
            };
            one.attempt.is_some()
                && one.exists()
                && !one.kept
                && one.state.busy(context.now).is_none()
                // The one that was learned of first stays, unless only a later one is stored.
                && self.transcripts.iter().filter(twin).any(|other| stored(&other) && !other.deleted)
                && !self.is_first_stored(one)
        });
        if let Some(target) = spare.and_then(id) {
            return Some((target, Why::PaidTwice));
        }
        let mut stored = self.transcripts.iter().filter(|one| stored(one) && !one.deleted && !one.kept);
        match context.policy.delete_after_store {
            DeleteAfterStore::Nothing => None,
            DeleteAfterStore::Transcript => Some((stored.find_map(id)?, Why::Stored)),
            DeleteAfterStore::Recording => self.is_finished(context).then_some((Target::Recording, Why::Stored)),
        }
    }

    /// The one transcript of its attempt that stays.
    fn is_first_stored(&self, one: &Transcript) -> bool {
        let first =
            self.transcripts.iter().find(|other| other.attempt == one.attempt && other.state.receipt().is_some());
        first.is_some_and(|first| first.state.transcript_id() == one.state.transcript_id())
    }

    /// The copies that must be read back first.
    fn receipts(&self, target: Target) -> Vec<Receipt> {
        let goes = |transcript: &&Transcript| match target {
            Target::Transcript(id) => transcript.state.transcript_id() == Some(id),
            Target::Recording => true,
        };
        self.transcripts.iter().filter(goes).filter_map(|transcript| transcript.state.receipt().cloned()).collect()
    }

    /// What goes because it has failed, or although it has no copy: that may have changed without a word to us.
    fn said_to_have_failed(&self, Deletion { target, why, .. }: Deletion) -> Vec<TranscriptId> {
        let goes = |id: &TranscriptId| match target {
            Target::Transcript(target) => why == Why::Room && target == *id,
            Target::Recording => true,
        };
        let failed = self.transcripts.iter().filter(|one| matches!(one.state, State::Failed { .. }) && !one.deleted);
        failed.filter_map(|one| one.state.transcript_id()).filter(goes).collect()
    }

    fn of_mut(&mut self, id: TranscriptId) -> impl Iterator<Item = &mut Transcript> {
        self.transcripts.iter_mut().filter(move |transcript| transcript.state.transcript_id() == Some(id))
    }
}
