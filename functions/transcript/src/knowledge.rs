//! Writes the document of a meeting for knowledge bases, with its sidecar.
//!
//! A knowledge base reads every object again that was written since its last run, and that costs money, so an object is
//! written only if its bytes change. A knowledge base that finds a document without its sidecar would index it without
//! its attributes, so the sidecar is written first and removed last.

use crc_fast::{CrcAlgorithm, Digest};
use job::ids::TranscriptId;
use pipeline::{
    bucket::{Bucket, S3Error},
    keys::{KnowledgeKeys, knowledge_keys},
    logs, metrics,
    telemetry::Chain,
};
use renditions::{Meeting, Outcome, knowledge_renderer, knowledge_sidecar};

use crate::{
    render::{Pieces, upload_pieces},
    transcript_info::TranscriptInfo,
    upload::{Upload, checksum, put},
};

const DOCUMENT_TYPE: &str = "text/markdown; charset=utf-8";
const SIDECAR_TYPE: &str = "application/json";

/// Writes and removes knowledge documents.
#[derive(Clone, Debug)]
pub(crate) struct KnowledgeWriter {
    bucket: Bucket,
    key_prefix: String,
}

impl KnowledgeWriter {
    pub(crate) fn new(bucket: Bucket, key_prefix: String) -> Self {
        Self { bucket, key_prefix }
    }

    /// Writes the document of a transcript if it is the newest of its recording and there is anything to say; otherwise
    /// removes the document.
    pub(crate) async fn update(
        &self,
        info: &TranscriptInfo,
        outcome: &Outcome,
        is_newest: bool,
    ) -> Result<(), S3Error> {
        let meeting = outcome.meeting.as_ref().ok().filter(|_| is_newest && !outcome.summary.empty);
        let Some(meeting) = meeting else { return self.remove(info.transcript_id).await };
        let Some(sidecar) = knowledge_sidecar(&outcome.info, &outcome.record, &outcome.summary) else {
            tracing::warn!(
                message = logs::KNOWLEDGE_NOT_WRITTEN,
                recording.id = %info.recording_id,
                transcript.id = %info.transcript_id
            );
            metrics::KNOWLEDGE_NOT_WRITTEN.count();
            return self.remove(info.transcript_id).await;
        };
        let keys = knowledge_keys(&self.key_prefix, info.transcript_id);
        let mut crc = Digest::new(CrcAlgorithm::Crc64Nvme);
        crc.update(sidecar.as_bytes());
        if !self.has(&keys.sidecar, sidecar.len() as u64, &checksum(&crc)).await {
            put(&self.bucket, keys.sidecar, SIDECAR_TYPE, sidecar.as_bytes(), info.tags()).await?;
        }
        self.write_document(keys.document, info, meeting).await
    }

    async fn write_document(&self, key: String, info: &TranscriptInfo, meeting: &Meeting) -> Result<(), S3Error> {
        let pieces = || Pieces::new(meeting, knowledge_renderer());
        let (mut crc, mut bytes, mut unsent) = (Digest::new(CrcAlgorithm::Crc64Nvme), 0, pieces());
        while let Some(piece) = unsent.next() {
            crc.update(piece);
            bytes += piece.len() as u64;
            // Let the timeout be checked.
            tokio::task::yield_now().await;
        }
        if self.has(&key, bytes, &checksum(&crc)).await {
            return Ok(());
        }
        let mut upload = Upload::new(&self.bucket, key, DOCUMENT_TYPE).with_tags(info.tags());
        if let Err(error) = upload_pieces(pieces(), &mut upload, true).await {
            upload.abort().await;
            return Err(error);
        }
        Ok(())
    }

    /// Removes the document of a transcript, if it has one.
    pub(crate) async fn remove(&self, id: TranscriptId) -> Result<(), S3Error> {
        let KnowledgeKeys { document, sidecar } = knowledge_keys(&self.key_prefix, id);
        self.bucket.remove(&document).await?;
        self.bucket.remove(&sidecar).await
    }

    /// Returns whether the object has this size and checksum. An object that cannot be read counts as another one.
    async fn has(&self, key: &str, bytes: u64, crc64nvme: &str) -> bool {
        let head = match self.bucket.head(key).await {
            Ok(head) => head,
            Err(error) => {
                // It is written again, which a knowledge base has to pay for.
                tracing::warn!(message = logs::KNOWLEDGE_NOT_COMPARED, key, error = %Chain(&error));
                None
            }
        };
        head.is_some_and(|head| head.bytes == bytes && head.crc64nvme.as_deref() == Some(crc64nvme))
    }
}
