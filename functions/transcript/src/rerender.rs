//! Renders again from the stored verbatim file, without Recall, so that old transcripts gain new formats.

use std::time::Duration;

use job::{Receipt, RenderAnswer, ids::TranscriptId, time::Timestamp};
use pipeline::{
    bucket::{Bucket, ReadError, S3Error, body_interrupted, turns_key_of},
    deadline::Deadline,
    keys::{VERBATIM, is_turns_key, turns_key},
    logs,
    manifest::Manifest,
    metrics,
    telemetry::Chain,
    time::{self, Stopwatch},
};
use renditions::{Meeting, MeetingInfo, RecordingTimes, Summary, TranscriptReader};
use ring::digest::{Context, SHA256};

use crate::{
    act::time_for_it,
    render::{RenditionError, Renditions},
    upload::{hex, put},
};

/// Renders what is stored. One worker at a time may render a transcript: each aborts unfinished uploads of the objects
/// that it writes, and rewrites the manifest that it has read.
#[derive(Debug)]
pub(crate) struct Rerenderer {
    bucket: Bucket,
    key_prefix: String,
    renditions: Renditions,
}

/// Why one transcript was not rendered.
#[derive(Debug, thiserror::Error)]
enum RerenderError {
    #[error("{0}")]
    NotAsStored(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Upload(#[from] S3Error),
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl Rerenderer {
    pub(crate) fn new(bucket: Bucket, key_prefix: String, renditions: Renditions) -> Self {
        Self { bucket, key_prefix, renditions }
    }

    /// Renders these, one after the other. One that cannot be rendered does not hold up the others.
    pub(crate) async fn render(&self, transcripts: &[(TranscriptId, Receipt)], deadline: Deadline) -> RenderAnswer {
        let mut answer = RenderAnswer::Rendered;
        for (id, receipt) in transcripts {
            let time = time_for_it(deadline);
            let one = tokio::time::timeout(time, self.one(*id, receipt, time)).await;
            if let Err(error) = one.unwrap_or(Err(RerenderError::OutOfTime)) {
                tracing::error!(message = logs::TRANSCRIPT_NOT_RERENDERED, transcript.id = %id, error = %Chain(&error));
                answer = both(answer, error.answer());
            }
        }
        answer
    }

    async fn one(&self, id: TranscriptId, receipt: &Receipt, time: Duration) -> Result<(), RerenderError> {
        let watch = Stopwatch::start();
        let gone = || RerenderError::NotAsStored(format!("{} is gone", receipt.manifest_key));
        let mut manifest = self.bucket.manifest(&receipt.manifest_key).await?.ok_or_else(gone)?;
        if manifest.transcript_id != id {
            return Err(RerenderError::NotAsStored(format!("{} is of another transcript", receipt.manifest_key)));
        }
        let recording = manifest.recording.times();
        let info = MeetingInfo::new(manifest.recording_id, id, recording.started_at, &manifest.recording.metadata);
        let Read { summary, meeting, filed } = self.read(receipt, recording, info).await?;
        let turns_key = self.turns_key(&manifest, id, filed);
        // From here on the objects change that the manifest names.
        let replaced = self.renditions.names();
        if manifest.withdraw(|file| replaced.contains(&&*file.name)) {
            self.put(receipt, &manifest).await?;
        }
        let rendered = self.renditions.write(&meeting, turns_key, time.saturating_sub(watch.elapsed())).await;
        let files = rendered.map_err(|error| match error {
            RenditionError::OutOfTime => RerenderError::OutOfTime,
            RenditionError::Upload(error) => error.into(),
        })?;
        // An older manifest has no checksum of S3's for it.
        if let Some(verbatim) = manifest.files.iter_mut().find(|file| file.name == VERBATIM) {
            verbatim.crc64nvme.get_or_insert_with(|| receipt.crc64nvme.clone());
        }
        manifest.complete(files, time::now());
        // A copy that was made unread knew nothing of these.
        manifest.counts = summary.counts;
        manifest.skipped_values = summary.skipped_values;
        manifest.empty = summary.empty;
        manifest.language_codes = summary.language_codes.into_iter().collect();
        self.put(receipt, &manifest).await?;
        tracing::info!(message = logs::TRANSCRIPT_RERENDERED, recording.id = %manifest.recording_id, transcript.id = %id, duration_ms = watch.millis());
        metrics::TRANSCRIPTS_RENDERED_AGAIN.count();
        Ok(())
    }

    /// Where the turns are filed already: under another day, SQL would find every turn twice.
    fn turns_key(&self, manifest: &Manifest, id: TranscriptId, filed: Option<String>) -> String {
        let filed = manifest.turns_key().cloned().or(filed).filter(|key| is_turns_key(&self.key_prefix, key, id));
        filed.unwrap_or_else(|| {
            let day = [manifest.recording.started_at.as_deref(), Some(&*manifest.stored_at)];
            let day = day.into_iter().flatten().find_map(Timestamp::parse_rfc3339);
            turns_key(&self.key_prefix, day.unwrap_or_else(time::now), id)
        })
    }

    /// Reads the verbatim file, which must be what the row says.
    async fn read(
        &self,
        receipt: &Receipt,
        recording: RecordingTimes,
        info: MeetingInfo,
    ) -> Result<Read, RerenderError> {
        let gone = || RerenderError::NotAsStored(format!("{} is gone", receipt.key));
        let mut object = self.bucket.get(&receipt.key).await?.ok_or_else(gone)?;
        let filed = turns_key_of(object.metadata());
        let (mut reader, mut sha256, mut bytes) = (TranscriptReader::new(recording), Context::new(&SHA256), 0);
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(body_interrupted)?;
            bytes += chunk.len() as u64;
            sha256.update(&chunk);
            reader.push(&chunk);
        }
        if bytes != receipt.bytes || hex(sha256.finish().as_ref()) != receipt.sha256 {
            return Err(RerenderError::NotAsStored(format!("{} is not what was stored", receipt.key)));
        }
        let (summary, meeting) = reader.finish(info);
        Ok(Read { summary, meeting: meeting.map_err(RerenderError::NotAsStored)?, filed })
    }

    async fn put(&self, receipt: &Receipt, manifest: &Manifest) -> Result<(), S3Error> {
        put(&self.bucket, receipt.manifest_key.clone(), "application/json", &manifest.to_json()).await.map(drop)
    }
}

/// A verbatim file that was read.
struct Read {
    summary: Summary,
    meeting: Meeting,
    /// Where its turns are filed, as S3 has noted with it.
    filed: Option<String>,
}

/// Of both: what helps comes first, so that nothing is given up that another try may bring.
fn both(one: RenderAnswer, other: RenderAnswer) -> RenderAnswer {
    match (one, other) {
        (later @ RenderAnswer::Later { .. }, _) | (_, later @ RenderAnswer::Later { .. }) => later,
        (RenderAnswer::NotAsStored, _) | (_, RenderAnswer::NotAsStored) => RenderAnswer::NotAsStored,
        (RenderAnswer::Rendered, RenderAnswer::Rendered) => RenderAnswer::Rendered,
    }
}

impl RerenderError {
    fn answer(&self) -> RenderAnswer {
        match self {
            Self::NotAsStored(_) | Self::Read(ReadError::NotOurs(_)) => RenderAnswer::NotAsStored,
            Self::Read(ReadError::S3(_)) | Self::Upload(_) | Self::OutOfTime => {
                RenderAnswer::Later { after: Duration::ZERO }
            }
        }
    }
}
