//! Tests that no player can misread the text.

use super::*;
use crate::times::Span;

const LOOK_ALIKES: [char; 7] = ['‹', '›', '❴', '❵', '∖', '＆', '∶'];

#[test]
fn spoken_text_is_never_a_command() {
    for (said, shown) in [
        ("plain: R&D, 10:30, 1:02:03 (yes) & no;", "plain: R&D, 10:30, 1:02:03 (yes) & no;"),
        ("<i>x</i> a --> b <", "‹i›x‹/i› a --› b ‹"),
        ("{y:i} {\\an8}{name} { }", "❴y:i❵ ❴∖an8❵❴name❵ ❴ ❵"),
        ("C:\\new\\Notes \\N \\n \\h \\", "C:∖new∖Notes ∖N ∖n ∖h ∖"),
        ("&lt;b&gt; &amp;nbsp; &#123; &#x7b; AT&T;", "＆lt;b＆gt; ＆amp;nbsp; ＆#123; ＆#x7b; AT＆T;"),
    ] {
        assert_eq!(neutralize(said), shown);
    }
}

#[test]
fn two_times_in_a_line_do_not_start_a_cue() {
    for (said, shown) in [
        ("00:00:01,000 --› 1:2:3.4 5:06", "00:00∶01,000 --› 1:2∶3.4 5:06\n"),
        ("only 00:00:01,000 and 10:30:15, so", "only 00:00:01,000 and 10:30:15, so\n"),
        ("at 10:30:15, or 10:30:15. ::1,0 1:2:x.1", "at 10:30:15, or 10:30:15. ::1,0 1:2:x.1\n"),
    ] {
        let mut out = String::new();
        write_line(said, &mut out);
        assert_eq!(out, shown);
    }
}

#[test]
fn long_names_stay_unique() {
    let names = ["Alexandra Konstantinopoulou", "Alexandra Konstantinopoulou (2)", "Alexandra Konstantinopoulou-Smith"];
    let shown = ["Alexandra Konstantinopou…:", "Alexandra Konstantin… (2):", "Alexandra Konstantin… (3):"];
    assert_eq!(name_prefixes(names.into_iter().map(str::to_owned)), shown);
}

#[test]
fn names_are_neutralized_and_shortened() {
    for (name, shown) in [
        ("{\\an8}Ann", "❴∖an8❵Ann:"),
        ("<b>&lt;</b>", "‹b›＆lt;‹/b›:"),
        ("{{{{{{{{{{{{{{{{{{{{{{{{{", "❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴❴…:"),
    ] {
        assert_eq!(name_prefixes(std::iter::once(neutralize(name).into_owned())), [shown]);
    }
}

#[test]
fn look_alikes_have_the_expected_size() {
    for c in LOOK_ALIKES {
        assert_eq!(c.len_utf8(), LOOK_ALIKE_BYTES, "{c}");
        assert_eq!(columns(&c.to_string()), if c == '＆' { 2 } else { 1 }, "{c}");
    }
}

#[test]
fn word_ranges_match_the_neutralized_text() {
    let span = Span { start_ms: 5, end_ms: 9 };
    let text = "{a} é & \\b &lt; c".to_owned();
    let said = ["{a}", "é", "&", "\\b", "&lt", ";", "", "c"];
    let shown = ["❴a❵", "é", "&", "∖b", "＆lt", ";", "", "c"];
    let mut to = 0;
    let word = |said: &str| {
        let from = to + text.get(to..).and_then(|rest| rest.find(said)).expect("it is said");
        to = from + said.len();
        Word { range: from..to, span }
    };
    let words = said.map(word).to_vec();
    let turn = Turn { index: 1, speaker: 2, speaker_id: None, language_code: None, text, words, timed: true, span };
    let neutral = neutralize_turn(&turn);
    let found: Vec<_> = neutral.words.iter().map(|word| &neutral.text[word.range.clone()]).collect();
    assert_eq!(found, shown);
    assert_eq!((neutral.index, neutral.speaker, neutral.span), (1, 2, span));
}

#[test]
fn last_line_is_not_only_a_number() {
    let long = "x".repeat(40);
    for (text, kept) in [
        ("Ann: In\n2026".to_owned(), "Ann: In 2026".to_owned()),
        (format!("{long} y\n2026"), format!("{long}\ny 2026")),
        (format!("{long}\n2026"), format!("{long}\n2026")),
        ("1\nx 2".to_owned(), "1\nx 2".to_owned()),
        ("2026".to_owned(), "2026".to_owned()),
    ] {
        let mut shown = text;
        join_trailing_number(&mut shown);
        assert_eq!(shown, kept);
    }
}
