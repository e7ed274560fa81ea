//! Deletes at Recall what may go. A copy is read back first: its size and its checksum.

use std::time::Duration;

use aws_sdk_s3::types::ChecksumMode;
use shared::{
    ids::RecordingId,
    job::{Deletable, DeleteAnswer, LookUpAnswer, Receipt, Target},
    recall::{CALL_TIMEOUT, Problem, Recall},
    telemetry::{self, Chain},
};

use crate::upload::{Bucket, UploadError, failed};

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
    async fn holds(&self, receipt: &Receipt) -> Result<bool, UploadError> {
        let verbatim = self.head(&receipt.key).await?;
        let Some((bytes, checksum)) = verbatim else { return Ok(false) };
        Ok(is_same(receipt, bytes, checksum.as_deref()) && self.head(&receipt.manifest_key).await?.is_some())
    }

    /// Size and checksum of an object, if it is there.
    async fn head(&self, key: &str) -> Result<Option<(u64, Option<String>)>, UploadError> {
        let head = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(object) => {
                let bytes = object.content_length().and_then(|bytes| u64::try_from(bytes).ok());
                Ok(Some((bytes.unwrap_or_default(), object.checksum_crc64_nvme().map(str::to_owned))))
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            Err(error) => Err(failed("a question about an object")(error)),
        }
    }
}

/// An object whose checksum S3 does not tell is not known to be the same.
fn is_same(receipt: &Receipt, bytes: u64, checksum: Option<&str>) -> bool {
    bytes == receipt.bytes && checksum == Some(&receipt.crc64nvme)
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
        assert!(is_same(&receipt, 7, Some("AAAA")));
        for (bytes, checksum) in [(8, Some("AAAA")), (7, Some("AAAB")), (7, None)] {
            assert!(!is_same(&receipt, bytes, checksum), "{bytes} {checksum:?}");
        }
    }
}
