//! Classifies punctuation: which word it belongs to, and what it ends.

/// Returns whether a mark belongs to the word before it. These are the terminal punctuation, closing brackets and final
/// quotation marks of Unicode in living scripts, and a few signs.
pub(crate) fn is_closing(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '%' | ')' | ']' | '}');
    }
    matches!(
        c,
        '°' | '»' | '’' | '”' | '›' | '‥' | '…' | '‰' | '′' | '″' | '‼'..='‽' | '⁇'..='⁉' | '⟩' | '❵'
        // Greek, Armenian, Hebrew, Arabic, Syriac, N'Ko.
        | '\u{37E}' | '\u{387}' | '՛'..='՞' | '։' | '׃' | '׳' | '״' | '،' | '؛' | '؝'..='؟' | '٪' | '۔'
        | '܀'..='܊' | '܌' | '߸' | '߹'
        // India, Thailand, Tibet, Burma, Ethiopia, Cambodia, Mongolia, Indonesia.
        | '।' | '॥' | '๚' | '๛' | '་'..='༒' | '༔' | '༻' | '༽' | '၊' | '။' | '፡'..='፨' | '។'..='៖' | '៚'
        | '᠂'..='᠅' | '᠈' | '᠉' | '᭚' | '᭛' | '᭝'..='᭟' | '᱾' | '᱿' | '꧇'..='꧉' | '꯫'
        // China, Japan, Korea.
        | '、' | '。' | '〉' | '》' | '」' | '』' | '】' | '〕' | '〗' | '〙' | '〛' | '〞' | '〟'
        | '！' | '％' | '）' | '，' | '．' | '：' | '；' | '？' | '］' | '｝' | '｠' | '｡' | '｣' | '､'
    )
}

/// Returns whether a mark belongs to the word after it.
pub(crate) fn is_opening(c: char) -> bool {
    matches!(
        c,
        '(' | '['
            | '{'
            | '¿'
            | '¡'
            | '“'
            | '‘'
            | '‛'
            | '‟'
            | '„'
            | '‚'
            | '‹'
            | '«'
            | '⟨'
            | '❴'
            | '༺'
            | '༼'
            | '〈'
            | '《'
            | '「'
            | '『'
            | '【'
            | '〔'
            | '〖'
            | '〘'
            | '〚'
            | '〝'
            | '（'
            | '［'
            | '｛'
            | '｟'
            | '｢'
    )
}

/// Returns whether a character is always a hyphen between the parts of one word: the Armenian hyphen, the Hebrew maqaf,
/// and the Unicode hyphen. The hyphen-minus of the keyboard may be a dash.
pub(crate) fn is_hyphen(c: char) -> bool {
    matches!(c, '\u{58A}' | '\u{5BE}' | '\u{2010}')
}

/// What ends with a word. Sentences are the best places to cut, then clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    None,
    Clause,
    Sentence,
}

/// Returns what a word, with its punctuation, ends.
pub(crate) fn ending(word: &str) -> Ending {
    // Most words end with a letter or a digit, so this check comes first.
    if word.bytes().next_back().is_some_and(|last| last.is_ascii_alphanumeric()) {
        return Ending::None;
    }
    let inner = word.trim_end_matches(|c| {
        matches!(c, '"' | '\'' | ')' | ']' | '’' | '”' | '»' | '›' | '」' | '』' | '】' | '）' | '］' | '》' | '〉')
    });
    match inner.chars().next_back() {
        Some('.') if abbreviates(inner) => Ending::None,
        Some(
            '.' | '!' | '?' | '…' | '\u{37E}' | '։' | '؟' | '۔' | '।' | '॥' | '།' | '༎' | '።' | '፧' | '፨' | '။' | '។'
            | '៕' | '‼' | '⁇' | '⁈' | '⁉' | '。' | '！' | '？' | '．' | '｡',
        ) => Ending::Sentence,
        Some(
            ','
            | ';'
            | ':'
            | '–'
            | '—'
            | '\u{387}'
            | '՝'
            | '،'
            | '؛'
            | '፣'..='፦'
            | '၊'
            | '、'
            | '，'
            | '；'
            | '：'
            | '､',
        ) => Ending::Clause,
        _ => Ending::None,
    }
}

/// Returns whether a word is a title or an initial, whose period does not end a sentence.
fn abbreviates(word: &str) -> bool {
    let stem = word.trim_end_matches('.').trim_start_matches(|c: char| !c.is_alphanumeric());
    let single = stem.len() == 1 && stem != "I" && stem.bytes().all(|byte| byte.is_ascii_uppercase());
    single || ["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "e.g", "i.e", "z.B", "Hr", "Fr"].contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_recognized() {
        for (word, expected) in [
            ("done.", Ending::Sentence),
            ("done.”", Ending::Sentence),
            ("です。」", Ending::Sentence),
            ("؟", Ending::Sentence),
            ("ነው።", Ending::Sentence),
            ("ነው፤", Ending::Clause),
            ("well,", Ending::Clause),
            ("Mr.", Ending::None),
            ("J.", Ending::None),
            ("I.", Ending::Sentence),
            ("word", Ending::None),
            ("", Ending::None),
        ] {
            assert_eq!(ending(word), expected, "{word}");
        }
    }
}
