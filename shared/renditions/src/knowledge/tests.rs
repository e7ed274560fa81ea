//! Tests the document for knowledge bases.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::{
    Attendance, EventsReader, ParticipantsReader, RecordingTimes,
    fuzzing::render_with,
    tests::{config, meeting},
    visible::has_visible,
};

fn document(entries: &[Value]) -> String {
    let meeting = meeting(json!(entries).to_string().as_bytes(), usize::MAX).expect("a transcript");
    render_with(&meeting, &mut *knowledge_renderer())
}

fn entry(id: u32, name: &str, from_s: f64, words: &[&str]) -> Value {
    let word = |(index, text): (usize, &&str)| {
        let start = json!({"relative": from_s + 0.4 * index as f64, "absolute": null});
        json!({"text": text, "start_timestamp": start})
    };
    json!({"participant": {"id": id, "name": name}, "words": words.iter().enumerate().map(word).collect::<Vec<_>>()})
}

/// Returns the headings, each with the text below it.
fn sections(document: &str) -> Vec<(&str, &str)> {
    document.split("\n## ").skip(1).map(|section| section.split_once('\n').expect("a heading")).collect()
}

#[test]
fn heading_says_who_speaks_and_when() {
    let document = document(&[
        entry(1, "Ann *", 1.0, &["Hello."]),
        entry(1, "Ann *", 10.0, &["# Is", "anyone", "there?"]),
        entry(2, "Bo", 20.0, &["2026.", "Yes."]),
        entry(1, "Ann *", 100.0, &["- Good."]),
        entry(1, "Ann *", 161.0, &["Bye."]),
        json!({"participant": {"id": 2, "name": "Bo"}, "words": [{"text": "Bye."}]}),
    ]);
    let expected = "# Weekly sync\n\n- Start: 2026-11-23T09:30:00.000Z\n- Duration: 00:02:41\n\n\
        ## Participants (2026-11-23)\n\n- Ann \\*\n- Bo\n\n\
        ## Ann \\* (2026-11-23, 00:00:01)\n\nHello.\n\n\\# Is anyone there?\n\n\
        ## Bo (2026-11-23, 00:00:20)\n\n2026\\. Yes.\n\n\
        ## Ann \\* (2026-11-23, 00:01:40)\n\n\\- Good.\n\n\
        ## Ann \\* (2026-11-23, 00:02:41)\n\nBye.\n\n\
        ## Bo (2026-11-23)\n\nBye.\n";
    assert_eq!(document, expected);
}

#[test]
fn long_turn_is_split_at_sentences() {
    let words: Vec<_> = (0..900).map(|n| if n % 25 == 24 { "end." } else { "word" }).collect();
    let document = document(&[entry(1, "Ann", 0.0, &words)]);
    let spoken = sections(&document).into_iter().filter(|(heading, _)| heading.starts_with("Ann"));
    let spoken: Vec<_> = spoken.collect();
    assert!((4..8).contains(&spoken.len()), "{document}");
    assert!(spoken.iter().all(|(_, text)| text.trim().ends_with("end.")), "{document}");
    assert!(spoken.windows(2).all(|pair| pair[0].0 < pair[1].0), "the time of each heading is that of its first word");
}

#[test]
fn every_attendee_is_named() {
    let people: Vec<_> =
        (0..300).map(|id| json!({"id": id, "name": format!("Person {id}"), "is_host": id == 0})).collect();
    let mut reader = ParticipantsReader::new();
    reader.push(json!(people).to_string().as_bytes());
    let attendance =
        Attendance::new(reader.finish().ok(), EventsReader::new(RecordingTimes::default()).finish().ok(), None);
    let mut reader = crate::TranscriptReader::new(RecordingTimes::default());
    reader.push(json!([entry(7, "Person 7", 0.0, &["Hi."])]).to_string().as_bytes());
    let meeting = reader.finish(crate::tests::info(), attendance).meeting.expect("a meeting");
    let document = render_with(&meeting, &mut *knowledge_renderer());
    assert!(document.contains("\n- Person 7\n- Person 0 (host, did not speak)\n- Person 1 (did not speak)\n"));
    assert_eq!(document.matches("\n- Person ").count(), 300);
    check(&document);
}

/// Returns about how many tokens a text is at most.
fn tokens(text: &str) -> f64 {
    let of_char = |c: char| match c.len_utf8() {
        1 => 0.25,
        2 => 0.5,
        _ if ['“', '”', '’', '–', '…', '\u{200d}'].contains(&c) => 0.5,
        _ => 1.5,
    };
    text.chars().map(of_char).sum()
}

/// Checks that a heading is never farther away than the limit, and that it is never followed by another one.
fn check(document: &str) {
    for section in document.split("\n## ") {
        let chars = section.chars().count() + "\n## ".len();
        assert!(chars <= 1_000, "{chars} characters: {section}");
        let tokens = tokens(section) + tokens("\n## ");
        assert!(tokens <= 250.0, "{tokens} tokens: {section}");
    }
    for (heading, text) in sections(document) {
        assert!(has_visible(text) && has_visible(heading), "{heading}");
        assert!(text.starts_with('\n') && text.ends_with('\n'), "{text:?}");
    }
}

#[test]
fn heading_is_repeated_more_often_in_scripts_of_many_tokens() {
    for (text, sections_expected) in [
        ("plain words and so on, ", 8..14),
        ("обычные слова и так далее, ", 14..25),
        ("“quoted – words”, ", 8..18),
        ("会議の議事録を確認します。", 46..90),
        ("我们今天讨论下一个季度的计划。", 46..90),
        ("การประชุมวันนี้เกี่ยวกับแผนงาน", 46..90),
        ("오늘 회의에서는 계획을 논의합니다. ", 35..80),
        ("👍", 46..90),
    ] {
        let text: String = text.chars().cycle().take(7_800).collect();
        for words in [vec![&*text], text.split_inclusive([' ', '。']).collect()] {
            let document = document(&[entry(1, "Ann", 0.0, &words)]);
            check(&document);
            let spoken = sections(&document).len() - 1;
            assert!(sections_expected.contains(&spoken), "{spoken} sections of {text:.40}");
        }
    }
    // A long name costs as much.
    check(&document(&[entry(1, &"長い名前".repeat(50), 0.0, &["議事録。"; 500])]));
    check(&document(&[entry(1, &"👩\u{200d}🚀".repeat(50), 0.0, &["👩\u{200d}🚀"; 500])]));
}

const WORDS: [&str; 15] = [
    "word",
    "end.",
    "<<<<&&&&",
    "日本語の長い文です。",
    "a.b.c",
    "\\\\",
    "# x",
    "👨\u{200d}👩\u{200d}👧",
    "1)",
    "---",
    "e\u{301}\u{301}",
    "http://x.y",
    "การประชุมวันนี้",
    "слово",
    "“회의”",
];

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn heading_is_repeated_and_every_word_is_there_once(
        turns in vec((0..4_u32, vec((select(&WORDS[..]), 0..400_usize), 1..80)), 1..8),
        name in "[<aж名]{1,100}",
    ) {
        let mut marks = 0;
        let entries: Vec<_> = turns.iter().enumerate().map(|(index, (id, words))| {
            let words: Vec<String> = words.iter().map(|(text, length)| {
                marks += 1;
                // Now and then a word is longer than any section.
                match length {
                    // It is cut anywhere, so its mark is where the first piece begins.
                    0 => format!("q{marks}q{}", text.repeat(400)),
                    _ => format!("{}q{marks}q", text.repeat(1 + length % 3)),
                }
            }).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            entry(*id, &format!("{name}{id}"), 60.0 * index as f64, &words)
        }).collect();
        let document = document(&entries);
        check(&document);
        for mark in 1..=marks {
            prop_assert_eq!(document.matches(&format!("q{mark}q")).count(), 1);
        }
    }
}
