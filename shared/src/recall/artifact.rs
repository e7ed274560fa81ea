//! Recall's JSON, read tolerantly: fields we do not need are not looked at, codes are open lists.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    ids::{BotId, RecordingId, TranscriptId},
    secret::Secret,
    time::Timestamp,
};

/// Longer codes are cut.
const MAX_SUB_CODE_CHARS: usize = 200;

/// A transcript as Recall has it.
#[derive(Debug, Deserialize)]
pub struct TranscriptArtifact {
    pub id: TranscriptId,
    recording: Option<Reference>,
    status: Status,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    provider: Value,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    id: RecordingId,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: String,
    #[serde(default)]
    sub_code: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    download_url: Option<String>,
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl TranscriptArtifact {
    /// The recording it says it belongs to.
    pub fn recording_id(&self) -> Option<RecordingId> {
        self.recording.as_ref().map(|recording| recording.id)
    }

    /// `processing`, `done`, `failed`, `deleted`, or something newer.
    pub fn status(&self) -> &str {
        &self.status.code
    }

    pub fn is_processing(&self) -> bool {
        self.status.code == "processing"
    }

    pub fn sub_code(&self) -> Option<String> {
        self.status.sub_code.as_deref().map(cut)
    }

    /// A credential: good for hours, never to be stored or logged.
    pub fn download_url(&self) -> Option<Secret<String>> {
        self.data.as_ref().and_then(|data| data.download_url.clone()).map(Secret::new)
    }

    /// The attempt of this deployment's that made it.
    pub fn attempt(&self, recording_id: RecordingId, deployment: Option<&str>) -> Option<u32> {
        attempt_of(&self.metadata, recording_id, deployment)
    }

    /// Whether another deployment of this product made it.
    pub fn is_foreign(&self, recording_id: RecordingId, deployment: Option<&str>) -> bool {
        is_foreign(&self.metadata, recording_id, deployment)
    }

    /// The provider's key: the one that holds an object.
    pub fn provider(&self) -> Option<&str> {
        let providers = self.provider.as_object()?;
        providers.iter().find(|(_, options)| !options.is_null()).map(|(name, _)| name.as_str())
    }

    pub fn made_at(&self) -> Option<Timestamp> {
        self.created_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }
}

/// A recording as Recall has it.
#[derive(Debug, Deserialize)]
pub struct RecordingArtifact {
    pub id: RecordingId,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    completed_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    bot: Option<Bot>,
    #[serde(default, rename = "media_shortcuts", deserialize_with = "shown")]
    transcript: Option<TranscriptArtifact>,
    #[serde(default)]
    pub metadata: Value,
}

/// The transcript that the recording shows; whatever cannot be read is none.
fn shown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TranscriptArtifact>, D::Error> {
    #[derive(Deserialize)]
    struct Shortcuts {
        transcript: TranscriptArtifact,
    }
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str::<Shortcuts>(raw.get()).ok().map(|shortcuts| shortcuts.transcript))
}

#[derive(Debug, Deserialize)]
struct Bot {
    id: BotId,
    #[serde(default)]
    metadata: Value,
}

impl RecordingArtifact {
    /// `processing`, `paused`, `done`, `failed`, `deleted`, or something newer.
    pub fn status(&self) -> Option<&str> {
        self.status.as_ref().map(|status| status.code.as_str())
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    /// When Recall deletes it; `None` where it is kept for ever.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    pub fn bot_id(&self) -> Option<BotId> {
        self.bot.as_ref().map(|bot| bot.id)
    }

    /// One of its transcripts. Which one Recall shows, if there are several, is not documented.
    pub fn transcript(&self) -> Option<&TranscriptArtifact> {
        self.transcript.as_ref()
    }

    /// Null where there is no bot.
    pub fn bot_metadata(&self) -> &Value {
        self.bot.as_ref().map_or(&Value::Null, |bot| &bot.metadata)
    }
}

/// All we need of create's answer.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) id: TranscriptId,
}

/// Our attempt number, if this metadata is this deployment's and made for this very recording. Anybody can write
/// metadata, so it is checked against the job as well before it counts.
pub fn attempt_of(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> Option<u32> {
    let (attempt, is_ours) = made_by_us(metadata, recording_id, deployment)?;
    is_ours.then_some(attempt)
}

/// Whether this metadata is that of another deployment of this product, and made for this very recording.
pub fn is_foreign(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> bool {
    made_by_us(metadata, recording_id, deployment).is_some_and(|(_, is_ours)| !is_ours)
}

/// The attempt of this product that made it, and whether it was this deployment.
fn made_by_us(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> Option<(u32, bool)> {
    let metadata: &Map<String, Value> = metadata.as_object()?;
    // Null is how Recall may write a key that has no value.
    let made_by = metadata.get("deployment").filter(|made_by| !made_by.is_null());
    let job: RecordingId = metadata.get("job")?.as_str()?.parse().ok()?;
    let attempt = metadata.get("attempt")?.as_str()?.parse().ok()?;
    (job == recording_id).then_some((attempt, made_by.map(Value::as_str) == deployment.map(Some)))
}

/// A code that ends up in the job's row and on the queue, cut to a bearable length and to what SQS takes.
pub fn cut(sub_code: &str) -> String {
    let plain = |character: &char| !character.is_control() && !matches!(character, '\u{FFFE}' | '\u{FFFF}');
    sub_code.chars().filter(plain).take(MAX_SUB_CODE_CHARS).collect()
}

/// What Recall says about an error, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    code: Option<String>,
    /// Recall's API answers in JSON; a firewall, a proxy or another server in HTML.
    pub(super) is_json: bool,
}

impl ErrorBody {
    pub(super) async fn of(response: reqwest::Response) -> Self {
        super::read(response).await.map(|body| Self::parse(&body)).unwrap_or_default()
    }

    /// Only the `code` is kept: free text may quote what we sent.
    pub(super) fn parse(body: &[u8]) -> Self {
        let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        let is_json = body.is_some();
        let code = body.and_then(|body| body.get("code")?.as_str().map(str::to_owned));
        Self {
            code: code.filter(|code| code.len() <= 100 && code.bytes().all(|byte| byte.is_ascii_graphic())),
            is_json,
        }
    }

    pub(super) fn known_code(self) -> Option<String> {
        self.code
    }

    /// For logs.
    pub(super) fn code(self) -> String {
        self.code.unwrap_or_else(|| "no code".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_artifact_with_everything_missing_is_still_one() {
        let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
        let bare = json!({"id": id, "status": {"code": "waiting"}, "recording": null, "new": []});
        let artifact: TranscriptArtifact = serde_json::from_value(bare).expect("readable");
        assert_eq!(artifact.status(), "waiting");
        assert!(artifact.download_url().is_none() && artifact.provider().is_none());
        let with_url = json!({"id": id, "status": {"code": "done"}, "data": {"download_url": "https://x/?Signature=s"},
            "provider": {"rev_async": null, "recallai_async": {}}});
        let artifact: TranscriptArtifact = serde_json::from_value(with_url).expect("readable");
        assert_eq!(artifact.provider(), Some("recallai_async"));
        assert!(!format!("{artifact:?}").contains("Signature"));
    }

    #[test]
    fn a_recording_shows_a_transcript_if_it_can_be_read() {
        let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
        let with = |shortcuts: Value| {
            let recording = json!({"id": id, "media_shortcuts": shortcuts, "expires_at": "2026-11-23T09:30:00Z"});
            serde_json::from_str::<RecordingArtifact>(&recording.to_string()).expect("readable")
        };
        let shown = with(json!({"transcript": {"id": id, "status": {"code": "done"}}, "video_mixed": {"x": [1]}}));
        assert_eq!(shown.transcript().map(TranscriptArtifact::status), Some("done"));
        assert_eq!(shown.expires_at().map(Timestamp::rfc3339).as_deref(), Some("2026-11-23T09:30:00.000Z"));
        assert_eq!(shown.bot_metadata(), &Value::Null);
        for odd in [json!(null), json!({}), json!({"transcript": null}), json!({"transcript": 5}), json!([1])] {
            assert!(with(odd).transcript().is_none());
        }
    }

    #[test]
    fn only_our_metadata_names_an_attempt() {
        let recording_id = RecordingId::from_u128(5);
        let ours = json!({"job": recording_id, "attempt": "2", "trace": "msg"});
        assert_eq!(attempt_of(&ours, recording_id, None), Some(2));
        assert_eq!(attempt_of(&ours, RecordingId::from_u128(6), None), None);
        for others in [json!(null), json!("x"), json!([1]), json!({"attempt": "2"}), json!({"job": 5, "attempt": 2})] {
            assert_eq!(attempt_of(&others, recording_id, None), None, "{others}");
        }
    }

    #[test]
    fn another_deployments_attempts_are_somebody_elses() {
        let recording_id = RecordingId::from_u128(5);
        let made_by = |deployment: Value| json!({"job": recording_id, "attempt": "2", "deployment": deployment});
        for (deployment, ours, others) in [
            (None, vec![json!(null)], vec![json!("staging"), json!(""), json!(5)]),
            (Some("staging"), vec![json!("staging")], vec![json!(null), json!("production"), json!(["staging"])]),
        ] {
            for ours in ours {
                let ours = made_by(ours);
                assert_eq!(attempt_of(&ours, recording_id, deployment), Some(2), "{deployment:?}");
                assert!(!is_foreign(&ours, recording_id, deployment), "{deployment:?}");
            }
            for others in others {
                let others = made_by(others);
                assert_eq!(attempt_of(&others, recording_id, deployment), None, "{deployment:?}");
                assert!(is_foreign(&others, recording_id, deployment), "{deployment:?}");
                assert!(!is_foreign(&others, RecordingId::from_u128(6), deployment), "made for another recording");
            }
        }
    }
}
