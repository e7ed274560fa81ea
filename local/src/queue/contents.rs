//! Checks the characters of a message. The emulator accepts every character, but SQS does not.

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

const CODE: &str = "InvalidMessageContents";
const MESSAGE: &str = "The message contains characters outside the allowed set.";

/// A checked request to send.
pub(super) enum Looked {
    /// The request is forwarded unchanged, like every other request.
    Good,
    /// The whole request is refused.
    Refused,
    /// A batch: the entries to send, if any, and the failures of the others.
    Parts { rest: Option<Bytes>, failed: Vec<Value> },
}

/// Returns whether SQS accepts the character: tab, line feed, carriage return, and everything from the space on except
/// the surrogates, which Rust's text never contains, and the two noncharacters at the end of the first plane.
pub(super) fn allowed(text: &str) -> bool {
    text.chars().all(|character| {
        matches!(character,
            '\u{9}' | '\u{A}' | '\u{D}' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
    })
}

pub(super) fn look(request: &[u8]) -> Looked {
    let Ok(mut request) = serde_json::from_slice::<Value>(request) else { return Looked::Good };
    if !is_good(&request) {
        return Looked::Refused;
    }
    let Some(entries) = request["Entries"].as_array_mut() else { return Looked::Good };
    let (good, bad): (Vec<Value>, Vec<Value>) = std::mem::take(entries).into_iter().partition(is_good);
    if bad.is_empty() {
        return Looked::Good;
    }
    let failure = |entry: Value| json!({"Id": entry["Id"], "SenderFault": true, "Code": CODE, "Message": MESSAGE});
    let some = !good.is_empty();
    *entries = good;
    Looked::Parts { rest: some.then(|| request.to_string().into()), failed: bad.into_iter().map(failure).collect() }
}

/// Returns whether SQS accepts the text and the attributes.
fn is_good(message: &Value) -> bool {
    let attributes = message["MessageAttributes"].as_object().into_iter().flat_map(|attributes| attributes.values());
    let mut texts = attributes.map(|attribute| &attribute["StringValue"]).chain([&message["MessageBody"]]);
    texts.all(|text| text.as_str().is_none_or(allowed))
}

/// Returns the error with which SQS refuses a message.
pub(super) fn refusal() -> Response {
    let head = [(header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"), ("x-amzn-query-error", CODE)];
    let body = json!({"__type": format!("com.amazonaws.sqs#{CODE}"), "message": MESSAGE});
    (StatusCode::BAD_REQUEST, head, body.to_string()).into_response()
}

/// Returns the answer to a batch, with the failures of the entries that were not sent.
pub(super) fn with_failures(answer: &[u8], failed: Vec<Value>) -> Body {
    let mut answer: Value = serde_json::from_slice(answer).unwrap_or_else(|_| json!({"Successful": []}));
    match answer["Failed"].as_array_mut() {
        Some(others) => others.extend(failed),
        None => answer["Failed"] = failed.into(),
    }
    Body::from(answer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_set_is_that_of_sqs() {
        for good in ["\t\n\r", " ~\u{7F}\u{85}", "\u{D7FF}\u{E000}\u{FFFD}", "\u{10000}\u{1FFFF}\u{10FFFF}"] {
            assert!(allowed(good), "{good:?}");
        }
        for bad in ["\0", "\u{8}", "\u{B}", "\u{C}", "\u{E}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            assert!(!allowed(bad), "{bad:?}");
        }
    }
}
