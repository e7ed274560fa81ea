//! Compares the renditions of small meetings, and their values in the manifest, with the files in `fixtures/`. A
//! fixture in which the time of the recording matters has a `recording.json`. A fixture with Recall's files about the
//! people also has the line of the meeting and the knowledge document. `UPDATE_EXPECT=1 cargo test` writes the expected
//! files.

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use job::time::Timestamp;
use serde_json::{Value, json};

use super::{html, info, render};
use crate::{
    Attendance, EventsReader, Format, MeetingInfo, Outcome, ParticipantsReader,
    fuzzing::render_with,
    knowledge_renderer, knowledge_sidecar, meeting_line,
    reader::{RecordingTimes, Summary, TranscriptReader},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Returns what is known about the recording of a fixture, and when it was made.
fn recorded(folder: &Path) -> (MeetingInfo, RecordingTimes) {
    let text = std::fs::read_to_string(folder.join("recording.json")).unwrap_or_else(|_| "null".to_owned());
    let recording: Value = serde_json::from_str(&text).expect("JSON");
    let text = |key: &str| recording[key].as_str().map(str::to_owned);
    let time = |key: &str| recording[key].as_str().and_then(Timestamp::parse_rfc3339);
    let started_at = time("started_at").or(info().started_at);
    let times = RecordingTimes { started_at, completed_at: time("completed_at") };
    let info = MeetingInfo {
        started_at,
        ended_at: times.completed_at,
        platform: text("platform"),
        meeting_id: text("meeting_id"),
        provider: text("provider"),
        metadata: serde_json::from_value(recording["metadata"].clone()).unwrap_or_default(),
        ..info()
    };
    (info, times)
}

/// Returns what Recall's files about the people of a fixture say.
fn attendance(folder: &Path, times: RecordingTimes) -> Attendance {
    let participants = std::fs::read(folder.join("participants.json")).ok().map(|file| {
        let mut reader = ParticipantsReader::new();
        file.chunks(7).for_each(|chunk| reader.push(chunk));
        reader.finish().expect("a list")
    });
    let presences = std::fs::read(folder.join("events.json")).ok().map(|file| {
        let mut reader = EventsReader::new(times);
        file.chunks(7).for_each(|chunk| reader.push(chunk));
        reader.finish().expect("a list")
    });
    Attendance::new(participants, presences, None)
}

#[test]
fn renditions_match_their_goldens() {
    let (mut seen, mut attended) = (0, 0);
    for entry in fixtures().read_dir().expect("the folder of fixtures") {
        let folder = entry.expect("a fixture").path();
        let (info, times) = recorded(&folder);
        let file = std::fs::read(folder.join("transcript.json")).expect("a transcript");
        let mut reader = TranscriptReader::new(times);
        file.chunks(7).for_each(|chunk| reader.push(chunk));
        let Outcome { summary, info, record, meeting } = reader.finish(info, attendance(&folder, times));
        let meeting = meeting.expect("a transcript that can be read");
        for format in Format::ALL {
            let name = format!("transcript.{}", format.spec().name);
            expect_file![folder.join(name)].assert_eq(&html::bare(&render(&meeting, format)));
        }
        if folder.join("participants.json").exists() {
            expect_file![folder.join("meeting.json")].assert_eq(&format!("{:#}\n", json!(record)));
            expect_file![folder.join("meetings.jsonl")].assert_eq(&meeting_line(&info, &record, &summary));
            let mut knowledge = knowledge_renderer();
            expect_file![folder.join("knowledge.md")].assert_eq(&render_with(&meeting, &mut *knowledge));
            let sidecar = knowledge_sidecar(&info, &record, &summary).expect("a sidecar");
            expect_file![folder.join("knowledge.md.metadata.json")].assert_eq(&sidecar);
            attended += 1;
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
    assert!(seen > 10 && attended > 0, "only {seen} fixtures, and {attended} with people");
}
