//! Punctuation: what it belongs to, and what it ends.

/// Marks that follow what they belong to: what Unicode calls terminal punctuation, closing brackets and final quotation
/// marks, in the scripts of living languages; and a few signs.
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

/// Marks that stand before what they belong to.
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

/// Hyphens that are nothing else, between the parts of one word: the Armenian one, the Hebrew maqaf, and the plain one.
/// The one on the keyboard may be a dash.
pub(crate) fn is_hyphen(c: char) -> bool {
    matches!(c, '\u{58A}' | '\u{5BE}' | '\u{2010}')
}

/// What a piece of text ends with, for whoever looks for a good place to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    None,
    Clause,
    Sentence,
}

/// Judges the end of a word with its marks.
pub(crate) fn ending(word: &str) -> Ending {
    // The usual case costs one look.
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

/// A full stop after a title or an initial ends no sentence.
fn abbreviates(word: &str) -> bool {
    let stem = word.trim_end_matches('.').trim_start_matches(|c: char| !c.is_alphanumeric());
    let single = stem.len() == 1 && stem != "I" && stem.bytes().all(|byte| byte.is_ascii_uppercase());
    single || ["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "e.g", "i.e", "z.B", "Hr", "Fr"].contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_apart() {
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
