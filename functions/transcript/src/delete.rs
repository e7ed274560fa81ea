//! Deletes at Recall what may go. A copy is read back first: its size and its checksum.

use std::{ops::ControlFlow, time::Duration};

use job::{
    Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, DeletionSteps, DeletionTarget, Receipt, ids::RecordingId,
};
use pipeline::{
    bucket::Bucket,
    logs, metrics,
    recall::{CALL_TIMEOUT, Problem, Recall},
    telemetry::Chain,
};

/// Deletes transcripts and recordings.
#[derive(Debug)]
pub(crate) struct Deleter {
    recall: Recall,
    bucket: Bucket,
}

impl Deleter {
    pub(crate) fn new(recall: Recall, bucket: Bucket) -> Self {
        Self { recall, bucket }
    }

    /// Deletes the target if every copy is what its receipt says, and Recall lists nothing that must stay.
    pub(crate) async fn delete(
        &self,
        recording_id: RecordingId,
        target: DeletionTarget,
        copies: Vec<Receipt>,
        deletable: Deletable,
    ) -> DeleteAnswer {
        let mut deleting = DeletionSteps::new(target, copies, deletable);
        loop {
            let is_unclear = deleting.step() == DeleteStep::RetrieveRecording;
            let said = match deleting.step() {
                DeleteStep::Verify(receipt) => self.verify(recording_id, receipt).await,
                DeleteStep::List => DeleteStepAnswer::Listed(self.recall.look_up(recording_id, CALL_TIMEOUT).await),
                DeleteStep::Retrieve(id) => DeleteStepAnswer::Listed(self.recall.look_up_one(recording_id, id).await),
                DeleteStep::Delete(target) => self.delete_at_recall(recording_id, target).await,
                DeleteStep::RetrieveRecording => DeleteStepAnswer::Recording(self.recall.presence(recording_id).await),
            };
            match deleting.on_answer(said) {
                ControlFlow::Continue(next) => deleting = next,
                ControlFlow::Break(answer) => {
                    match &answer {
                        DeleteAnswer::Others(others) => {
                            tracing::info!(message = logs::DELETION_POSTPONED, recording.id = %recording_id, ?target, others = others.len());
                        }
                        DeleteAnswer::Deleted if is_unclear => {
                            tracing::info!(message = logs::ARTIFACT_ALREADY_DELETED, recording.id = %recording_id, ?target);
                        }
                        DeleteAnswer::Later { .. } if is_unclear => {
                            let error = Problem::NotFound;
                            tracing::warn!(message = logs::ARTIFACT_NOT_DELETED, recording.id = %recording_id, ?target, %error);
                        }
                        DeleteAnswer::Deleted | DeleteAnswer::Unverified | DeleteAnswer::Later { .. } => {}
                    }
                    return answer;
                }
            }
        }
    }

    async fn verify(&self, recording_id: RecordingId, receipt: &Receipt) -> DeleteStepAnswer {
        match self.bucket.has_copy(receipt).await {
            Ok(true) => DeleteStepAnswer::Holds(true),
            Ok(false) => {
                tracing::error!(message = logs::COPY_MISMATCHED, recording.id = %recording_id, key = receipt.key);
                metrics::COPIES_UNVERIFIED.count();
                DeleteStepAnswer::Holds(false)
            }
            Err(error) => {
                tracing::warn!(message = logs::COPY_NOT_VERIFIED, recording.id = %recording_id, error = %Chain(&error));
                DeleteStepAnswer::Later { after: Duration::ZERO }
            }
        }
    }

    async fn delete_at_recall(&self, recording_id: RecordingId, target: DeletionTarget) -> DeleteStepAnswer {
        let (what, deleted) = match target {
            DeletionTarget::Transcript(id) => ("transcript", self.recall.delete_transcript(id).await),
            DeletionTarget::Recording => ("recording", self.recall.delete_recording(recording_id).await),
        };
        match deleted {
            Ok(()) => {
                tracing::info!(message = logs::ARTIFACT_DELETED, recording.id = %recording_id, what, ?target);
                metrics::DELETED_AT_RECALL.count(what);
                DeleteStepAnswer::Deleted
            }
            Err(problem @ Problem::NotFound) => DeleteStepAnswer::NotFound { after: problem.retry_after() },
            Err(problem) => {
                tracing::warn!(message = logs::ARTIFACT_NOT_DELETED, recording.id = %recording_id, what, error = %Chain(&problem));
                DeleteStepAnswer::Later { after: problem.retry_after() }
            }
        }
    }
}
