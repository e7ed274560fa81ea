//! Renders stored transcripts again from their verbatim files, without Recall, so that old transcripts gain new
//! formats.

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
    act::time_to_act,
    copy::NO_BYTES,
    render::{RenditionError, Renditions, report_skipped_values},
    upload::{hex, put},
};

/// Renders stored transcripts again. Only one worker at a time may render a transcript: each worker aborts unfinished
/// uploads of the objects that it writes, and rewrites the manifest that it has read.
#[derive(Debug)]
pub(crate) struct Rerenderer {
    bucket: Bucket,
    key_prefix: String,
    renditions: Renditions,
}

/// Why one transcript was not rendered again.
#[derive(Debug, thiserror::Error)]
enum RerenderError {
    #[error("{key} is gone; restore it from an older version")]
    Gone { key: String },
    #[error("{key} is the manifest of another transcript; restore an older version")]
    OtherTranscript { key: String },
    #[error("{key} does not have the stored size and checksum; restore an older version")]
    Changed { key: String },
    #[error("{key} cannot be rendered: {why}")]
    Unreadable { key: String, why: String },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Upload(#[from] S3Error),
    #[error("rendering took longer than the invocation has; it is tried again")]
    OutOfTime,
}

impl Rerenderer {
    pub(crate) fn new(bucket: Bucket, key_prefix: String, renditions: Renditions) -> Self {
        Self { bucket, key_prefix, renditions }
    }

    /// Renders the transcripts, one after the other. A transcript that cannot be rendered does not stop the others.
    pub(crate) async fn render(&self, transcripts: &[(TranscriptId, Receipt)], deadline: Deadline) -> RenderAnswer {
        let mut answer = RenderAnswer::Rendered;
        for (id, receipt) in transcripts {
            let time = time_to_act(deadline);
            let rendered = tokio::time::timeout(time, self.rerender(*id, receipt, time)).await;
            if let Err(error) = rendered.unwrap_or(Err(RerenderError::OutOfTime)) {
                tracing::error!(message = logs::TRANSCRIPT_NOT_RERENDERED, transcript.id = %id, error = %Chain(&error));
                answer = combined(answer, error.answer());
            }
        }
        answer
    }

    async fn rerender(&self, id: TranscriptId, receipt: &Receipt, time: Duration) -> Result<(), RerenderError> {
        let watch = Stopwatch::start();
        let gone = || RerenderError::Gone { key: receipt.manifest_key.clone() };
        let mut manifest = self.bucket.manifest(&receipt.manifest_key).await?.ok_or_else(gone)?;
        if manifest.transcript_id != id {
            return Err(RerenderError::OtherTranscript { key: receipt.manifest_key.clone() });
        }
        let recording = manifest.recording.times();
        let info = MeetingInfo::new(manifest.recording_id, id, recording.started_at, &manifest.recording.metadata);
        let VerbatimFile { summary, meeting, turns_key } = self.read(receipt, recording, info).await?;
        report_skipped_values(manifest.recording_id, id, &summary);
        let meeting = match meeting {
            Ok(meeting) => meeting,
            Err(why) => {
                // No object changes, so the manifest need not be withdrawn first.
                if summary.counts.words == 0 {
                    record_no_words(&mut manifest, summary, why.clone(), time::now());
                    self.put(receipt, &manifest).await?;
                }
                return Err(RerenderError::Unreadable { key: receipt.key.clone(), why });
            }
        };
        let turns_key = self.turns_key(&manifest, id, turns_key);
        // The objects that the manifest names change below, so the manifest must not name them any more.
        let replaced = self.renditions.names();
        if manifest.withdraw(|file| replaced.contains(&&*file.name)) {
            self.put(receipt, &manifest).await?;
        }
        let rendered = self.renditions.write(&meeting, turns_key, time.saturating_sub(watch.elapsed())).await;
        let files = rendered.map_err(|error| match error {
            RenditionError::OutOfTime => RerenderError::OutOfTime,
            RenditionError::Upload(error) => error.into(),
        })?;
        // A manifest of an older version does not have S3's checksum of the verbatim file.
        if let Some(verbatim) = manifest.files.iter_mut().find(|file| file.name == VERBATIM) {
            verbatim.crc64nvme.get_or_insert_with(|| receipt.crc64nvme.clone());
        }
        manifest.complete(files, time::now());
        set_summary(&mut manifest, summary);
        self.put(receipt, &manifest).await?;
        tracing::info!(
            message = logs::TRANSCRIPT_RERENDERED,
            recording.id = %manifest.recording_id,
            transcript.id = %id,
            duration_ms = watch.millis()
        );
        metrics::TRANSCRIPTS_RENDERED_AGAIN.count();
        Ok(())
    }

    /// Returns the key under which the turns are already filed. Under another day, SQL would find every turn twice.
    fn turns_key(&self, manifest: &Manifest, id: TranscriptId, of_verbatim: Option<String>) -> String {
        let filed = manifest.turns_key().cloned().or(of_verbatim);
        filed.filter(|key| is_turns_key(&self.key_prefix, key, id)).unwrap_or_else(|| {
            let times = [manifest.recording.started_at.as_deref(), Some(&*manifest.stored_at)];
            let day = times.into_iter().flatten().find_map(Timestamp::parse_rfc3339);
            turns_key(&self.key_prefix, day.unwrap_or_else(time::now), id)
        })
    }

    /// Reads the verbatim file, and checks that it has the size and the checksum in the row.
    async fn read(
        &self,
        receipt: &Receipt,
        recording: RecordingTimes,
        info: MeetingInfo,
    ) -> Result<VerbatimFile, RerenderError> {
        let gone = || RerenderError::Gone { key: receipt.key.clone() };
        let mut object = self.bucket.get(&receipt.key).await?.ok_or_else(gone)?;
        let turns_key = turns_key_of(object.metadata());
        let (mut reader, mut sha256, mut bytes) = (TranscriptReader::new(recording), Context::new(&SHA256), 0);
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(body_interrupted)?;
            bytes += chunk.len() as u64;
            sha256.update(&chunk);
            reader.push(&chunk);
        }
        if bytes != receipt.bytes || hex(sha256.finish().as_ref()) != receipt.sha256 {
            return Err(RerenderError::Changed { key: receipt.key.clone() });
        }
        let (summary, meeting) = if bytes == 0 { Summary::unread(NO_BYTES.to_owned()) } else { reader.finish(info) };
        Ok(VerbatimFile { summary, meeting, turns_key })
    }

    async fn put(&self, receipt: &Receipt, manifest: &Manifest) -> Result<(), S3Error> {
        put(&self.bucket, receipt.manifest_key.clone(), "application/json", &manifest.to_json()).await.map(drop)
    }
}

/// A verbatim file that was read.
struct VerbatimFile {
    summary: Summary,
    /// The meeting, or why the file cannot be rendered.
    meeting: Result<Meeting, String>,
    /// The key of its turns, from the metadata of the object.
    turns_key: Option<String>,
}

/// Replaces what an earlier copy read from the file. A copy that did not read the file knew nothing of it.
fn set_summary(manifest: &mut Manifest, summary: Summary) {
    manifest.counts = summary.counts;
    manifest.skipped_values = summary.skipped_values;
    manifest.empty = summary.empty;
    manifest.language_codes = summary.language_codes.into_iter().collect();
}

/// Records that no words can be read from the file. A manifest of an older version may say that the recording is
/// silent. The manifest names the same objects as before.
fn record_no_words(manifest: &mut Manifest, summary: Summary, why: String, now: Timestamp) {
    set_summary(manifest, summary);
    manifest.rendering_error = Some(why);
    manifest.rendered_now(now);
}

/// Combines two answers. `Later` comes first, so that a transcript that another try may render is not given up.
fn combined(one: RenderAnswer, other: RenderAnswer) -> RenderAnswer {
    match (one, other) {
        (later @ RenderAnswer::Later { .. }, _) | (_, later @ RenderAnswer::Later { .. }) => later,
        (RenderAnswer::NotAsStored, _) | (_, RenderAnswer::NotAsStored) => RenderAnswer::NotAsStored,
        (RenderAnswer::Rendered, RenderAnswer::Rendered) => RenderAnswer::Rendered,
    }
}

impl RerenderError {
    /// The answer to the core. It does not try again what cannot succeed.
    fn answer(&self) -> RenderAnswer {
        match self {
            Self::Gone { .. }
            | Self::OtherTranscript { .. }
            | Self::Changed { .. }
            | Self::Unreadable { .. }
            | Self::Read(ReadError::NotOurs(_)) => RenderAnswer::NotAsStored,
            Self::Read(ReadError::S3(_)) | Self::Upload(_) | Self::OutOfTime => {
                RenderAnswer::Later { after: Duration::ZERO }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use job::ids::RecordingId;
    use serde_json::{Value, json};

    use super::*;

    /// The manifest of an older version that took the recording for silent.
    fn manifest_of_silence() -> Manifest {
        let manifest = json!({
            "schema": 1, "recording_id": RecordingId::from_u128(1), "transcript_id": TranscriptId::from_u128(2),
            "bot_id": null, "attempt": 1, "provider": null, "language_codes": [],
            "recording": {"started_at": null, "metadata": {}},
            "counts": {"turns": 0, "words": 0, "speakers": 0, "duration_s": 0.0},
            "empty": true, "rendering_error": null, "stored_at": "2026-01-01T00:00:00Z",
            "files": [{"name": "turns.jsonl", "key": "k", "bytes": 0, "sha256": "", "content_type": "text/plain"}],
        });
        Manifest::parse(manifest.to_string().as_bytes()).expect("a manifest of ours")
    }

    #[test]
    fn manifest_says_why_no_words_were_found_and_names_the_same_files() {
        let mut manifest = manifest_of_silence();
        let mut reader = TranscriptReader::new(manifest.recording.times());
        reader.push(br#"[{"participant": {"id": 1}, "tokens": ["Hi"]}, {"participant": {"id": 2}, "tokens": []}]"#);
        let info = MeetingInfo::new(manifest.recording_id, manifest.transcript_id, None, &Value::Null);
        let (summary, meeting) = reader.finish(info);
        assert_eq!(summary.counts.words, 0);
        let why = meeting.expect_err("the entries have no words");
        record_no_words(&mut manifest, summary, why, Timestamp::from_secs(1_800_000_000));
        assert!(!manifest.empty, "the recording is not silent");
        assert_eq!(manifest.rendering_error.as_deref(), Some("no words were found in 2 entries"));
        assert_eq!((manifest.skipped_values, manifest.files.len()), (2, 1));
        assert_eq!(manifest.rendered_at.as_deref(), Some("2027-01-15T08:00:00.000Z"));
    }
}
