//! Parses subtitles, like a player.

use unicode_width::UnicodeWidthStr;

use crate::has_visible;

pub(crate) struct ParsedCue {
    pub(crate) start_ms: u32,
    pub(crate) end_ms: u32,
    pub(crate) lines: Vec<String>,
}

pub(crate) fn vtt(file: &str) -> Vec<ParsedCue> {
    let body = file.strip_prefix("WEBVTT\n").expect("the header");
    let blocks = body.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty());
    let read = |block: &str| {
        let (times, text) = block.split_once('\n').expect("times and text");
        let (voice, text) = text.split_once('>').expect("a voice");
        assert!(voice.starts_with("<v "), "{voice}");
        parse_cue(times, '.', &text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    };
    blocks.map(read).collect()
}

pub(crate) fn srt(file: &str) -> Vec<ParsedCue> {
    let blocks = file.split("\n\n").filter(|block| !block.is_empty());
    let read = |(number, block): (usize, &str)| {
        let (counted, rest) = block.split_once('\n').expect("a number");
        assert_eq!(counted, number.to_string());
        let (times, text) = rest.split_once('\n').expect("times and text");
        assert!(!text.contains(['<', '>', '{', '}', '\\']), "{text}");
        parse_cue(times, ',', text.trim_end_matches('\n'))
    };
    (1..).zip(blocks).map(read).collect()
}

fn parse_cue(times: &str, point: char, text: &str) -> ParsedCue {
    let (start, end) = times.split_once(" --> ").expect("two times");
    let millis = |time: &str| {
        let parts: Vec<u32> = time.split([':', point]).map(|part| part.parse().expect("a number")).collect();
        let [hours, minutes, seconds, millis] = parts[..] else { panic!("{time}") };
        ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
    };
    ParsedCue { start_ms: millis(start), end_ms: millis(end), lines: text.split('\n').map(str::to_owned).collect() }
}

/// Checks what subtitle editors require of every cue.
pub(crate) fn check(cues: &[ParsedCue], may_overlap: bool) {
    for cue in cues {
        let lasts_ms = cue.end_ms.checked_sub(cue.start_ms).expect("an end after the start");
        assert!((800..=7000).contains(&lasts_ms), "{}-{}", cue.start_ms, cue.end_ms);
        assert!((1..=2).contains(&cue.lines.len()), "{:?}", cue.lines);
        assert!(cue.lines.iter().any(|line| has_visible(line)), "a blank cue: {:?}", cue.lines);
        for line in &cue.lines {
            assert!(line.width() <= 42 && !line.is_empty(), "{} columns: {line:?}", line.width());
            assert_eq!(line.trim(), line);
        }
    }
    for (cue, next) in cues.iter().zip(cues.iter().skip(1)) {
        let (ParsedCue { start_ms, end_ms, .. }, next_ms) = (cue, next.start_ms);
        // Where cues may overlap, only the shortest cues may be closer together without an overlap.
        let room = next_ms >= end_ms + 40 || may_overlap && (next_ms < *end_ms || end_ms - start_ms == 800);
        assert!(next_ms >= *start_ms && room, "{start_ms}-{end_ms} then {next_ms}");
    }
}
