//! Recall's identifiers, checked once at the edge: only a UUID ever gets into a URL, a key, or a log field.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The text is not a UUID in its usual form: 36 characters, hexadecimal, four hyphens.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a UUID")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// For numbered test data and simulations.
            pub const fn from_u128(number: u128) -> Self {
                Self(Uuid::from_u128(number))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // `Uuid` also reads braces, URNs and the form without hyphens, which Recall never sends.
                if text.len() != 36 {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// One recording; the unit of our work and the key of the jobs table.
    RecordingId
}
id! {
    /// One transcript of a recording; a recording can have several.
    TranscriptId
}
id! {
    /// The bot that recorded, if there was one.
    BotId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_has_only_the_usual_form() {
        let id = "3c90c3cc-0d44-4b50-8888-8dd25736052a";
        assert_eq!(id.parse::<RecordingId>().expect("a UUID").to_string(), id);
        for bad in [
            "",
            "3c90c3cc0d444b5088888dd25736052a",
            "{3c90c3cc-0d44-4b50-8888-8dd25736052a}",
            "../../../../../../../../etc/passwd..",
            "3c90c3cc-0d44-4b50-8888-8dd25736052/",
        ] {
            assert_eq!(bad.parse::<RecordingId>(), Err(InvalidId), "{bad}");
        }
    }

    #[test]
    fn id_ignores_case() {
        let upper: RecordingId = "3C90C3CC-0D44-4B50-8888-8DD25736052A".parse().expect("a UUID");
        assert_eq!(upper.to_string(), "3c90c3cc-0d44-4b50-8888-8dd25736052a");
    }
}
