//! Reads the values of Recall's format with serde_json. A value of another type is not an error.

use std::{borrow::Cow, fmt};

use job::time::Timestamp;
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::non_finite::PLACEHOLDER;
use crate::{
    Participant,
    people::{MAX_NAME_BYTES, email_address},
    visible::has_visible,
    words::clean,
};

/// The ids in `extra_data` that stay the same for a person who leaves and comes back: the platform, then the key.
const STATIC_IDS: [(&str, &str); 3] =
    [("google_meet", "static_participant_id"), ("zoom", "conf_user_id"), ("microsoft_teams", "user_id")];

/// The participant of an entry. A value of another type is treated as absent.
#[derive(Deserialize)]
pub(super) struct RawParticipant<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    is_host: Option<&'a RawValue>,
    #[serde(borrow)]
    extra_data: Option<&'a RawValue>,
    #[serde(borrow)]
    email: Option<&'a RawValue>,
}

/// A word. Words are most of the file, so a well-formed word is parsed only once.
#[derive(Default, Deserialize)]
pub(super) struct Word<'a> {
    #[serde(borrow, default)]
    pub(super) text: FieldValue<'a>,
    #[serde(borrow, default, alias = "start_time")]
    pub(super) start_timestamp: FieldValue<'a>,
    #[serde(borrow, default, alias = "end_time")]
    pub(super) end_timestamp: FieldValue<'a>,
}

/// A word that [`Word`] cannot parse, because a key appears twice (the last value counts), or because the word contains
/// half of a surrogate pair or a number that is out of range.
pub(super) struct LenientWord<'a>(pub(super) Word<'a>);

/// The value of a word's field.
#[derive(Default)]
pub(super) enum FieldValue<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Number(f64),
    Time(RawTime<'a>),
    /// A value of any other type.
    Other,
}

/// A time in Recall's own form.
#[derive(Default, Deserialize)]
pub(super) struct RawTime<'a> {
    #[serde(borrow, default)]
    pub(super) relative: OptionalValue<'a>,
    #[serde(borrow, default)]
    pub(super) absolute: OptionalValue<'a>,
}

/// What a value says about a moment.
pub(super) struct Clocks {
    /// Seconds from the start of the recording. They may be out of range.
    pub(super) seconds: Option<f64>,
    pub(super) absolute: Option<Timestamp>,
    /// Whether a part of the value is not a time.
    pub(super) unusable: bool,
}

/// A field of a time.
#[derive(Clone, Copy, Default)]
pub(super) enum OptionalValue<'a> {
    #[default]
    Absent,
    Null,
    Value(&'a RawValue),
}

/// Collects the last value of each key.
struct LastValues<'a, const N: usize> {
    keys: [&'static str; N],
    values: [Option<&'a RawValue>; N],
}

/// A string that is borrowed if nothing in it is escaped. Invalid characters become U+FFFD. It is used only for raw
/// values, which are known to be JSON, because bytes are not checked.
struct Text<'a>(Cow<'a, str>);

/// Returns the unescaped string. A replaced non-finite number is not a string.
pub(super) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = Some(raw.get()).filter(|text| text.starts_with('"'))?;
    serde_json::from_str(text).map(|Text(text)| text).ok().filter(|text| text != PLACEHOLDER)
}

impl RawParticipant<'_> {
    /// Returns the participant, and whether all of its values could be used.
    pub(super) fn parse(&self) -> (Participant, bool) {
        let Self { id, name, is_host, extra_data, email } = *self;
        let mut usable = true;
        let mut used = |text: Option<Option<String>>| {
            usable &= text.as_ref().is_none_or(Option::is_some);
            text.flatten()
        };
        let id = used(id.map(id_text));
        let name = used(name.map(|name| text_of(name).map(Cow::into_owned)));
        let email = used(email.map(|email| text_of(email).map(Cow::into_owned)));
        usable &= is_host.is_none_or(|is_host| ["true", "false"].contains(&is_host.get()));
        let is_host = is_host.is_some_and(|is_host| is_host.get() == "true");
        let static_ids = extra_data.map(static_ids).unwrap_or_default();
        let email = email.as_deref().and_then(email_address);
        (Participant { id, name, is_host, static_ids, email }, usable)
    }
}

/// Returns a participant in which a key appears twice.
pub(super) fn lenient_participant(raw: &RawValue) -> Option<RawParticipant<'_>> {
    let [id, name, is_host, extra_data, email] = last_values(raw, ["id", "name", "is_host", "extra_data", "email"])?;
    Some(RawParticipant { id, name, is_host, extra_data, email })
}

/// Returns the ids that can tell people apart. An id that is too long might be the start of several ones if it were
/// cut.
fn static_ids(extra_data: &RawValue) -> Vec<(&'static str, String)> {
    // No other value in there is needed, so an object without these keys is fine.
    let platforms = last_values(extra_data, STATIC_IDS.map(|(platform, _)| platform)).unwrap_or_default();
    let static_id = |((platform, key), values): ((&'static str, &'static str), Option<&RawValue>)| {
        let [id] = last_values(values?, [key])?;
        let mut text = String::new();
        clean(&id_text(id?)?, &mut text);
        Some((platform, Some(text).filter(|id| has_visible(id) && id.len() <= MAX_NAME_BYTES)?))
    };
    STATIC_IDS.into_iter().zip(platforms).filter_map(static_id).collect()
}

/// Returns an id, which is a string or a number. `1.0` is written as 1.
fn id_text(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Some(text.strip_suffix(".0").unwrap_or(text).to_owned());
    }
    text_of(raw).map(Cow::into_owned)
}

/// Returns the values of these keys of an object, except null. If a key appears twice, the last value counts.
pub(super) fn last_values<'a, const N: usize>(
    raw: &'a RawValue,
    keys: [&'static str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let last = LastValues { keys, values: [None; N] };
    serde::Deserializer::deserialize_map(&mut deserializer, last).ok()
}

impl<'a> FieldValue<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Self {
        match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b'"') => text_of(raw).map_or(Self::Other, Self::Text),
            Some(b'{') => {
                let given = |value: Option<&'a RawValue>| value.map_or(OptionalValue::Null, OptionalValue::Value);
                last_values(raw, ["relative", "absolute"]).map_or(Self::Other, |[relative, absolute]| {
                    Self::Time(RawTime { relative: given(relative), absolute: given(absolute) })
                })
            }
            // A number that is too large becomes infinite.
            Some(b'-' | b'0'..=b'9') => raw.get().parse().map_or(Self::Other, Self::Number),
            _ => Self::Other,
        }
    }

    /// Returns what the value says about a moment.
    pub(super) fn clocks(self) -> Clocks {
        let (seconds, absolute, unusable) = match self {
            Self::Absent | Self::Null => (None, None, false),
            Self::Number(seconds) => (Some(seconds), None, false),
            Self::Text(text) => match Timestamp::parse_rfc3339(&text) {
                None => (Some(parse_number(&text)), None, false),
                absolute => (None, absolute, false),
            },
            Self::Time(RawTime { relative: OptionalValue::Absent, absolute: OptionalValue::Absent }) | Self::Other => {
                (None, None, true)
            }
            Self::Time(RawTime { relative, absolute }) => {
                let seconds = match relative {
                    OptionalValue::Absent | OptionalValue::Null => None,
                    OptionalValue::Value(raw) => {
                        let text = || text_of(raw).map_or(f64::NAN, |text| parse_number(&text));
                        Some(raw.get().parse().unwrap_or_else(|_| text()))
                    }
                };
                match absolute {
                    OptionalValue::Absent | OptionalValue::Null => (seconds, None, false),
                    OptionalValue::Value(raw) => {
                        let absolute = text_of(raw).and_then(|text| Timestamp::parse_rfc3339(&text));
                        (seconds, absolute, absolute.is_none())
                    }
                }
            }
        };
        Clocks { seconds, absolute, unusable }
    }
}

/// Parses a number. Any other text is not a number.
fn parse_number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

impl<'de: 'a, 'a> Deserialize<'de> for LenientWord<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = ["text", "start_timestamp", "end_timestamp", "start_time", "end_time"];
        let [text, start, end, start_time, end_time] =
            deserializer.deserialize_map(LastValues { keys, values: [None; 5] })?;
        let value = |raw: Option<&'a RawValue>| raw.map(FieldValue::of).unwrap_or_default();
        Ok(Self(Word {
            text: value(text),
            start_timestamp: value(start.or(start_time)),
            end_timestamp: value(end.or(end_time)),
        }))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for OptionalValue<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: Option<&RawValue> = Deserialize::deserialize(deserializer)?;
        Ok(value.map_or(Self::Null, Self::Value))
    }
}

impl<'de: 'a, 'a, const N: usize> Visitor<'de> for LastValues<'a, N> {
    type Value = [Option<&'a RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { keys, mut values } = self;
        while let Some((key, value)) = map.next_entry::<ObjectKey<'de>, &'de RawValue>()? {
            let known = keys.iter().zip(&mut values).find(|(known, _)| **known == key.0);
            if let Some((_, known)) = known {
                *known = Some(value).filter(|value| value.get() != "null");
            }
        }
        Ok(values)
    }
}

/// The unescaped key of an object.
struct ObjectKey<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for ObjectKey<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde_json passes on half of a surrogate pair only as bytes.
        deserializer.deserialize_bytes(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for FieldValue<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(if text == PLACEHOLDER { FieldValue::Other } else { FieldValue::Text(Cow::Borrowed(text)) })
    }

    /// serde_json calls this for a string with escapes.
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(FieldValue::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RawTime::deserialize(MapAccessDeserializer::new(map)).map(FieldValue::Time)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| FieldValue::Other)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(FieldValue::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(FieldValue::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(FieldValue::Number(number as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(FieldValue::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(FieldValue::Null)
    }
}
