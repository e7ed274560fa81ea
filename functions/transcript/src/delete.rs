//! Deletes at Recall what may go. A copy is read back first: its size and its checksum.

use std::time::Duration;

use shared::{
    ids::RecordingId,
    job::{Deletable, DeleteAnswer, LookUpAnswer, Receipt, Target},
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
        target: Target,
        copies: &[Receipt],
        deletable: &Deletable,
    ) -> DeleteAnswer {
        for receipt in copies {
            match self.bucket.holds(receipt).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(recording.id = %recording_id, key = receipt.key, "copy.not_as_stored");
                    telemetry::count("CopiesUnverified", &[]);
                    return DeleteAnswer::Unverified;
                }
                Err(error) => {
                    tracing::warn!(recording.id = %recording_id, error = %Chain(&error), "copy.not_verified");
                    return DeleteAnswer::Later { after: Duration::ZERO };
                }
            }
        }
        let others = match self.listed(recording_id, target, deletable).await {
            LookUpAnswer::Listed(listed) => deletable.in_the_way(listed),
            LookUpAnswer::Incomplete(listed) => match deletable.in_the_way(listed) {
                // What cannot be read must not be deleted with its recording.
                others if others.is_empty() => return DeleteAnswer::Later { after: Duration::ZERO },
                others => others,
            },
            LookUpAnswer::Later { after } => return DeleteAnswer::Later { after },
            LookUpAnswer::Operator => return DeleteAnswer::Later { after: Duration::ZERO },
        };
        if !others.is_empty() {
            tracing::info!(recording.id = %recording_id, ?target, others = others.len(), "recall.kept");
            return DeleteAnswer::Others(others);
        }
        let (what, deleted) = match target {
            Target::Transcript(id) => ("transcript", self.recall.delete_transcript(id).await),
            Target::Recording => ("recording", self.recall.delete_recording(recording_id).await),
        };
        match deleted {
            Ok(()) => {
                tracing::info!(recording.id = %recording_id, what, ?target, "recall.deleted");
                telemetry::count("DeletedAtRecall", &[("what", what)]);
                DeleteAnswer::Deleted
            }
            Err(Problem::NotFound) if self.is_gone(recording_id, target).await => {
                tracing::info!(recording.id = %recording_id, what, ?target, "recall.gone");
                DeleteAnswer::Deleted
            }
            Err(problem) => {
                tracing::warn!(recording.id = %recording_id, what, error = %Chain(&problem), "recall.not_deleted");
                DeleteAnswer::Later { after: problem.after() }
            }
        }
    }

    /// What Recall has of what would go, as far as that decides.
    async fn listed(&self, recording_id: RecordingId, target: Target, deletable: &Deletable) -> LookUpAnswer {
        match target {
            Target::Recording => self.recall.look_up(recording_id, CALL_TIMEOUT).await,
            Target::Transcript(id) if deletable.failed.contains(&id) => self.recall.look_up_one(recording_id, id).await,
            Target::Transcript(_) => LookUpAnswer::Listed(Vec::new()),
        }
    }

    /// After a 404. A key of another workspace gets one as well, so a transcript counts as gone only if this key knows
    /// its recording, and a recording only if Recall says that it is deleted.
    async fn is_gone(&self, recording_id: RecordingId, target: Target) -> bool {
        let recording = self.recall.retrieve_recording(recording_id).await;
        let status = recording.as_ref().ok().and_then(|recording| recording.status());
        match target {
            Target::Transcript(_) => recording.is_ok(),
            Target::Recording => status == Some("deleted"),
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
    use shared::{job::Counts, time::Timestamp};

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
