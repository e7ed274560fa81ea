//! Reading values that may have an unexpected type, and what every artifact of Recall has.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Reads the value, or returns the default if it has another type.
pub(super) fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

/// A value that Recall may leave out, or send as another type than it documents.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Missing,
    Value(T),
    Malformed,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Self::Missing,
            // serde would read a list as an object whose fields have no names.
            text if text.starts_with('[') => Self::Malformed,
            text => serde_json::from_str(text).map_or(Self::Malformed, Self::Value),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default, deserialize_with = "optional")]
    pub(super) code: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) sub_code: Option<String>,
}

impl Status {
    /// Returns the code; empty if there is none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}
