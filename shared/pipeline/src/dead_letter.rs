//! What nobody here can read is kept whole on the dead-letter queue, for a person to look at.

use aws_sdk_sqs::{Client, types::MessageAttributeValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// One message holds this many bytes of the body. It fits SQS's older limit of 256 KiB even as base64.
const PART_BYTES: usize = 180 * 1024;

/// The dead-letter queue, from the sending side.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    client: Client,
    url: String,
}

/// The body is not known to be on the queue.
#[derive(Debug, thiserror::Error)]
#[error("the dead-letter queue did not take the body")]
pub struct ParkError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl DeadLetterQueue {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Parks the body with the reason. A long body becomes several messages, told apart by the attribute `part`
    /// (`1/3`); where SQS would refuse the text, it is base64, as the attribute `encoding` says.
    ///
    /// # Errors
    /// [`ParkError`]; some parts may be on the queue.
    pub async fn park(&self, delivery_id: &str, body: &[u8], reason: &str) -> Result<(), ParkError> {
        let parts = split(body);
        for (index, part) in parts.iter().enumerate() {
            let position = format!("{}/{}", index + 1, parts.len());
            let mut message = self.client.send_message().queue_url(&self.url).message_body(&part.text);
            for (name, value) in [
                ("reason", reason),
                ("delivery_id", delivery_id),
                ("encoding", part.encoding),
                ("part", position.as_str()),
            ] {
                message = message.message_attributes(name, attribute(value));
            }
            message.send().await.map_err(|error| ParkError(Box::new(error)))?;
        }
        Ok(())
    }
}

struct Part {
    text: String,
    encoding: &'static str,
}

fn split(body: &[u8]) -> Vec<Part> {
    // An empty body is a fact, too, but SQS takes no empty message.
    if body.is_empty() {
        return vec![Part { text: "(empty)".to_owned(), encoding: "none" }];
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.chars().all(allowed) => {
            let mut parts = Vec::new();
            let mut rest = text;
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
                parts.push(Part { text: part.to_owned(), encoding: "text" });
                rest = after;
            }
            parts
        }
        Ok(_) | Err(_) => {
            let part = |bytes| Part { text: STANDARD.encode(bytes), encoding: "base64" };
            body.chunks(PART_BYTES).map(part).collect()
        }
    }
}

/// The characters that SQS takes in a message.
fn allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn attribute(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(readable(value)).build();
    attribute.unwrap_or_else(|_| unreachable!("the data type is set"))
}

/// SQS takes no empty attribute, and refuses some characters in it, too. What stands around them stays readable.
fn readable(value: &str) -> String {
    if value.is_empty() {
        return "-".to_owned();
    }
    value.chars().map(|character| if allowed(character) { character } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_split_between_characters_and_whole_again() {
        let body = "aé".repeat(200_000);
        let parts = split(body.as_bytes());
        assert!(parts.len() > 3 && parts.iter().all(|part| part.encoding == "text" && part.text.len() <= PART_BYTES));
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), body);
    }

    #[test]
    fn what_sqs_would_refuse_goes_as_base64() {
        for body in [&b"\xff\xfe"[..], b"nul \0 byte", "\u{FFFF}".as_bytes()] {
            let parts = split(body);
            assert_eq!(parts[0].encoding, "base64");
            assert_eq!(STANDARD.decode(&parts[0].text).expect("base64"), body);
        }
        assert_eq!(split(b"").len(), 1);
    }

    #[test]
    fn a_reason_stays_readable() {
        assert_eq!(readable("Syntax error at line 1"), "Syntax error at line 1");
        assert_eq!(readable("\0 at \u{FFFF}, é"), "\u{FFFD} at \u{FFFD}, é");
        assert_eq!(readable(""), "-");
    }
}
