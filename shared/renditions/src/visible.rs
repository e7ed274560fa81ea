//! Decides what a reader sees: which characters are visible, and which names look the same.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed, props::DefaultIgnorableCodePoint};

/// Characters that Unicode tells programs not to draw: joiners, fillers, soft hyphens, direction marks, tags.
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
/// The braille pattern without dots. Unicode counts it as a symbol.
const BLANK: char = '\u{2800}';

/// Returns whether a character is visible.
pub(crate) fn is_visible(c: char) -> bool {
    c.is_ascii_graphic() || !(c.is_whitespace() || c.is_control() || c == BLANK || IGNORABLE.contains(c))
}

/// Returns whether any character is visible.
pub(crate) fn has_visible(text: &str) -> bool {
    text.chars().any(is_visible)
}

/// Returns whether text without visible characters changes how the character before it is drawn: a joiner of emoji or
/// letters, a variation selector, the tags of a flag.
pub(crate) fn is_modifier(text: &str) -> bool {
    let modifier = |c| matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0020}'..='\u{E007F}');
    !text.is_empty() && text.chars().all(modifier)
}

/// Returns a name for labels: composed, and without invisible characters at its ends. Within a name they may be needed,
/// like the joiners in a family emoji.
pub(crate) fn display_name(name: &str) -> Cow<'_, str> {
    NFC.normalize(name.trim_matches(|c| !is_visible(c)))
}

/// Returns a key that is the same for two names if a reader cannot tell them apart.
pub(crate) fn visual_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for word in name.split(char::is_whitespace) {
        let from = key.len();
        key.extend(word.chars().filter(|c| is_visible(*c)));
        if key.len() > from && from > 0 {
            key.insert(from, ' ');
        }
    }
    NFC.normalize(&key).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_characters_are_not_visible() {
        for blank in [
            '\u{3164}',
            '\u{200B}',
            '\u{2060}',
            '\u{2800}',
            '\u{AD}',
            '\u{200E}',
            '\u{34F}',
            '\u{E0041}',
            '\u{115F}',
            '\u{FFA0}',
            '\u{180E}',
            '\u{FE0F}',
            '\u{200D}',
            '\u{A0}',
            '\u{3000}',
            '\t',
            '\u{7F}',
            '\u{FEFF}',
            '\u{202E}',
        ] {
            assert!(!is_visible(blank), "{blank:?}");
        }
        for seen in ['a', '.', 'é', '\u{301}', 'ー', '👍', '\u{1F3FD}', 'ไ', '한', '\u{E33}'] {
            assert!(is_visible(seen), "{seen:?}");
        }
    }

    #[test]
    fn names_are_compared_as_a_reader_sees_them() {
        for (one, other) in
            [("Zo\u{eb}", "Zoe\u{308}"), ("Ann Lee", " Ann\u{a0} Lee\u{200b}"), ("Ann", "A\u{ad}nn\u{3164}")]
        {
            assert_eq!(visual_key(one), visual_key(other));
        }
        assert_ne!(visual_key("Ann"), visual_key("ann"));
        assert_ne!(visual_key("AnnLee"), visual_key("Ann Lee"));
        assert_eq!(visual_key("\u{3164}\u{2060} \u{200b}"), "");
        assert_eq!(display_name("\u{200b}Zoe\u{308} 👩\u{200d}🚀\u{3164}"), "Zo\u{eb} 👩\u{200d}🚀");
    }
}
