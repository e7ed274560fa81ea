//! Tests how words are cleaned and joined.

use super::*;

fn join(words: &[&str]) -> String {
    join_in(None, words)
}

fn join_in(language_code: Option<&str>, words: &[&str]) -> String {
    let mut joiner = TextJoiner::new(language_code);
    let mut text = String::new();
    for word in words {
        let range = joiner.push(word, &mut text);
        assert_eq!(&text[range], *word);
    }
    text
}

#[test]
fn white_space_and_control_characters_are_collapsed() {
    for (raw, cleaned) in [
        ("plain", "plain"),
        ("  two \t\r\n words ", "two words"),
        ("a\u{0}b\u{202E}c\u{FEFF}", "abc"),
        ("\u{1}\n", ""),
        ("a\u{2028}b\u{A0}c", "a b c"),
        ("👨\u{200D}👩\u{200D}👧 e\u{301}", "👨\u{200D}👩\u{200D}👧 e\u{301}"),
    ] {
        let mut out = String::new();
        clean(raw, &mut out);
        assert_eq!(out, cleaned, "{raw:?}");
    }
}

#[test]
fn every_script_is_joined_its_own_way() {
    for (words, text) in [
        (&["Hello", "there"][..], "Hello there"),
        (&["", "a", "", "b"], "a b"),
        (&["今日", "は", "AWS", "の", "2", "回目", "です", "。"], "今日はAWSの2回目です。"),
        (&["東京", "서울", "부산"], "東京 서울 부산"),
        (&["안녕", "하세요"], "안녕 하세요"),
        (&["สวัสดี", "ครับ", "Ann", "ครับ"], "สวัสดีครับ Ann ครับ"),
        (&["ເຈົ້າ", "ຢູ່"], "ເຈົ້າຢູ່"),
        (&["សួស្តី", "បង"], "សួស្តីបង"),
        (&["မင်္ဂလာ", "ပါ", "။"], "မင်္ဂလာပါ။"),
        (&["مرحبا", "،", "كيف", "حالك", "؟"], "مرحبا، كيف حالك؟"),
        (&["cafe", "\u{301}", "ok"], "cafe\u{301} ok"),
        (&["👍", "🏽", "yes"], "👍🏽 yes"),
        (&["अर्थात्", "जब"], "अर्थात् जब"),
        (&["का", "\u{94d}", "क"], "का\u{94d} क"),
        (&["བཀྲ་", "ཤིས", "།", "བདེ", "་", "ལེགས", "།"], "བཀྲ་ཤིས། བདེ་ལེགས།"),
        (&["มาก", "ๆ", "กรุงเทพ", "ฯ"], "มากๆกรุงเทพฯ"),
        (&["בית", "־", "ספר", "ו־", "אני"], "בית־ספר ו־אני"),
        (&["well", "‐", "known", "-", "yes"], "well‐known - yes"),
    ] {
        assert_eq!(join(words), text);
    }
}

#[test]
fn separate_marks_attach_to_the_right_word() {
    for (words, text) in [
        (&["Well", ",", "yes", "(", "no", ")", "?!"][..], "Well, yes (no)?!"),
        (&["¿", "Qué", "?", "¡", "Sí", "!"], "¿Qué? ¡Sí!"),
        (&["He", "said", "\"", "go", "\"", "."], "He said \"go\"."),
        (&["“", "go", "”", "he", "said"], "“go” he said"),
        (&["Er", "sagte", "„", "geh", "“", "."], "Er sagte „geh“."),
        (&["50", "%", "…", "a", "-", "b"], "50%… a - b"),
        (&["Er", "sagt", "»", "ja", "«", ",", "›", "so", "‹"], "Er sagt »ja«, ›so‹"),
        (&["il", "dit", "«", "oui", "»", "et"], "il dit «oui» et"),
        (&["「", "はい", "」", "と"], "「はい」と"),
        (&["ሰላም", "።", "ነው", "፤", "እሺ", "፧"], "ሰላም። ነው፤ እሺ፧"),
        (&["צה", "״", "רח", "׳", "כן"], "צה״ רח׳ כן"),
        (&["ինչ", "՞", "այո", "՝", "ոչ", "։"], "ինչ՞ այո՝ ոչ։"),
        (&["क्या", "?", "हाँ", "।", "ہاں", "۔", "نعم", "؛"], "क्या? हाँ। ہاں۔ نعم؛"),
        (&["τι", "\u{37e}", "ναι", "\u{387}"], "τι\u{37e} ναι\u{387}"),
    ] {
        assert_eq!(join(words), text);
    }
}

#[test]
fn parts_of_one_character_stay_together() {
    for (words, text) in [
        (&["the", "👨", "\u{200d}", "👩", "\u{200d}👧", "went"][..], "the 👨\u{200d}👩\u{200d}👧 went"),
        (&["👨\u{200d}", "👩", "👩"], "👨\u{200d}👩 👩"),
        (&["🇩", "🇪", "🇯", "🇵", "🇫🇷"], "🇩🇪 🇯🇵 🇫🇷"),
        (&["ok", "👍", "🏽", "❤", "\u{fe0f}", "1", "\u{fe0f}", "\u{20e3}"], "ok 👍🏽 ❤\u{fe0f} 1\u{fe0f}\u{20e3}"),
        (&["🏴", "\u{200d}", "☠", "\u{fe0f}"], "🏴\u{200d}☠\u{fe0f}"),
        (&["\u{1112}", "한국", "क\u{94d}", "क"], "\u{1112} 한국 क\u{94d} क"),
        // Joiners connect no letters, however many there are.
        (&["a\u{200d}", "b", "\u{200d}", "\u{200d}", "c", "👩"], "a\u{200d} b\u{200d}\u{200d} c 👩"),
    ] {
        assert_eq!(join(words), text);
    }
}

#[test]
fn apostrophes_of_contractions_and_quotations_differ() {
    for (words, text) in [
        (&["It", "'s", "what", "we", "do", "n't", ",", "is", "n’t", "it"][..], "It's what we don't, isn’t it"),
        (&["I", "’m", "sure", "they", "'ll", "see", "WE", "'VE", "won", "'t."], "I’m sure they'll see WE'VE won't."),
        (&["he", "said", "'sure", "and", "'Tis", "'em", "'Re:", "it'"], "he said 'sure and 'Tis 'em 'Re: it'"),
        (&["'s", "(", "'s", "…", "'s"], "'s ('s… 's"),
        (&["He", "said", "'", "go", "'", "and", "'", "wait", "'"], "He said 'go' and 'wait'"),
        (&["the", "teams", "'", "names"], "the teams' names"),
    ] {
        assert_eq!(join(words), text);
    }
    assert_eq!(join_in(Some("nl"), &["dat", "is", "'t", "en", "'s", "avonds"]), "dat is 't en 's avonds");
    assert_eq!(join_in(Some("EN_us"), &["that", "'s"]), "that's");
}
