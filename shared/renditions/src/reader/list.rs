//! Reads a JSON array of objects, one object at a time.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::pieces::{Grammar, JsonError, read_value};

/// Takes the elements of a list.
pub(super) trait Element {
    /// What the file is, for errors.
    const FILE: &'static str;

    /// Takes an object. Returns whether all of it could be used.
    fn take(&mut self, object: &RawValue) -> bool;
}

/// A list whose elements go to `taken`.
#[derive(Debug, Default)]
pub(super) struct List<T> {
    expected: Expected,
    pub(super) taken: T,
    /// The number of elements that could not be used, or only in part.
    pub(super) skipped: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Array,
    ElementOrEnd,
    Element,
    AfterElement,
    End,
}

impl<T: Element> List<T> {
    pub(super) fn new(taken: T) -> Self {
        Self { expected: Expected::Array, taken, skipped: 0 }
    }
}

impl<T: Element> Grammar for List<T> {
    const FILE: &'static str = T::FILE;

    fn step(&mut self, first: u8, rest: &str) -> Result<usize, JsonError> {
        let (expected, bytes) = match (self.expected, first) {
            (Expected::Array, b'[') => (Expected::ElementOrEnd, 1),
            (Expected::ElementOrEnd | Expected::AfterElement, b']') => (Expected::End, 1),
            (Expected::AfterElement, b',') => (Expected::Element, 1),
            (Expected::ElementOrEnd | Expected::Element, b'{') => {
                let Some((object, bytes)) = read_value::<&RawValue>(rest)? else { return Ok(0) };
                self.skipped += u64::from(!self.taken.take(object));
                (Expected::AfterElement, bytes)
            }
            (Expected::ElementOrEnd | Expected::Element, _) => {
                let Some((IgnoredAny, bytes)) = read_value(rest)? else { return Ok(0) };
                self.skipped += 1;
                (Expected::AfterElement, bytes)
            }
            (Expected::Array | Expected::AfterElement | Expected::End, _) => return Err(JsonError::Unexpected),
        };
        self.expected = expected;
        Ok(bytes)
    }

    fn is_complete(&self) -> bool {
        self.expected == Expected::End
    }

    fn expected(&self) -> &'static str {
        match self.expected {
            Expected::Array => "expected an array",
            Expected::ElementOrEnd | Expected::Element => "expected an object",
            Expected::AfterElement => "expected a comma or the end",
            Expected::End => "expected nothing after the array",
        }
    }
}
