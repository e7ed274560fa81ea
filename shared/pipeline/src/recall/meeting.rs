//! What Recall knows about a meeting apart from its words: files about the participants, the title, and the platform.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::lenient::{Field, Status};
use crate::secret::Secret;

/// Longer titles and ids are not kept.
const MAX_ID_CHARS: usize = 256;
/// The keys of a meeting's URL that may name the meeting. No other key is read, because some hold passwords.
const MEETING_ID_KEYS: [&str; 3] = ["meeting_id", "business_meeting_id", "thread_id"];

/// Where something about a meeting is.
#[derive(Debug)]
pub enum Availability<T> {
    Ready(T),
    /// Recall has not made it ready.
    NotYet,
    /// Recall does not have it.
    Absent,
    /// Recall failed to make it.
    Failed,
    /// Recall describes it in another form than it documents.
    Malformed,
}

/// The artifact with the files about the participants.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ParticipantEvents {
    #[serde(default)]
    status: Field<Status>,
    #[serde(default)]
    data: Field<ParticipantFiles>,
}

#[derive(Default, Deserialize)]
pub(super) struct ParticipantFiles {
    #[serde(default)]
    pub(super) participants_download_url: Field<String>,
    #[serde(default)]
    pub(super) participant_events_download_url: Field<String>,
    #[serde(default)]
    pub(super) speaker_timeline_download_url: Field<String>,
}

impl std::fmt::Debug for ParticipantFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// The artifact with the title.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MeetingMetadata {
    #[serde(default)]
    status: Field<Status>,
    #[serde(default)]
    data: Field<MeetingData>,
}

#[derive(Debug, Default, Deserialize)]
struct MeetingData {
    #[serde(default)]
    title: Field<String>,
}

impl ParticipantEvents {
    /// Returns where one of the files is.
    pub(super) fn file(&self, url: impl FnOnce(&ParticipantFiles) -> &Field<String>) -> Availability<Secret<String>> {
        without_data(&self.status).unwrap_or_else(|| match &self.data {
            Field::Missing => Availability::Absent,
            Field::Malformed => Availability::Malformed,
            Field::Value(files) => url(files).url(),
        })
    }
}

impl Field<String> {
    /// Returns the URL of a file.
    pub(super) fn url(&self) -> Availability<Secret<String>> {
        match self {
            Self::Missing => Availability::Absent,
            Self::Value(url) => Availability::Ready(Secret::new(url.clone())),
            Self::Malformed => Availability::Malformed,
        }
    }
}

impl MeetingMetadata {
    /// Returns the title, which many platforms do not have.
    pub(super) fn title(&self) -> Availability<Option<String>> {
        without_data(&self.status).unwrap_or_else(|| match &self.data {
            Field::Missing | Field::Value(MeetingData { title: Field::Missing }) => Availability::Ready(None),
            Field::Value(MeetingData { title: Field::Value(title) }) => Availability::Ready(Some(title.clone())),
            Field::Malformed | Field::Value(MeetingData { title: Field::Malformed }) => Availability::Malformed,
        })
    }
}

/// Returns why an artifact with this status has no data, or `None` if it has.
fn without_data<T>(status: &Field<Status>) -> Option<Availability<T>> {
    match status {
        Field::Malformed => Some(Availability::Malformed),
        Field::Missing => Some(Availability::NotYet),
        Field::Value(status) => match status.code() {
            "done" => None,
            "failed" => Some(Availability::Failed),
            "deleted" => Some(Availability::Absent),
            // `processing`, and statuses that Recall may add.
            _ => Some(Availability::NotYet),
        },
    }
}

/// A bot as Recall describes it. Its meeting URL contains passwords, so only the platform and the meeting's id are
/// read.
#[derive(Debug, Default, Deserialize)]
pub struct BotArtifact {
    #[serde(default)]
    meeting_url: Field<MeetingUrl>,
}

#[derive(Default, Deserialize)]
#[serde(transparent)]
struct MeetingUrl(Map<String, Value>);

impl std::fmt::Debug for MeetingUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl BotArtifact {
    pub fn platform(&self) -> Option<String> {
        self.text("platform")
    }

    pub fn meeting_id(&self) -> Option<String> {
        MEETING_ID_KEYS.iter().find_map(|key| self.text(key))
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.meeting_url {
            Field::Value(MeetingUrl(parts)) => parts.get(key).and_then(id_text),
            Field::Missing | Field::Malformed => None,
        }
    }

    /// Returns whether the meeting's URL has another form than Recall documents.
    pub fn is_malformed(&self) -> bool {
        matches!(self.meeting_url, Field::Malformed)
    }
}

/// Returns an id as one word of limited length. A URL is not an id.
fn id_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    // These are parts of a URL, which may contain a password.
    let is_of_url = |c: char| c.is_control() || c.is_whitespace() || "/?&#=".contains(c);
    let is_id = !text.is_empty() && text.chars().count() <= MAX_ID_CHARS;
    (is_id && !text.chars().any(is_of_url)).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bot_reveals_its_platform_and_meeting_id_but_no_password() {
        let bot =
            |url: Value| serde_json::from_value::<BotArtifact>(json!({"id": "x", "meeting_url": url})).expect("any");
        let zoom = bot(json!({"platform": "zoom", "meeting_id": "123456", "meeting_password": "pw"}));
        assert_eq!((zoom.platform(), zoom.meeting_id()), (Some("zoom".to_owned()), Some("123456".to_owned())));
        assert!(!format!("{zoom:?}").contains("pw"));
        let meet = bot(json!({"platform": "google_meet", "meeting_id": "abc-defg-hij"}));
        assert_eq!(meet.meeting_id().as_deref(), Some("abc-defg-hij"));
        let number = bot(json!({"platform": "zoom", "meeting_id": 9_876_543_210_u64}));
        assert_eq!(number.meeting_id().as_deref(), Some("9876543210"));
        for odd in [json!(null), json!("https://zoom.us/j/1?pwd=secret"), json!(7), json!({"platform": {"a": 1}})] {
            let bot = bot(odd);
            assert_eq!((bot.platform(), bot.meeting_id()), (None, None));
        }
        for url in ["https://x.example/j?pwd=1", "zoom.us/j/123", "123&pwd=secret", "123#pwd=x", "a b"] {
            let bot = bot(json!({"platform": "webex", "meeting_id": url}));
            assert_eq!(bot.meeting_id(), None, "a join URL is not an id: {url}");
        }
    }

    #[test]
    fn file_is_ready_only_when_its_artifact_is_done() {
        let artifact = |status: &str, url: Value| {
            let artifact = json!({"status": {"code": status}, "data": {"participants_download_url": url}});
            serde_json::from_value::<ParticipantEvents>(artifact).expect("any")
        };
        let file = |artifact: ParticipantEvents| artifact.file(|files| &files.participants_download_url);
        assert!(matches!(file(artifact("done", json!("https://x"))), Availability::Ready(_)));
        assert!(matches!(file(artifact("done", json!(null))), Availability::Absent));
        assert!(matches!(file(artifact("done", json!(7))), Availability::Malformed));
        assert!(matches!(file(artifact("processing", json!(null))), Availability::NotYet));
        assert!(matches!(file(artifact("brand_new", json!("https://x"))), Availability::NotYet));
        assert!(matches!(file(artifact("failed", json!("https://x"))), Availability::Failed));
        assert!(matches!(file(artifact("deleted", json!("https://x"))), Availability::Absent));
    }

    #[test]
    fn title_may_be_missing_although_the_artifact_is_done() {
        let title = |artifact: Value| serde_json::from_value::<MeetingMetadata>(artifact).expect("any").title();
        let done = |data: Value| title(json!({"status": {"code": "done"}, "data": data}));
        assert!(matches!(done(json!({"title": "Standup"})), Availability::Ready(Some(text)) if text == "Standup"));
        for untitled in [json!({"title": null}), json!({}), json!(null)] {
            assert!(matches!(done(untitled), Availability::Ready(None)));
        }
        for malformed in [json!({"title": 7}), json!("x"), json!([])] {
            assert!(matches!(done(malformed), Availability::Malformed));
        }
        assert!(matches!(title(json!({"status": {"code": "processing"}})), Availability::NotYet));
        assert!(matches!(title(json!({"status": {"code": "failed"}})), Availability::Failed));
    }
}
