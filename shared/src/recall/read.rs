//! What retrieving a recording says to the core.

use std::time::Duration;

use super::{Problem, Recall, RecordingArtifact};
use crate::{
    ids::RecordingId,
    job::{Finished, Presence, RecordingAnswer},
    providers::wishes,
    telemetry::Chain,
};

impl RecordingArtifact {
    /// What is known of a recording that is done; `chain` names the providers that its metadata may ask for.
    pub fn finished(&self, chain: &[String]) -> Finished {
        let wishes = wishes(self.id, &self.metadata, self.bot_metadata(), chain);
        let (bot_id, done_at, expires_at) = (self.bot_id(), self.completed_at(), self.expires_at());
        Finished { bot_id, wishes: Some(wishes), expires_at, done_at }
    }
}

impl Recall {
    /// Retrieves the recording for the core.
    pub async fn read_recording(&self, id: RecordingId, chain: &[String], timeout: Duration) -> RecordingAnswer {
        let out_of_time = |_| Err(Problem::Later { after: None, status: None, source: None });
        match tokio::time::timeout(timeout, self.retrieve_recording(id)).await.unwrap_or_else(out_of_time) {
            Ok(recording) if recording.status() == Some("deleted") => RecordingAnswer::Deleted,
            Ok(recording) => RecordingAnswer::Read(recording.finished(chain)),
            Err(Problem::NotFound) => RecordingAnswer::Unknown,
            Err(problem) => {
                tracing::warn!(recording.id = %id, error = %Chain(&problem), "recording.not_read");
                match problem {
                    Problem::Operator { .. } => RecordingAnswer::Operator,
                    Problem::NotFound | Problem::Later { .. } | Problem::Unexpected { .. } | Problem::Secret(_) => {
                        RecordingAnswer::Later { after: problem.retry_after() }
                    }
                }
            }
        }
    }

    /// What retrieving the recording says to this key.
    pub async fn presence(&self, id: RecordingId) -> Presence {
        match self.retrieve_recording(id).await {
            Ok(recording) if recording.status() == Some("deleted") => Presence::Deleted,
            Ok(_) => Presence::There,
            Err(_) => Presence::Unknown,
        }
    }
}
