//! Stores words and times as bytes in chunks: about ten bytes per word, and no chunk is ever copied to grow.

use super::times::Span;

/// The maximum size of the compact form. A day of speech takes less than half of it. A larger meeting is not rendered.
pub(crate) const MAX_MEETING_BYTES: usize = 11 << 20;

/// The size of a chunk. It is small enough that the last, partly filled chunk does not matter, and large enough that
/// few chunks are needed.
const CHUNK_BYTES: usize = 256 << 10;
/// A span is two varints of at most five bytes each.
const MAX_SPAN_BYTES: usize = 10;

/// The number of bits of an offset within a chunk. A chunk for one very long word is longer than the others, but fits.
const OFFSET_BITS: u32 = 21;

/// A position in a list of chunks: the index of the chunk, then the offset within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u32);

impl Position {
    fn end_of<T>(chunks: &[T], offset: usize) -> Self {
        Self((chunks.len().saturating_sub(1) << OFFSET_BITS | offset) as u32)
    }

    /// Returns the index of the chunk and the offset.
    fn split(self) -> (usize, usize) {
        ((self.0 >> OFFSET_BITS) as usize, (self.0 & ((1 << OFFSET_BITS) - 1)) as usize)
    }

    /// Returns the chunk and the offset, and moves on to the next chunk at the end of one.
    fn resolve<'a, T: AsRef<[u8]>>(&mut self, chunks: &'a [T]) -> Option<(&'a T, usize)> {
        let (at, offset) = self.split();
        let chunk = chunks.get(at)?;
        if offset < chunk.as_ref().len() {
            return Some((chunk, offset));
        }
        *self = Self(((self.0 >> OFFSET_BITS) + 1) << OFFSET_BITS);
        Some((chunks.get((self.0 >> OFFSET_BITS) as usize)?, 0))
    }
}

/// The words of a file in file order, and their spans in the same order. A span may be written after its word, when it
/// is certain.
#[derive(Debug, Default)]
pub(crate) struct CompactWords {
    /// The words, each followed by a line feed. Cleaned words contain no line feed.
    text: Vec<String>,
    /// The spans: the zigzag-encoded difference to the previous start, then the length.
    spans: Vec<Vec<u8>>,
    last_start_ms: u32,
    bytes: usize,
}

impl CompactWords {
    /// The reserved memory in bytes. Once it exceeds [`MAX_MEETING_BYTES`], nothing more is stored.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push_word(&mut self, word: &str) {
        let needed = word.len() + 1;
        if self.bytes > MAX_MEETING_BYTES {
            return;
        }
        let full = self.text.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < needed);
        if full {
            let chunk = String::with_capacity(CHUNK_BYTES.max(needed));
            self.bytes += chunk.capacity();
            self.text.push(chunk);
        }
        if let Some(chunk) = self.text.last_mut() {
            chunk.push_str(word);
            chunk.push('\n');
        }
    }

    pub(crate) fn push_span(&mut self, span: Span) {
        if self.bytes > MAX_MEETING_BYTES {
            return;
        }
        let full = self.spans.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < MAX_SPAN_BYTES);
        if full {
            let chunk = Vec::with_capacity(CHUNK_BYTES);
            self.bytes += chunk.capacity();
            self.spans.push(chunk);
        }
        if let Some(chunk) = self.spans.last_mut() {
            let step = i64::from(span.start_ms) - i64::from(self.last_start_ms);
            push_varint(chunk, ((step << 1) ^ (step >> 63)) as u64);
            push_varint(chunk, u64::from(span.end_ms.saturating_sub(span.start_ms)));
        }
        self.last_start_ms = span.start_ms;
    }

    /// Returns the position after the last word, where the next entry begins.
    pub(crate) fn end_of_text(&self) -> Cursor {
        let text = Position::end_of(&self.text, self.text.last().map_or(0, String::len));
        Cursor { text, ..Cursor::default() }
    }

    /// Returns the position after the last span, where the spans of an entry begin. The first start is relative to
    /// zero.
    pub(crate) fn begin_spans(&mut self) -> Position {
        self.last_start_ms = 0;
        Position::end_of(&self.spans, self.spans.last().map_or(0, Vec::len))
    }

    /// Appends text to the last word, if the chunk has room.
    pub(crate) fn append_to_word(&mut self, text: &str) {
        if let Some(chunk) = self.text.last_mut().filter(|chunk| chunk.capacity() - chunk.len() >= text.len()) {
            chunk.pop();
            chunk.push_str(text);
            chunk.push('\n');
        }
    }

    /// Removes all words from this position on.
    pub(crate) fn truncate_text(&mut self, from: Cursor) {
        let (kept, offset) = from.text.split();
        while self.text.len() > kept + 1 {
            self.bytes -= self.text.pop().map_or(0, |chunk| chunk.capacity());
        }
        if let Some(chunk) = self.text.get_mut(kept) {
            chunk.truncate(offset);
        }
    }

    /// Returns the next word and its span, or none after the last word.
    pub(crate) fn read<'a>(&'a self, cursor: &mut Cursor) -> Option<(&'a str, Span)> {
        let (chunk, offset) = cursor.text.resolve(&self.text)?;
        let rest = chunk.get(offset..)?;
        // Words are short, so checking each byte is faster than a search that is optimized for long texts.
        let word = rest.get(..rest.bytes().position(|byte| byte == b'\n')?)?;
        cursor.text.0 += word.len() as u32 + 1;
        let (chunk, offset) = cursor.spans.resolve(&self.spans)?;
        let mut rest = chunk.get(offset..)?.iter();
        let step = read_varint(&mut rest)?;
        let length_ms = read_varint(&mut rest)? as u32;
        cursor.spans.0 += (chunk.len() - offset - rest.len()) as u32;
        let step = (step >> 1) as i64 ^ -((step & 1) as i64);
        let start_ms = u32::try_from(i64::from(cursor.last_start_ms) + step).unwrap_or(cursor.last_start_ms);
        cursor.last_start_ms = start_ms;
        Some((word, Span { start_ms, end_ms: start_ms.saturating_add(length_ms) }))
    }
}

/// A position in the words and in the spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) text: Position,
    pub(crate) spans: Position,
    pub(crate) last_start_ms: u32,
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut std::slice::Iter<'_, u8>) -> Option<u64> {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let byte = *bytes.next()?;
        value |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_spans_round_trip_across_chunks() {
        let mut compact = CompactWords::default();
        let long = "x".repeat(CHUNK_BYTES + 5);
        let words: Vec<String> =
            (0..100_000).map(|n| if n == 50_000 { long.clone() } else { format!("{n:x}") }).collect();
        let span = |n: u32| Span { start_ms: n.wrapping_mul(2_654_435_761) % 2_678_400_001, end_ms: u32::MAX };
        let mut cursor = compact.end_of_text();
        cursor.spans = compact.begin_spans();
        for (n, word) in (0..).zip(&words) {
            compact.push_word(word);
            compact.push_span(span(n));
        }
        for (n, word) in (0..).zip(&words) {
            assert_eq!(compact.read(&mut cursor), Some((word.as_str(), span(n))), "{n}");
        }
        assert_eq!(compact.read(&mut cursor), None);
        assert!(compact.bytes() < 3 << 20, "{}", compact.bytes());
    }
}
