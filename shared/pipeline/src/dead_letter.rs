//! The dead-letter queue. It keeps the whole body of a delivery or message that we cannot read, for a person to inspect.

use aws_sdk_sqs::{Client, types::MessageAttributeValue};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// How many bytes of a body one message has. Even as base64, they fit the older limit of SQS, which is 256 KiB.
const BODY_PART_BYTES: usize = 180 * 1024;

/// The reason of a message that is not one of ours begins like this.
pub const NOT_A_MESSAGE: &str = "the body is not a message of ours";
/// The reason of a message whose job cannot be read.
pub const ROW_NOT_READABLE: &str = "the recording's item in the jobs table cannot be read as a job";

/// A client that sends to the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    client: Client,
    url: String,
}

/// The body may not be on the queue.
#[derive(Debug, thiserror::Error)]
#[error("SQS SendMessage to the dead-letter queue failed")]
pub struct ParkError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl DeadLetterQueue {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends the body and the reason to the queue. A long body becomes several messages, which the attribute `part`
    /// numbers (`1/3`). Text that SQS would reject is sent as base64, as the attribute `encoding` says.
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
    // An empty body is worth keeping as well, but SQS rejects an empty message.
    if body.is_empty() {
        return vec![Part { text: "(empty)".to_owned(), encoding: "none" }];
    }
    match std::str::from_utf8(body) {
        Ok(text) if text.chars().all(is_allowed) => {
            let mut parts = Vec::new();
            let mut rest = text;
            while !rest.is_empty() {
                let (part, after) = rest.split_at(rest.floor_char_boundary(BODY_PART_BYTES));
                parts.push(Part { text: part.to_owned(), encoding: "text" });
                rest = after;
            }
            parts
        }
        Ok(_) | Err(_) => {
            let part = |bytes| Part { text: STANDARD.encode(bytes), encoding: "base64" };
            body.chunks(BODY_PART_BYTES).map(part).collect()
        }
    }
}

/// Returns the bytes of one part, from the text of its message and from its attribute `encoding`. `None`: the text does
/// not have this encoding.
pub fn decode_part(text: &str, encoding: &str) -> Option<Vec<u8>> {
    match encoding {
        "text" => Some(text.as_bytes().to_vec()),
        "base64" => STANDARD.decode(text).ok(),
        "none" => Some(Vec::new()),
        _ => None,
    }
}

/// Returns whether SQS accepts the character in a message.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn attribute(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(readable(value)).build();
    attribute.unwrap_or_else(|_| unreachable!("the data type is set"))
}

/// Returns the value in a form that SQS accepts in an attribute: not empty, and with the rejected characters replaced.
/// The rest remains readable.
fn readable(value: &str) -> String {
    if value.is_empty() {
        return "-".to_owned();
    }
    let replaced = |character| if is_allowed(character) { character } else { char::REPLACEMENT_CHARACTER };
    value.chars().map(replaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_split_between_characters_and_can_be_joined() {
        let body = "aé".repeat(200_000);
        let parts = split(body.as_bytes());
        assert!(
            parts.len() > 3 && parts.iter().all(|part| part.encoding == "text" && part.text.len() <= BODY_PART_BYTES)
        );
        assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), body);
    }

    #[test]
    fn body_that_sqs_would_reject_is_sent_as_base64() {
        for body in [&b"\xff\xfe"[..], b"nul \0 byte", "\u{FFFF}".as_bytes()] {
            let parts = split(body);
            assert_eq!(parts[0].encoding, "base64");
            assert_eq!(STANDARD.decode(&parts[0].text).expect("base64"), body);
        }
        assert_eq!(split(b"").len(), 1);
    }

    #[test]
    fn parts_are_decoded_to_what_was_split() {
        let long = "aé".repeat(200_000);
        for body in [long.as_bytes(), &b"\xff".repeat(400_000), b""] {
            let decode = |part: &Part| decode_part(&part.text, part.encoding).expect("an encoding of ours");
            assert_eq!(split(body).iter().flat_map(decode).collect::<Vec<u8>>(), body);
        }
        assert_eq!((decode_part("***", "base64"), decode_part("x", "other")), (None, None));
    }

    #[test]
    fn reason_remains_readable() {
        assert_eq!(readable("Syntax error at line 1"), "Syntax error at line 1");
        assert_eq!(readable("\0 at \u{FFFF}, é"), "\u{FFFD} at \u{FFFD}, é");
        assert_eq!(readable(""), "-");
    }
}
