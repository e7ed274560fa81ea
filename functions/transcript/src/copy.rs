//! Copies one transcript from Recall to S3: it retrieves the transcript, checks the download URL, streams the file,
//! renders it, and writes the manifest last.

mod earlier_copy;
mod error;
mod limits;

use std::time::Duration;

use job::{
    CopyAnswer, Failures, Receipt, RecordingPresence, Version,
    ids::{BotId, RecordingId, TranscriptId},
};
use pipeline::{
    bucket::Bucket,
    deadline::Deadline,
    keys::{MANIFEST, MEETING_LINE, VERBATIM, day},
    logs,
    manifest::File,
    metrics,
    recall::{Problem, Recall, RecordingArtifact, TranscriptArtifact},
    telemetry::Chain,
    time::{self, Stopwatch},
};
use renditions::{Attendance, Outcome, RecordingTimes, SourceState, Summary, TranscriptReader};
use reqwest::{Response, StatusCode};

use self::{earlier_copy::EarlierCopy, error::CopyError};
use crate::{
    act::time_to_act,
    download::{Body, DownloadError, Downloads},
    meeting_data::{Fetched, MeetingFetcher, Missing, Origin},
    render::{RenditionError, Renditions, report_skipped_values},
    tags::Labels,
    transcript_info::{TranscriptInfo, file_entry},
    upload::{Upload, put},
};

/// The largest file that is copied. A meeting of a whole day takes about 40 MB.
const MAX_TRANSCRIPT_BYTES: u64 = 256 << 20;
/// How long a copy waits for what is known about the meeting. What takes longer is fetched later.
const MAX_MEETING_TIME: Duration = Duration::from_secs(10);
/// A longer title is shortened in the row.
const MAX_ROW_TITLE_BYTES: usize = 128;
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
    metadata_keys: Vec<String>,
    fetcher: MeetingFetcher,
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
    /// The newest transcript of the recording that is stored already.
    pub(crate) newest_stored: Option<Version>,
}

impl Copier {
    pub(crate) fn new(
        recall: Recall,
        downloads: Downloads,
        bucket: Bucket,
        key_prefix: String,
        metadata_keys: Vec<String>,
        fetcher: MeetingFetcher,
        renditions: Renditions,
    ) -> Self {
        Self { recall, downloads, bucket, key_prefix, metadata_keys, fetcher, renditions }
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
        let CopyRequest { recording_id, transcript_id, attempt, failures, newest_stored, .. } = request;
        let watch = Stopwatch::start();
        let remaining = || time.saturating_sub(watch.elapsed());
        let earlier_copy = EarlierCopy::find(&self.bucket, &self.key_prefix, recording_id, transcript_id);
        let (retrieved, earlier_copy) = tokio::join!(self.retrieve(recording_id, transcript_id), earlier_copy);
        let (artifact, earlier_copy) = (retrieved?, earlier_copy?);
        let recording = self.recording(recording_id).await?;
        let known = earlier_copy.known_of_bot();
        let created_at = artifact.created_at();
        let info = self.info(&request, &artifact, recording.as_ref().ok());
        let (artifact, response) = self.download(artifact).await?;
        let (file, reader) = self.store_verbatim(&info, earlier_copy, response, failures, remaining()).await?;
        let origin = Origin {
            info: &info,
            recording: recording.as_ref().map_err(|state| *state),
            transcript: Ok(&artifact),
            is_last_try: false,
        };
        // An earlier copy has asked about the bot, and that is done once.
        let missing = Missing { bot: !known.has_bot(), ..self.fetcher.everything() };
        let fetched = self.fetcher.fetch(&origin, missing, known, MAX_MEETING_TIME.min(remaining() / 2)).await;
        let Fetched { participants, presences, facts, files, is_incomplete } = fetched;
        let (meeting_info, attendance) = (info.meeting_info(facts), Attendance::new(participants, presences, None));
        let outcome = match reader {
            _ if file.bytes == 0 => Summary::unread(NO_BYTES.to_owned(), meeting_info, attendance),
            Some(reader) => reader.finish(meeting_info, attendance),
            None => {
                let why = format!("{} workers died while they read the file", failures.crashes);
                Summary::unread(why, meeting_info, attendance)
            }
        };
        report_skipped_values(recording_id, transcript_id, &outcome.summary);
        let version = Version { created_at, attempt, transcript_id };
        let is_newest = newest_stored.is_none_or(|stored| stored <= version);
        let (renditions, rendering_error) = self.render(&info, &outcome, is_newest, failures, remaining()).await?;
        if let Some(why) = &rendering_error {
            tracing::error!(
                message = logs::TRANSCRIPT_NOT_RENDERED,
                recording.id = %recording_id,
                transcript.id = %transcript_id,
                error = why
            );
            metrics::RENDERING_ERRORS.count();
        }
        let receipt = Receipt {
            stored_at: time::now(),
            manifest_key: info.key(&self.key_prefix, MANIFEST),
            key: file.key.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            crc64nvme: file.crc64nvme.clone().unwrap_or_default(),
            empty: outcome.summary.empty,
            unreadable: outcome.summary.error.is_some(),
            provider: info.provider.clone(),
            counts: outcome.summary.counts.job_counts(),
            created_at,
            title: outcome.record.title.as_deref().map(title_for_row),
            awaits_meeting_data: is_incomplete,
        };
        let all_files = std::iter::once(file).chain(files).chain(renditions).collect();
        let tags = info.tags();
        let Outcome { summary, record, .. } = outcome;
        let manifest = info.manifest(summary, record, all_files, rendering_error, receipt.stored_at);
        // The manifest makes the transcript visible to readers.
        put(&self.bucket, receipt.manifest_key.clone(), "application/json", &manifest.to_json(), tags).await?;
        Ok(receipt)
    }

    fn info(
        &self,
        request: &CopyRequest,
        artifact: &TranscriptArtifact,
        recording: Option<&RecordingArtifact>,
    ) -> TranscriptInfo {
        let times = RecordingTimes {
            started_at: recording.and_then(RecordingArtifact::started_at),
            completed_at: recording.and_then(RecordingArtifact::completed_at),
        };
        let metadata = recording.map(|recording| recording.metadata.clone()).unwrap_or_default();
        let bot_metadata = recording.map(|recording| recording.bot_metadata().clone()).unwrap_or_default();
        TranscriptInfo {
            recording_id: request.recording_id,
            transcript_id: request.transcript_id,
            bot_id: recording.and_then(RecordingArtifact::bot_id).or(request.bot_id),
            attempt: request.attempt,
            provider: artifact.provider().map(str::to_owned),
            created_at: artifact.created_at(),
            times,
            day: day(times.started_at.or(artifact.created_at()).unwrap_or_else(time::now)),
            labels: Labels::new(&self.metadata_keys, &metadata, &bot_metadata),
            metadata,
            bot_metadata,
        }
    }

    /// Writes the renditions. The verbatim file is already stored, and nothing here changes it. Returns the files, and
    /// why there are not all of them.
    async fn render(
        &self,
        info: &TranscriptInfo,
        outcome: &Outcome,
        is_newest: bool,
        failures: Failures,
        time: Duration,
    ) -> Result<(Vec<File>, Option<String>), CopyError> {
        let mut files = Vec::new();
        if let Err(error) = self.renditions.write(info, outcome, is_newest, &mut files, time).await {
            let is_rendered = matches!(error, RenditionError::Knowledge(_));
            let why = limits::retry_or_store_without(failures, error)?;
            if !is_rendered {
                files.retain(|file| file.name == MEETING_LINE);
                return Ok((files, Some(why)));
            }
            // Only the knowledge document is missing, which no manifest names.
            tracing::error!(
                message = logs::KNOWLEDGE_NOT_WRITTEN,
                recording.id = %info.recording_id,
                transcript.id = %info.transcript_id,
                error = why
            );
            metrics::KNOWLEDGE_NOT_WRITTEN.count();
        }
        Ok((files, outcome.meeting.as_ref().err().cloned()))
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

    /// Retrieves the recording, for what is known about the meeting. A missing recording does not stop the copy.
    async fn recording(&self, id: RecordingId) -> Result<Result<RecordingArtifact, SourceState>, CopyError> {
        let problem = match self.recall.retrieve_recording(id).await {
            Ok(recording) => return Ok(Ok(recording)),
            Err(problem) => problem,
        };
        let state = match problem {
            Problem::NotFound => SourceState::Absent,
            Problem::Unexpected { .. } => SourceState::Failed,
            problem @ (Problem::Later { .. } | Problem::Operator { .. } | Problem::Secret(_)) => {
                return Err(problem.into());
            }
        };
        tracing::warn!(message = logs::RECORDING_NOT_RETRIEVED, recording.id = %id, error = %Chain(&problem));
        Ok(Err(state))
    }

    /// Opens the download. If S3 refuses the URL, it asks Recall for a new one. Also returns what Recall said last.
    async fn download(&self, mut artifact: TranscriptArtifact) -> Result<(TranscriptArtifact, Response), CopyError> {
        let mut refused = StatusCode::FORBIDDEN;
        for _ in 0..MAX_URLS {
            let url = artifact.download_url().ok_or(CopyError::NotReady)?;
            match self.downloads.open(&url).await {
                Err(DownloadError::Refused(status @ (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND))) => {
                    refused = status;
                }
                opened => return Ok((artifact, opened?)),
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
        earlier_copy: EarlierCopy,
        response: Response,
        failures: Failures,
        time: Duration,
    ) -> Result<(File, Option<TranscriptReader>), CopyError> {
        let key = info.key(&self.key_prefix, VERBATIM);
        let content_type = "application/json";
        let mut reader = limits::should_read(failures).then(|| TranscriptReader::new(info.times));
        let upload = Upload::new(&self.bucket, key.clone(), content_type);
        let mut upload = upload.with_day(info.day.clone()).with_tags(info.tags());
        let stored = async {
            stream(Body::of(response), &mut upload, reader.as_mut()).await?;
            if upload.bytes() == 0 && limits::should_retry_empty(failures) {
                return Err(CopyError::Empty);
            }
            let file = file_entry(VERBATIM, key, content_type, upload.uploaded());
            earlier_copy.withdraw(&self.bucket, info, &self.key_prefix, &file).await?;
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
}

/// Returns the title as the row keeps it: a row with a long title would cost more.
fn title_for_row(title: &str) -> String {
    title[..title.floor_char_boundary(MAX_ROW_TITLE_BYTES.min(title.len()))].to_owned()
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
