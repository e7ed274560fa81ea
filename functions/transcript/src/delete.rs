//! Deletes at Recall what may go. A copy is read back first: its size and its checksum.

use std::{ops::ControlFlow, time::Duration};

use job::{
    Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, DeletionSteps, DeletionTarget, Receipt, ids::RecordingId,
};
use pipeline::{
    recall::{CALL_TIMEOUT, Problem, Recall},
    telemetry::{self, Chain},
};

use crate::{
    stored::{Head, ReadError},
    upload::Bucket,
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
                            tracing::info!(recording.id = %recording_id, ?target, others = others.len(), "recall.kept");
                        }
                        DeleteAnswer::Deleted if is_unclear => {
                            tracing::info!(recording.id = %recording_id, ?target, "recall.gone");
                        }
                        DeleteAnswer::Later { .. } if is_unclear => {
                            let error = Problem::NotFound;
                            tracing::warn!(recording.id = %recording_id, ?target, %error, "recall.not_deleted");
                        }
                        DeleteAnswer::Deleted | DeleteAnswer::Unverified | DeleteAnswer::Later { .. } => {}
                    }
                    return answer;
                }
            }
        }
    }

    async fn verify(&self, recording_id: RecordingId, receipt: &Receipt) -> DeleteStepAnswer {
        match self.bucket.holds(receipt).await {
            Ok(true) => DeleteStepAnswer::Holds(true),
            Ok(false) => {
                tracing::error!(recording.id = %recording_id, key = receipt.key, "copy.not_as_stored");
                telemetry::count("CopiesUnverified", &[]);
                DeleteStepAnswer::Holds(false)
            }
            Err(error) => {
                tracing::warn!(recording.id = %recording_id, error = %Chain(&error), "copy.not_verified");
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
                tracing::info!(recording.id = %recording_id, what, ?target, "recall.deleted");
                telemetry::count("DeletedAtRecall", &[("what", what)]);
                DeleteStepAnswer::Deleted
            }
            Err(problem @ Problem::NotFound) => DeleteStepAnswer::NotFound { after: problem.retry_after() },
            Err(problem) => {
                tracing::warn!(recording.id = %recording_id, what, error = %Chain(&problem), "recall.not_deleted");
                DeleteStepAnswer::Later { after: problem.retry_after() }
            }
        }
    }
}

impl Bucket {
    /// Whether the verbatim object and its manifest stand as the receipt says: S3 keeps the checksum of the bytes that
    /// it has, not of those that we meant to send.
    async fn holds(&self, receipt: &Receipt) -> Result<bool, ReadError> {
        let Some(verbatim) = self.head(&receipt.key).await? else { return Ok(false) };
        Ok(is_same(receipt, &verbatim) && self.head(&receipt.manifest_key).await?.is_some())
    }
}

/// An object whose checksum S3 does not tell is not known to be the same.
fn is_same(receipt: &Receipt, object: &Head) -> bool {
    object.bytes == receipt.bytes && object.crc64nvme.as_ref() == Some(&receipt.crc64nvme)
}

#[cfg(test)]
mod tests {
    use job::{Counts, time::Timestamp};

    use super::*;

    #[test]
    fn a_copy_is_verified_by_its_size_and_its_checksum() {
        let receipt = Receipt {
            stored_at: Timestamp::from_millis(0),
            manifest_key: "m".to_owned(),
            key: "k".to_owned(),
            bytes: 7,
            sha256: "s".to_owned(),
            crc64nvme: "AAAA".to_owned(),
            empty: false,
            unreadable: false,
            provider: None,
            counts: Counts::default(),
        };
        let object =
            |bytes, checksum: Option<&str>| Head { bytes, crc64nvme: checksum.map(str::to_owned), turns_key: None };
        assert!(is_same(&receipt, &object(7, Some("AAAA"))));
        for other in [object(8, Some("AAAA")), object(7, Some("AAAB")), object(7, None)] {
            assert!(!is_same(&receipt, &other), "{other:?}");
        }
    }
}
