//! Does what is left after a transcript was stored: fetches what Recall had not made ready, and leaves a knowledge
//! document to the newest transcript only.

use std::time::Duration;

use job::{FollowUpAnswer, Receipt, ids::TranscriptId};
use pipeline::{
    bucket::S3Error,
    deadline::Deadline,
    logs,
    manifest::{BEING_REPLACED, Manifest},
    recall::{Problem, Recall},
    telemetry::Chain,
    time::Stopwatch,
};
use renditions::SourceState;

use crate::{
    act::time_to_act,
    meeting_data::{Fetched, MeetingFetcher, Missing, Origin},
    rerender::{RerenderError, Rerenderer},
    transcript_info::{Facts, TranscriptInfo},
};

/// The part of the time that may be spent on fetching; the rest is for rendering.
const FETCHING_PART: u32 = 2;

/// Follows stored transcripts up.
#[derive(Debug)]
pub(crate) struct FollowUps {
    recall: Recall,
    fetcher: MeetingFetcher,
    rerenderer: Rerenderer,
}

/// The transcripts of one recording that are followed up.
pub(crate) struct FollowUpRequest {
    pub(crate) transcripts: Vec<(TranscriptId, Receipt)>,
    pub(crate) newest: TranscriptId,
    pub(crate) is_last_try: bool,
}

#[derive(Debug, thiserror::Error)]
enum FollowUpError {
    #[error("retrieving the recording or the transcript failed")]
    Recall(#[from] Problem),
    #[error(transparent)]
    Rerender(#[from] RerenderError),
    #[error("removing an old knowledge document failed")]
    Knowledge(#[from] S3Error),
    #[error("the follow-up took longer than the invocation has; it is tried again")]
    OutOfTime,
}

impl FollowUps {
    pub(crate) fn new(recall: Recall, fetcher: MeetingFetcher, rerenderer: Rerenderer) -> Self {
        Self { recall, fetcher, rerenderer }
    }

    /// Follows the transcripts up, one after the other. One that fails does not stop the others.
    pub(crate) async fn follow_up(&self, request: FollowUpRequest, deadline: Deadline) -> FollowUpAnswer {
        let FollowUpRequest { transcripts, newest, is_last_try } = request;
        let mut answer = FollowUpAnswer::Done;
        for (id, receipt) in &transcripts {
            let watch = Stopwatch::start();
            let time = time_to_act(deadline);
            let followed_up = self.try_follow_up(*id, receipt, *id == newest, is_last_try, time);
            let result = tokio::time::timeout(time, followed_up).await.unwrap_or(Err(FollowUpError::OutOfTime));
            match &result {
                Ok(is_complete) => tracing::info!(
                    message = logs::TRANSCRIPT_FOLLOWED_UP,
                    transcript.id = %id,
                    is_complete,
                    duration_ms = watch.millis()
                ),
                Err(error) => tracing::warn!(
                    message = logs::TRANSCRIPT_NOT_FOLLOWED_UP,
                    transcript.id = %id,
                    error = %Chain(error)
                ),
            }
            answer = combined(answer, answer_of(&result));
        }
        answer
    }

    /// Returns whether nothing is missing any more.
    async fn try_follow_up(
        &self,
        id: TranscriptId,
        receipt: &Receipt,
        is_newest: bool,
        is_last_try: bool,
        time: Duration,
    ) -> Result<bool, FollowUpError> {
        let watch = Stopwatch::start();
        if !is_newest {
            self.rerenderer.remove_knowledge(id).await?;
        }
        if !receipt.awaits_meeting_data {
            return Ok(true);
        }
        let manifest = self.rerenderer.manifest(id, receipt).await?;
        let missing = self.fetcher.missing(&manifest.meeting.sources, &manifest.files);
        if !missing.any() {
            return Ok(true);
        }
        let known = Facts::of_record(&manifest.meeting);
        let fetched = self.fetch(&manifest, receipt, missing, known.clone(), is_last_try, time / FETCHING_PART).await?;
        let is_complete = !fetched.is_incomplete;
        // An earlier try may have died after it had withdrawn the readable files.
        let is_withdrawn = manifest.rendering_error.as_deref() == Some(BEING_REPLACED);
        if is_withdrawn || fetched.facts != known || !fetched.files.is_empty() {
            let left = time.saturating_sub(watch.elapsed());
            self.rerenderer.rerender(manifest, receipt, Some(fetched), is_newest, left).await?;
        }
        Ok(is_complete)
    }

    async fn fetch(
        &self,
        manifest: &Manifest,
        receipt: &Receipt,
        missing: Missing,
        known: Facts,
        is_last_try: bool,
        time: Duration,
    ) -> Result<Fetched, FollowUpError> {
        let recording = match self.recall.retrieve_recording(manifest.recording_id).await {
            Ok(recording) => Ok(recording),
            Err(Problem::NotFound) => Err(SourceState::Absent),
            Err(_) if is_last_try => Err(SourceState::Failed),
            Err(problem) => return Err(problem.into()),
        };
        let transcript = match missing.provider_data {
            true => match self.recall.retrieve_transcript(manifest.transcript_id).await {
                Ok(transcript) => Ok(transcript),
                Err(Problem::NotFound) => Err(SourceState::Absent),
                Err(_) if is_last_try => Err(SourceState::Failed),
                Err(problem) => return Err(problem.into()),
            },
            false => Err(SourceState::Absent),
        };
        let day = manifest.day().unwrap_or_default().to_owned();
        let info = TranscriptInfo::of_manifest(manifest, receipt, day, self.rerenderer.metadata_keys());
        let origin = Origin {
            info: &info,
            recording: recording.as_ref().map_err(|state| *state),
            transcript: transcript.as_ref().map_err(|state| *state),
            is_last_try,
        };
        Ok(self.fetcher.fetch(&origin, missing, known, time).await)
    }
}

fn answer_of(result: &Result<bool, FollowUpError>) -> FollowUpAnswer {
    let later = FollowUpAnswer::Later { after: Duration::ZERO };
    match result {
        Ok(true) => FollowUpAnswer::Done,
        Ok(false) => FollowUpAnswer::NotReady,
        Err(FollowUpError::Recall(problem)) => FollowUpAnswer::Later { after: problem.retry_after() },
        Err(FollowUpError::Rerender(error)) if error.may_pass() => later,
        Err(FollowUpError::Rerender(_)) => FollowUpAnswer::Done,
        Err(FollowUpError::Knowledge(_) | FollowUpError::OutOfTime) => later,
    }
}

/// Combines the answers about two transcripts. What another try may complete is not given up.
fn combined(one: FollowUpAnswer, other: FollowUpAnswer) -> FollowUpAnswer {
    match (one, other) {
        (FollowUpAnswer::Later { after: one }, FollowUpAnswer::Later { after: other }) => {
            FollowUpAnswer::Later { after: one.max(other) }
        }
        (later @ FollowUpAnswer::Later { .. }, _) | (_, later @ FollowUpAnswer::Later { .. }) => later,
        (FollowUpAnswer::NotReady, _) | (_, FollowUpAnswer::NotReady) => FollowUpAnswer::NotReady,
        (FollowUpAnswer::Done, FollowUpAnswer::Done) => FollowUpAnswer::Done,
    }
}
