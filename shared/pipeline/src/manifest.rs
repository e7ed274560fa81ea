//! The manifest of a stored transcript. Readers find a transcript by its manifest.

use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};
use renditions::{Counts, MeetingRecord, RecordingTimes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::{MEETING_LINE, TURNS, day_of_key, is_day};

/// The version of the manifest's format. Readers reject a version that they do not know.
pub const SCHEMA: u32 = 1;
/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The `rendering_error` of a manifest whose files are about to change.
pub const BEING_REPLACED: &str = "files of this transcript are being replaced, and this manifest does not name them";

/// The content of `manifest.json`. A reader that sees a manifest also sees every file that it names. Fields with a
/// default were added later, so they may be absent.
#[derive(Debug, Deserialize, Serialize)]
pub struct Manifest {
    pub schema: u32,
    pub recording_id: RecordingId,
    pub transcript_id: TranscriptId,
    pub bot_id: Option<BotId>,
    pub attempt: Option<u32>,
    pub provider: Option<String>,
    pub language_codes: Vec<String>,
    pub recording: Recording,
    pub counts: Counts,
    #[serde(default)]
    pub skipped_values: u64,
    /// What is known about the meeting and its people.
    #[serde(default)]
    pub meeting: MeetingRecord,
    pub empty: bool,
    pub rendering_error: Option<String>,
    pub stored_at: String,
    /// When the readable files were made or turned out to be impossible.
    #[serde(default)]
    pub rendered_at: Option<String>,
    /// The version of this program that made them.
    #[serde(default)]
    pub rendered_by: Option<String>,
    pub files: Vec<File>,
    /// The day of turns and of a meeting that the manifest named and that are being replaced. The next worker finds
    /// them by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_day: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Recording {
    pub started_at: Option<String>,
    #[serde(default)]
    pub completed_at: Option<String>,
    pub metadata: Value,
    /// Null if there is no bot.
    #[serde(default)]
    pub bot_metadata: Value,
}

impl Recording {
    pub fn times(&self) -> RecordingTimes {
        let parse = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse_rfc3339);
        RecordingTimes { started_at: parse(&self.started_at), completed_at: parse(&self.completed_at) }
    }
}

/// One object that a manifest names.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct File {
    pub name: String,
    pub key: String,
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// In base64, as S3 writes it.
    #[serde(default)]
    pub crc64nvme: Option<String>,
    pub content_type: String,
}

impl Manifest {
    /// Parses a manifest.
    ///
    /// # Errors
    /// Says what is wrong with the manifest, without quoting it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let unreadable = |error: serde_json::Error| format!("line {} column {}", error.line(), error.column());
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        match manifest.schema {
            SCHEMA => Ok(manifest),
            other => Err(format!("its schema is {other}, but this program reads only {SCHEMA}")),
        }
    }

    /// Returns the day under which the turns and the meeting are filed, if there may be any.
    pub fn day(&self) -> Option<&str> {
        let is_filed = |file: &&File| [TURNS, MEETING_LINE].contains(&&*file.name);
        let named = self.files.iter().filter(is_filed).find_map(|file| day_of_key(&file.key));
        named.or(self.replaced_day.as_deref().filter(|day| is_day(day)))
    }

    /// Removes the files that are about to be replaced from the manifest. Returns whether there were any.
    pub fn withdraw(&mut self, is_replaced: impl Fn(&File) -> bool) -> bool {
        let named_before = self.files.len();
        self.replaced_day = self.day().map(str::to_owned);
        self.files.retain(|file| !is_replaced(file));
        let is_changed = self.files.len() < named_before;
        if is_changed {
            self.rendering_error = Some(BEING_REPLACED.to_owned());
        }
        is_changed
    }

    /// Adds the remaining files, so that the manifest names all files.
    pub fn complete(&mut self, files: Vec<File>, rendering_error: Option<String>, now: Timestamp) {
        self.files.extend(files);
        self.rendering_error = rendering_error;
        self.replaced_day = None;
        self.rendered_now(now);
    }

    /// Records that this program made the readable files now.
    pub fn rendered_now(&mut self, now: Timestamp) {
        self.rendered_at = Some(now.rfc3339());
        self.rendered_by = Some(VERSION.to_owned());
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_else(|_| unreachable!("text keys and plain values"))
    }
}

impl File {
    /// Returns whether both files have the same key and the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.key, self.bytes, &self.sha256) == (&other.key, other.bytes, &other.sha256)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns a manifest as the first version wrote it.
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
    fn manifest_is_read_without_later_fields_but_not_with_another_schema() {
        let manifest = parse(&first_version()).expect("it is ours");
        assert_eq!((manifest.rendered_at, manifest.rendered_by), (None, None));
        assert_eq!((manifest.recording.completed_at, manifest.recording.bot_metadata), (None, Value::Null));
        assert_eq!(manifest.files[0].crc64nvme, None);
        let mut newer = first_version();
        newer["schema"] = json!(2);
        assert!(parse(&newer).expect_err("newer").contains("its schema is 2"));
    }

    #[test]
    fn withdrawn_files_are_not_named_and_the_manifest_says_so() {
        let mut manifest = parse(&first_version()).expect("it is ours");
        assert!(!manifest.withdraw(|file| file.name == "c"));
        assert_eq!((manifest.files.len(), &manifest.rendering_error), (2, &None), "nothing is replaced");
        assert!(manifest.withdraw(|file| file.name == "a"));
        assert!(manifest.files.iter().map(|file| &*file.name).eq(["b"]));
        assert_eq!(manifest.rendering_error.as_deref(), Some(BEING_REPLACED));
    }

    #[test]
    fn withdrawn_turns_are_still_found() {
        let mut manifest = first_version();
        manifest["files"][0]["name"] = json!("turns.jsonl");
        manifest["files"][0]["key"] = json!("p/turns/date=2026-01-02/x.jsonl");
        let mut manifest = parse(&manifest).expect("it is ours");
        for _ in 0..2 {
            manifest.withdraw(|_| true);
            manifest = Manifest::parse(&manifest.to_json()).expect("it is ours");
            assert_eq!((manifest.files.len(), manifest.day()), (0, Some("2026-01-02")));
        }
        manifest.complete(Vec::new(), None, Timestamp::from_secs(0));
        assert_eq!((manifest.day(), &manifest.rendering_error), (None, &None));
        assert!(!String::from_utf8(manifest.to_json()).expect("text").contains("replaced"));
    }
}
