//! Object keys. They are part of the contract, because other programs find objects by them.

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

/// The name of the verbatim file.
pub const VERBATIM: &str = "transcript.json";
/// The name of the manifest, which is written last.
pub const MANIFEST: &str = "manifest.json";

/// Returns the key of one of a transcript's objects.
pub fn key(prefix: &str, recording_id: RecordingId, transcript_id: TranscriptId, name: &str) -> String {
    format!("{prefix}recordings/{recording_id}/{transcript_id}/{name}")
}

/// Returns the key of a transcript's turns. These objects form a table for SQL that is partitioned by the day in UTC.
pub fn turns_key(prefix: &str, day: Timestamp, transcript_id: TranscriptId) -> String {
    let day = day.rfc3339();
    let day = day.split_once('T').map_or(&*day, |(day, _)| day);
    format!("{prefix}turns/date={day}/{transcript_id}.jsonl")
}

/// Returns whether this can be the key of the transcript's turns. Check each key that was read from the bucket, because
/// it may be anything, and the object with this key is removed or overwritten.
pub fn is_turns_key(prefix: &str, key: &str, transcript_id: TranscriptId) -> bool {
    let day = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("turns/date="));
    let day = day.and_then(|rest| rest.strip_suffix(&format!("/{transcript_id}.jsonl")));
    day.is_some_and(|day| !day.is_empty() && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_key_is_accepted_only_for_its_own_transcript() {
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
