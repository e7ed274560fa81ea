//! The tags of an object, as a request states them: what S3 accepts, and how it refuses the rest.
//!
//! S3's documents give the limits. The codes and messages are those that its users report.

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};
use std::collections::BTreeMap;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// Tags by key. S3 returns them in this order.
pub type Tags = BTreeMap<String, String>;

const MOST_TAGS: usize = 10;
/// S3 counts in UTF-16 code units, of which a character outside of the basic plane has two.
const KEY_UNITS: usize = 128;
const VALUE_UNITS: usize = 256;

/// Returns the tags in an `x-amz-tagging` header, which is a URL query.
pub(super) fn parse(header: Option<&str>) -> S3Result<Tags> {
    let malformed = || {
        let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                       without tag name duplicates.";
        s3_error!(InvalidArgument, "{message}")
    };
    let mut tags = Tags::new();
    for pair in header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key).ok_or_else(malformed)?, decoded(value).ok_or_else(malformed)?);
        if tags.insert(key, value).is_some() {
            return Err(malformed());
        }
    }
    if tags.len() > MOST_TAGS {
        let message = format!("Object tags cannot be greater than {MOST_TAGS}");
        let mut error = S3Error::with_message(S3ErrorCode::Custom("BadRequest".into()), message);
        error.set_status_code(StatusCode::BAD_REQUEST);
        return Err(error);
    }
    for (key, value) in &tags {
        if key.is_empty() || !is_valid(key, KEY_UNITS) {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if key.starts_with("aws:") {
            return Err(s3_error!(InvalidTag, "Your TagKey cannot be prefixed with aws:"));
        }
        if !is_valid(value, VALUE_UNITS) {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
    }
    Ok(tags)
}

/// Returns the text of one part of a query, in which `+` is a space. An equals sign must be encoded.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'=' => return None,
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (rest.next().and_then(digit)?, rest.next().and_then(digit)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn is_valid(text: &str, most_units: usize) -> bool {
    text.encode_utf16().count() <= most_units && text.chars().all(is_allowed)
}

/// Letters, numbers, and spaces of any script, and a few symbols. Combining marks are no letters, and control
/// characters such as tabs are no spaces here.
fn is_allowed(character: char) -> bool {
    let is_space = character.is_whitespace() && !character.is_control();
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let is_text = GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category);
    is_text || is_space || "+-=._:/@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(header: &str) -> String {
        parse(Some(header)).err().map(|error| error.code().as_str().to_owned()).unwrap_or_default()
    }

    fn many(count: usize) -> String {
        (0..count).map(|index| format!("key{index}=value")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn tags_are_read_as_a_query() -> Result<(), S3Error> {
        assert!(parse(None)?.is_empty() && parse(Some(""))?.is_empty());
        let tags = parse(Some("tenant=a%2Bb+c&%C3%A9=%E6%9D%B1%E4%BA%AC&empty=&bare&symbols=%2B-%3D._%3A%2F%40"))?;
        let expected = [("bare", ""), ("empty", ""), ("symbols", "+-=._:/@"), ("tenant", "a+b c"), ("é", "東京")];
        assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        Ok(())
    }

    #[test]
    fn limits_are_those_of_s3() {
        assert_eq!((code(&many(10)), code(&many(11))), (String::new(), "BadRequest".to_owned()));
        for (key_units, value_units, refusal) in [(128, 256, ""), (129, 1, "InvalidTag"), (1, 257, "InvalidTag")] {
            assert_eq!(code(&format!("{}={}", "k".repeat(key_units), "v".repeat(value_units))), refusal);
        }
        // This letter has two code units.
        let letter = "%F0%90%90%80";
        assert_eq!(code(&format!("k={}", letter.repeat(128))), "");
        assert_eq!(code(&format!("k={}", letter.repeat(129))), "InvalidTag");
    }

    #[test]
    fn other_characters_are_refused() {
        for value in ["%2C", "%28", "%22", "%00", "%09", "%0A", "%26", "%23", "%7C", "%F0%9F%98%80"] {
            assert_eq!(code(&format!("key={value}")), "InvalidTag", "{value}");
            assert_eq!(code(&format!("{value}=value")), "InvalidTag", "{value}");
        }
        for header in ["=value", "aws:key=value"] {
            assert_eq!(code(header), "InvalidTag", "{header}");
        }
        for header in ["a=1&a=2", "a=b=c", "a=%zz", "a=%4", "a=%FF"] {
            assert_eq!(code(header), "InvalidArgument", "{header}");
        }
    }
}
