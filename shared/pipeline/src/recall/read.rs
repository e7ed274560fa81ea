//! Retrieving a recording for the core.

use std::time::Duration;

use job::{RecordingAnswer, RecordingInfo, RecordingPresence, ids::RecordingId};

use super::{Problem, Recall, RecordingArtifact};
use crate::{
    logs,
    providers::{log_invalid_overrides, parse_overrides},
    telemetry::Chain,
};

impl RecordingArtifact {
    /// Returns what is known about a recording that is done, and logs the overrides in its metadata that are invalid.
    /// `chain` names the providers that the metadata may choose from.
    pub fn recording_info(&self, chain: &[String]) -> RecordingInfo {
        let (overrides, invalid) = parse_overrides(&self.metadata, self.bot_metadata(), chain);
        log_invalid_overrides(self.id, &invalid);
        let (bot_id, done_at, expires_at) = (self.bot_id(), self.completed_at(), self.expires_at());
        RecordingInfo { bot_id, overrides: Some(overrides), expires_at, done_at }
    }

    /// Returns the answer for a job whose recording was reported as ended.
    fn answer(&self, chain: &[String]) -> RecordingAnswer {
        match self.status() {
            Some("deleted") => RecordingAnswer::Deleted,
            Some("failed") => RecordingAnswer::Failed { sub_code: self.sub_code() },
            // The answer is older than the end of the recording.
            Some("processing" | "paused") => RecordingAnswer::Later { after: Duration::ZERO },
            Some(_) | None => RecordingAnswer::Read(self.recording_info(chain)),
        }
    }
}

impl Recall {
    /// Retrieves the recording for the core.
    pub async fn read_recording(&self, id: RecordingId, chain: &[String], timeout: Duration) -> RecordingAnswer {
        let out_of_time = |_| Err(Problem::Later { after: None, status: None, source: None });
        match tokio::time::timeout(timeout, self.retrieve_recording(id)).await.unwrap_or_else(out_of_time) {
            Ok(recording) => recording.answer(chain),
            Err(Problem::NotFound) => RecordingAnswer::Unknown,
            Err(problem) => {
                tracing::warn!(message = logs::RECORDING_NOT_READ, recording.id = %id, error = %Chain(&problem));
                match problem {
                    Problem::Operator { .. } => RecordingAnswer::Operator,
                    Problem::NotFound | Problem::Later { .. } | Problem::Unexpected { .. } | Problem::Secret(_) => {
                        RecordingAnswer::Later { after: problem.retry_after() }
                    }
                }
            }
        }
    }

    /// Retrieves the recording to find out whether Recall has it. `Unknown` includes every failed call.
    pub async fn presence(&self, id: RecordingId) -> RecordingPresence {
        match self.retrieve_recording(id).await {
            Ok(recording) if recording.status() == Some("deleted") => RecordingPresence::Deleted,
            Ok(_) => RecordingPresence::There,
            Err(_) => RecordingPresence::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: &Value) -> RecordingAnswer {
        let id = RecordingId::from_u128(7);
        let recording: RecordingArtifact =
            serde_json::from_value(json!({"id": id, "status": status})).expect("a recording");
        recording.answer(&[])
    }

    #[test]
    fn recording_is_read_only_if_it_ended_well() {
        let failed = json!({"code": "failed", "sub_code": "internal_error"});
        assert_eq!(answer(&failed), RecordingAnswer::Failed { sub_code: Some("internal_error".to_owned()) });
        assert_eq!(answer(&json!({"code": "deleted"})), RecordingAnswer::Deleted);
        for early in ["processing", "paused"] {
            assert_eq!(answer(&json!({"code": early})), RecordingAnswer::Later { after: Duration::ZERO });
        }
        for status in [json!({"code": "done"}), json!({"code": "newer"}), Value::Null] {
            assert!(matches!(answer(&status), RecordingAnswer::Read(_)), "{status}");
        }
    }
}
