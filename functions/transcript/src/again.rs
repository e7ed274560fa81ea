//! Renders again from the stored verbatim file, without Recall, so that old transcripts gain new formats.

use std::time::Duration;

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives::ByteStreamError};
use ring::digest::{Context, SHA256};
use shared::{
    deadline::Deadline,
    ids::{RecordingId, TranscriptId},
    job::{Receipt, RenderAnswer},
    telemetry::{self, Chain},
    time::{self, Stopwatch, Timestamp},
};

use crate::{
    act::time_for_it,
    manifest::{Manifest, turns_key},
    render::{Format, Head, Meeting},
    renditions::{RenditionError, Renditions},
    tally::{Summary, Tally},
    upload::{Bucket, UploadError, failed, hex},
};

/// A manifest is some kilobytes, and as much again for metadata.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Renders what is stored.
#[derive(Debug)]
pub(crate) struct Again {
    bucket: Bucket,
    key_prefix: String,
    renditions: Renditions,
}

/// Why something was not rendered. What stood before stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgainError {
    /// Nothing here mends it.
    #[error("{0}")]
    NotAsStored(String),
    #[error("S3 did not do what it was asked")]
    S3(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl Again {
    pub(crate) fn new(bucket: Bucket, key_prefix: String, renditions: Renditions) -> Self {
        Self { bucket, key_prefix, renditions }
    }

    /// Renders these transcripts of the recording. It never fails: what went wrong is an answer, too.
    pub(crate) async fn render(
        &self,
        recording_id: RecordingId,
        stored: &[(TranscriptId, Receipt)],
        deadline: Deadline,
    ) -> RenderAnswer {
        let mut answer = RenderAnswer::Rendered;
        for (id, receipt) in stored {
            let time = time_for_it(deadline);
            let one = tokio::time::timeout(time, self.one(*id, receipt, time)).await;
            if let Err(error) = one.unwrap_or(Err(AgainError::OutOfTime)) {
                tracing::error!(recording.id = %recording_id, transcript.id = %id, error = %Chain(&error),
                    "transcript.not_rendered_again");
                match error {
                    AgainError::NotAsStored(_) => answer = RenderAnswer::NotAsStored,
                    AgainError::S3(_) | AgainError::OutOfTime => {
                        return RenderAnswer::Later { after: Duration::ZERO };
                    }
                }
            }
        }
        answer
    }

    async fn one(&self, id: TranscriptId, receipt: &Receipt, time: Duration) -> Result<(), AgainError> {
        let watch = Stopwatch::start();
        let mut manifest = self.manifest(&receipt.manifest_key).await?;
        let started_at = manifest.recording.started_at.as_deref().and_then(Timestamp::parse_rfc3339);
        let head = Head::new(manifest.recording_id, id, started_at, &manifest.recording.metadata);
        let (summary, meeting) = self.read(receipt, head).await?;
        // Under another day, SQL would find every turn twice.
        let filed = manifest.files.iter().find(|file| file.name == Format::Jsonl.file_name());
        let turns_key = filed.map_or_else(
            || {
                let stored_at = Timestamp::parse_rfc3339(&manifest.stored_at);
                turns_key(&self.key_prefix, started_at.or(stored_at).unwrap_or_else(time::now), id)
            },
            |file| file.key.clone(),
        );
        let rendered = self.renditions.write(&meeting, turns_key, time.saturating_sub(watch.elapsed())).await;
        let files = rendered.map_err(|error| match error {
            RenditionError::OutOfTime => AgainError::OutOfTime,
            RenditionError::Upload(error) => error.into(),
        })?;
        manifest.files.retain(|old| files.iter().all(|new| new.name != old.name));
        manifest.files.extend(files);
        // A copy that was made unread knew nothing of these.
        manifest.counts = summary.counts;
        manifest.empty = summary.empty;
        manifest.language_codes = summary.language_codes.into_iter().collect();
        manifest.rendering_error = None;
        self.bucket.put(receipt.manifest_key.clone(), "application/json", &manifest.to_json()).await?;
        tracing::info!(recording.id = %manifest.recording_id, transcript.id = %id, duration_ms = watch.millis(),
            "transcript.rendered_again");
        telemetry::count("TranscriptsRenderedAgain", &[]);
        Ok(())
    }

    async fn manifest(&self, key: &str) -> Result<Manifest, AgainError> {
        let mut object = self.get(key).await?;
        let mut text = Vec::new();
        while let Some(chunk) = object.body.next().await {
            text.extend_from_slice(&chunk.map_err(interrupted)?);
            if text.len() > MAX_MANIFEST_BYTES {
                return Err(AgainError::NotAsStored(format!("{key} is over {MAX_MANIFEST_BYTES} bytes")));
            }
        }
        let unreadable = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            AgainError::NotAsStored(format!("{key} is not a manifest of ours, line {line} column {column}"))
        };
        serde_json::from_slice(&text).map_err(unreadable)
    }

    /// Reads the verbatim file, which must be what the row says.
    async fn read(&self, receipt: &Receipt, head: Head) -> Result<(Summary, Meeting), AgainError> {
        let mut object = self.get(&receipt.key).await?;
        let (mut tally, mut sha256, mut bytes) = (Tally::new(), Context::new(&SHA256), 0);
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(interrupted)?;
            bytes += chunk.len() as u64;
            sha256.update(&chunk);
            tally.push(&chunk);
        }
        if bytes != receipt.bytes || hex(sha256.finish().as_ref()) != receipt.sha256 {
            return Err(AgainError::NotAsStored(format!("{} is not what was stored", receipt.key)));
        }
        let (summary, meeting) = tally.finish(head);
        Ok((summary, meeting.map_err(AgainError::NotAsStored)?))
    }

    async fn get(&self, key: &str) -> Result<GetObjectOutput, AgainError> {
        match self.bucket.client.get_object().bucket(&self.bucket.name).key(key).send().await {
            Ok(object) => Ok(object),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                Err(AgainError::NotAsStored(format!("{key} is gone")))
            }
            Err(error) => Err(failed("a question for an object")(error).into()),
        }
    }
}

impl From<UploadError> for AgainError {
    fn from(error: UploadError) -> Self {
        Self::S3(Box::new(error))
    }
}

fn interrupted(error: ByteStreamError) -> AgainError {
    AgainError::S3(Box::new(error))
}
