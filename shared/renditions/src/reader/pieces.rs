//! Reads JSON while its bytes stream past: a [`Grammar`] follows its structure, and gets each value when all of its
//! bytes have arrived.

use serde::Deserialize;
use serde_json::Deserializer;

use super::non_finite::NonFiniteScanner;

/// The maximum size of a single value, such as a word with its times.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;
/// Some programs write it at the start of a UTF-8 file.
const BYTE_ORDER_MARK: char = '\u{feff}';

#[derive(Debug)]
pub(super) enum JsonError {
    /// Another token was expected.
    Unexpected,
    TooLong,
}

/// The structure of a file.
pub(super) trait Grammar {
    /// What the file is, for errors.
    const FILE: &'static str;

    /// Reads the token or value that begins with this byte. Returns its length, or 0 if it is not complete yet.
    fn step(&mut self, first: u8, rest: &str) -> Result<usize, JsonError>;

    /// Returns whether the file has ended.
    fn is_complete(&self) -> bool;

    /// Returns the message of an error at this place.
    fn expected(&self) -> &'static str;
}

/// A file of this grammar that arrives piece by piece.
#[derive(Debug, Default)]
pub(super) struct Pieces<G> {
    /// The bytes of a value that is not complete yet.
    pending: Vec<u8>,
    /// Parsing waits until `pending` has this many bytes. An incomplete value is parsed from its beginning each time,
    /// so waiting for twice as many bytes keeps the total time linear.
    parse_at_bytes: usize,
    /// Replaces Python's non-finite numbers. It is set when the file turns out not to be JSON.
    non_finite: Option<NonFiniteScanner>,
    /// The number of bytes read so far.
    read_bytes: usize,
    pub(super) grammar: G,
    pub(super) error: Option<String>,
}

impl<G: Grammar> Pieces<G> {
    pub(super) fn new(grammar: G) -> Self {
        Self { pending: Vec::new(), parse_at_bytes: 0, non_finite: None, read_bytes: 0, grammar, error: None }
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.pending.extend_from_slice(bytes);
            if self.pending.len() >= self.parse_at_bytes {
                self.parse();
                self.parse_at_bytes = 2 * self.pending.len();
            }
        }
    }

    /// Returns whether the bytes so far are a complete file.
    pub(super) fn is_complete(&mut self) -> bool {
        if self.error.is_none() {
            self.parse();
        }
        if self.error.is_none() && !(self.grammar.is_complete() && self.pending.is_empty()) {
            self.error = Some("not valid JSON: the file is incomplete".to_owned());
        }
        self.error.is_none()
    }

    /// The number of bytes that wait for the rest of their value.
    #[cfg(test)]
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    fn parse(&mut self) {
        while self.error.is_none() {
            let ready = self.non_finite.as_mut().map_or(self.pending.len(), |scanner| {
                scanner.overwrite(&mut self.pending);
                scanner.scanned
            });
            let ready = self.pending.get(..ready).unwrap_or_default();
            let (text, valid) = match str::from_utf8(ready) {
                Ok(text) => (text, true),
                Err(error) => {
                    let text = ready.get(..error.valid_up_to()).and_then(|text| str::from_utf8(text).ok());
                    // A character at the end may be incomplete.
                    (text.unwrap_or_default(), error.error_len().is_none())
                }
            };
            // serde_json takes an incomplete number for a wrong one.
            let text = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
            let (bytes, outcome) = read(&mut self.grammar, self.read_bytes == 0, text);
            self.read_bytes += bytes;
            self.pending.drain(..bytes);
            if let Some(scanner) = &mut self.non_finite {
                scanner.drained(bytes);
            }
            match outcome {
                Ok(()) if valid => break,
                Ok(()) => self.error = Some("not valid JSON: the file is not UTF-8".to_owned()),
                // The remaining text begins with a value, so it begins outside of any string.
                Err(JsonError::Unexpected) if self.non_finite.is_none() => {
                    self.non_finite = Some(NonFiniteScanner::default())
                }
                Err(JsonError::Unexpected) => self.error = Some(self.unexpected()),
                Err(JsonError::TooLong) => self.error = Some(too_long()),
            }
        }
        if self.error.is_none() && self.pending.len() > MAX_VALUE_BYTES {
            self.error = Some(too_long());
        }
        if self.error.is_some() {
            self.pending = Vec::new();
        }
    }

    /// Says where the file is not valid, and which token was expected.
    fn unexpected(&self) -> String {
        format!("not valid JSON of {} at byte {}: {}", G::FILE, self.read_bytes, self.grammar.expected())
    }
}

/// Reads from the text that has arrived but was not read yet. Returns how many bytes were read. The caller passes the
/// rest in again when more bytes have arrived.
fn read<G: Grammar>(grammar: &mut G, at_start: bool, text: &str) -> (usize, Result<(), JsonError>) {
    let mut rest = text;
    if at_start {
        rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
    }
    let outcome = loop {
        let blanks = rest.bytes().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        rest = rest.get(blanks..).unwrap_or_default();
        let Some(first) = rest.bytes().next() else { break Ok(()) };
        match grammar.step(first, rest) {
            Ok(0) => break Ok(()),
            Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
            Err(problem) => break Err(problem),
        }
    };
    (text.len() - rest.len(), outcome)
}

/// Reads the value at the beginning of the text. Returns it with its length if all of it has arrived.
pub(super) fn read_value<'a, T: Deserialize<'a>>(rest: &'a str) -> Result<Option<(T, usize)>, JsonError> {
    let mut values = Deserializer::from_str(rest).into_iter();
    match values.next() {
        // The limit applies no matter how much text has arrived.
        Some(Ok(_)) if values.byte_offset() > MAX_VALUE_BYTES => Err(JsonError::TooLong),
        Some(Ok(value)) => Ok(Some((value, values.byte_offset()))),
        Some(Err(error)) if error.is_eof() => Ok(None),
        Some(Err(_)) => Err(JsonError::Unexpected),
        None => Ok(None),
    }
}

pub(super) fn too_long() -> String {
    format!("a single value is longer than {MAX_VALUE_BYTES} bytes")
}
