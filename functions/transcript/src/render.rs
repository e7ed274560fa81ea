//! Writes to S3 what is made from a transcript: the renditions, the line of the meeting, and the knowledge document.
//! Only a part of one file is in memory at a time.

use std::time::Duration;

use job::ids::{RecordingId, TranscriptId};
use pipeline::{
    bucket::{Bucket, S3Error},
    keys::{MEETING_LINE, meetings_key, turns_key},
    logs,
    manifest::File,
    metrics,
    telemetry::Chain,
    time::Stopwatch,
};
use renditions::{
    Format, FormatSpec, Meeting, Outcome, Renderer, Rendition, Summary, Turn, meeting_line, short_meeting_line,
};

use crate::{
    knowledge::KnowledgeWriter,
    transcript_info::{TranscriptInfo, file_entry},
    upload::{Upload, Uploaded, put},
};

/// Text goes to the upload in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;
/// How much of the renditions' time the removal of an object may take.
const MAX_REMOVAL_TIME: Duration = Duration::from_secs(5);
const LINE_TYPE: &str = "application/x-ndjson";

/// Writes the renditions that the setting RENDITIONS names.
#[derive(Clone, Debug)]
pub(crate) struct Renditions {
    bucket: Bucket,
    key_prefix: String,
    formats: Vec<Format>,
    /// Whether the line of a meeting has its content.
    has_meetings: bool,
    pub(crate) knowledge: Option<KnowledgeWriter>,
}

/// Why there are no renditions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenditionError {
    #[error("the time was up before all renditions were written")]
    OutOfTime,
    #[error(transparent)]
    Upload(#[from] S3Error),
    /// All renditions are written.
    #[error("the knowledge document could not be written")]
    Knowledge(#[source] S3Error),
}

impl Renditions {
    pub(crate) fn new(bucket: Bucket, key_prefix: String, renditions: &[Rendition]) -> Self {
        let formats = renditions.iter().filter_map(|rendition| match rendition {
            Rendition::File(format) => Some(*format),
            Rendition::Meetings | Rendition::Knowledge => None,
        });
        let has_knowledge = renditions.contains(&Rendition::Knowledge);
        Self {
            formats: formats.collect(),
            has_meetings: renditions.contains(&Rendition::Meetings),
            knowledge: has_knowledge.then(|| KnowledgeWriter::new(bucket.clone(), key_prefix.clone())),
            bucket,
            key_prefix,
        }
    }

    /// Returns whether [`Renditions::write`] writes or removes the file with this name.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        name == MEETING_LINE || self.formats.iter().any(|format| format.spec().file_name == name)
    }

    /// Writes everything within this time, and adds the files to `files` as they are complete. No manifest may name
    /// older ones any more. A transcript that cannot be rendered has only the line of its meeting. `is_newest`: it is
    /// the newest transcript of its recording.
    pub(crate) async fn write(
        &self,
        info: &TranscriptInfo,
        outcome: &Outcome,
        is_newest: bool,
        files: &mut Vec<File>,
        time: Duration,
    ) -> Result<(), RenditionError> {
        let watch = Stopwatch::start();
        let left = || time.saturating_sub(watch.elapsed());
        files.push(in_time(self.write_meeting_line(info, outcome), left()).await?);
        if let Ok(meeting) = &outcome.meeting {
            for format in &self.formats {
                match self.write_format(info, meeting, *format, left()).await? {
                    Some(file) => files.push(file),
                    None => self.remove(&self.key(info, *format), left()).await,
                }
            }
        }
        match &self.knowledge {
            Some(knowledge) => {
                let updated =
                    async { knowledge.update(info, outcome, is_newest).await.map_err(RenditionError::Knowledge) };
                in_time(updated, left()).await
            }
            None => Ok(()),
        }
    }

    async fn write_meeting_line(&self, info: &TranscriptInfo, outcome: &Outcome) -> Result<File, RenditionError> {
        let line = if self.has_meetings {
            meeting_line(&outcome.info, &outcome.record, &outcome.summary)
        } else {
            short_meeting_line(&outcome.info)
        };
        let key = meetings_key(&self.key_prefix, &info.day, info.transcript_id);
        let uploaded = put(&self.bucket, key.clone(), LINE_TYPE, line.as_bytes(), info.tags()).await?;
        Ok(file_entry(MEETING_LINE, key, LINE_TYPE, uploaded))
    }

    /// Writes one rendition. Returns `None` if it is empty and its format does not allow that (see
    /// [`FormatSpec::may_be_empty`]).
    async fn write_format(
        &self,
        info: &TranscriptInfo,
        meeting: &Meeting,
        format: Format,
        time: Duration,
    ) -> Result<Option<File>, RenditionError> {
        let FormatSpec { file_name, content_type, may_be_empty, renderer, .. } = format.spec();
        let key = self.key(info, format);
        let mut upload = Upload::new(&self.bucket, key.clone(), content_type).with_tags(info.tags());
        let written = upload_pieces(Pieces::new(meeting, renderer()), &mut upload, may_be_empty);
        match in_time(async { Ok(written.await?) }, time).await {
            Ok(uploaded) => Ok(uploaded.map(|uploaded| file_entry(file_name, key, content_type, uploaded))),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    fn key(&self, info: &TranscriptInfo, format: Format) -> String {
        match format {
            Format::Jsonl => turns_key(&self.key_prefix, &info.day, info.transcript_id),
            Format::Txt | Format::Md | Format::Vtt | Format::Srt | Format::Html => {
                info.key(&self.key_prefix, format.spec().file_name)
            }
        }
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

async fn in_time<T>(
    work: impl Future<Output = Result<T, RenditionError>>,
    time: Duration,
) -> Result<T, RenditionError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(RenditionError::OutOfTime))
}

/// A rendition, piece by piece.
pub(crate) struct Pieces<'a> {
    meeting: &'a Meeting,
    renderer: Box<dyn Renderer>,
    turns: Box<dyn Iterator<Item = Turn> + Send + 'a>,
    piece: String,
    has_begun: bool,
    has_ended: bool,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(meeting: &'a Meeting, renderer: Box<dyn Renderer>) -> Self {
        let turns = Box::new(meeting.turns());
        Self { meeting, renderer, turns, piece: String::new(), has_begun: false, has_ended: false }
    }

    /// Returns the next piece, or `None` after the last.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        if self.has_ended {
            return None;
        }
        self.piece.clear();
        if !self.has_begun {
            self.has_begun = true;
            self.renderer.begin(self.meeting, &mut self.piece);
        }
        for turn in self.turns.by_ref() {
            self.renderer.turn(self.meeting, &turn, &mut self.piece);
            if self.piece.len() >= PIECE_BYTES {
                return Some(self.piece.as_bytes());
            }
        }
        self.has_ended = true;
        self.renderer.end(self.meeting, &mut self.piece);
        Some(self.piece.as_bytes())
    }
}

/// Uploads a rendition, and makes it visible unless it is empty and may not be.
pub(crate) async fn upload_pieces(
    mut pieces: Pieces<'_>,
    upload: &mut Upload<'_>,
    may_be_empty: bool,
) -> Result<Option<Uploaded>, S3Error> {
    while let Some(piece) = pieces.next() {
        upload.push(piece).await?;
        // Let the timeout be checked.
        tokio::task::yield_now().await;
    }
    if upload.bytes() == 0 && !may_be_empty {
        return Ok(None);
    }
    upload.finish().await.map(Some)
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
