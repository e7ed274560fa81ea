//! One transcript from Recall to S3: retrieve · check the URL · stream · render · manifest last.

mod body;
mod earlier;
mod error;
mod limits;

use std::time::Duration;

use job::{
    CopyAnswer, Failures, Receipt, RecordingPresence,
    ids::{BotId, RecordingId, TranscriptId},
};
use pipeline::{
    bucket::Bucket,
    deadline::Deadline,
    keys::{MANIFEST, VERBATIM},
    logs,
    manifest::File,
    metrics,
    recall::{Problem, Recall, RecordingArtifact, TranscriptArtifact, http_client, tls},
    secret::Secret,
    settings::RecallSettings,
    telemetry::Chain,
    time::{self, Stopwatch},
};
use renditions::{Meeting, Summary, TranscriptReader};
use reqwest::{Client, Response, StatusCode, header::ACCEPT_ENCODING};

use self::{body::Body, earlier::Earlier, error::CopyError};
use crate::{
    about::{About, file},
    render::Renditions,
    upload::{Upload, put},
    url_guard::{Forbidden, UrlGuard},
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
/// Copies transcripts.
#[derive(Debug)]
pub(crate) struct Copier {
    recall: Recall,
    downloads: Client,
    guard: UrlGuard,
    bucket: Bucket,
    key_prefix: String,
    renditions: Renditions,
}

/// Which transcript, and what the row knows of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    /// What has kept it from being copied so far.
    pub(crate) failures: Failures,
}

impl Copier {
    pub(crate) fn new(
        recall: Recall,
        settings: &RecallSettings,
        bucket: Bucket,
        key_prefix: String,
        renditions: Renditions,
    ) -> Result<Self, lambda_runtime::Error> {
        let guard = UrlGuard::new(settings);
        let downloads = http_client(tls()?)?.redirect(guard.redirects()).referer(false).read_timeout(READ_TIMEOUT);
        // `Body` decompresses.
        let downloads = downloads.no_gzip().build()?;
        Ok(Self { recall, downloads, guard, bucket, key_prefix, renditions })
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
                tracing::info!(message = logs::TRANSCRIPT_STORED, recording.id = %recording_id, transcript.id = %transcript_id, attempt,
                    bytes = receipt.bytes, duration_ms = watch.millis());
                metrics::TRANSCRIPTS_STORED.count();
                metrics::TRANSCRIPT_BYTES.record(receipt.bytes);
                metrics::COPY_TIME.record(watch.millis());
                CopyAnswer::Stored(receipt)
            }
            Err(error) => {
                tracing::warn!(message = logs::TRANSCRIPT_NOT_STORED, recording.id = %recording_id, transcript.id = %transcript_id, attempt,
                    error = %Chain(&error), duration_ms = watch.millis());
                metrics::COPIES_FAILED.count(error.reason());
                error.answer()
            }
        }
    }

    async fn try_copy(&self, ids: Ids, time: Duration) -> Result<Receipt, CopyError> {
        let Ids { recording_id, transcript_id, bot_id, attempt, failures } = ids;
        let watch = Stopwatch::start();
        let earlier = Earlier::find(&self.bucket, &self.key_prefix, recording_id, transcript_id);
        let (retrieved, earlier) = tokio::join!(self.retrieve(recording_id, transcript_id), earlier);
        let (artifact, earlier) = (retrieved?, earlier?);
        let recording = self.recording(recording_id).await?;
        let about = About {
            recording_id,
            transcript_id,
            bot_id: recording.as_ref().and_then(RecordingArtifact::bot_id).or(bot_id),
            attempt,
            provider: artifact.provider().map(str::to_owned),
            started_at: recording.as_ref().and_then(RecordingArtifact::started_at),
            completed_at: recording.as_ref().and_then(RecordingArtifact::completed_at),
            made_at: artifact.made_at(),
            bot_metadata: recording.as_ref().map(|recording| recording.bot_metadata().clone()).unwrap_or_default(),
            metadata: recording.map(|recording| recording.metadata).unwrap_or_default(),
        };
        let turns_key = about.turns_key(&self.key_prefix, time::now());
        let response = self.download(artifact).await?;
        let left = || time.saturating_sub(watch.elapsed());
        let (file, reader) = self.verbatim(&about, &turns_key, earlier, response, failures, left()).await?;
        let (summary, meeting) = match reader {
            _ if file.bytes == 0 => Summary::unread("Recall's file has 0 bytes".to_owned()),
            Some(reader) => reader.finish(about.meeting_info()),
            None => Summary::unread(format!("{} workers died over it, so it was not read", failures.crashes)),
        };
        if summary.skipped_values > 0 {
            tracing::warn!(message = logs::TRANSCRIPT_VALUES_SKIPPED, recording.id = %recording_id, transcript.id = %transcript_id, values = summary.skipped_values);
            metrics::SKIPPED_VALUES.record(summary.skipped_values);
        }
        let rendered = self.render(meeting, turns_key, failures, left()).await?;
        if let Err(error) = &rendered {
            tracing::error!(message = logs::TRANSCRIPT_NOT_RENDERED, recording.id = %recording_id, transcript.id = %transcript_id, error);
            metrics::RENDERING_ERRORS.count();
        }
        self.manifest(about, file, summary, rendered).await
    }

    /// Every rendition, or why there are none. The verbatim file stands already: nothing here can undo it.
    async fn render(
        &self,
        meeting: Result<Meeting, String>,
        turns_key: String,
        failures: Failures,
        time: Duration,
    ) -> Result<Result<Vec<File>, String>, CopyError> {
        let meeting = match meeting {
            Ok(meeting) => meeting,
            Err(error) => return Ok(Err(error)),
        };
        match self.renditions.write(&meeting, turns_key, time).await {
            Ok(files) => Ok(Ok(files)),
            Err(error) => limits::or_without(failures, error).map(Err),
        }
    }

    async fn retrieve(&self, recording: RecordingId, id: TranscriptId) -> Result<TranscriptArtifact, CopyError> {
        let artifact = match self.recall.retrieve_transcript(id).await {
            Err(Problem::NotFound) => {
                return Err(CopyError::Missing {
                    recording_known: self.recall.presence(recording).await == RecordingPresence::There,
                });
            }
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
                tracing::warn!(message = logs::RECORDING_NOT_RETRIEVED, recording.id = %id, error = %Chain(&problem));
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
                Err(Problem::NotFound) => return Err(CopyError::Missing { recording_known: false }),
                result => result?,
            };
        }
        Err(CopyError::Refused(refused))
    }

    /// Recall's key stays here: the URL is its own credential, and S3 refuses two of them.
    async fn open(&self, url: &Secret<String>) -> Result<Response, CopyError> {
        let url = self.guard.parse(url.expose())?;
        self.downloads.get(url).header(ACCEPT_ENCODING, body::ACCEPTED).send().await.map_err(|error| {
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

    /// Streams the bytes into S3, reading and hashing on the way. Nothing in the bucket changes before all of them are
    /// there.
    async fn verbatim(
        &self,
        about: &About,
        turns_key: &str,
        earlier: Earlier,
        response: Response,
        failures: Failures,
        time: Duration,
    ) -> Result<(File, Option<TranscriptReader>), CopyError> {
        let key = about.key(&self.key_prefix, VERBATIM);
        let content_type = "application/json";
        let mut reader = limits::is_read(failures).then(|| TranscriptReader::new(about.recording_times()));
        let mut upload = Upload::new(&self.bucket, key.clone(), content_type).with_turns(turns_key.to_owned());
        let stored = async {
            stream(Body::of(response), &mut upload, reader.as_mut()).await?;
            if upload.bytes() == 0 && limits::may_fill(failures) {
                return Err(CopyError::Empty);
            }
            let file = file(VERBATIM, key, content_type, upload.so_far());
            earlier.make_room(&self.bucket, about, about.key(&self.key_prefix, MANIFEST), &file).await?;
            upload.finish().await?;
            Ok(file)
        };
        match tokio::time::timeout(time, stored).await.unwrap_or(Err(CopyError::OutOfTime)) {
            Ok(file) => Ok((file, reader)),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    async fn manifest(
        &self,
        about: About,
        file: File,
        summary: Summary,
        rendered: Result<Vec<File>, String>,
    ) -> Result<Receipt, CopyError> {
        let receipt = Receipt {
            stored_at: time::now(),
            manifest_key: about.key(&self.key_prefix, MANIFEST),
            key: file.key.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            crc64nvme: file.crc64nvme.clone().unwrap_or_default(),
            empty: summary.empty,
            unreadable: summary.error.is_some(),
            provider: about.provider.clone(),
            counts: summary.counts.job_counts(),
        };
        let (renditions, rendering_error) = match rendered {
            Ok(files) => (files, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let files = std::iter::once(file).chain(renditions).collect();
        let manifest = about.manifest(summary, files, rendering_error, receipt.stored_at);
        put(&self.bucket, receipt.manifest_key.clone(), "application/json", &manifest.to_json()).await?;
        Ok(receipt)
    }
}

/// Every byte goes to S3 and past the reader; it is an error if they are not known to be all.
async fn stream(
    mut body: Body,
    upload: &mut Upload<'_>,
    mut reader: Option<&mut TranscriptReader>,
) -> Result<(), CopyError> {
    while let Some(bytes) = body.next().await? {
        if upload.bytes() + bytes.len() as u64 > MAX_TRANSCRIPT_BYTES {
            return Err(CopyError::TooLarge);
        }
        if let Some(reader) = &mut reader {
            reader.push(&bytes);
        }
        upload.push(&bytes).await?;
    }
    // Only a complete file shows that a body without a proof was not cut off. One without bytes may be cut off, too,
    // and is tried again for another reason.
    let is_whole = body.is_proven() || upload.bytes() == 0 || reader.is_some_and(|reader| reader.is_complete());
    if is_whole { Ok(()) } else { Err(CopyError::Unframed) }
}
