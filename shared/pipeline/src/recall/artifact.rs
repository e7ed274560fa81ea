//! Recall's JSON, read tolerantly: fields we do not need are not looked at, codes are open lists, and whatever stands in
//! the place of a value that we can do without is as if it were not there.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};

use crate::secret::Secret;

/// Longer codes are cut.
const MAX_SUB_CODE_CHARS: usize = 200;

/// A transcript as Recall has it.
#[derive(Debug, Deserialize)]
pub struct TranscriptArtifact {
    pub id: TranscriptId,
    #[serde(default, deserialize_with = "optional")]
    recording: Reference,
    #[serde(default, deserialize_with = "optional")]
    status: Status,
    #[serde(default, deserialize_with = "optional")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    metadata: Value,
    #[serde(default, deserialize_with = "optional")]
    provider: Value,
    #[serde(default, deserialize_with = "optional")]
    data: Data,
}

/// The value, or the default if it is none.
fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

#[derive(Debug, Default, Deserialize)]
struct Reference {
    #[serde(default, deserialize_with = "optional")]
    id: Option<RecordingId>,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "optional")]
    code: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    sub_code: Option<String>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, deserialize_with = "optional")]
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
        self.recording.id
    }

    /// `processing`, `done`, `failed`, `deleted`, or something newer; empty where there is none.
    pub fn status(&self) -> &str {
        self.status.code.as_deref().unwrap_or_default()
    }

    pub fn is_processing(&self) -> bool {
        self.status() == "processing"
    }

    pub fn sub_code(&self) -> Option<String> {
        self.status.sub_code.as_deref().map(cut)
    }

    /// A credential: good for hours, never to be stored or logged.
    pub fn download_url(&self) -> Option<Secret<String>> {
        self.data.download_url.clone().map(Secret::new)
    }

    /// The attempt of this deployment's that made it.
    pub fn attempt(&self, recording_id: RecordingId, deployment: Option<&str>) -> Option<u32> {
        attempt_of(&self.metadata, recording_id, deployment)
    }

    /// Whether another deployment of this product made it.
    pub fn is_of_other_deployment(&self, recording_id: RecordingId, deployment: Option<&str>) -> bool {
        is_of_other_deployment(&self.metadata, recording_id, deployment)
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
    #[serde(default, deserialize_with = "optional")]
    status: Status,
    #[serde(default, deserialize_with = "optional")]
    started_at: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    completed_at: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    expires_at: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    bot: Bot,
    #[serde(default, deserialize_with = "optional")]
    media_shortcuts: Shortcuts,
    #[serde(default, deserialize_with = "optional")]
    pub metadata: Value,
}

#[derive(Debug, Default, Deserialize)]
struct Shortcuts {
    #[serde(default, deserialize_with = "optional")]
    transcript: Option<TranscriptArtifact>,
}

#[derive(Debug, Default, Deserialize)]
struct Bot {
    #[serde(default, deserialize_with = "optional")]
    id: Option<BotId>,
    #[serde(default, deserialize_with = "optional")]
    metadata: Value,
}

impl RecordingArtifact {
    /// `processing`, `paused`, `done`, `failed`, `deleted`, or something newer.
    pub fn status(&self) -> Option<&str> {
        self.status.code.as_deref()
    }

    pub fn sub_code(&self) -> Option<String> {
        self.status.sub_code.as_deref().map(cut)
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
        self.bot.id
    }

    /// One of its transcripts. Which one Recall shows, if there are several, is not documented.
    pub fn transcript(&self) -> Option<&TranscriptArtifact> {
        self.media_shortcuts.transcript.as_ref()
    }

    /// Null where there is no bot.
    pub fn bot_metadata(&self) -> &Value {
        &self.bot.metadata
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
pub fn is_of_other_deployment(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> bool {
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
mod tests;
