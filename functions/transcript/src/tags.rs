//! Object tags, for policies and lifecycle rules of each tenant. A value that S3 does not accept unchanged gets no tag:
//! an altered one could be the tag of another tenant.

use std::collections::BTreeMap;

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};
use pipeline::{logs, metrics};
use serde_json::Value;

/// How many tags S3 accepts on an object.
pub(crate) const MAX_TAGS: usize = 10;
/// The length of a tag's key that S3 accepts. S3 counts in UTF-16, in which some characters have two units.
pub(crate) const MAX_TAG_KEY_CHARS: usize = 128;
/// The length of a tag's value that S3 accepts, counted in the same way.
const MAX_TAG_VALUE_CHARS: usize = 256;
/// AWS reserves keys with this prefix, in any case.
const RESERVED_PREFIX: &str = "aws:";

/// The metadata that readers may search by, and the object tags made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) metadata: BTreeMap<String, String>,
    /// In the form of the header `x-amz-tagging`; `None` without any tag.
    pub(crate) tags: Option<String>,
}

/// Returns whether S3 accepts the key of a tag.
pub(crate) fn is_tag_key(key: &str) -> bool {
    (1..=MAX_TAG_KEY_CHARS).contains(&key.encode_utf16().count()) && !is_reserved(key) && key.chars().all(is_tag_char)
}

fn is_reserved(text: &str) -> bool {
    text.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}

/// Returns whether S3 accepts the value of a tag, and returns it unchanged.
fn is_tag_value(value: &str) -> bool {
    (1..=MAX_TAG_VALUE_CHARS).contains(&value.encode_utf16().count())
        && !is_reserved(value)
        && value.chars().all(is_tag_char)
        // Servers may trim a value.
        && value.trim() == value
}

/// S3 accepts letters and numbers of any script, but no combining marks.
fn is_tag_char(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_text = GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category);
    is_text || c == ' ' || "+-=._:/@".contains(c)
}

impl Labels {
    /// Takes these keys from the metadata of the recording or, where that has no value, of the bot.
    pub(crate) fn new(keys: &[String], metadata: &Value, bot_metadata: &Value) -> Self {
        let mut found = BTreeMap::new();
        let mut tags = url::form_urlencoded::Serializer::new(String::new());
        let mut has_tags = false;
        for key in keys {
            let text = |metadata: &Value| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
            let Some(value) = text(metadata).or_else(|| text(bot_metadata)) else { continue };
            if is_tag_value(&value) {
                tags.append_pair(key, &value);
                has_tags = true;
            } else {
                tracing::warn!(message = logs::TAG_NOT_SET, key, chars = value.chars().count());
                metrics::TAGS_NOT_SET.count();
            }
            found.insert(key.clone(), value);
        }
        Self {
            metadata: found, // A plus sign means a space only in forms, and every server decodes `%20`.
            tags: has_tags.then(|| tags.finish().replace('+', "%20")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(keys: &[&str], metadata: Value, bot_metadata: Value) -> Labels {
        Labels::new(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>(), &metadata, &bot_metadata)
    }

    #[test]
    fn metadata_of_the_recording_wins() {
        let found = labels(
            &["tenant", "deal", "none"],
            json!({"tenant": "a b+c", "other": "x", "deal": null}),
            json!({"tenant": "z", "deal": "7"}),
        );
        assert_eq!(
            found.metadata,
            BTreeMap::from([("deal".to_owned(), "7".to_owned()), ("tenant".to_owned(), "a b+c".to_owned())])
        );
        assert_eq!(found.tags.as_deref(), Some("tenant=a%20b%2Bc&deal=7"));
    }

    #[test]
    fn value_that_s3_would_not_keep_unchanged_gets_no_tag() {
        for bad in [
            "",
            "सीता",
            "สวี",
            "Ⓐ",
            "aws:x",
            "a\nb",
            "a,b",
            "a*",
            " a",
            "a ",
            "ü\u{301}",
            "emoji 😀",
            &"v".repeat(257),
            &"𐐀".repeat(129),
        ] {
            let found = labels(&["tenant"], json!({"tenant": bad}), Value::Null);
            assert_eq!((found.tags, found.metadata.get("tenant").map(String::as_str)), (None, Some(bad)), "{bad:?}");
        }
        for good in ["Müller & Söhne".replace(" &", ""), "東京".to_owned(), "v".repeat(256), "𐐀".repeat(128)] {
            assert!(labels(&["tenant"], json!({"tenant": good}), Value::Null).tags.is_some(), "{good}");
        }
        assert_eq!(labels(&["tenant"], json!({"tenant": 7}), Value::Null), Labels::default());
    }
}
