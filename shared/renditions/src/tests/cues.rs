//! Tests which words stay together in a cue, and which text makes no cue.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{meeting, render, subtitles};
use crate::{Format, line_breaks::LINE_COLUMNS};

/// Returns one entry of a person. Each word has its text, and its start and end in seconds.
fn entry(name: &str, words: &[(&str, f64, f64)]) -> Value {
    let stamp = |relative: f64| json!({"relative": relative, "absolute": null});
    let word = |(text, start_s, end_s): &(&str, f64, f64)| {
        let (start, end) = (stamp(*start_s), stamp(*end_s));
        json!({"text": text, "start_timestamp": start, "end_timestamp": end})
    };
    json!({"participant": {"id": name, "name": name}, "words": words.iter().map(word).collect::<Vec<_>>()})
}

/// Returns the cues of WebVTT and of SubRip.
fn cues(entries: &[Value]) -> [Vec<subtitles::ParsedCue>; 2] {
    let meeting = meeting(json!(entries).to_string().as_bytes(), 1000).expect("a transcript");
    let [vtt, srt] = [subtitles::vtt(&render(&meeting, Format::Vtt)), subtitles::srt(&render(&meeting, Format::Srt))];
    subtitles::check(&vtt, true);
    subtitles::check(&srt, false);
    [vtt, srt]
}

fn texts(cues: &[subtitles::ParsedCue]) -> Vec<String> {
    cues.iter().map(|cue| cue.lines.join(" ")).collect()
}

#[test]
fn phrase_that_fits_is_one_cue_whatever_its_duration() {
    let two_lines = "one two three four five six seven eight, nine. Ten eleven twelve thirteen x";
    let words = [("Yes, agreed.", 10.0, 40.0), ("So next topic then.", 40.0, 55.0), (two_lines, 55.0, 57.0)];
    let [vtt, srt] = cues(&[entry("Ira", &words)]);
    assert_eq!(texts(&vtt), words.map(|(text, ..)| text));
    assert_eq!(texts(&srt), ["Ira: Yes, agreed.", "So next topic then.", two_lines]);
    let times = |cues: &[subtitles::ParsedCue]| cues.iter().map(|cue| (cue.start_ms, cue.end_ms)).collect::<Vec<_>>();
    assert_eq!(times(&vtt), [(10_000, 17_000), (40_000, 47_000), (55_000, 58_000)]);
    assert_eq!(times(&srt), times(&vtt));
}

/// The two lines have room for the words, but not for the words and the name.
#[test]
fn phrase_that_does_not_fit_with_the_name_is_split_only_in_subrip() {
    let phrase = "This phrase has as many words as two lines can hold, and there is no room for more.";
    let [vtt, srt] = cues(&[entry("Alexandra", &[(phrase, 1.0, 5.0)])]);
    assert_eq!(texts(&vtt), [phrase]);
    assert_eq!(
        texts(&srt),
        ["Alexandra: This phrase has as many words as two lines can hold,", "and there is no room for more."]
    );
}

#[test]
fn invisible_cue_is_left_out_and_the_name_moves_to_the_next() {
    for filler in ["\u{3164}", "\u{2800}", "\u{115F}"] {
        let word = format!("x{}", filler.repeat(200));
        let [vtt, srt] = cues(&[entry("Ann", &[(&word, 1.0, 2.0)]), entry("Bob", &[("Yes.", 30.0, 31.0)])]);
        assert!(texts(&vtt).iter().all(|text| text.contains(['x', 'Y'])), "{:?}", texts(&vtt));
        assert_eq!((texts(&vtt).len(), texts(&srt).len()), (2, 2));
        assert!(texts(&srt)[0].starts_with("Ann: x") && texts(&srt)[1] == "Bob: Yes.", "{:?}", texts(&srt));

        let word = format!("{}x", filler.repeat(200));
        let [_, srt] = cues(&[entry("Ann", &[(&word, 1.0, 2.0)])]);
        let shown = texts(&srt);
        assert!(matches!(&*shown, [cue] if cue.starts_with("Ann: ") && cue.ends_with('x')), "{shown:?}");
    }
}

/// Returns whether a phrase fits one cue, by filling its lines word by word.
fn fits(phrase: &str) -> bool {
    let mut lines = vec![0];
    for word in phrase.split(' ') {
        match lines.last_mut() {
            Some(used) if *used == 0 => *used = word.len(),
            Some(used) if *used + 1 + word.len() <= LINE_COLUMNS => *used += 1 + word.len(),
            _ => lines.push(word.len()),
        }
    }
    lines.len() <= 2
}

proptest! {
    #![proptest_config(super::properties::config(200))]

    #[test]
    fn phrases_that_fit_are_never_split(
        phrases in vec((vec("[a-z]{1,12}[.,]?", 1..14), 0..40_000_u32, 0..20_000_u32), 1..30),
    ) {
        let mut at_s = 0.0;
        let mut entries = Vec::new();
        let mut said = Vec::new();
        for (number, (words, after_ms, lasts_ms)) in phrases.iter().enumerate() {
            let phrase = format!("p{number}q {}", words.join(" "));
            let from_s = at_s + f64::from(*after_ms % 4000) / 1000.0;
            at_s = from_s + f64::from(*lasts_ms) / 1000.0;
            // Up to four phrases are in one entry of the file.
            entries.push((phrase.clone(), from_s, at_s));
            said.push(phrase);
        }
        let words: Vec<_> = entries.iter().map(|(text, start_s, end_s)| (text.as_str(), *start_s, *end_s)).collect();
        let files: Vec<_> = words.chunks(4).map(|words| entry("Jo", words)).collect();
        let [vtt, srt] = cues(&files);
        for phrase in said {
            let in_one = |cues: &[subtitles::ParsedCue]| texts(cues).iter().any(|text| text.contains(&phrase));
            prop_assert!(in_one(&vtt) || !fits(&phrase), "{phrase}: {:?}", texts(&vtt));
            prop_assert!(in_one(&srt) || !fits(&format!("Jo: {phrase}")), "{phrase}: {:?}", texts(&srt));
        }
    }
}
