//! Deletes at Recall what may go. A copy is read back first: its size and its checksum.

use std::time::Duration;

use shared::{
    ids::{RecordingId, TranscriptId},
    job::{DeleteAnswer, Listed, LookUpAnswer, Receipt, Target},
    recall::{CALL_TIMEOUT, Recall},
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

/// What the row says of the transcripts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) known: &'a [TranscriptId],
    pub(crate) failed: &'a [TranscriptId],
}

impl Known<'_> {
    /// Whether Recall says the same.
    fn agrees(self, one: &Listed) -> bool {
        let says = |ids: &[TranscriptId]| ids.contains(&one.transcript_id);
        if says(self.failed) { one.failed } else { says(self.known) }
    }
}

impl Deleter {
    pub(crate) fn new(recall: Recall, bucket: Bucket) -> Self {
        Self { recall, bucket }
    }

    /// Deletes the target if every copy is what its receipt says, a recording has no transcript that is not `known`,
    /// and what is said to have failed has.
    pub(crate) async fn delete(
        &self,
        recording_id: RecordingId,
        target: Target,
        copies: &[Receipt],
        known: Known<'_>,
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
        match self.others(recording_id, target, known).await {
            LookUpAnswer::Later { after } => return DeleteAnswer::Later { after },
            LookUpAnswer::Listed(others) if others.is_empty() => {}
            LookUpAnswer::Listed(others) => {
                tracing::info!(recording.id = %recording_id, ?target, others = others.len(), "recall.kept");
                return DeleteAnswer::Others(others);
            }
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
            Err(problem) => {
                tracing::warn!(recording.id = %recording_id, what, error = %Chain(&problem), "recall.not_deleted");
                DeleteAnswer::Later { after: problem.after() }
            }
        }
    }

    /// What would go and is not what the row says.
    async fn others(&self, recording_id: RecordingId, target: Target, known: Known<'_>) -> LookUpAnswer {
        let answer = match target {
            Target::Recording => self.recall.look_up(recording_id, CALL_TIMEOUT).await,
            Target::Transcript(id) if known.failed.contains(&id) => self.recall.look_up_one(recording_id, id).await,
            Target::Transcript(_) => LookUpAnswer::Listed(Vec::new()),
        };
        match answer {
            LookUpAnswer::Listed(mut listed) => {
                listed.retain(|one| !known.agrees(one));
                LookUpAnswer::Listed(listed)
            }
            later @ LookUpAnswer::Later { .. } => later,
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
    fn what_has_failed_goes_only_if_recall_says_so_too() {
        let [failed, stored, unknown] = [1, 2, 3].map(TranscriptId::from_u128);
        let known = Known { known: &[failed, stored], failed: &[failed] };
        let listed = |transcript_id, failed| Listed { transcript_id, attempt: None, ended: true, failed };
        assert!(known.agrees(&listed(failed, true)) && known.agrees(&listed(stored, false)));
        assert!(!known.agrees(&listed(failed, false)), "it is done after all");
        assert!(!known.agrees(&listed(unknown, true)));
    }

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
