//! Replaces the non-finite numbers that Python writes: `NaN`, `Infinity`, `-Infinity`. JSON has no such values.
//!
//! The scanner overwrites them in place with a string of the same length that no person says. So every other byte keeps
//! its position, and serde_json can read the file.

/// The content of that string, which is quoted and padded with spaces: a control character.
pub(super) const PLACEHOLDER: &str = "\u{7f}";

const NAMES: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Scans the file. The scan begins outside of any string.
#[derive(Debug, Default)]
pub(super) struct NonFiniteScanner {
    /// The number of scanned bytes.
    pub(super) scanned: usize,
    in_text: bool,
    escaped: bool,
}

impl NonFiniteScanner {
    /// Overwrites the numbers in these bytes. The first `scanned` bytes must be the same as in the last call. A name
    /// that is incomplete at the end, and everything after it, is not scanned yet.
    pub(super) fn overwrite(&mut self, bytes: &mut [u8]) {
        while let Some(byte) = bytes.get(self.scanned).copied() {
            if self.escaped {
                self.escaped = false;
            } else if self.in_text {
                self.escaped = byte == b'\\';
                self.in_text = byte != b'"';
            } else if byte == b'"' {
                self.in_text = true;
            } else if matches!(byte, b'N' | b'I' | b'-') {
                let rest = bytes.get_mut(self.scanned..).unwrap_or_default();
                if NAMES.iter().any(|name| rest.len() < name.len() && name.starts_with(rest)) {
                    return;
                }
                if let Some(name) = NAMES.into_iter().find(|name| rest.starts_with(name)) {
                    let quoted = [b'"', PLACEHOLDER.as_bytes()[0], b'"'].into_iter().chain(std::iter::repeat(b' '));
                    rest.iter_mut().take(name.len()).zip(quoted).for_each(|(byte, new)| *byte = new);
                    self.scanned += name.len();
                    continue;
                }
            }
            self.scanned += 1;
        }
    }

    /// Notes that this many bytes were removed from the beginning.
    pub(super) fn drained(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_finite_numbers_are_replaced_only_outside_strings() {
        let file = br#"[NaN,-Infinity,{"NaN":Infinity,"a\"NaN":"-Infinity\\"},-1,NaN"#;
        let expected =
            "[\"\u{7f}\",\"\u{7f}\"      ,{\"NaN\":\"\u{7f}\"     ,\"a\\\"NaN\":\"-Infinity\\\\\"},-1,\"\u{7f}\"";
        for step in 1..file.len() {
            let (mut scanner, mut bytes) = (NonFiniteScanner::default(), Vec::new());
            for piece in file.chunks(step) {
                bytes.extend_from_slice(piece);
                scanner.overwrite(&mut bytes);
            }
            assert_eq!(String::from_utf8_lossy(&bytes), expected, "in steps of {step}");
            assert_eq!(scanner.scanned, file.len());
        }
    }

    #[test]
    fn incomplete_name_waits_for_its_end() {
        for (text, scanned) in [("[Na", 1), ("[-", 1), ("[-Infinit", 1), ("[-5", 3), ("[Nan", 4)] {
            let mut scanner = NonFiniteScanner::default();
            let mut bytes = text.as_bytes().to_vec();
            scanner.overwrite(&mut bytes);
            assert_eq!((scanner.scanned, &*bytes), (scanned, text.as_bytes()), "{text}");
        }
    }
}
