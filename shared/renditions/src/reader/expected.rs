//! What may come next in the file.

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

/// The keys of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum EntryKey {
    Participant,
    /// A name, where there is no participant.
    Speaker,
    LanguageCode,
    Words,
    /// Stands in for words where there are none.
    Text,
    #[serde(alias = "start_time")]
    StartTimestamp,
    #[serde(alias = "end_time")]
    EndTimestamp,
    #[serde(other)]
    Other,
}

impl Expected {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Array => "no array of turns",
            Self::EntryOrEnd | Self::Entry => "no turn",
            Self::WordOrEnd | Self::Word => "no word",
            Self::KeyOrEnd | Self::Key => "no key",
            Self::Colon(_) => "no colon",
            Self::Value(_) => "no value",
            Self::AfterEntry | Self::AfterValue | Self::AfterWord => "no comma, and no end",
            Self::End => "more than one array",
        }
    }
}
