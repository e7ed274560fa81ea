//! Tests large meetings, such as a whole working day of speech.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{info, meeting, render, subtitles};
use crate::{
    Attendance, Format, Outcome,
    reader::{RecordingTimes, TranscriptReader},
};

/// Nine thousand words per hour.
const WORDS: usize = 72_000;

/// Returns eight hours of speech in which every word is a number. Five people take turns, and now and then one of them
/// is interrupted.
fn eight_hours() -> String {
    let mut file = String::from("[");
    let mut random = fastrand::Rng::with_seed(8);
    let (mut word, mut at_ms) = (0, 0_u32);
    while word < WORDS {
        let (speaker, count) = (random.u8(1..=5), random.usize(1..120).min(WORDS - word));
        let comma = if word > 0 { "," } else { "" };
        let _ = write!(file, r#"{comma}{{"participant": {{"id": {speaker}, "name": "Person {speaker}"}}, "words": ["#);
        let mut said_ms = at_ms;
        for index in 0..count {
            let (start, end) = (said_ms, said_ms + random.u32(80..420));
            let comma = if index > 0 { "," } else { "" };
            let stop = if random.u8(..10) == 0 { "." } else { "" };
            let stamp = |ms: u32| format!(r#"{{"relative": {}.{:03}, "absolute": null}}"#, ms / 1000, ms % 1000);
            let (start, stamped_end) = (stamp(start), stamp(end));
            let _ = write!(
                file,
                r#"{comma}{{"text": "{word}{stop}", "start_timestamp": {start}, "end_timestamp": {stamped_end}}}"#
            );
            said_ms = end + random.u32(20..200);
            word += 1;
        }
        file.push_str("]}");
        // The next turn begins before or after the end of this one.
        at_ms = (said_ms + random.u32(..2500)).saturating_sub(500);
    }
    file.push(']');
    file
}

#[test]
fn eight_hours_are_rendered_completely_in_little_memory() {
    let file = eight_hours();
    let meeting = meeting(file.as_bytes(), 16 << 10).expect("a transcript");
    assert!(meeting.bytes() < 2 << 20, "{} bytes", meeting.bytes());
    for format in Format::ALL {
        let mut renderer = (format.spec().renderer)();
        let (mut out, mut most, mut bytes) = (String::new(), 0, 0);
        renderer.begin(&meeting, &mut out);
        for turn in meeting.turns() {
            renderer.turn(&meeting, &turn, &mut out);
            most = most.max(out.len());
            bytes += out.len();
            out.clear();
        }
        renderer.end(&meeting, &mut out);
        // A renderer holds back only a few turns, whatever the length of the meeting.
        assert!(most.max(out.len()) < 32 << 10, "{format:?}: {most} at once");
        assert!(bytes > 400_000, "{format:?}: {bytes} bytes");
    }
    subtitles::check(&subtitles::vtt(&render(&meeting, Format::Vtt)), true);
    subtitles::check(&subtitles::srt(&render(&meeting, Format::Srt)), false);

    let mut numbers = Vec::new();
    for line in render(&meeting, Format::Jsonl).lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let words = line["text"].as_str().expect("text").split(' ');
        numbers.extend(words.map(|word| word.trim_end_matches('.').parse::<usize>().expect("a number")));
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..WORDS), "not every word once");
}

#[test]
fn crowd_talking_at_the_same_time_is_shown_in_order() {
    let turn = |n: u32| {
        let words: Vec<_> = (0..30)
            .map(|word| format!(r#"{{"text": "p{n}w{word}", "start_timestamp": {{"relative": {word}}}}}"#))
            .collect();
        format!(r#"{{"participant": {{"id": {n}}}, "words": [{}]}}"#, words.join(","))
    };
    let file = format!("[{}]", (0..500).map(turn).collect::<Vec<_>>().join(","));
    let meeting = meeting(file.as_bytes(), 1000).expect("a transcript");
    for (format, may_overlap) in [(Format::Vtt, true), (Format::Srt, false)] {
        let rendition = render(&meeting, format);
        let cues = if may_overlap { subtitles::vtt(&rendition) } else { subtitles::srt(&rendition) };
        subtitles::check(&cues, may_overlap);
        let words: usize = cues.iter().map(|cue| cue.lines.join(" ").matches('w').count()).sum();
        assert_eq!(words, 500 * 30, "{format:?}");
    }
}

#[test]
fn people_beyond_the_limit_are_rendered() {
    let turn = |n: u32| {
        json!({"participant": {"id": n, "name": format!("P{n}")},
            "words": [{"text": format!("w{n}."), "start_timestamp": {"relative": n}}]})
    };
    let file = json!((0..1200).map(turn).collect::<Vec<_>>()).to_string();
    let mut reader = TranscriptReader::new(RecordingTimes::default());
    reader.push(file.as_bytes());
    let Outcome { summary, meeting, .. } = reader.finish(info(), Attendance::default());
    assert_eq!((summary.error, summary.counts.speakers, summary.counts.speakers_over_limit), (None, 1200, 200));
    let meeting = meeting.expect("a meeting");
    let lines = render(&meeting, Format::Jsonl);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[999]["person"], &lines[999]["speaker"]), (1200, &json!(999), &json!("P999")));
    assert!(lines[1000..].iter().all(|line| line["person"].is_null() && line["speaker"] == "Other participants"));
    assert_eq!(lines[1199]["speaker_id"], 1199);
    assert_eq!(render(&meeting, Format::Txt).lines().last(), Some("[00:19:59] Other participants: w1199."));
}

/// Returns the maximum delay of a SubRip cue in milliseconds, in a meeting of ten minutes. A turn of the next person
/// begins at every step, and has `words` words, one every 400 ms.
fn late_ms(people: u32, words: u32, step_ms: u32) -> u32 {
    let turn = |n: u32| {
        let word = |word: u32| {
            let at_s = f64::from(n * step_ms + word * 400) / 1000.0;
            json!({"text": format!("{n}{}.", (b'a' + word as u8) as char), "start_timestamp": {"relative": at_s},
                "end_timestamp": {"relative": at_s + 0.3}})
        };
        let id = n % people;
        json!({"participant": {"id": id, "name": format!("P{id}")}, "words": (0..words).map(word).collect::<Vec<_>>()})
    };
    let file = json!((0..600_000 / step_ms).map(turn).collect::<Vec<_>>()).to_string();
    let meeting = meeting(file.as_bytes(), 1000).expect("a transcript");
    let cues = subtitles::srt(&render(&meeting, Format::Srt));
    subtitles::check(&cues, false);
    let said_ms = |word: &str| {
        let turn = word.strip_suffix('.')?;
        let (turn, word) = turn.split_at(turn.len() - 1);
        Some(turn.parse::<u32>().ok()? * step_ms + u32::from(word.as_bytes()[0] - b'a') * 400)
    };
    let late_ms = |cue: &subtitles::ParsedCue| {
        let first = cue.lines[0].split(' ').find_map(said_ms).expect("a word");
        cue.start_ms.checked_sub(first).expect("no cue before its words")
    };
    cues.iter().map(late_ms).max().expect("a cue")
}

#[test]
fn simultaneous_speech_is_shown_in_time() {
    // Short words of two people share a cue.
    assert_eq!(late_ms(2, 1, 450), 0);
    // Two people, and four people, talk all the time at the usual speed.
    let (two, four) = (late_ms(2, 20, 4000), late_ms(4, 20, 2000));
    assert!(two < 4000, "{two} ms late");
    assert!(four < 4500, "{four} ms late");
}
