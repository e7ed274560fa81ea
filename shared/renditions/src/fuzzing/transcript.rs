//! Checks that any file is read the same way however it arrives and is counted correctly, and that its renditions are
//! of limited size, well-formed and harmless.

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use serde_json::Value;

use super::subtitles;
use crate::{
    Attendance, Format, Meeting, MeetingInfo, Outcome, Renderer, Title, TitleSource, has_visible,
    reader::{RecordingTimes, Summary, TranscriptReader},
};

/// The maximum size of a rendition: a fixed part, for a page's style and script, and a part for every byte of the file,
/// for a turn of one letter by a person with the longest name in which every letter is escaped.
const FIXED_BYTES: usize = 64 << 10;
const BYTES_PER_BYTE: usize = 128;

/// The first byte decides how the file is cut into pieces. The rest is the file.
pub fn transcript(input: &[u8]) {
    let Some((choice, file)) = input.split_first() else { return };
    let (summary, meeting) = read(file, |_| usize::MAX);
    let (cut, cut_meeting) = read(file, |piece| 1 + (usize::from(*choice) * piece) % 61);
    assert_eq!(summary.error.is_some(), cut.error.is_some(), "the result depends on where the file is cut");
    // The place where an error is found may differ, and so may the number of values skipped before it.
    let comparable = |summary: Summary| match summary.error {
        Some(_) => Summary { error: None, skipped_values: 0, ..summary },
        None => summary,
    };
    assert_eq!(comparable(summary.clone()), comparable(cut), "the counts depend on where the file is cut");
    assert!(summary.error.is_none() || meeting.is_err(), "a meeting was made of an incomplete file");
    check_counts(file, &summary);

    let (meeting, cut_meeting) = match (meeting, cut_meeting) {
        (Ok(meeting), Ok(cut_meeting)) => (meeting, cut_meeting),
        (meeting, cut_meeting) => {
            let why = meeting.err();
            assert!(why.as_ref().is_some_and(|why| why.len() < 200), "{why:?}");
            return assert!(cut_meeting.is_err(), "the result depends on where the file is cut");
        }
    };
    for format in Format::ALL {
        let rendition = render(&meeting, format);
        assert!(rendition == render(&cut_meeting, format), "{format:?} depends on where the file is cut");
        let most = FIXED_BYTES + BYTES_PER_BYTE * file.len();
        assert!(rendition.len() <= most, "{format:?}: {} of {} bytes", rendition.len(), file.len());
        assert!(!rendition.contains(|c: char| c.is_control() && c != '\n'), "{format:?} has control characters");
        match format {
            Format::Jsonl => check_jsonl(&rendition, &summary),
            Format::Vtt => subtitles::check(&subtitles::vtt(&rendition), true),
            Format::Srt => subtitles::check(&subtitles::srt(&rendition), false),
            Format::Html => check_html(&rendition),
            Format::Txt | Format::Md => {}
        }
    }
}

/// Reads the file in pieces.
fn read(file: &[u8], length: impl Fn(usize) -> usize) -> (Summary, Result<Meeting, String>) {
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    let (mut rest, mut piece) = (file, 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(length(piece).min(rest.len()));
        reader.push(now);
        (rest, piece) = (later, piece + 1);
    }
    let info = MeetingInfo {
        title: Some(Title { text: "Weekly sync".to_owned(), source: TitleSource::Recall }),
        started_at: Some(Timestamp::from_secs(1_700_000_000)),
        ..MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2023-11-14".to_owned())
    };
    let Outcome { summary, meeting, .. } = reader.finish(info, Attendance::default());
    (summary, meeting)
}

/// Returns a whole rendition.
pub(crate) fn render(meeting: &Meeting, format: Format) -> String {
    render_with(meeting, &mut *(format.spec().renderer)())
}

/// Returns all that a renderer writes.
pub(crate) fn render_with(meeting: &Meeting, renderer: &mut dyn Renderer) -> String {
    let mut out = String::new();
    renderer.begin(meeting, &mut out);
    for turn in meeting.turns() {
        renderer.turn(meeting, &turn, &mut out);
    }
    renderer.end(meeting, &mut out);
    out
}

/// Compares the counts with those of another parser.
fn check_counts(file: &[u8], summary: &Summary) {
    // The reader skips a byte order mark.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    // Another parser may reject files in which a key appears twice, which are nested more deeply than it supports, or
    // which contain half of a surrogate pair or non-finite numbers.
    let Ok(value) = serde_json::from_slice::<Value>(file) else { return };
    if count_keys(&value) != count_colons(file) {
        return;
    }
    let Some(turns) = value.as_array() else {
        return assert!(summary.error.is_some(), "a file without an array was accepted");
    };
    let words: usize = turns.iter().map(visible_words).sum();
    let nothing = format!("no words were found in {} entries", turns.len());
    assert!(summary.error.is_none() || words == 0 && summary.error == Some(nothing), "{:?}", summary.error);
    assert_eq!(summary.counts.words, words as u64);
    assert_eq!(summary.empty, words == 0 && summary.error.is_none());
    assert!(summary.skipped_values >= turns.iter().filter(|turn| !turn.is_object()).count() as u64);
    assert!(summary.error.is_none() || summary.skipped_values > 0);
    assert!(summary.counts.turns <= summary.counts.words);
}

/// Returns the number of visible words of an entry. Its text counts if it has no words.
fn visible_words(turn: &Value) -> usize {
    let visible = |value: &Value| value["text"].as_str().is_some_and(is_visible_text);
    match turn["words"].as_array().into_iter().flatten().filter(|word| visible(word)).count() {
        0 => turn["text"].as_str().unwrap_or_default().split_whitespace().filter(|word| is_visible_text(word)).count(),
        count => count,
    }
}

/// Returns whether any of the text is visible after cleaning.
fn is_visible_text(text: &str) -> bool {
    text != "\u{7f}" && has_visible(text)
}

/// Counts the keys of all objects, each key once.
fn count_keys(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(count_keys).sum(),
        Value::Object(values) => values.values().map(|value| 1 + count_keys(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Counts the colons outside of strings, which are as many as the keys.
fn count_colons(json: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b':' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}

fn check_jsonl(rendition: &str, summary: &Summary) {
    let mut words = 0;
    for (index, line) in rendition.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["turn"], index);
        assert_eq!(line["recording_id"], RecordingId::from_u128(1).to_string());
        assert!(line["text"].as_str().is_some_and(|text| !text.is_empty()));
        words += line["words"].as_u64().expect("a number");
    }
    assert_eq!(words, summary.counts.words);
    assert_eq!(rendition.lines().count() as u64, summary.counts.turns);
}

/// Checks that nothing in the transcript became markup: all tags and attributes are those of the page.
fn check_html(page: &str) {
    let without = |page: &str, tag: &str| {
        let (before, rest) = page.split_once(&format!("<{tag}>"))?;
        Some(format!("{before}{}", rest.split_once(&format!("</{tag}>"))?.1))
    };
    let page = without(page, "style").expect("a style");
    let page = without(&page, "script").unwrap_or(page);
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("an end");
        // Remove the attribute values.
        let names: String = tag.split('"').step_by(2).collect();
        let own = names.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=-/! ".contains(&byte));
        assert!(own && tag.matches('"').count() % 2 == 0, "<{tag}>");
        assert!(!names.contains("style=") && !names.contains("src=") && !names.contains(" on"), "<{tag}>");
        assert!(!["script", "iframe", "object", "img", "svg/"].iter().any(|bad| names.starts_with(bad)), "<{tag}>");
    }
}
