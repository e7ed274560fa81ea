//! Tests what must hold for the renditions of every transcript.

use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::FileFailurePersistence};
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::{meeting, render, subtitles};
use crate::{
    Attendance, Format, Outcome,
    reader::{RecordingTimes, TranscriptReader},
    visible::{has_visible, is_modifier},
    words::is_grapheme_boundary,
};

const PREFIXES: [&str; 12] = ["", "", "", "<i>", "--> ", "今日は", "สวัสดี", "(", "👨‍👩‍👧 ", "مرحبا", "한국어", "a b\n"];
const REST: [&str; 45] = [
    "",
    ".",
    ",",
    "。",
    "、",
    "…",
    "?!",
    "-->",
    "</script>",
    "&amp;",
    "日本語の長い文です。もっと長い文になります。",
    "ครับผม",
    "👨‍👩‍👧‍👦",
    "🏽",
    "\u{301}",
    "\u{fe0f}",
    "\u{200d}",
    "🇩🇪",
    "لا",
    "ー",
    "ｶﾞｯ",
    "한국",
    "\u{0}",
    " ",
    "\"",
    ")",
    "„",
    "क्ष",
    "{\\an8}",
    "{y:i}",
    "}",
    "\\N",
    "\\h C:\\new",
    "&nbsp;",
    "&#123;",
    " 00:00:01,000 00:00:02,000",
    " so next topic then",
    "\u{5be}",
    "🇩",
    "\u{1100}",
    "'",
    "'s",
    "ཀ་",
    "\u{e33}",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];
const NAMES: [&str; 9] = [
    "Ann",
    "Ann",
    "<b>",
    "山田 太郎",
    "👩‍🚀",
    "a --> b\n\nc",
    "{\\an8}\\N{c:red}",
    "&lt;&lt;&lt;&lt;&lt;&lt;&lt;",
    "A name that is far too long for any line there is",
];

/// Entries of `words[]`. Some of them form one character together.
const PARTS: [&str; 14] = [
    "👨",
    "\u{200d}",
    "👩🏽\u{200d}",
    "🍳",
    "🇩",
    "🇪",
    "👍",
    "🏽",
    "❤",
    "\u{fe0f}",
    "e",
    "\u{301}",
    "का",
    "\u{200d}👩 ok",
];

#[derive(Clone, Debug)]
struct Said {
    /// Whether the word has a mark by which it is found.
    marked: bool,
    prefix: &'static str,
    rest: Vec<&'static str>,
    /// The delay after the previous word, the duration, and which of the two times is known.
    step_ms: i32,
    length_ms: i32,
    start: bool,
    end: bool,
}

type Entry = (Option<Value>, Option<&'static str>, u32, Vec<Said>);

fn said() -> impl Strategy<Value = Said> {
    let step_ms = prop_oneof![8 => 0..400, 1 => -4000..4000, 1 => Just(0), 1 => -1_000_000..2_000_000_000];
    let parts = (any::<bool>(), select(&PREFIXES[..]), vec(select(&REST[..]), 0..4));
    (parts, step_ms, -500..4000, prop::bool::weighted(0.8), prop::bool::weighted(0.8)).prop_map(
        |((marked, prefix, rest), step_ms, length_ms, start, end)| Said {
            marked,
            prefix,
            rest,
            step_ms,
            length_ms,
            start,
            end,
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = prop_oneof![(0..3).prop_map(|id| json!(id)), Just(json!("B")), Just(Value::Null)];
    (option::of(id), option::of(select(&NAMES[..])), 0..60_000_u32, vec(said(), 0..40))
}

/// Returns a file, and the marks in its words.
fn file(entries: &[Entry]) -> (Vec<u8>, Vec<String>) {
    let mut marks = Vec::new();
    let turn = |(id, name, from_ms, words): &Entry| {
        let mut at_ms = i64::from(*from_ms);
        let word = |said: &Said| {
            let mark = if said.marked { format!("wd{:04}q", marks.len()) } else { String::new() };
            let text =
                if said.marked { format!("{}{mark}{}", said.prefix, said.rest.concat()) } else { said.rest.concat() };
            marks.extend(said.marked.then_some(mark));
            at_ms += i64::from(said.step_ms);
            let stamp = |ms: i64, known| {
                if known { json!({"relative": ms as f64 / 1000.0, "absolute": null}) } else { Value::Null }
            };
            json!({
                "text": text,
                "start_timestamp": stamp(at_ms, said.start),
                "end_timestamp": stamp(at_ms + i64::from(said.length_ms), said.end),
            })
        };
        let words: Vec<_> = words.iter().map(word).collect();
        json!({"participant": {"id": id, "name": name, "is_host": null}, "language_code": "en", "words": words})
    };
    let turns: Vec<_> = entries.iter().map(turn).collect();
    (json!(turns).to_string().into_bytes(), marks)
}

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn words_are_in_every_rendition_once_and_cues_are_ordered(
        entries in vec(entry(), 0..8),
        step in 1..200_usize,
    ) {
        let (file, marks) = file(&entries);
        let whole = meeting(&file, usize::MAX).expect("a transcript");
        let cut = meeting(&file, step).expect("a transcript");
        for format in Format::ALL {
            let rendition = render(&whole, format);
            prop_assert_eq!(&rendition, &render(&cut, format), "in steps of {}", step);
            prop_assert_eq!(rendition.matches(|c: char| c.is_control() && c != '\n').count(), 0);
            for mark in &marks {
                prop_assert_eq!(rendition.matches(mark.as_str()).count(), 1, "{:?} {}\n{}", format, mark, rendition);
            }
        }
        subtitles::check(&subtitles::vtt(&render(&whole, Format::Vtt)), true);
        subtitles::check(&subtitles::srt(&render(&whole, Format::Srt)), false);
        let mut started_s = -1.0;
        for (index, line) in render(&whole, Format::Jsonl).lines().enumerate() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            prop_assert_eq!(&line["turn"], &json!(index));
            if let Some(start_s) = line["start_s"].as_f64() {
                prop_assert!(start_s >= started_s && line["end_s"].as_f64() >= Some(start_s));
                started_s = start_s;
            }
        }
    }

    #[test]
    fn lines_never_split_a_character(parts in vec(select(&PARTS[..]), 1..300)) {
        let word = |(index, text): (usize, &&str)| {
            let at = |tenths: usize| json!({"relative": tenths as f64 / 10.0, "absolute": null});
            json!({"text": text, "start_timestamp": at(index), "end_timestamp": at(index + 1)})
        };
        let words: Vec<_> = parts.iter().enumerate().map(word).collect();
        let file = json!([{"participant": {"id": 1, "name": "Ann"}, "words": words}]).to_string();
        let meeting = meeting(file.as_bytes(), usize::MAX).expect("a transcript");
        let texts: Vec<_> = meeting.turns().map(|turn| turn.text).collect();
        let characters = |text: &String| {
            text.graphemes(true).filter(|c| *c != " ").map(str::to_owned).collect::<Vec<_>>()
        };
        let whole: Vec<_> = texts.iter().flat_map(characters).collect();
        for cues in [subtitles::vtt(&render(&meeting, Format::Vtt)), subtitles::srt(&render(&meeting, Format::Srt))] {
            let lines = cues.iter().flat_map(|cue| &cue.lines);
            let lines = lines.map(|line| line.trim_start_matches("Ann:").trim().to_owned());
            prop_assert_eq!(&lines.flat_map(|line| characters(&line)).collect::<Vec<_>>(), &whole);
        }
        // All parts are there, and no space splits what would be one character.
        let mut said = String::new();
        for part in &parts {
            if has_visible(part) || !said.is_empty() && is_modifier(part) {
                said.push_str(part);
            }
        }
        prop_assert_eq!(texts.concat().replace(' ', ""), said.replace(' ', ""));
        for text in texts {
            for (at, _) in text.match_indices(' ') {
                let mut together = text.clone();
                together.remove(at);
                prop_assert!(is_grapheme_boundary(&together, at), "{text:?} at {at}");
            }
        }
    }

    #[test]
    fn damaged_files_cause_no_panic(
        entries in vec(entry(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let (mut file, _) = file(&entries);
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let mut reader = TranscriptReader::new(RecordingTimes::default());
        file.chunks(50).for_each(|chunk| reader.push(chunk));
        let Outcome { summary, meeting, .. } = reader.finish(super::info(), Attendance::default());
        prop_assert_eq!(summary.error, meeting.as_ref().err().cloned());
        if let Ok(meeting) = meeting {
            for format in Format::ALL {
                render(&meeting, format);
            }
        }
    }
}
