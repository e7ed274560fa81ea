//! Object keys, and the manifest that is written last.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::upload::Uploaded;
use renditions::{Counts, Format, Head, Recorded, Summary};

/// Readers refuse a schema that they do not know.
const SCHEMA: u32 = 1;
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What a manifest says whose files are about to change.
const BEING_REPLACED: &str = "files of this transcript are being replaced, and this manifest does not name them";
/// The verbatim file.
pub(crate) const VERBATIM: &str = "transcript.json";
pub(crate) const MANIFEST: &str = "manifest.json";

/// `manifest.json`. A reader that sees it sees everything it names. Fields that may be absent came later than the format.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub(crate) schema: u32,
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    pub(crate) language_codes: Vec<String>,
    pub(crate) recording: Recording,
    pub(crate) counts: Counts,
    #[serde(default)]
    pub(crate) skipped_values: u64,
    pub(crate) empty: bool,
    pub(crate) rendering_error: Option<String>,
    pub(crate) stored_at: String,
    /// When the readable files were made, or were found to be impossible, and by which version of this program.
    #[serde(default)]
    pub(crate) rendered_at: Option<String>,
    #[serde(default)]
    pub(crate) rendered_by: Option<String>,
    pub(crate) files: Vec<File>,
    /// Turns that were named and are being replaced. The next worker finds them here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_turns: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Recording {
    pub(crate) started_at: Option<String>,
    #[serde(default)]
    pub(crate) completed_at: Option<String>,
    pub(crate) metadata: Value,
    /// Null where there is no bot.
    #[serde(default)]
    pub(crate) bot_metadata: Value,
}

impl Recording {
    pub(crate) fn recorded(&self) -> Recorded {
        let time = |time: &Option<String>| time.as_deref().and_then(Timestamp::parse_rfc3339);
        Recorded { started_at: time(&self.started_at), completed_at: time(&self.completed_at) }
    }
}

/// One object of the set.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    /// As S3 writes it.
    #[serde(default)]
    pub(crate) crc64nvme: Option<String>,
    pub(crate) content_type: String,
}

/// What is known of a transcript besides its file.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) recording_id: RecordingId,
    pub(crate) transcript_id: TranscriptId,
    pub(crate) bot_id: Option<BotId>,
    pub(crate) attempt: Option<u32>,
    pub(crate) provider: Option<String>,
    /// Of the recording.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    /// Of the transcript.
    pub(crate) made_at: Option<Timestamp>,
    pub(crate) metadata: Value,
    pub(crate) bot_metadata: Value,
}

impl Manifest {
    /// # Errors
    /// What is wrong with it; nothing of it is quoted.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let unreadable = |error: serde_json::Error| format!("line {} column {}", error.line(), error.column());
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        match manifest.schema {
            SCHEMA => Ok(manifest),
            other => Err(format!("its schema is {other}, and this program knows {SCHEMA}")),
        }
    }

    /// The object with its turns, if there may be one.
    pub(crate) fn turns_key(&self) -> Option<&String> {
        let turns = self.files.iter().find(|file| file.name == Format::Jsonl.file_name());
        turns.map(|file| &file.key).or(self.replaced_turns.as_ref())
    }

    /// No longer names the files that are `replaced`; whether it did.
    pub(crate) fn withdraw(&mut self, replaced: impl Fn(&File) -> bool) -> bool {
        let named = self.files.len();
        self.replaced_turns = self.turns_key().cloned();
        self.files.retain(|file| !replaced(file));
        let is_changed = self.files.len() < named;
        if is_changed {
            self.rendering_error = Some(BEING_REPLACED.to_owned());
        }
        is_changed
    }

    /// Names these, too: all that there is by now.
    pub(crate) fn complete(&mut self, files: Vec<File>, now: Timestamp) {
        self.files.extend(files);
        self.rendering_error = None;
        self.replaced_turns = None;
        self.rendered_now(now);
    }

    fn rendered_now(&mut self, now: Timestamp) {
        self.rendered_at = Some(now.rfc3339());
        self.rendered_by = Some(VERSION.to_owned());
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_else(|_| unreachable!("text keys and plain values"))
    }
}

impl File {
    pub(crate) fn new(name: &str, key: String, content_type: &str, uploaded: Uploaded) -> Self {
        let Uploaded { bytes, sha256, crc64nvme } = uploaded;
        let (name, content_type) = (name.to_owned(), content_type.to_owned());
        Self { name, key, bytes, sha256, crc64nvme: Some(crc64nvme), content_type }
    }

    /// Whether both are the same bytes in the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.key, self.bytes, &self.sha256) == (&other.key, other.bytes, &other.sha256)
    }
}

impl About {
    pub(crate) fn key(&self, prefix: &str, name: &str) -> String {
        key(prefix, self.recording_id, self.transcript_id, name)
    }

    /// Filed under the day of the recording, or, where that is not known, of the transcript.
    pub(crate) fn turns_key(&self, prefix: &str, now: Timestamp) -> String {
        turns_key(prefix, self.started_at.or(self.made_at).unwrap_or(now), self.transcript_id)
    }

    pub(crate) fn head(&self) -> Head {
        Head::new(self.recording_id, self.transcript_id, self.started_at, &self.metadata)
    }

    pub(crate) fn recorded(&self) -> Recorded {
        Recorded { started_at: self.started_at, completed_at: self.completed_at }
    }

    pub(crate) fn manifest(
        self,
        summary: Summary,
        files: Vec<File>,
        rendering_error: Option<String>,
        stored_at: Timestamp,
    ) -> Manifest {
        let time = |time: Option<Timestamp>| time.map(Timestamp::rfc3339);
        let mut manifest = Manifest {
            schema: SCHEMA,
            recording_id: self.recording_id,
            transcript_id: self.transcript_id,
            bot_id: self.bot_id,
            attempt: self.attempt,
            provider: self.provider,
            language_codes: summary.language_codes.into_iter().collect(),
            recording: Recording {
                started_at: time(self.started_at),
                completed_at: time(self.completed_at),
                metadata: self.metadata,
                bot_metadata: self.bot_metadata,
            },
            counts: summary.counts,
            skipped_values: summary.skipped_values,
            empty: summary.empty,
            rendering_error,
            stored_at: stored_at.rfc3339(),
            rendered_at: None,
            rendered_by: None,
            files,
            replaced_turns: None,
        };
        manifest.rendered_now(stored_at);
        manifest
    }

    /// In the place of a manifest that cannot be read: it names nothing.
    pub(crate) fn withdrawn(&self, now: Timestamp) -> Manifest {
        let error = BEING_REPLACED.to_owned();
        let (summary, _) = Summary::unread(error.clone());
        self.clone().manifest(summary, Vec::new(), Some(error), now)
    }
}

/// The key of one of a transcript's objects.
pub(crate) fn key(prefix: &str, recording_id: RecordingId, transcript_id: TranscriptId, name: &str) -> String {
    format!("{prefix}recordings/{recording_id}/{transcript_id}/{name}")
}

/// The key of a transcript's turns, which is a partition of a table for SQL by the day in UTC.
pub(crate) fn turns_key(prefix: &str, day: Timestamp, transcript_id: TranscriptId) -> String {
    let day = day.rfc3339();
    let day = day.split_once('T').map_or(&*day, |(day, _)| day);
    format!("{prefix}turns/date={day}/{transcript_id}.jsonl")
}

/// Whether this is where the transcript's turns may be filed. What is read from the bucket may be anything, and an
/// object with this key is removed or overwritten.
pub(crate) fn is_turns_key(prefix: &str, key: &str, transcript_id: TranscriptId) -> bool {
    let day = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("turns/date="));
    let day = day.and_then(|rest| rest.strip_suffix(&format!("/{transcript_id}.jsonl")));
    day.is_some_and(|day| !day.is_empty() && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As the first version wrote it.
    fn first_version() -> Value {
        json!({
            "schema": 1, "recording_id": RecordingId::from_u128(1), "transcript_id": TranscriptId::from_u128(2),
            "bot_id": null, "attempt": 1, "provider": null, "language_codes": [],
            "recording": {"started_at": null, "metadata": {}},
            "counts": {"turns": 0, "words": 0, "speakers": 0, "duration_s": 0.0},
            "empty": true, "rendering_error": null, "stored_at": "2026-01-01T00:00:00Z",
            "files": [{"name": "a", "key": "k/a", "bytes": 1, "sha256": "aa", "content_type": "text/plain"},
                      {"name": "b", "key": "k/b", "bytes": 2, "sha256": "bb", "content_type": "text/plain"}],
        })
    }

    fn parse(manifest: &Value) -> Result<Manifest, String> {
        Manifest::parse(manifest.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_without_later_fields_is_read_and_one_of_another_schema_is_not() {
        let manifest = parse(&first_version()).expect("it is ours");
        assert_eq!((manifest.rendered_at, manifest.rendered_by), (None, None));
        assert_eq!((manifest.recording.completed_at, manifest.recording.bot_metadata), (None, Value::Null));
        assert_eq!(manifest.files[0].crc64nvme, None);
        let mut newer = first_version();
        newer["schema"] = json!(2);
        assert!(parse(&newer).expect_err("newer").contains("its schema is 2"));
    }

    #[test]
    fn what_is_withdrawn_is_not_named_and_the_manifest_says_so() {
        let mut manifest = parse(&first_version()).expect("it is ours");
        assert!(!manifest.withdraw(|file| file.name == "c"));
        assert_eq!((manifest.files.len(), &manifest.rendering_error), (2, &None), "nothing is replaced");
        assert!(manifest.withdraw(|file| file.name == "a"));
        assert!(manifest.files.iter().map(|file| &*file.name).eq(["b"]));
        assert_eq!(manifest.rendering_error.as_deref(), Some(BEING_REPLACED));
    }

    #[test]
    fn turns_that_are_no_longer_named_are_still_found() {
        let mut manifest = first_version();
        manifest["files"][0]["name"] = json!("turns.jsonl");
        let mut manifest = parse(&manifest).expect("it is ours");
        for _ in 0..2 {
            manifest.withdraw(|_| true);
            manifest = Manifest::parse(&manifest.to_json()).expect("it is ours");
            assert_eq!((manifest.files.len(), manifest.turns_key().map(|key| &**key)), (0, Some("k/a")));
        }
        manifest.complete(Vec::new(), Timestamp::from_secs(0));
        assert_eq!((manifest.turns_key(), &manifest.rendering_error), (None, &None));
        assert!(!String::from_utf8(manifest.to_json()).expect("text").contains("replaced"));
    }

    #[test]
    fn only_the_transcripts_own_turns_are_taken_for_them() {
        let id = TranscriptId::from_u128(2);
        let good = turns_key("p/", Timestamp::from_secs(0), id);
        assert_eq!(good, format!("p/turns/date=1970-01-01/{id}.jsonl"));
        assert!(is_turns_key("p/", &good, id));
        let other = TranscriptId::from_u128(3);
        assert!(!is_turns_key("p/", &good, other) && !is_turns_key("q/", &good, id) && !is_turns_key("", &good, id));
        for bad in [
            format!("p/turns/{id}.jsonl"),
            format!("p/turns/date=/{id}.jsonl"),
            format!("p/turns/date=2026-01-01/x/{id}.jsonl"),
            format!("p/turns/date=../{id}.jsonl"),
            format!("p/recordings/{id}.jsonl"),
        ] {
            assert!(!is_turns_key("p/", &bad, id), "{bad}");
        }
    }
}
