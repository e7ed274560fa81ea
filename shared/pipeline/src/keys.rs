//! Object keys. They are part of the contract, because other programs find objects by them.

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

/// The name of the verbatim file.
pub const VERBATIM: &str = "transcript.json";
/// The name of the manifest, which is written last.
pub const MANIFEST: &str = "manifest.json";
/// The names of Recall's other files, which are kept as they are.
pub const PARTICIPANTS: &str = "participants.json";
pub const EVENTS: &str = "events.json";
pub const TIMELINE: &str = "timeline.json";
pub const PROVIDER_DATA: &str = "provider.json";
/// The name of the turns, in the manifest.
pub const TURNS: &str = "turns.jsonl";
/// The name of the line that describes the meeting, in the manifest.
pub const MEETING_LINE: &str = "meetings.jsonl";
/// A longer text is not a day.
const MAX_DAY_BYTES: usize = 16;
/// The folder of the knowledge documents.
pub const KNOWLEDGE: &str = "knowledge/";

/// Returns the key of one of a transcript's objects.
pub fn key(prefix: &str, recording_id: RecordingId, transcript_id: TranscriptId, name: &str) -> String {
    format!("{prefix}recordings/{recording_id}/{transcript_id}/{name}")
}

/// Returns the day in UTC, as in the keys: `2026-11-23`.
pub fn day(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
}

/// Returns the key of a transcript's turns. These objects form a table for SQL that is partitioned by the day in UTC.
pub fn turns_key(prefix: &str, day: &str, transcript_id: TranscriptId) -> String {
    format!("{prefix}turns/date={day}/{transcript_id}.jsonl")
}

/// Returns the key of the line that describes the meeting of a transcript. These objects form a table like the turns.
pub fn meetings_key(prefix: &str, day: &str, transcript_id: TranscriptId) -> String {
    format!("{prefix}meetings/date={day}/{transcript_id}.jsonl")
}

/// Returns whether this can be a day in a key. Check each day that was read from the bucket, because it may be
/// anything, and the objects of that day are removed or overwritten.
pub fn is_day(day: &str) -> bool {
    day.len() <= MAX_DAY_BYTES && !day.is_empty() && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Returns the day in the key of the transcript's turns or of its meeting, if the key has one.
pub fn day_of_key(key: &str) -> Option<&str> {
    let (_, day) = key.rsplit_once("/date=").or_else(|| key.rsplit_once("date="))?;
    day.split_once('/').map(|(day, _)| day).filter(|day| is_day(day))
}

/// Returns the keys of a transcript's knowledge document and of its sidecar.
pub fn knowledge_keys(prefix: &str, transcript_id: TranscriptId) -> KnowledgeKeys {
    let document = format!("{prefix}{KNOWLEDGE}{transcript_id}.md");
    KnowledgeKeys { sidecar: format!("{document}.metadata.json"), document }
}

/// The keys of a document for knowledge bases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnowledgeKeys {
    pub document: String,
    /// The metadata of the document. Amazon Bedrock finds it by its name.
    pub sidecar: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_found_in_the_keys_of_both_tables() {
        let (id, day) = (TranscriptId::from_u128(2), day(Timestamp::from_secs(0)));
        assert_eq!(turns_key("p/", &day, id), format!("p/turns/date=1970-01-01/{id}.jsonl"));
        for key in [turns_key("p/", &day, id), meetings_key("", &day, id), meetings_key("date=7/", &day, id)] {
            assert_eq!(day_of_key(&key), Some("1970-01-01"), "{key}");
        }
        for bad in ["", "p/turns/x.jsonl", "p/turns/date=/x.jsonl", "p/turns/date=../x.jsonl", "turns/date=2026-01-01"]
        {
            assert_eq!(day_of_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn knowledge_sidecar_is_named_after_its_document() {
        let id = TranscriptId::from_u128(2);
        let KnowledgeKeys { document, sidecar } = knowledge_keys("p/", id);
        assert_eq!((document, sidecar), (format!("p/knowledge/{id}.md"), format!("p/knowledge/{id}.md.metadata.json")));
    }
}
