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
    /// What is known of a recording that is done; `chain` names the providers that its metadata may ask for. If not all
    /// of it is there, the wishes are not known.
    pub fn finished(&self, chain: &[String]) -> Finished {
        let wishes = wishes(self.id, self.metadata(), self.bot_metadata(), chain);
        // Without a bot's metadata it is the recording itself that asks for a skip, and nothing can take that back.
        let is_known = self.shows_metadata() || (wishes.skip && self.bot_metadata().is_null());
        let (bot_id, done_at, expires_at) = (self.bot_id(), self.completed_at(), self.expires_at());
        Finished { bot_id, wishes: is_known.then_some(wishes), expires_at, done_at }
    }

    /// What retrieving it says to the core. Without its metadata it is as good as unread.
    fn answer(&self, chain: &[String]) -> Result<RecordingAnswer, Problem> {
        if self.status() == Some("deleted") {
            return Ok(RecordingAnswer::Deleted);
        }
        let finished = self.finished(chain);
        if finished.wishes.is_none() {
            return Err(Problem::Unexpected { status: 200, detail: "a recording without its metadata".to_owned() });
        }
        Ok(RecordingAnswer::Read(finished))
    }
}

impl Recall {
    /// Retrieves the recording for the core.
    pub async fn read_recording(&self, id: RecordingId, chain: &[String], timeout: Duration) -> RecordingAnswer {
        let out_of_time = |_| Err(Problem::Later { after: None, status: None, source: None });
        let retrieved = tokio::time::timeout(timeout, self.retrieve_recording(id)).await.unwrap_or_else(out_of_time);
        match retrieved.and_then(|recording| recording.answer(chain)) {
            Ok(answer) => answer,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::job::Wishes;

    fn of(recording: &Value) -> RecordingArtifact {
        let mut full = json!({"id": "3c90c3cc-0d44-4b50-8888-8dd25736052a", "status": {"code": "done"}});
        full.as_object_mut().expect("an object").extend(recording.as_object().expect("an object").clone());
        serde_json::from_str(&full.to_string()).expect("a recording")
    }

    #[test]
    fn a_recording_without_its_metadata_was_not_read() {
        let id = "9c90c3cc-0d44-4b50-8888-8dd25736052a";
        for read in [
            json!({"metadata": {}, "bot": {"id": id, "metadata": {}}}),
            json!({"metadata": null, "bot": {"id": id, "metadata": null}}),
            json!({"metadata": {}, "bot": null}),
        ] {
            assert_eq!(of(&read).finished(&[]).wishes, Some(Wishes::default()), "{read}");
            assert!(matches!(of(&read).answer(&[]), Ok(RecordingAnswer::Read(_))), "{read}");
        }
        for unread in [
            json!({}),
            json!({"metadata": {}}),
            json!({"bot": null}),
            json!({"bot": {"id": id, "metadata": {}}}),
            json!({"metadata": {}, "bot": {"id": id}}),
            json!({"metadata": {}, "bot": 7}),
        ] {
            assert_eq!(of(&unread).finished(&[]).wishes, None, "{unread}");
            assert!(of(&unread).answer(&[]).is_err(), "{unread}");
        }
        // Only a skip that the recording itself asks for stands without the rest.
        for skip in [json!({"metadata": {"transcript": "skip"}}), json!({"bot": {"metadata": {"transcript": "skip"}}})]
        {
            let of_recording = skip.get("metadata").is_some();
            let wishes = of(&skip).finished(&[]).wishes;
            assert_eq!(wishes.is_some_and(|wishes| wishes.skip), of_recording, "{skip}");
        }
        let deleted = of(&json!({"status": {"code": "deleted"}}));
        assert!(matches!(deleted.answer(&[]), Ok(RecordingAnswer::Deleted)));
    }
}
