//! How one deletion is carried out, step by step: what must be asked first, and what counts as deleted.
//!
//! Every copy is read back, Recall lists what would be deleted, and then the target is deleted. The shell, and the
//! simulation, only do what each step says.

use std::{ops::ControlFlow, time::Duration, vec};

use super::{DeletionTarget, ListedTranscript, LookUpAnswer, Receipt};
use crate::ids::TranscriptId;

/// What may be deleted together with a target, as far as the row knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletable {
    /// These transcripts are stored, and nothing is known against deleting their originals. They may be deleted unless
    /// Recall says that another deployment requested them.
    pub safe: Vec<TranscriptId>,
    /// These transcripts may be deleted only if Recall, too, says that they failed.
    pub failed: Vec<TranscriptId>,
}

/// How a deletion went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteAnswer {
    /// The target is deleted, and Recall has confirmed it.
    Deleted,
    /// The copy in S3 is not what the row says: nothing was deleted.
    Unverified,
    /// Recall has transcripts that must not be deleted, such as one whose webhook was lost: nothing was deleted.
    Others(Vec<ListedTranscript>),
    /// The target is not known to be deleted: Recall refused, failed, or answered 404 without knowing the recording
    /// either.
    Later { after: Duration },
}

/// A deletion that is being carried out.
#[derive(Debug)]
pub struct DeletionSteps {
    target: DeletionTarget,
    copies: vec::IntoIter<Receipt>,
    deletable: Deletable,
    /// Recall has nothing that must stay.
    is_clear: bool,
    /// Recall answered 404. Unless that turns out to mean that the target is deleted, the deletion is tried again after
    /// this time.
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

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteStepAnswer {
    /// Whether the copy, with its manifest, is what the receipt says.
    Holds(bool),
    /// What would be deleted. For a transcript that was retrieved: the transcript itself, or nothing if Recall answered
    /// 404. An empty list of the recording's transcripts counts only if the key knows the recording; the caller ensures
    /// that.
    Listed(LookUpAnswer),
    Deleted,
    /// 404 to the deletion.
    NotFound {
        after: Duration,
    },
    Recording(RecordingPresence),
    /// The step failed.
    Later {
        after: Duration,
    },
}

/// What retrieving the recording says to the key that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingPresence {
    There,
    /// Recall says that the recording is deleted.
    Deleted,
    /// 404, or no answer.
    Unknown,
}

impl Deletable {
    /// Returns what Recall lists and must not be deleted.
    pub(crate) fn not_deletable(&self, mut listed: Vec<ListedTranscript>) -> Vec<ListedTranscript> {
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

impl DeletionSteps {
    pub fn new(target: DeletionTarget, copies: Vec<Receipt>, deletable: Deletable) -> Self {
        // Recall is not asked about our own transcript whose copy was read back.
        let is_clear = match target {
            DeletionTarget::Transcript(id) => !deletable.failed.contains(&id) && !deletable.safe.contains(&id),
            DeletionTarget::Recording => false,
        };
        Self { target, copies: copies.into_iter(), deletable, is_clear, not_found: None }
    }

    /// Returns the next step.
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

    /// Records how the step ended: continues with the next step, or breaks with the answer of the whole deletion.
    pub fn on_answer(mut self, answer: DeleteStepAnswer) -> ControlFlow<DeleteAnswer, Self> {
        match answer {
            DeleteStepAnswer::Holds(true) => drop(self.copies.next()),
            DeleteStepAnswer::Holds(false) => return ControlFlow::Break(DeleteAnswer::Unverified),
            DeleteStepAnswer::Listed(answer) => {
                // A 404 to the retrieval of a transcript: its deletion would be answered in the same way.
                let is_empty = matches!(&answer, LookUpAnswer::Complete(listed) if listed.is_empty());
                if let Some(objection) = self.objection(answer) {
                    return ControlFlow::Break(objection);
                }
                self.is_clear = true;
                self.not_found = (is_empty && self.target != DeletionTarget::Recording).then_some(Duration::ZERO);
            }
            DeleteStepAnswer::Deleted => return ControlFlow::Break(DeleteAnswer::Deleted),
            DeleteStepAnswer::NotFound { after } => self.not_found = Some(after),
            DeleteStepAnswer::Recording(presence) if self.is_deleted(presence) => {
                return ControlFlow::Break(DeleteAnswer::Deleted);
            }
            DeleteStepAnswer::Recording(_) => {
                return ControlFlow::Break(DeleteAnswer::Later { after: self.not_found.unwrap_or_default() });
            }
            DeleteStepAnswer::Later { after } => return ControlFlow::Break(DeleteAnswer::Later { after }),
        }
        ControlFlow::Continue(self)
    }

    /// Returns why nothing is deleted, if Recall has, or may have, something that must stay.
    fn objection(&self, answer: LookUpAnswer) -> Option<DeleteAnswer> {
        let later = DeleteAnswer::Later { after: Duration::ZERO };
        let (listed, otherwise) = match answer {
            LookUpAnswer::Complete(listed) => (listed, None),
            // A transcript that cannot be read must not be deleted with its recording.
            LookUpAnswer::Incomplete(listed) => (listed, Some(later)),
            LookUpAnswer::Later { after } => return Some(DeleteAnswer::Later { after }),
            LookUpAnswer::Operator => return Some(later),
        };
        let others = self.deletable.not_deletable(listed);
        if others.is_empty() { otherwise } else { Some(DeleteAnswer::Others(others)) }
    }

    /// Returns whether a 404 means that the target is deleted. A key of another workspace gets a 404 as well, so a
    /// transcript counts as deleted only if this key knows its recording, and a recording only if Recall says that it
    /// is deleted.
    fn is_deleted(&self, recording: RecordingPresence) -> bool {
        match self.target {
            DeletionTarget::Transcript(_) => recording != RecordingPresence::Unknown,
            DeletionTarget::Recording => recording == RecordingPresence::Deleted,
        }
    }
}
