//! Renders stored transcripts again from their files in S3, without Recall, so that old transcripts gain new formats.

mod source;

use std::time::Duration;

use job::{Receipt, RenderAnswer, ids::TranscriptId};
use pipeline::{
    bucket::{Bucket, ReadError, S3Error},
    deadline::Deadline,
    keys::{MEETING_LINE, VERBATIM},
    logs,
    manifest::{BEING_REPLACED, File, Manifest},
    metrics,
    telemetry::Chain,
    time::{self, Stopwatch},
};
use renditions::{Counts, Outcome, Summary};

use crate::{
    act::time_to_act,
    meeting_data::Fetched,
    render::{RenditionError, Renditions, report_skipped_values},
    transcript_info::{Facts, TranscriptInfo},
    upload::put,
};

/// Renders stored transcripts again. Only one worker at a time may render a transcript: each worker aborts unfinished
/// uploads of the objects that it writes, and rewrites the manifest that it has read.
#[derive(Clone, Debug)]
pub(crate) struct Rerenderer {
    bucket: Bucket,
    metadata_keys: Vec<String>,
    renditions: Renditions,
}

/// Why one transcript was not rendered again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RerenderError {
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

/// Whether a transcript has its readable files.
#[derive(Debug)]
pub(crate) enum Rerendered {
    Whole,
    /// The file cannot be rendered, for this reason. The manifest and the line of the meeting are up to date.
    Unreadable(String),
}

impl Rerenderer {
    pub(crate) fn new(bucket: Bucket, metadata_keys: Vec<String>, renditions: Renditions) -> Self {
        Self { bucket, metadata_keys, renditions }
    }

    /// Renders the transcripts, one after the other. A transcript that cannot be rendered does not stop the others.
    /// `newest`: the newest stored transcript of the recording.
    pub(crate) async fn render(
        &self,
        transcripts: &[(TranscriptId, Receipt)],
        newest: TranscriptId,
        deadline: Deadline,
    ) -> RenderAnswer {
        let mut answer = RenderAnswer::Rendered;
        for (id, receipt) in transcripts {
            let time = time_to_act(deadline);
            let rendered = tokio::time::timeout(time, self.try_render(*id, receipt, *id == newest, time)).await;
            if let Err(error) = rendered.unwrap_or(Err(RerenderError::OutOfTime)) {
                tracing::error!(message = logs::TRANSCRIPT_NOT_RERENDERED, transcript.id = %id, error = %Chain(&error));
                answer = combined(answer, error.answer());
            }
        }
        answer
    }

    async fn try_render(
        &self,
        id: TranscriptId,
        receipt: &Receipt,
        is_newest: bool,
        time: Duration,
    ) -> Result<(), RerenderError> {
        let watch = Stopwatch::start();
        let manifest = self.manifest(id, receipt).await?;
        let recording_id = manifest.recording_id;
        if let Rerendered::Unreadable(why) = self.rerender(manifest, receipt, None, is_newest, time).await? {
            return Err(RerenderError::Unreadable { key: receipt.key.clone(), why });
        }
        tracing::info!(
            message = logs::TRANSCRIPT_RERENDERED,
            recording.id = %recording_id,
            transcript.id = %id,
            duration_ms = watch.millis()
        );
        metrics::TRANSCRIPTS_RENDERED_AGAIN.count();
        Ok(())
    }

    /// Reads the manifest of a stored transcript.
    pub(crate) async fn manifest(&self, id: TranscriptId, receipt: &Receipt) -> Result<Manifest, RerenderError> {
        let key = || receipt.manifest_key.clone();
        let manifest = self.bucket.manifest(&receipt.manifest_key).await?;
        let manifest = manifest.ok_or_else(|| RerenderError::Gone { key: key() })?;
        if manifest.transcript_id == id { Ok(manifest) } else { Err(RerenderError::OtherTranscript { key: key() }) }
    }

    /// Writes everything that is made from a transcript, and its manifest. `fetched` is what has just been fetched
    /// about the meeting; everything else is read from S3.
    pub(crate) async fn rerender(
        &self,
        mut manifest: Manifest,
        receipt: &Receipt,
        fetched: Option<Fetched>,
        is_newest: bool,
        time: Duration,
    ) -> Result<Rerendered, RerenderError> {
        let watch = Stopwatch::start();
        // A file of which the copy read nothing has perhaps ended workers, and a follow-up would not learn more from it.
        let is_read = fetched.is_none() || !receipt.unreadable || manifest.counts != Counts::default();
        let times = is_read.then(|| manifest.recording.times());
        let verbatim = source::read_transcript(&self.bucket, receipt, times).await?;
        let day = source::day(&manifest, verbatim.day.clone());
        let info = TranscriptInfo::of_manifest(&manifest, receipt, day, &self.metadata_keys);
        let Fetched { participants, presences, facts, files: mut new_files, .. } =
            fetched.unwrap_or_else(|| Fetched { facts: Facts::of_record(&manifest.meeting), ..Fetched::default() });
        let (attendance, lost) = source::attendance(&self.bucket, &manifest, participants, presences).await?;
        manifest.files.retain(|file| !lost.contains(&&*file.name));
        let outcome = verbatim.finish(info.meeting_info(facts), attendance);
        report_skipped_values(info.recording_id, info.transcript_id, &outcome.summary);
        self.withdraw(&mut manifest, receipt, &info, &outcome).await?;
        let earlier_error = manifest.rendering_error.clone();
        let left = time.saturating_sub(watch.elapsed());
        self.renditions.write(&info, &outcome, is_newest, &mut new_files, left).await.map_err(|error| match error {
            RenditionError::OutOfTime => RerenderError::OutOfTime,
            RenditionError::Upload(error) | RenditionError::Knowledge(error) => error.into(),
        })?;
        // A manifest of an older version does not have S3's checksum of the verbatim file.
        if let Some(verbatim) = manifest.files.iter_mut().find(|file| file.name == VERBATIM) {
            verbatim.crc64nvme.get_or_insert_with(|| receipt.crc64nvme.clone());
        }
        let Outcome { summary, record, meeting, .. } = outcome;
        let why = meeting.err();
        let is_summary_new = is_read && (why.is_none() || summary.counts.words == 0);
        // A worker that died may have left a manifest that says so.
        let earlier_error = earlier_error.filter(|error| error != BEING_REPLACED);
        let rendering_error = if is_summary_new { why.clone() } else { earlier_error.or_else(|| why.clone()) };
        manifest.complete(new_files, rendering_error, time::now());
        manifest.meeting = record;
        if is_summary_new {
            set_summary(&mut manifest, summary);
        }
        self.put(receipt, &manifest, &info).await?;
        Ok(why.map_or(Rerendered::Whole, Rerendered::Unreadable))
    }

    /// The objects that the manifest names are about to change, so it must not name them any more.
    async fn withdraw(
        &self,
        manifest: &mut Manifest,
        receipt: &Receipt,
        info: &TranscriptInfo,
        outcome: &Outcome,
    ) -> Result<(), S3Error> {
        let is_rendered = outcome.meeting.is_ok();
        let is_replaced =
            |file: &File| file.name == MEETING_LINE || is_rendered && self.renditions.replaces(&file.name);
        let earlier_error = manifest.rendering_error.clone();
        if manifest.withdraw(is_replaced) {
            self.put(receipt, manifest, info).await?;
        }
        manifest.rendering_error = earlier_error;
        Ok(())
    }

    pub(crate) fn metadata_keys(&self) -> &[String] {
        &self.metadata_keys
    }

    /// Removes the knowledge document of a transcript that is no longer the newest one.
    pub(crate) async fn remove_knowledge(&self, id: TranscriptId) -> Result<(), S3Error> {
        match &self.renditions.knowledge {
            Some(knowledge) => knowledge.remove(id).await,
            None => Ok(()),
        }
    }

    async fn put(&self, receipt: &Receipt, manifest: &Manifest, info: &TranscriptInfo) -> Result<(), S3Error> {
        let (key, json) = (receipt.manifest_key.clone(), manifest.to_json());
        put(&self.bucket, key, "application/json", &json, info.tags()).await.map(drop)
    }
}

/// Replaces what an earlier copy read from the file. A copy that did not read the file knew nothing of it.
fn set_summary(manifest: &mut Manifest, summary: Summary) {
    manifest.counts = summary.counts;
    manifest.skipped_values = summary.skipped_values;
    manifest.empty = summary.empty;
    manifest.language_codes = summary.language_codes.into_iter().collect();
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
    /// Returns whether another try may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Gone { .. }
            | Self::OtherTranscript { .. }
            | Self::Changed { .. }
            | Self::Unreadable { .. }
            | Self::Read(ReadError::NotOurs(_)) => false,
            Self::Read(ReadError::S3(_)) | Self::Upload(_) | Self::OutOfTime => true,
        }
    }

    fn answer(&self) -> RenderAnswer {
        if self.may_pass() { RenderAnswer::Later { after: Duration::ZERO } } else { RenderAnswer::NotAsStored }
    }
}
