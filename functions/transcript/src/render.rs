//! Writes renditions to S3, one after the other. Only a part of one rendition is in memory at a time.

use std::time::Duration;

use job::ids::{RecordingId, TranscriptId};
use pipeline::{
    bucket::{Bucket, S3Error},
    keys::key,
    logs,
    manifest::File,
    metrics,
    telemetry::Chain,
    time::Stopwatch,
};
use renditions::{Format, FormatSpec, Meeting, Summary};

use crate::{
    transcript_info::file_entry,
    upload::{Upload, Uploaded},
};

/// Text goes to the upload in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;
/// How much of the renditions' time the removal of an object may take.
const MAX_REMOVAL_TIME: Duration = Duration::from_secs(5);

/// Writes the renditions that the setting RENDITIONS names.
#[derive(Clone, Debug)]
pub(crate) struct Renditions {
    bucket: Bucket,
    key_prefix: String,
    formats: Vec<Format>,
}

/// Why there are no renditions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenditionError {
    #[error("the time was up before all renditions were written")]
    OutOfTime,
    #[error(transparent)]
    Upload(#[from] S3Error),
}

impl Renditions {
    pub(crate) fn new(bucket: Bucket, key_prefix: String, formats: Vec<Format>) -> Self {
        Self { bucket, key_prefix, formats }
    }

    /// Returns the names of the files that [`Renditions::write`] writes or removes.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.formats.iter().map(|format| format.spec().file_name).collect()
    }

    /// Writes all renditions within this time. An empty rendition is left out if its format does not allow empty files
    /// (see
    /// [`FormatSpec::may_be_empty`]). The renditions replace older ones, so no manifest may name those any more.
    pub(crate) async fn write(
        &self,
        meeting: &Meeting,
        turns_key: String,
        time: Duration,
    ) -> Result<Vec<File>, RenditionError> {
        let watch = Stopwatch::start();
        let mut files = Vec::new();
        for format in &self.formats {
            let FormatSpec { file_name: name, content_type, .. } = format.spec();
            let info = meeting.info();
            let key = match format {
                Format::Jsonl => turns_key.clone(),
                Format::Txt | Format::Md | Format::Vtt | Format::Srt | Format::Html => {
                    key(&self.key_prefix, info.recording_id, info.transcript_id, name)
                }
            };
            let mut upload = Upload::new(&self.bucket, key.clone(), content_type);
            let written = tokio::time::timeout(
                time.saturating_sub(watch.elapsed()),
                write_rendition(meeting, *format, &mut upload),
            );
            match written.await.unwrap_or(Err(RenditionError::OutOfTime)) {
                Ok(Some(uploaded)) => files.push(file_entry(name, key, content_type, uploaded)),
                Ok(None) => self.remove(&key, time.saturating_sub(watch.elapsed())).await,
                Err(error) => {
                    upload.abort().await;
                    return Err(error);
                }
            }
        }
        Ok(files)
    }

    /// Removes a file that an older version of this program or an older copy wrote and that is left out now. A failure
    /// does not matter: the renditions are complete without the removal.
    async fn remove(&self, key: &str, time: Duration) {
        let removed = tokio::time::timeout(time.min(MAX_REMOVAL_TIME), self.bucket.remove(key)).await;
        let error = match removed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Chain(&error).to_string(),
            Err(_) => "S3 DeleteObject took too long".to_owned(),
        };
        tracing::warn!(message = logs::RENDITION_NOT_REMOVED, key, error);
    }
}

/// Writes one rendition. Returns `None` if it is empty and its format does not allow that.
async fn write_rendition(
    meeting: &Meeting,
    format: Format,
    upload: &mut Upload<'_>,
) -> Result<Option<Uploaded>, RenditionError> {
    let FormatSpec { renderer, may_be_empty, .. } = format.spec();
    let mut renderer = renderer();
    let mut piece = String::new();
    renderer.begin(meeting, &mut piece);
    for turn in meeting.turns() {
        renderer.turn(meeting, &turn, &mut piece);
        if piece.len() >= PIECE_BYTES {
            upload.push(piece.as_bytes()).await?;
            piece.clear();
            // Let the timeout be checked.
            tokio::task::yield_now().await;
        }
    }
    renderer.end(meeting, &mut piece);
    upload.push(piece.as_bytes()).await?;
    if upload.bytes() == 0 && !may_be_empty {
        return Ok(None);
    }
    Ok(Some(upload.finish().await?))
}

/// Logs and counts the values of a file that could not be used, if there are any.
pub(crate) fn report_skipped_values(recording_id: RecordingId, transcript_id: TranscriptId, summary: &Summary) {
    if summary.skipped_values > 0 {
        tracing::warn!(
            message = logs::TRANSCRIPT_VALUES_SKIPPED,
            recording.id = %recording_id,
            transcript.id = %transcript_id,
            values = summary.skipped_values
        );
        metrics::SKIPPED_VALUES.record(summary.skipped_values);
    }
}
