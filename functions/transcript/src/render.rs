//! Renditions into S3, one after the other: only one of them is in memory, and of it only a part.

use std::time::Duration;

use pipeline::{
    bucket::{Bucket, S3Error},
    keys::key,
    logs,
    manifest::File,
    telemetry::Chain,
    time::Stopwatch,
};
use renditions::{Format, FormatSpec, Meeting};

use crate::{
    about::file,
    upload::{Upload, Uploaded},
};

/// Text is handed over in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;
/// What the removal of an object may take of the renditions' time.
const REMOVAL_TIME: Duration = Duration::from_secs(5);

/// Writes the renditions that the operator wants.
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

    /// The names of the files that [`Renditions::write`] writes or removes.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.formats.iter().map(|format| format.spec().file_name).collect()
    }

    /// Writes them all, within this time, but for one that its format does not allow to be empty (see
    /// [`FormatSpec::may_be_empty`]). They replace older ones, so no manifest may name these any more.
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
            let written =
                tokio::time::timeout(time.saturating_sub(watch.elapsed()), write(meeting, *format, &mut upload));
            match written.await.unwrap_or(Err(RenditionError::OutOfTime)) {
                Ok(Some(uploaded)) => files.push(file(name, key, content_type, uploaded)),
                Ok(None) => self.remove(&key, time.saturating_sub(watch.elapsed())).await,
                Err(error) => {
                    upload.abort().await;
                    return Err(error);
                }
            }
        }
        Ok(files)
    }

    /// Removes what an older version of this program, or an older copy, has left where there is no file now. The
    /// renditions are complete without it.
    async fn remove(&self, key: &str, time: Duration) {
        let removed = tokio::time::timeout(time.min(REMOVAL_TIME), self.bucket.remove(key)).await;
        let error = match removed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Chain(&error).to_string(),
            Err(_) => "S3 took too long".to_owned(),
        };
        tracing::warn!(message = logs::RENDITION_NOT_REMOVED, key, error);
    }
}

/// One rendition; none if it is empty and may not be.
async fn write(meeting: &Meeting, format: Format, upload: &mut Upload<'_>) -> Result<Option<Uploaded>, RenditionError> {
    let FormatSpec { renderer, may_be_empty, .. } = format.spec();
    let mut renderer = renderer();
    let mut piece = String::new();
    renderer.begin(meeting, &mut piece);
    for turn in meeting.turns() {
        renderer.turn(meeting, &turn, &mut piece);
        if piece.len() >= PIECE_BYTES {
            upload.push(piece.as_bytes()).await?;
            piece.clear();
            // So that the time is looked at.
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
