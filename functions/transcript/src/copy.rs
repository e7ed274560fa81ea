//! Copies one transcript from Recall to S3: it retrieves the transcript, checks the download URL, streams the file,
//! renders it, and writes the manifest last.

mod earlier_copy;
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
    recall::{Problem, Recall, RecordingArtifact, TranscriptArtifact},
    telemetry::Chain,
    time::{self, Stopwatch},
};
use renditions::{Meeting, Summary, TranscriptReader};
use reqwest::{Response, StatusCode};

use self::{earlier_copy::EarlierCopy, error::CopyError};
use crate::{
    act::time_to_act,
    download::{Body, DownloadError, Downloads},
    render::{Renditions, report_skipped_values},
    transcript_info::{TranscriptInfo, file_entry},
    upload::{Upload, put},
};

/// The largest file that is copied. A meeting of a whole day takes about 40 MB.
const MAX_TRANSCRIPT_BYTES: u64 = 256 << 20;
/// How many URLs one copy tries. A URL that S3 refuses has expired or is not valid yet, so Recall is asked for a new
/// one.
const MAX_URLS: u32 = 3;
/// How much of its time a copy leaves, so that an incomplete upload can be aborted.
const ABORT_RESERVE: Duration = Duration::from_secs(1);
/// The `rendering_error` of a file without bytes.
pub(crate) const NO_BYTES: &str = "Recall's file has 0 bytes";

/// Copies transcripts.
#[derive(Debug)]
pub(crate) struct Copier {
    recall: Recall,
    downloads: Downloads,
    bucket: Bucket,
    key_prefix: String,
    renditions: Renditions,
}

/// Which transcript to copy, and what the row knows of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyRequest {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    /// How its copies have failed so far.
    pub(crate) failures: Failures,
}

/// The result of rendering.
enum Rendered {
    Files(Vec<File>),
    /// The transcript is stored without renditions.
    Without {
        why: String,
    },
}

impl Copier {
    pub(crate) fn new(
        recall: Recall,
        downloads: Downloads,
        bucket: Bucket,
        key_prefix: String,
        renditions: Renditions,
    ) -> Self {
        Self { recall, downloads, bucket, key_prefix, renditions }
    }

    /// Copies one transcript. It never returns an error: a failure is also an answer to the core.
    pub(crate) async fn copy(&self, request: CopyRequest, deadline: Deadline) -> CopyAnswer {
        let CopyRequest { recording_id, transcript_id, attempt, .. } = request;
        let watch = Stopwatch::start();
        // This limit leaves time to record the answer, whatever takes too long.
        let time = time_to_act(deadline);
        let copied = tokio::time::timeout(time, self.try_copy(request, time.saturating_sub(ABORT_RESERVE))).await;
        match copied.unwrap_or(Err(CopyError::OutOfTime)) {
            Ok(receipt) => {
                tracing::info!(
                    message = logs::TRANSCRIPT_STORED,
                    recording.id = %recording_id,
                    transcript.id = %transcript_id,
                    attempt,
                    bytes = receipt.bytes,
                    duration_ms = watch.millis()
                );
                metrics::TRANSCRIPTS_STORED.count();
                metrics::TRANSCRIPT_BYTES.record(receipt.bytes);
                metrics::COPY_TIME.record(watch.millis());
                CopyAnswer::Stored(receipt)
            }
            Err(error) => {
                tracing::warn!(
                    message = logs::TRANSCRIPT_NOT_STORED,
                    recording.id = %recording_id,
                    transcript.id = %transcript_id,
                    attempt,
                    error = %Chain(&error),
                    duration_ms = watch.millis()
                );
                metrics::COPIES_FAILED.count(error.reason());
                error.answer()
            }
        }
    }

    async fn try_copy(&self, request: CopyRequest, time: Duration) -> Result<Receipt, CopyError> {
        let CopyRequest { recording_id, transcript_id, bot_id, attempt, failures } = request;
        let watch = Stopwatch::start();
        let earlier_copy = EarlierCopy::find(&self.bucket, &self.key_prefix, recording_id, transcript_id);
        let (retrieved, earlier_copy) = tokio::join!(self.retrieve(recording_id, transcript_id), earlier_copy);
        let (artifact, earlier_copy) = (retrieved?, earlier_copy?);
        let recording = self.recording(recording_id).await?;
        let info = TranscriptInfo {
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
        let turns_key = info.turns_key(&self.key_prefix, time::now());
        let response = self.download(artifact).await?;
        let remaining = || time.saturating_sub(watch.elapsed());
        let (file, reader) =
            self.store_verbatim(&info, &turns_key, earlier_copy, response, failures, remaining()).await?;
        let (summary, meeting) = match reader {
            _ if file.bytes == 0 => Summary::unread(NO_BYTES.to_owned()),
            Some(reader) => reader.finish(info.meeting_info()),
            None => Summary::unread(format!("{} workers died while they read the file", failures.crashes)),
        };
        report_skipped_values(recording_id, transcript_id, &summary);
        let rendered = self.render(meeting, turns_key, failures, remaining()).await?;
        if let Rendered::Without { why } = &rendered {
            tracing::error!(
                message = logs::TRANSCRIPT_NOT_RENDERED,
                recording.id = %recording_id,
                transcript.id = %transcript_id,
                error = why
            );
            metrics::RENDERING_ERRORS.count();
        }
        self.write_manifest(info, file, summary, rendered).await
    }

    /// Writes the renditions. The verbatim file is already stored, and nothing here changes it.
    async fn render(
        &self,
        meeting: Result<Meeting, String>,
        turns_key: String,
        failures: Failures,
        time: Duration,
    ) -> Result<Rendered, CopyError> {
        let meeting = match meeting {
            Ok(meeting) => meeting,
            Err(why) => return Ok(Rendered::Without { why }),
        };
        match self.renditions.write(&meeting, turns_key, time).await {
            Ok(files) => Ok(Rendered::Files(files)),
            Err(error) => limits::retry_or_store_without(failures, error),
        }
    }

    /// Retrieves the transcript from Recall, and checks that it is the requested one and is done.
    async fn retrieve(&self, recording: RecordingId, id: TranscriptId) -> Result<TranscriptArtifact, CopyError> {
        let artifact = match self.recall.retrieve_transcript(id).await {
            Err(Problem::NotFound) => {
                return Err(CopyError::Missing {
                    recording_known: self.recall.presence(recording).await == RecordingPresence::There,
                });
            }
            result => result?,
        };
        // The keys contain both ids, and a transcript must not be filed under another recording.
        if artifact.recording_id().is_some_and(|of| of != recording) || artifact.id != id {
            return Err(CopyError::OtherRecording);
        }
        match artifact.status() {
            "done" => Ok(artifact),
            "failed" => Err(CopyError::Failed { sub_code: artifact.sub_code() }),
            "deleted" => Err(CopyError::Deleted),
            // `processing`, and statuses that Recall may add.
            _ => Err(CopyError::NotReady),
        }
    }

    /// Retrieves the recording, for its times and its metadata. A missing recording does not stop the copy.
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

    /// Opens the download. If S3 refuses the URL, it asks Recall for a new one.
    async fn download(&self, mut artifact: TranscriptArtifact) -> Result<Response, CopyError> {
        let mut refused = StatusCode::FORBIDDEN;
        for _ in 0..MAX_URLS {
            let url = artifact.download_url().ok_or(CopyError::NotReady)?;
            match self.downloads.open(&url).await {
                Err(DownloadError::Refused(status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND))) => {
                    refused = status;
                }
                opened => return Ok(opened?),
            }
            artifact = match self.recall.retrieve_transcript(artifact.id).await {
                Err(Problem::NotFound) => return Err(CopyError::Missing { recording_known: false }),
                result => result?,
            };
        }
        Err(DownloadError::Refused(refused).into())
    }

    /// Streams the bytes to S3, and reads and hashes them at the same time. No object in the bucket changes before all
    /// bytes have arrived.
    async fn store_verbatim(
        &self,
        info: &TranscriptInfo,
        turns_key: &str,
        earlier_copy: EarlierCopy,
        response: Response,
        failures: Failures,
        time: Duration,
    ) -> Result<(File, Option<TranscriptReader>), CopyError> {
        let key = info.key(&self.key_prefix, VERBATIM);
        let content_type = "application/json";
        let mut reader = limits::should_read(failures).then(|| TranscriptReader::new(info.recording_times()));
        let mut upload = Upload::new(&self.bucket, key.clone(), content_type).with_turns_key(turns_key.to_owned());
        let stored = async {
            stream(Body::of(response), &mut upload, reader.as_mut()).await?;
            if upload.bytes() == 0 && limits::should_retry_empty(failures) {
                return Err(CopyError::Empty);
            }
            let file = file_entry(VERBATIM, key, content_type, upload.uploaded());
            earlier_copy.withdraw(&self.bucket, info, info.key(&self.key_prefix, MANIFEST), &file).await?;
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

    /// Writes the manifest, which makes the transcript visible to readers.
    async fn write_manifest(
        &self,
        info: TranscriptInfo,
        file: File,
        summary: Summary,
        rendered: Rendered,
    ) -> Result<Receipt, CopyError> {
        let receipt = Receipt {
            stored_at: time::now(),
            manifest_key: info.key(&self.key_prefix, MANIFEST),
            key: file.key.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            crc64nvme: file.crc64nvme.clone().unwrap_or_default(),
            empty: summary.empty,
            unreadable: summary.error.is_some(),
            provider: info.provider.clone(),
            counts: summary.counts.job_counts(),
        };
        let (renditions, rendering_error) = match rendered {
            Rendered::Files(files) => (files, None),
            Rendered::Without { why } => (Vec::new(), Some(why)),
        };
        let files = std::iter::once(file).chain(renditions).collect();
        let manifest = info.manifest(summary, files, rendering_error, receipt.stored_at);
        put(&self.bucket, receipt.manifest_key.clone(), "application/json", &manifest.to_json()).await?;
        Ok(receipt)
    }
}

/// Sends every byte to S3 and to the reader. It is an error if the body may have been cut off.
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
    // Without a proof, only a complete file shows that the body was not cut off. A body without bytes may have been cut
    // off as well; it is tried again as an empty file.
    let is_whole = body.is_proven() || upload.bytes() == 0 || reader.is_some_and(|reader| reader.is_complete());
    if is_whole { Ok(()) } else { Err(CopyError::Unframed) }
}
