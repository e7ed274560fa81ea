//! How one deletion is carried out, step by step: what must be asked first, and what counts as gone.
//!
//! Every copy is read back; Recall lists what would go; then it is deleted. The shell, and the simulation, only do what
//! each step says.

use std::{ops::ControlFlow, time::Duration, vec};

use super::{DeletionTarget, ListedTranscript, LookUpAnswer, Receipt};
use crate::ids::TranscriptId;

/// What may go together with a target, as far as the row knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletable {
    /// These are stored, and nothing is known against deleting their originals. They may go unless Recall says that
    /// another deployment asked for them.
    pub safe: Vec<TranscriptId>,
    /// These may go only if Recall, too, says that they failed.
    pub failed: Vec<TranscriptId>,
}

/// How a deletion went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// It is gone, and Recall has confirmed that.
    Deleted,
    /// The copy in S3 is not what the row says: nothing was deleted.
    Unverified,
    /// Recall has transcripts that must not go, such as one whose webhook was lost: nothing was deleted.
    Others(Vec<ListedTranscript>),
    /// It is not known to be gone: Recall refused, failed, or answered 404 without knowing the recording either.
    Later { after: Duration },
}

/// A deletion that is being carried out.
#[derive(Debug)]
pub struct Deleting {
    target: DeletionTarget,
    copies: vec::IntoIter<Receipt>,
    deletable: Deletable,
    /// Recall has nothing that must stay.
    is_clear: bool,
    /// Recall answered 404. Unless that turns out to mean that it is gone, it is tried again after this.
    not_found: Option<Duration>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteStep<'a> {
    /// Read this copy back.
    Verify(&'a Receipt),
    /// List the transcripts of the recording.
    List,
    /// Retrieve this transcript.
    Retrieve(TranscriptId),
    Delete(DeletionTarget),
    /// Retrieve the recording, to learn what the 404 means.
    RetrieveRecording,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteStepAnswer {
    /// Whether the copy, with its manifest, is what the receipt says.
    Holds(bool),
    /// What would go. Of a transcript that was retrieved: itself, or nothing if Recall answered 404. An empty list of the
    /// recording's counts only if the key knows the recording; the caller sees to that.
    Listed(LookUpAnswer),
    Deleted,
    /// 404 to the deletion.
    NotFound {
        after: Duration,
    },
    Recording(Presence),
    /// It did not work.
    Later {
        after: Duration,
    },
}

/// What retrieving the recording says to the key that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    There,
    /// Recall says that it is deleted.
    Deleted,
    /// 404, or no answer.
    Unknown,
}

impl Deletable {
    /// What Recall lists and must not be deleted.
    pub(super) fn not_deletable(&self, mut listed: Vec<ListedTranscript>) -> Vec<ListedTranscript> {
        listed.retain(|one| {
            let may_go = match self.failed.contains(&one.transcript_id) {
                true => one.failed,
                false => self.safe.contains(&one.transcript_id),
            };
            one.other_deployment || !may_go
        });
        listed
    }
}

impl Deleting {
    pub fn new(target: DeletionTarget, copies: Vec<Receipt>, deletable: Deletable) -> Self {
        // Our own transcript whose copy was read back is not asked about.
        let is_clear = match target {
            DeletionTarget::Transcript(id) => !deletable.failed.contains(&id) && !deletable.safe.contains(&id),
            DeletionTarget::Recording => false,
        };
        Self { target, copies: copies.into_iter(), deletable, is_clear, not_found: None }
    }

    pub fn step(&self) -> DeleteStep<'_> {
        if let Some(receipt) = self.copies.as_slice().first() {
            return DeleteStep::Verify(receipt);
        }
        match self.target {
            DeletionTarget::Recording if !self.is_clear => DeleteStep::List,
            DeletionTarget::Transcript(id) if !self.is_clear => DeleteStep::Retrieve(id),
            DeletionTarget::Recording | DeletionTarget::Transcript(_) if self.not_found.is_some() => {
                DeleteStep::RetrieveRecording
            }
            target @ (DeletionTarget::Recording | DeletionTarget::Transcript(_)) => DeleteStep::Delete(target),
        }
    }

    /// Takes in what came of the step: goes on, or has ended.
    pub fn on(mut self, said: DeleteStepAnswer) -> ControlFlow<DeleteAnswer, Self> {
        match said {
            DeleteStepAnswer::Holds(true) => drop(self.copies.next()),
            DeleteStepAnswer::Holds(false) => return ControlFlow::Break(DeleteAnswer::Unverified),
            DeleteStepAnswer::Listed(answer) => {
                // 404 to a transcript that was retrieved: the deletion would be told the same.
                let is_empty = matches!(&answer, LookUpAnswer::Complete(listed) if listed.is_empty());
                if let Some(objection) = self.objection(answer) {
                    return ControlFlow::Break(objection);
                }
                self.is_clear = true;
                self.not_found = (is_empty && self.target != DeletionTarget::Recording).then_some(Duration::ZERO);
            }
            DeleteStepAnswer::Deleted => return ControlFlow::Break(DeleteAnswer::Deleted),
            DeleteStepAnswer::NotFound { after } => self.not_found = Some(after),
            DeleteStepAnswer::Recording(presence) if self.is_gone(presence) => {
                return ControlFlow::Break(DeleteAnswer::Deleted);
            }
            DeleteStepAnswer::Recording(_) => {
                return ControlFlow::Break(DeleteAnswer::Later { after: self.not_found.unwrap_or_default() });
            }
            DeleteStepAnswer::Later { after } => return ControlFlow::Break(DeleteAnswer::Later { after }),
        }
        ControlFlow::Continue(self)
    }

    /// Why nothing is deleted, if Recall has something that must stay, or may have.
    fn objection(&self, answer: LookUpAnswer) -> Option<DeleteAnswer> {
        let later = DeleteAnswer::Later { after: Duration::ZERO };
        let (listed, otherwise) = match answer {
            LookUpAnswer::Complete(listed) => (listed, None),
            // What cannot be read must not be deleted with its recording.
            LookUpAnswer::Incomplete(listed) => (listed, Some(later)),
            LookUpAnswer::Later { after } => return Some(DeleteAnswer::Later { after }),
            LookUpAnswer::Operator => return Some(later),
        };
        let others = self.deletable.not_deletable(listed);
        if others.is_empty() { otherwise } else { Some(DeleteAnswer::Others(others)) }
    }

    /// After a 404. A key of another workspace gets one as well, so a transcript counts as gone only if this key knows
    /// its recording, and a recording only if Recall says that it is deleted.
    fn is_gone(&self, recording: Presence) -> bool {
        match self.target {
            DeletionTarget::Transcript(_) => recording != Presence::Unknown,
            DeletionTarget::Recording => recording == Presence::Deleted,
        }
    }
}
