//! Tests what is read from valid and invalid files.

use job::ids::{RecordingId, TranscriptId};

use super::{
    pieces::{MAX_VALUE_BYTES, too_long},
    *,
};

fn info() -> MeetingInfo {
    MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned())
}

fn summary_of(file: &[u8], step: usize) -> Summary {
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    file.chunks(step).for_each(|chunk| reader.push(chunk));
    reader.finish(info(), Attendance::default()).summary
}

const MEETING: &str = r#"[
    {"participant": {"id": 1, "name": "Ann", "is_host": true, "extra_data": {"words": [1], "id": 9}},
     "language_code": "en",
     "words": [{"text": "Hi\u0021", "start_timestamp": {"relative": 0.5, "absolute": null},
                "end_timestamp": {"relative": 0.9, "absolute": null}},
               {"text": "[{", "start_timestamp": null, "end_timestamp": {"relative": 12.25}}]},
    {"participant": {"id": 2, "name": "Ann"}, "language_code": "ja", "words": []},
    {"participant": {"id": null, "name": null}, "words": [{"text": "…"}]},
    {"words": [], "participant": null}
]"#;

#[test]
fn counts_do_not_depend_on_where_the_bytes_are_cut() {
    let whole = summary_of(MEETING.as_bytes(), usize::MAX);
    assert_eq!(whole.error, None);
    assert_eq!(whole.counts, Counts { turns: 3, words: 3, speakers: 3, speakers_over_limit: 0, duration_ms: 12_250 });
    assert_eq!(whole.language_codes, BTreeSet::from(["en".to_owned(), "ja".to_owned()]));
    assert!(!whole.empty);
    for step in 1..40 {
        assert_eq!(summary_of(MEETING.as_bytes(), step), whole, "in steps of {step}");
    }
}

#[test]
fn silent_meeting_is_empty_and_not_an_error() {
    for silent in [
        r#"[{"words":[{"text":"\u0000\u2066"}]}]"#,
        "[]",
        " [ ] ",
        "\u{feff}[]",
        r#"[{"participant":{"id":1},"words":[]}]"#,
        r#"[{"words":[{"text":" "}]}]"#,
    ] {
        let summary = summary_of(silent.as_bytes(), 3);
        assert!(summary.empty && summary.error.is_none(), "{silent}: {summary:?}");
    }
}

#[test]
fn invalid_times_do_not_count_as_duration() {
    for (relative, duration_ms) in [("1e999", 0), ("1e300", 0), ("-5", 0), ("12.5", 12_500)] {
        let file = format!(r#"[{{"words": [{{"text": "a", "end_timestamp": {{"relative": {relative}}}}}]}}]"#);
        let summary = summary_of(file.as_bytes(), 9);
        assert_eq!(summary.counts.duration_ms, duration_ms, "{relative}");
        assert_eq!(summary.skipped_values, u64::from(duration_ms == 0), "{relative}");
    }
}

#[test]
fn values_of_another_type_are_skipped_and_counted() {
    // The value replaces the participant, its fields, the language, the list of words and the text of a word. It also
    // replaces a time, and the seconds of a time.
    for (odd, values, times) in [
        ("null", 3, 0),
        ("true", 5, 3),
        ("-5", 5, 3),
        ("[3]", 5, 3),
        ("NaN", 5, 3),
        ("-Infinity", 5, 3),
        ("5", 5, 0),
        (r#""x""#, 3, 3),
        (r#""5""#, 3, 0),
        (r#"{"relative": "x", "y": [{}]}"#, 4, 3),
    ] {
        let file = format!(
            r#"[{{"participant": {odd}, "language_code": {odd}, "words": [
                {{"text": "a", "start_timestamp": {odd}, "end_timestamp": {odd}}},
                {{"text": {odd}, "start_timestamp": {{"relative": {odd}}}, "end_timestamp": {{"relative": 7}}}}]}},
              {{"participant": {{"id": {odd}, "name": {odd}, "is_host": {odd}}}, "words": {odd}}}]"#
        );
        for step in [1, usize::MAX] {
            let summary = summary_of(file.as_bytes(), step);
            assert_eq!(summary.error, None, "{odd}");
            let texts = u64::from(odd.starts_with('"'));
            assert_eq!(summary.counts.words, 1 + texts, "{odd}");
            assert_eq!(summary.skipped_values, values + times, "{odd}");
        }
    }
}

#[test]
fn keys_and_texts_may_be_escaped() {
    let file = r#"[{"w\u006frds": [{"te\u0078t": "\"\ud83d\ude00\"", "end_timestamp": {"relat\u0069ve": 2}}]}]"#;
    for step in 1..20 {
        let summary = summary_of(file.as_bytes(), step);
        assert_eq!((summary.error, summary.counts.words, summary.counts.duration_ms), (None, 1, 2000));
    }
}

/// Returns what is read from a file of a recording with these times.
fn read(file: &str, started_at: Option<&str>, completed_at: Option<&str>) -> (Summary, Meeting) {
    let time = |text: Option<&str>| text.map(|text| Timestamp::parse_rfc3339(text).expect("a time"));
    let mut reader =
        TranscriptReader::new(RecordingTimes { started_at: time(started_at), completed_at: time(completed_at) });
    reader.push(file.as_bytes());
    let Outcome { summary, meeting, .. } = reader.finish(info(), Attendance::default());
    (summary, meeting.expect("a meeting"))
}

fn starts(meeting: &Meeting) -> Vec<u32> {
    meeting.turns().map(|turn| turn.span.start_ms).collect()
}

#[test]
fn last_value_of_a_repeated_key_counts() {
    let file = r#"[{"participant": {"name": "Bo", "name": "Ann"}, "participant": {"id": 1, "id": 2, "name": "Cy"},
        "words": [{"text": "gone", "start_timestamp": {"relative": 90}}, {"text": "too"}],
        "words": [{"text": "x", "text": "Hi.",
            "start_timestamp": {"relative": 9, "relative": 1}, "start_timestamp": 2}]}]"#;
    let (summary, meeting) = read(file, None, None);
    let turn = meeting.turns().next().expect("a turn");
    assert_eq!((&*turn.text, meeting.label(&turn), turn.speaker_id), ("Hi.", "Cy", Some(2)));
    assert_eq!((summary.counts.words, summary.counts.turns, summary.skipped_values), (1, 1, 0));
    assert_eq!(starts(&meeting), [2000]);
}

#[test]
fn values_replaced_by_a_repeated_key_are_not_counted() {
    for (entry, words, skipped) in [
        (r#"{"words": [5, {"text": 5}], "words": [{"text": "ok"}]}"#, 1, 0),
        (r#"{"words": [{"text": "gone"}], "words": null, "text": "two words"}"#, 2, 0),
        (r#"{"words": "x", "words": [{"text": "ok"}]}"#, 1, 0),
        (r#"{"participant": 5, "participant": {}, "words": [{"text": "ok"}]}"#, 1, 0),
        (r#"{"words": [{"text": "ok"}], "language_code": 5, "language_code": "en"}"#, 1, 0),
        (r#"{"words": [{"text": "ok"}], "words": 5, "text": "ok"}"#, 1, 1),
    ] {
        let summary = summary_of(format!("[{entry}]").as_bytes(), 5);
        assert_eq!((summary.counts.words, summary.skipped_values, summary.error), (words, skipped, None), "{entry}");
    }
    let summary = summary_of(br#"[{"words": [null], "words": []}]"#, 5);
    assert!(summary.empty, "{summary:?}");
}

#[test]
fn times_of_another_form_are_counted_as_skipped() {
    for (time, skipped) in [
        (r#"{"seconds": 5}"#, 1),
        ("{}", 1),
        (r#"{"relative": 5, "absolute": NaN}"#, 1),
        (r#"{"relative": 5, "absolute": 12345}"#, 1),
        (r#"{"relative": null, "absolute": "noon"}"#, 1),
        (r#"{"relative": null, "absolute": null}"#, 0),
        (r#"{"relative": 5}"#, 0),
        (r#"{"absolute": "2026-03-12T10:00:00Z"}"#, 0),
    ] {
        let file = format!(r#"[{{"words": [{{"text": "a", "start_timestamp": {time}}}]}}]"#);
        assert_eq!(summary_of(file.as_bytes(), 7).skipped_values, skipped, "{time}");
    }
}

#[test]
fn speaker_may_be_a_single_value() {
    for (speaker, label) in
        [(r#""Ira""#, "Ira"), ("3", "Speaker 3"), (r#"{"id": 3, "name": "Ira"}"#, "Ira"), ("[]", "Unknown speaker")]
    {
        let (summary, meeting) = read(&format!(r#"[{{"speaker": {speaker}, "text": "Told."}}]"#), None, None);
        let turn = meeting.turns().next().expect("a turn");
        assert_eq!((meeting.label(&turn), summary.skipped_values), (label, 0));
    }
}

#[test]
fn entry_times_apply_to_words_without_times() {
    let file = r#"[{"start_time": 7, "end_time": 9, "words": [{"text": "a"}, {"text": "b"}]},
        {"start_time": 70, "words": [{"text": "c", "start_time": 20}]}]"#;
    assert_eq!(starts(&read(file, None, None).1), [7000, 20_000]);
}

#[test]
fn long_entry_is_settled_in_parts_like_a_whole() {
    for wrong in [4_094, 4_095, 4_096, 4_112] {
        let word = |n: u32| {
            let at_ms = if (wrong..wrong + 2).contains(&n) { n * 300 + 900_000 } else { n * 300 };
            format!(r#"{{"text": "w{n}", "start_time": {}.{:03}}}"#, at_ms / 1000, at_ms % 1000)
        };
        let words: Vec<_> = (0..20_000).map(word).collect();
        let file = format!(r#"[{{"words": [{}]}}]"#, words.join(","));
        let (summary, meeting) = read(&file, None, None);
        assert_eq!(summary.counts.duration_ms, 19_999 * 300 + 400, "{wrong}");
        for turn in meeting.turns() {
            let first: u32 = turn.text.split(' ').next().and_then(|word| word[1..].parse().ok()).expect("a number");
            assert!(turn.span.start_ms.abs_diff(first * 300) <= 600, "{}: {:?}", first, turn.span);
        }
    }
}

#[test]
fn entry_text_counts_only_without_words() {
    for (entry, text, skipped) in [
        (r#"{"text": "Told.", "words": []}"#, "Told.", 0),
        (r#"{"text": "Told.", "words": null}"#, "Told.", 0),
        (r#"{"words": "Listed.", "text": "Told."}"#, "Told.", 1),
        (r#"{"text": "Told.", "words": [{"text": " "}, 5]}"#, "Told.", 1),
        (r#"{"text": "Told.", "words": [{"text": "Listed."}]}"#, "Listed.", 0),
        (r#"{"text": 5, "words": [{"text": "Listed."}]}"#, "Listed.", 1),
    ] {
        let (summary, meeting) = read(&format!("[{entry}]"), None, None);
        assert_eq!(meeting.turns().next().map(|turn| turn.text).as_deref(), Some(text), "{entry}");
        assert_eq!((summary.skipped_values, summary.counts.words), (skipped, 1), "{entry}");
    }
    let entry = r#"[{"speaker": "Ira", "text": "Told.", "start_time": 3, "end_time": "4.5"}]"#;
    let (summary, meeting) = read(entry, None, None);
    let turn = meeting.turns().next().expect("a turn");
    assert_eq!((meeting.label(&turn), starts(&meeting), summary.counts.duration_ms), ("Ira", vec![3000], 4500));
}

/// Returns a file with a turn at each of these times: relative seconds, and seconds after ten o'clock.
fn stamped(times: &[(f64, Option<u32>)]) -> String {
    let turn = |(relative, absolute): &(f64, Option<u32>)| {
        let absolute = absolute.map(|s| format!("\"2026-03-12T10:{:02}:{:02}Z\"", s / 60, s % 60));
        let absolute = absolute.unwrap_or_else(|| "null".to_owned());
        format!(
            r#"{{"words": [{{"text": "a", "start_timestamp": {{"relative": {relative}, "absolute": {absolute}}}}}]}}"#
        )
    };
    format!("[{}]", times.iter().map(turn).collect::<Vec<_>>().join(","))
}

#[test]
fn absolute_times_continue_where_relative_ones_restart() {
    let ten = Some("2026-03-12T10:00:00Z");
    let file = stamped(&[(1.5, Some(1)), (61.0, Some(1)), (2.0, Some(1200)), (3.0, None)]);
    assert_eq!(starts(&read(&file, ten, None).1), [1500, 61_000, 1_200_000, 1_201_000]);
    // Absolute times of another clock are outside of the recording, and are ignored.
    let file = stamped(&[(1.0, Some(1801)), (2.0, Some(1802))]);
    assert_eq!(starts(&read(&file, ten, Some("2026-03-12T10:01:00Z")).1), [1000, 2000]);
}

#[test]
fn times_beyond_the_end_of_the_recording_are_unknown() {
    let (started_at, completed_at) = (Some("2026-03-12T10:00:00Z"), Some("2026-03-12T10:01:00Z"));
    for (last_s, duration_ms) in [(59.0, 59_400), (119.8, 120_000), (121.0, 10_800), (2_000_000.0, 10_800)] {
        let file = format!(
            r#"[{{"words": [{{"text": "a", "start_timestamp": 10, "end_timestamp": 10.4}},
                {{"text": "b", "start_timestamp": {last_s}}}]}}]"#
        );
        assert_eq!(read(&file, started_at, completed_at).0.counts.duration_ms, duration_ms, "{last_s}");
    }
}

#[test]
fn half_surrogate_pair_costs_only_one_character() {
    let file = br#"[{"participant": {"name": "A\ud83d"}, "language_code": "en\udc00", "words": [
        {"text": "hi \ud83d", "start_timestamp": {"relative": 1e999}, "end_timestamp": {"relative": 2},
         "x": 1e999}]}]"#;
    for step in 1..20 {
        let mut reader = TranscriptReader::new(RecordingTimes::default());
        file.chunks(step).for_each(|piece| reader.push(piece));
        let info = MeetingInfo::new(RecordingId::from_u128(1), TranscriptId::from_u128(2), "2026-11-23".to_owned());
        let Outcome { summary, meeting, .. } = reader.finish(info, Attendance::default());
        assert_eq!((summary.error, summary.counts.words, summary.counts.duration_ms), (None, 1, 2000));
        let meeting = meeting.expect("a meeting");
        let turn = meeting.turns().next().expect("a turn");
        assert!(turn.text.starts_with("hi \u{fffd}") && meeting.label(&turn).starts_with("A\u{fffd}"), "{turn:?}");
    }
}

#[test]
fn value_limit_does_not_depend_on_where_the_bytes_are_cut() {
    for (bytes, fits) in [(MAX_VALUE_BYTES, true), (MAX_VALUE_BYTES + 1, false), (2 * MAX_VALUE_BYTES + 9000, false)] {
        let word = format!(r#"{{"text": "{}"}}"#, "x".repeat(bytes - r#"{"text": ""}"#.len()));
        let file = format!(r#"[{{"words": [{word}, {{"text": "more"}}]}}]"#);
        for step in [1000, 65_536, 100_000, usize::MAX] {
            let error = summary_of(file.as_bytes(), step).error;
            assert_eq!(error, (!fits).then(too_long), "{bytes} bytes in steps of {step}");
        }
    }
}

#[test]
fn errors_about_other_files_quote_nothing() {
    let deep = format!(r#"[{{"participant": {}"#, "[".repeat(1000));
    let long = format!(r#"[{{"words": [{{"text": "{}"#, "x".repeat(2 << 20));
    for bad in [
        "",
        "{}",
        "[1]",
        "[[]]",
        "5",
        "null",
        r#"[{"words": ["secret"]}]"#,
        r#"[{"words": [], "language_code": "en"}, "secret"]"#,
        r#"[{"words": [{"texts": "secret"}]}]"#,
        r#"[{"participant": {"id": 1}, "tokens": ["secret"]}]"#,
        r#"[{"words": {"text": "secret"}}]"#,
        "[{",
        "[] []",
        "<html>secret",
        &deep,
        &long,
    ] {
        let summary = summary_of(bad.as_bytes(), 1000);
        let error = summary.error.unwrap_or_else(|| panic!("{:.20} passed", bad));
        assert!(!error.contains("secret"), "{error}");
        assert!(!summary.empty);
    }
    assert!(summary_of(b"[{\"words\": [{\"text\": \"\xff\"}]}]", 7).error.is_some());
}
