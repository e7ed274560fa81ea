//! One transcript from Recall to S3: retrieve · check the URL · stream · manifest last.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header};
use shared::{
    deadline::Deadline,
    ids::{BotId, RecordingId, TranscriptId},
    job::{CopyAnswer, Receipt},
    recall::{Problem, Recall, RecordingArtifact, TranscriptArtifact, http_client, tls},
    secret::Secret,
    settings::RecallSettings,
    telemetry::{self, Chain, Unit},
    time::{self, Stopwatch},
};

use crate::{
    guard::{Forbidden, Guard},
    manifest::{About, File},
    tally::{Summary, Tally},
    upload::{Bucket, Upload, UploadError, Uploaded},
};

/// A whole day of meeting takes about 40 MB; more than this is not a transcript.
const MAX_TRANSCRIPT_BYTES: u64 = 256 << 20;
/// A download that sends nothing for this long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A URL that S3 refuses has expired or is not known yet; a fresh one is asked for this often.
const MAX_URLS: u32 = 3;
/// What work leaves of the invocation, to clean up and to record how it went.
pub(crate) const RESERVE: Duration = Duration::from_secs(1);
/// What the bytes' way leaves of a copy's time, to end an upload that is not complete.
const CLEAN_UP: Duration = Duration::from_secs(1);
/// Waits before the next try.
const SOON: Duration = Duration::from_secs(5);
const NOT_READY: Duration = Duration::from_secs(15);
/// Somebody has to do something first.
const OPERATOR: Duration = Duration::from_secs(5 * 60);

/// The name of the verbatim file.
const VERBATIM: &str = "transcript.json";

/// The verbatim file in S3.
struct Verbatim {
    key: String,
    content_type: &'static str,
    uploaded: Uploaded,
}

/// Copies transcripts.
#[derive(Debug)]
pub(crate) struct Copier {
    recall: Recall,
    downloads: Client,
    guard: Guard,
    bucket: Bucket,
    key_prefix: String,
}

/// Which transcript, and what the row knows of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
}

/// Why a copy did not come about, by what to do next.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("Recall is still at work on it, or has no URL yet")]
    NotReady,
    #[error("Recall says that it failed")]
    Failed { sub_code: Option<String> },
    #[error("Recall says that it was deleted")]
    Deleted,
    #[error("Recall does not know it")]
    Missing,
    #[error("the transcript belongs to another recording")]
    OtherRecording,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the URL is refused (status {0})")]
    Refused(StatusCode),
    #[error("the download did not arrive whole")]
    Download(#[source] reqwest::Error),
    #[error("the download states no length and ends in the middle of the file")]
    Unframed,
    #[error("the download has {got} bytes instead of {stated}")]
    Length { stated: u64, got: u64 },
    #[error("the download is over {MAX_TRANSCRIPT_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Recall(#[from] Problem),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl Copier {
    pub(crate) fn new(
        recall: Recall,
        settings: &RecallSettings,
        bucket: Bucket,
        key_prefix: String,
    ) -> Result<Self, lambda_runtime::Error> {
        let guard = Guard::new(settings);
        let downloads =
            http_client(tls()?)?.redirect(guard.redirects()).referer(false).read_timeout(READ_TIMEOUT).build()?;
        Ok(Self { recall, downloads, guard, bucket, key_prefix })
    }

    /// Copies one transcript. It never fails: what went wrong is an answer, too.
    pub(crate) async fn copy(&self, ids: Ids, deadline: Deadline) -> CopyAnswer {
        let Ids { recording_id, transcript_id, attempt, .. } = ids;
        let watch = Stopwatch::start();
        let time = deadline.left(time::now()).saturating_sub(RESERVE);
        // Whatever takes too long, the message is handed back in time.
        let copied = tokio::time::timeout(time, self.try_copy(ids, time.saturating_sub(CLEAN_UP))).await;
        match copied.unwrap_or(Err(CopyError::OutOfTime)) {
            Ok(receipt) => {
                tracing::info!(recording.id = %recording_id, transcript.id = %transcript_id, attempt,
                    bytes = receipt.bytes, duration_ms = watch.millis(), "transcript.stored");
                telemetry::count("TranscriptsStored", &[]);
                telemetry::metric("TranscriptBytes", receipt.bytes, Unit::Bytes, &[]);
                telemetry::metric("CopyTime", watch.millis(), Unit::Milliseconds, &[]);
                CopyAnswer::Stored(receipt)
            }
            Err(error) => {
                tracing::warn!(recording.id = %recording_id, transcript.id = %transcript_id, attempt,
                    error = %Chain(&error), duration_ms = watch.millis(), "transcript.not_stored");
                telemetry::count("CopiesFailed", &[("reason", error.reason())]);
                error.answer()
            }
        }
    }

    async fn try_copy(&self, ids: Ids, time: Duration) -> Result<Receipt, CopyError> {
        let Ids { recording_id, transcript_id, bot_id, attempt } = ids;
        let watch = Stopwatch::start();
        let artifact = self.retrieve(recording_id, transcript_id).await?;
        let recording = self.recording(recording_id).await?;
        let about = About {
            recording_id,
            transcript_id,
            bot_id: recording.as_ref().and_then(RecordingArtifact::bot_id).or(bot_id),
            attempt,
            provider: artifact.provider().map(str::to_owned),
            started_at: recording.as_ref().and_then(RecordingArtifact::started_at),
            metadata: recording.map(|recording| recording.metadata).unwrap_or_default(),
        };
        let response = self.download(artifact).await?;
        let left = time.saturating_sub(watch.elapsed());
        let (verbatim, summary) = self.verbatim(&about, response, left).await?;
        if let Some(error) = &summary.error {
            tracing::error!(recording.id = %recording_id, transcript.id = %transcript_id, error,
                "transcript.unreadable");
            telemetry::count("RenderingErrors", &[]);
        }
        self.manifest(about, verbatim, summary).await
    }

    async fn retrieve(&self, recording: RecordingId, id: TranscriptId) -> Result<TranscriptArtifact, CopyError> {
        let artifact = match self.recall.retrieve_transcript(id).await {
            Err(Problem::NotFound) => return Err(CopyError::Missing),
            result => result?,
        };
        // Keys are made of both ids; a transcript may not be filed under another recording.
        if artifact.recording_id().is_some_and(|of| of != recording) || artifact.id != id {
            return Err(CopyError::OtherRecording);
        }
        match artifact.status() {
            "done" => Ok(artifact),
            "failed" => Err(CopyError::Failed { sub_code: artifact.sub_code() }),
            "deleted" => Err(CopyError::Deleted),
            // `processing`, and whatever Recall may add.
            _ => Err(CopyError::NotReady),
        }
    }

    /// When it began and what was noted about it. A recording that is gone does not stop its transcript.
    async fn recording(&self, id: RecordingId) -> Result<Option<RecordingArtifact>, CopyError> {
        match self.recall.retrieve_recording(id).await {
            Ok(recording) => Ok(Some(recording)),
            Err(problem @ (Problem::NotFound | Problem::Unexpected { .. })) => {
                tracing::warn!(recording.id = %id, error = %Chain(&problem), "recording.unknown");
                Ok(None)
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// Opens the download, with a fresh URL when S3 refuses one.
    async fn download(&self, mut artifact: TranscriptArtifact) -> Result<Response, CopyError> {
        let mut refused = StatusCode::FORBIDDEN;
        for _ in 0..MAX_URLS {
            let url = artifact.download_url().ok_or(CopyError::NotReady)?;
            let response = self.open(&url).await?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => refused = status,
                status => return Err(CopyError::Refused(status)),
            }
            artifact = match self.recall.retrieve_transcript(artifact.id).await {
                Err(Problem::NotFound) => return Err(CopyError::Missing),
                result => result?,
            };
        }
        Err(CopyError::Refused(refused))
    }

    /// Recall's key stays here: the URL is its own credential, and S3 refuses two of them.
    async fn open(&self, url: &Secret<String>) -> Result<Response, CopyError> {
        let url = self.guard.parse(url.expose())?;
        self.downloads.get(url).send().await.map_err(|error| {
            // A redirect to elsewhere comes back as an error that has the guard's verdict for a source.
            let error = error.without_url();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
                    return CopyError::Forbidden(forbidden.clone());
                }
                source = cause.source();
            }
            CopyError::Download(error)
        })
    }

    /// Streams the bytes into S3, counting and hashing on the way.
    async fn verbatim(
        &self,
        about: &About,
        response: Response,
        time: Duration,
    ) -> Result<(Verbatim, Summary), CopyError> {
        let key = about.key(&self.key_prefix, VERBATIM);
        let content_type = "application/json";
        let mut upload = self.bucket.upload(key.clone(), content_type);
        let streamed = tokio::time::timeout(time, stream(response, &mut upload)).await;
        match streamed.unwrap_or(Err(CopyError::OutOfTime)) {
            Ok((uploaded, summary)) => Ok((Verbatim { key, content_type, uploaded }, summary)),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn manifest(&self, about: About, verbatim: Verbatim, summary: Summary) -> Result<Receipt, CopyError> {
        let Verbatim { key, content_type, uploaded: Uploaded { bytes, sha256, crc64nvme } } = verbatim;
        let receipt = Receipt {
            stored_at: time::now(),
            manifest_key: about.key(&self.key_prefix, "manifest.json"),
            key: key.clone(),
            bytes,
            sha256: sha256.clone(),
            crc64nvme,
            empty: summary.empty,
            unreadable: summary.error.is_some(),
            provider: about.provider.clone(),
            counts: summary.counts.rounded(),
        };
        let file = File { name: VERBATIM.to_owned(), key, bytes, sha256, content_type };
        let manifest = about.manifest(summary, vec![file], receipt.stored_at);
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_else(|_| unreachable!("text keys and plain values"));
        self.bucket.put(receipt.manifest_key.clone(), "application/json", &text).await?;
        Ok(receipt)
    }
}

/// Every byte goes to S3 and past the tally. The object becomes visible only if the body is known to be whole.
async fn stream(mut response: Response, upload: &mut Upload<'_>) -> Result<(Uploaded, Summary), CopyError> {
    let stated = response.content_length();
    let chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
    let mut tally = Tally::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| CopyError::Download(error.without_url()))? {
        if upload.bytes() + chunk.len() as u64 > MAX_TRANSCRIPT_BYTES {
            return Err(CopyError::TooLarge);
        }
        tally.push(&chunk);
        upload.push(&chunk).await?;
    }
    let summary = tally.finish();
    match stated {
        Some(stated) if stated != upload.bytes() => {
            return Err(CopyError::Length { stated, got: upload.bytes() });
        }
        // A body that simply ends with its connection may have been cut off anywhere: only a complete file shows
        // that it was not.
        None if !chunked && summary.error.is_some() => return Err(CopyError::Unframed),
        Some(_) | None => {}
    }
    Ok((upload.finish().await?, summary))
}

impl CopyError {
    fn answer(self) -> CopyAnswer {
        match self {
            Self::NotReady => CopyAnswer::NotReady { after: NOT_READY },
            Self::Failed { sub_code } => CopyAnswer::Failed { sub_code },
            Self::Deleted => CopyAnswer::Deleted,
            Self::Missing => CopyAnswer::Missing,
            Self::OtherRecording | Self::Forbidden(_) | Self::TooLarge => CopyAnswer::Later { after: OPERATOR },
            Self::Recall(problem) => CopyAnswer::Later { after: problem.after() },
            Self::Refused(_)
            | Self::Download(_)
            | Self::Unframed
            | Self::Length { .. }
            | Self::Upload(_)
            | Self::OutOfTime => CopyAnswer::Later { after: SOON },
        }
    }

    /// The word for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Failed { .. } => "failed_at_recall",
            Self::Deleted => "deleted",
            Self::Missing => "missing",
            Self::OtherRecording => "other_recording",
            Self::Forbidden(_) => "forbidden_host",
            Self::Refused(_) => "url_refused",
            Self::Download(_) | Self::Unframed | Self::Length { .. } => "download",
            Self::TooLarge => "too_large",
            Self::Recall(_) => "recall",
            Self::Upload(_) => "upload",
            Self::OutOfTime => "out_of_time",
        }
    }
}
