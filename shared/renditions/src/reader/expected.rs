//! The grammar of the file: what may come next.

use serde::Deserialize;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expected {
    #[default]
    Array,
    EntryOrEnd,
    Entry,
    AfterEntry,
    KeyOrEnd,
    Key,
    Colon(EntryKey),
    Value(EntryKey),
    AfterValue,
    WordOrEnd,
    Word,
    AfterWord,
    End,
}

/// The keys of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum EntryKey {
    Participant,
    /// A name, for entries without a participant.
    Speaker,
    LanguageCode,
    Words,
    /// The text of an entry, for entries without words.
    Text,
    #[serde(alias = "start_time")]
    StartTimestamp,
    #[serde(alias = "end_time")]
    EndTimestamp,
    #[serde(other)]
    Other,
}

impl Expected {
    /// Returns the message of an error at this place.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Array => "expected an array of entries",
            Self::EntryOrEnd | Self::Entry => "expected an entry",
            Self::WordOrEnd | Self::Word => "expected a word",
            Self::KeyOrEnd | Self::Key => "expected a key",
            Self::Colon(_) => "expected a colon",
            Self::Value(_) => "expected a value",
            Self::AfterEntry | Self::AfterValue | Self::AfterWord => "expected a comma or the end",
            Self::End => "expected nothing after the array",
        }
    }
}
