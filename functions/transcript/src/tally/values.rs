//! The values of Recall's format, as serde_json reads them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

/// Values are raw as long as they can be of any type: what is not of the right one is as good as absent. A key that is
/// there twice is an error.
#[derive(Deserialize)]
pub(super) struct Participant<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) is_host: Option<&'a RawValue>,
}

/// Words are most of the file, so their values are looked at only once, if serde_json can read them all.
#[derive(Deserialize)]
pub(super) struct Word<'a> {
    #[serde(borrow, default)]
    pub(super) text: Part<'a>,
    #[serde(borrow, default)]
    pub(super) start_timestamp: Part<'a>,
    #[serde(borrow, default)]
    pub(super) end_timestamp: Part<'a>,
}

/// A word with something in it that serde_json takes for no value: half of a surrogate pair, a number beyond all bounds.
#[derive(Deserialize)]
pub(super) struct RawWord<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) start_timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) end_timestamp: Option<&'a RawValue>,
}

/// What a word consists of.
#[derive(Default)]
pub(super) enum Part<'a> {
    Text(Cow<'a, str>),
    Moment(Moment<'a>),
    #[default]
    Other,
}

#[derive(Deserialize)]
pub(super) struct Moment<'a> {
    #[serde(borrow)]
    pub(super) relative: Option<&'a RawValue>,
}

/// Borrowed where nothing is escaped. What is no character becomes U+FFFD. Only for raw values, which are known to be
/// JSON: bytes are taken as they are.
struct Text<'a>(Cow<'a, str>);

/// A text, unescaped.
pub(super) fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text = raw.map(RawValue::get).filter(|text| text.starts_with('"'))?;
    serde_json::from_str(text).map(|Text(text)| text).ok()
}

impl<'a> Part<'a> {
    pub(super) fn of(raw: Option<&'a RawValue>) -> Self {
        let moment = || serde_json::from_str(raw?.get()).ok();
        string(raw).map(Self::Text).or_else(|| moment().map(Self::Moment)).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only as bytes does serde_json hand over half of a surrogate pair.
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(String::from_utf8_lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Part<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Part::Text(Cow::Borrowed(text)))
    }

    /// Something in it was escaped.
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Part::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Moment::deserialize(MapAccessDeserializer::new(map)).map(Part::Moment)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| Part::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::Other)
    }
}
