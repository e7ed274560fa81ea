//! The transcripts of the row: which one an event is about, and how one is added.

mod transcript_events;

use serde::{Deserialize, Serialize};

use super::{Context, Copying, Decision, Job, Next, Reason, Receipt, Recording, State, state::OUTCOME_UNKNOWN};
use crate::{ids::TranscriptId, time::Timestamp};

/// A row with this many transcripts takes no more from a list, and none that is already deleted. Recall lets a
/// recording have ten at a time.
const MAX_REMEMBERED: usize = 200;
/// No recording has this many attempts: a larger number is not one of ours.
const MAX_ATTEMPT: u32 = 1_000_000;

/// One transcript of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The number of our attempt; `None` if someone else requested this transcript.
    pub attempt: Option<u32>,
    /// The provider that our attempt named.
    pub provider: Option<String>,
    #[serde(flatten)]
    pub state: State,
    /// Recall has said that it is deleted; it no longer counts towards the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Recall listed the transcript although it had counted as deleted, so it exists again for the job. Set at most
    /// once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relisted: bool,
    /// Recall reported it as done, but it had failed when it was retrieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<Contradiction>,
    /// Why we do not delete it at Recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_reason: Option<KeepReason>,
    /// Another deployment of this product requested it. We may copy it, but never delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_deployment: bool,
}

/// What Recall says about a failed transcript contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Before this time, another `transcript.done` does not lead to another retrieval.
    pub retry_at: Timestamp,
    /// How many times Recall has contradicted itself.
    pub times: u32,
}

/// Why a transcript stays at Recall although it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepReason {
    /// The file is not a transcript, so the original is the only usable source.
    Unreadable,
    /// Its copy in S3 is not what the row says.
    Unverified,
    /// Recall refused to delete it, or did not confirm the deletion.
    NotDeleted,
}

/// The transcript that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptRef {
    pub transcript_id: TranscriptId,
    /// The attempt number in our metadata, if the transcript has such metadata and it names this recording.
    pub attempt: Option<u32>,
    /// Another deployment of this product requested it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_deployment: bool,
}

/// One transcript of the recording's list at Recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedTranscript {
    pub transcript_id: TranscriptId,
    /// As in [`TranscriptRef`].
    pub attempt: Option<u32>,
    /// Recall is no longer working on it.
    pub ended: bool,
    /// Recall could not make it.
    pub failed: bool,
    /// Another deployment of this product requested it.
    pub other_deployment: bool,
}

impl TranscriptRef {
    /// Returns the number of our attempt, if it is a plausible one.
    pub(crate) fn our_attempt(self) -> Option<u32> {
        self.attempt.filter(|attempt| (1..=MAX_ATTEMPT).contains(attempt))
    }
}

/// Says which of several transcripts of one recording is the newest: the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// When Recall created the transcript.
    pub created_at: Option<Timestamp>,
    pub attempt: Option<u32>,
    pub transcript_id: TranscriptId,
}

impl Transcript {
    fn stored_version(&self) -> Option<Version> {
        let receipt = self.state.receipt()?;
        let transcript_id = self.state.transcript_id()?;
        Some(Version { created_at: receipt.created_at, attempt: self.attempt, transcript_id })
    }

    pub fn new(attempt: Option<u32>, provider: Option<String>, state: State) -> Self {
        Self {
            attempt,
            provider,
            state,
            deleted: false,
            relisted: false,
            contradiction: None,
            keep_reason: None,
            other_deployment: false,
        }
    }

    /// Notes that Recall no longer has the transcript.
    pub(crate) fn mark_deleted(&mut self) {
        self.keep_reason = self.keep_reason.filter(|reason| *reason != KeepReason::NotDeleted);
        match self.state {
            State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                self.state = State::Lost { transcript_id };
                self.deleted = true;
            }
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } | State::Foreign { .. } => {
                self.deleted = true;
            }
            State::Creating(_) | State::Refused { .. } => {}
        }
    }

    /// Notes that we have deleted the transcript. If it was in progress, it counts as failed, not as lost, so that
    /// another attempt may start.
    pub(crate) fn mark_deleted_by_us(&mut self) {
        match self.state {
            State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                self.state = State::Failed { transcript_id, sub_code: None };
            }
            State::Creating(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => {}
        }
        self.mark_deleted();
    }

    /// Returns whether the transcript is stored and nothing is known against deleting the original.
    pub(crate) fn may_lose_original(&self) -> bool {
        self.keep_reason.is_none() && self.state.receipt().is_some_and(|receipt| !receipt.unreadable)
    }

    /// Returns whether the transcript may be deleted along with its recording: Recall reported it as deleted or failed,
    /// it is stored and readable, or there is none because the create was refused. One that was only given up, or left
    /// alone, stays, and so does its recording. So does one of another deployment, unless it is deleted already.
    pub(crate) fn may_go_with_its_recording(&self) -> bool {
        let may_go = match self.state {
            State::Refused { .. } => true,
            State::Failed { .. } => self.keep_reason.is_none(),
            State::Stored { .. } => self.may_lose_original(),
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Copying(_)
            | State::Lost { .. }
            | State::Foreign { .. } => false,
        };
        self.keep_reason != Some(KeepReason::NotDeleted) && (self.deleted || (may_go && !self.other_deployment))
    }

    /// Returns whether Recall has, or may have, the transcript.
    pub(crate) fn exists(&self) -> bool {
        !self.deleted && self.state.exists()
    }

    /// Returns whether the attempt ended without a transcript that we know of: Recall refused it, so that nothing was
    /// paid, or its outcome stayed unknown ([`Self::is_outcome_unknown`]), so that it may have been paid for.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused { .. })
    }

    /// Returns whether this is our attempt and it never became known whether the transcript exists.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        self.attempt.is_some() && matches!(self.state, State::Refused { status: OUTCOME_UNKNOWN, .. })
    }

    /// Returns whether this is our attempt and it rules out another one: it is in progress, stored, or lost, or may
    /// exist. A lost one was paid for, and someone deleted it or it may still be there.
    pub(crate) fn blocks_new_attempt(&self) -> bool {
        self.attempt.is_some()
            && match self.state {
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Lost { .. }
                | State::Refused { status: OUTCOME_UNKNOWN, .. } => true,
                State::Failed { .. } | State::Refused { .. } | State::Foreign { .. } => false,
            }
    }
}

impl Job {
    /// Returns what is stored of one transcript, or of all.
    pub(crate) fn stored(&self, wanted: Option<TranscriptId>) -> Vec<(TranscriptId, Receipt)> {
        let stored = self.transcripts.iter().filter_map(|one| Some((one.state.transcript_id()?, one.state.receipt()?)));
        let wanted = stored.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        wanted.map(|(id, receipt)| (id, receipt.clone())).collect()
    }

    /// Returns the newest of the stored transcripts.
    pub(crate) fn newest_stored(&self) -> Option<Version> {
        self.transcripts.iter().filter_map(Transcript::stored_version).max()
    }

    /// Returns the position of the transcript with this id.
    pub(crate) fn position(&self, id: TranscriptId) -> Option<usize> {
        self.transcripts.iter().position(|transcript| transcript.state.transcript_id() == Some(id))
    }

    /// Returns the position of the entry with this id, or of our create without a known outcome if the transcript's
    /// metadata names its attempt.
    pub(crate) fn find(&self, reference: TranscriptRef) -> Option<usize> {
        self.position(reference.transcript_id).or_else(|| {
            let attempt = reference.our_attempt();
            self.transcripts
                .iter()
                .position(|transcript| matches!(transcript.state, State::Creating(_)) && transcript.attempt == attempt)
        })
    }

    /// Notes that another deployment requested this transcript, if its metadata says so. An event without metadata
    /// changes nothing. Returns whether that was news.
    pub(crate) fn mark_other_deployment(&mut self, id: TranscriptId, other_deployment: bool) -> bool {
        let Some(index) = self.position(id) else { return false };
        other_deployment && !std::mem::replace(&mut self.transcripts[index].other_deployment, true)
    }

    /// Adds a transcript that the row does not know, and returns its position. If its attempt number is higher than the
    /// row's, the row was restored from a backup, and the row's number is raised. If the row says that the attempt was
    /// refused, that was wrong, and the transcript takes its place.
    pub(crate) fn insert(&mut self, reference: TranscriptRef, state: State) -> usize {
        let attempt = reference.our_attempt();
        self.attempts = self.attempts.max(attempt.unwrap_or(0));
        let refused = self
            .transcripts
            .iter()
            .position(|one| one.is_refused() && one.attempt.is_some_and(|number| Some(number) == attempt));
        if let Some(index) = refused {
            self.transcripts[index].state = state;
            return index;
        }
        let other_deployment = reference.other_deployment;
        self.transcripts.push(Transcript { other_deployment, ..Transcript::new(attempt, None, state) });
        self.transcripts.len() - 1
    }

    /// Returns whether someone else requested the transcript, and the operator does not want such transcripts.
    fn is_unwanted(&self, reference: TranscriptRef, context: Context<'_>) -> bool {
        reference.our_attempt().is_none() && !context.policy.copy_unrequested
    }

    /// Adds a transcript of someone else. It is not copied, but it takes a slot under the limit.
    fn insert_foreign(mut self, reference: TranscriptRef, now: Timestamp) -> Decision {
        self.insert(reference, State::Foreign { transcript_id: reference.transcript_id });
        self.extend_unknown_wait(now);
        self.apply(Next::Nothing)
    }

    /// Adds a transcript that someone else requested and that was deleted before the row knew of it. An earlier webhook
    /// about it may still arrive, and must not make it take a slot under the limit.
    fn insert_deleted(mut self, reference: TranscriptRef) -> Decision {
        let is_known = self.version > 0 && self.recording != Recording::Deleted;
        if !is_known || reference.our_attempt().is_some() || self.transcripts.len() >= MAX_REMEMBERED {
            return Decision::Ignore(Reason::UnknownTranscript);
        }
        let index = self.insert(reference, State::Foreign { transcript_id: reference.transcript_id });
        self.transcripts[index].deleted = true;
        self.apply(Next::Nothing)
    }

    /// Adds the listed transcripts that the row does not know, so that they take their slots and are copied. Leaves out
    /// `ours`, the entry that the caller adopts. Returns whether anything was new.
    pub(crate) fn merge_list(
        &mut self,
        listed: &[ListedTranscript],
        ours: Option<&ListedTranscript>,
        context: Context<'_>,
    ) -> bool {
        let mut changed = false;
        for one in listed.iter().filter(|one| Some(*one) != ours) {
            let ListedTranscript { transcript_id, attempt, other_deployment, .. } = *one;
            changed |= self.mark_other_deployment(transcript_id, other_deployment);
            if self.position(transcript_id).is_some() || self.transcripts.len() >= MAX_REMEMBERED {
                continue;
            }
            changed = true;
            let state = if attempt.is_none() && !context.policy.copy_unrequested {
                State::Foreign { transcript_id }
            } else {
                let check_at = self.first_check_at(one.ended, context.now);
                State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false }
            };
            self.insert(TranscriptRef { transcript_id, attempt, other_deployment }, state);
        }
        changed
    }

    /// Removes each attempt whose outcome stayed unknown and that is not on this complete list: it had no effect.
    /// Returns whether there were any.
    pub(crate) fn remove_unlisted(&mut self, listed: &[ListedTranscript]) -> bool {
        let before = self.transcripts.len();
        let is_listed = |one: &Transcript| listed.iter().any(|listed| listed.attempt == one.attempt);
        self.transcripts.retain(|one| !one.is_outcome_unknown() || is_listed(one));
        self.transcripts.len() < before
    }

    /// Returns when a transcript is first checked: now if Recall is no longer working on it.
    pub(crate) fn first_check_at(&self, ended: bool, now: Timestamp) -> Timestamp {
        if ended { now } else { self.wait_until(crate::TRANSCRIBING_CHECK, now) }
    }
}
