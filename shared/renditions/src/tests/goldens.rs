//! Compares the renditions of small meetings, and their values in the manifest, with the files in `fixtures/`. A
//! fixture in which the time of the recording matters has a `recording.json`. `UPDATE_EXPECT=1 cargo test` writes the
//! expected files.

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use job::time::Timestamp;
use serde_json::{Value, json};

use super::{html, info, render};
use crate::{
    Attendance, Format, MeetingInfo, Outcome,
    reader::{RecordingTimes, Summary, TranscriptReader},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Returns when the recording of a fixture was made.
fn recorded(folder: &Path) -> RecordingTimes {
    let text = std::fs::read_to_string(folder.join("recording.json")).unwrap_or_else(|_| "null".to_owned());
    let recording: Value = serde_json::from_str(&text).expect("JSON");
    let time = |key: &str| recording[key].as_str().and_then(Timestamp::parse_rfc3339);
    RecordingTimes { started_at: time("started_at").or(info().started_at), completed_at: time("completed_at") }
}

#[test]
fn renditions_match_their_goldens() {
    let mut seen = 0;
    for entry in fixtures().read_dir().expect("the folder of fixtures") {
        let folder = entry.expect("a fixture").path();
        let recorded = recorded(&folder);
        let file = std::fs::read(folder.join("transcript.json")).expect("a transcript");
        let mut reader = TranscriptReader::new(recorded);
        file.chunks(7).for_each(|chunk| reader.push(chunk));
        let info = MeetingInfo { started_at: recorded.started_at, ..info() };
        let Outcome { summary, meeting, .. } = reader.finish(info, Attendance::default());
        let meeting = meeting.expect("a transcript that can be read");
        for format in Format::ALL {
            let name = format!("transcript.{}", format.spec().name);
            expect_file![folder.join(name)].assert_eq(&html::bare(&render(&meeting, format)));
        }
        let Summary { counts, skipped_values, language_codes, empty, error } = summary;
        assert_eq!(error, None);
        let summary = json!({"counts": counts, "skipped_values": skipped_values, "language_codes": language_codes,
            "empty": empty});
        expect_file![folder.join("summary.json")].assert_eq(&format!("{summary:#}\n"));
        // A format that is not written has no expected file.
        assert_eq!(folder.join("transcript.srt").exists(), !meeting.is_empty(), "{}", folder.display());
        seen += 1;
    }
    assert!(seen > 10, "only {seen} fixtures");
}
