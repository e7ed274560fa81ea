//! Recall's JSON, read tolerantly. Fields that we do not need are ignored, codes are open lists, and an optional field
//! with a value of an unexpected type counts as absent.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    lenient::{Field, Status, optional},
    meeting::{Availability, MeetingMetadata, ParticipantEvents, ParticipantFiles},
};
use crate::secret::Secret;

/// Longer codes are truncated.
const MAX_SUB_CODE_CHARS: usize = 200;

/// A transcript as Recall describes it.
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

#[derive(Debug, Default, Deserialize)]
struct Reference {
    #[serde(default, deserialize_with = "optional")]
    id: Option<RecordingId>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, deserialize_with = "optional")]
    download_url: Option<String>,
    #[serde(default)]
    provider_data_download_url: Field<String>,
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl TranscriptArtifact {
    /// Returns the recording that this transcript says it belongs to.
    pub fn recording_id(&self) -> Option<RecordingId> {
        self.recording.id
    }

    /// Returns `processing`, `done`, `failed`, `deleted`, or a newer status; empty if there is none.
    pub fn status(&self) -> &str {
        self.status.code()
    }

    pub fn is_processing(&self) -> bool {
        self.status() == "processing"
    }

    pub fn sub_code(&self) -> Option<String> {
        self.status.sub_code.as_deref().map(clean_sub_code)
    }

    /// Returns the URL of the content. It is a credential that works for hours, so never store or log it.
    pub fn download_url(&self) -> Option<Secret<String>> {
        self.data.download_url.clone().map(Secret::new)
    }

    /// Returns the URL of the provider's raw response, which is a credential, too.
    pub fn provider_data_url(&self) -> Availability<Secret<String>> {
        self.data.provider_data_download_url.url()
    }

    /// Returns this deployment's attempt that made it, if one did.
    pub fn attempt(&self, recording_id: RecordingId, deployment: Option<&str>) -> Option<u32> {
        attempt_of(&self.metadata, recording_id, deployment)
    }

    /// Returns whether another deployment of this product made it.
    pub fn is_of_other_deployment(&self, recording_id: RecordingId, deployment: Option<&str>) -> bool {
        is_of_other_deployment(&self.metadata, recording_id, deployment)
    }

    /// Returns the name of the provider: the first key whose value is not null.
    pub fn provider(&self) -> Option<&str> {
        let providers = self.provider.as_object()?;
        providers.iter().find(|(_, options)| !options.is_null()).map(|(name, _)| name.as_str())
    }

    pub fn created_at(&self) -> Option<Timestamp> {
        self.created_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }
}

/// A recording as Recall describes it.
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
    #[serde(default)]
    media_shortcuts: Field<Shortcuts>,
    #[serde(default, deserialize_with = "optional")]
    pub metadata: Value,
}

#[derive(Debug, Default, Deserialize)]
struct Shortcuts {
    #[serde(default, deserialize_with = "optional")]
    transcript: Option<TranscriptArtifact>,
    #[serde(default)]
    participant_events: Field<ParticipantEvents>,
    #[serde(default)]
    meeting_metadata: Field<MeetingMetadata>,
}

#[derive(Debug, Default, Deserialize)]
struct Bot {
    #[serde(default, deserialize_with = "optional")]
    id: Option<BotId>,
    #[serde(default, deserialize_with = "optional")]
    metadata: Value,
}

impl RecordingArtifact {
    /// Returns `processing`, `paused`, `done`, `failed`, `deleted`, or a newer status.
    pub fn status(&self) -> Option<&str> {
        self.status.code.as_deref()
    }

    pub fn sub_code(&self) -> Option<String> {
        self.status.sub_code.as_deref().map(clean_sub_code)
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    /// Returns when Recall deletes it; `None` if Recall keeps it forever.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.as_deref().and_then(Timestamp::parse_rfc3339)
    }

    pub fn bot_id(&self) -> Option<BotId> {
        self.bot.id
    }

    /// Returns one of its transcripts. Recall does not document which one it shows if there are several.
    pub fn transcript(&self) -> Option<&TranscriptArtifact> {
        match &self.media_shortcuts {
            Field::Value(shortcuts) => shortcuts.transcript.as_ref(),
            Field::Missing | Field::Malformed => None,
        }
    }

    /// Returns where the list of everyone who attended is.
    pub fn participants(&self) -> Availability<Secret<String>> {
        self.file(|files| &files.participants_download_url)
    }

    /// Returns where the list of what the participants did is: join, leave, and more.
    pub fn participant_events(&self) -> Availability<Secret<String>> {
        self.file(|files| &files.participant_events_download_url)
    }

    /// Returns where the list of who spoke when is.
    pub fn speaker_timeline(&self) -> Availability<Secret<String>> {
        self.file(|files| &files.speaker_timeline_download_url)
    }

    fn file(&self, url: impl FnOnce(&ParticipantFiles) -> &Field<String>) -> Availability<Secret<String>> {
        self.shortcut(|shortcuts| &shortcuts.participant_events, |artifact| artifact.file(url))
    }

    /// Returns the title that the platform gave the meeting.
    pub fn title(&self) -> Availability<Option<String>> {
        self.shortcut(|shortcuts| &shortcuts.meeting_metadata, MeetingMetadata::title)
    }

    /// Returns what an artifact of the recording says, or why there is none.
    fn shortcut<A, T>(
        &self,
        artifact: impl FnOnce(&Shortcuts) -> &Field<A>,
        read: impl FnOnce(&A) -> Availability<T>,
    ) -> Availability<T> {
        match &self.media_shortcuts {
            Field::Missing => Availability::Absent,
            Field::Malformed => Availability::Malformed,
            Field::Value(shortcuts) => match artifact(shortcuts) {
                Field::Missing => Availability::Absent,
                Field::Malformed => Availability::Malformed,
                Field::Value(artifact) => read(artifact),
            },
        }
    }

    /// Returns the bot's metadata; null if there is no bot.
    pub fn bot_metadata(&self) -> &Value {
        &self.bot.metadata
    }
}

/// The only part of the answer of create_transcript that we need.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) id: TranscriptId,
}

/// Returns the attempt number in a transcript's metadata, if this deployment wrote the metadata for this recording.
/// Anyone can write metadata, so the number is also checked against the job before it counts.
pub fn attempt_of(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> Option<u32> {
    let origin = origin_of(metadata, recording_id, deployment)?;
    origin.is_this_deployment.then_some(origin.attempt)
}

/// Returns whether another deployment of this product wrote the metadata for this recording.
pub fn is_of_other_deployment(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> bool {
    origin_of(metadata, recording_id, deployment).is_some_and(|origin| !origin.is_this_deployment)
}

/// The attempt of a deployment of this product that made a transcript.
struct Origin {
    attempt: u32,
    is_this_deployment: bool,
}

fn origin_of(metadata: &Value, recording_id: RecordingId, deployment: Option<&str>) -> Option<Origin> {
    let metadata: &Map<String, Value> = metadata.as_object()?;
    let job: RecordingId = metadata.get("job")?.as_str()?.parse().ok()?;
    let attempt = metadata.get("attempt")?.as_str()?.parse().ok()?;
    // Recall may write null for a key that has no value.
    let made_by = metadata.get("deployment").unwrap_or(&Value::Null);
    let is_this_deployment = match deployment {
        None => made_by.is_null(),
        Some(name) => made_by == name,
    };
    (job == recording_id).then_some(Origin { attempt, is_this_deployment })
}

/// Prepares a code for the job's row and for the queue: truncates it, and removes the characters that SQS rejects.
pub fn clean_sub_code(sub_code: &str) -> String {
    let plain = |character: &char| !character.is_control() && !matches!(character, '\u{FFFE}' | '\u{FFFF}');
    sub_code.chars().filter(plain).take(MAX_SUB_CODE_CHARS).collect()
}

/// The parts of an error's body that we use.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    code: Option<String>,
    /// Returns whether the body is a JSON object. Recall's API answers in JSON; a firewall, a proxy or another server
    /// answers in HTML.
    pub(super) is_json: bool,
}

impl ErrorBody {
    pub(super) async fn read(response: reqwest::Response) -> Self {
        super::read_body(response).await.map(|body| Self::parse(&body)).unwrap_or_default()
    }

    /// Reads the `code` and nothing else, because free text may quote our request.
    pub(super) fn parse(body: &[u8]) -> Self {
        let body: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        let is_json = body.is_some();
        let code = body.and_then(|body| body.get("code")?.as_str().map(str::to_owned));
        Self {
            code: code.filter(|code| code.len() <= 100 && code.bytes().all(|byte| byte.is_ascii_graphic())),
            is_json,
        }
    }

    pub(super) fn code(self) -> Option<String> {
        self.code
    }

    pub(super) fn code_for_logs(self) -> String {
        self.code.unwrap_or_else(|| "no code".to_owned())
    }
}

#[cfg(test)]
mod tests;
