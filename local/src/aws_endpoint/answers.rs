//! Answers in AWS's protocols: errors in each of them, and XML for the services that still speak it.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use uuid::Uuid;

/// The code of the error for everything that has no stand-in.
pub(super) const NOT_AVAILABLE: &str = "NotAvailableLocally";
/// SDKs try again after 500, 502, 503 and 504, but not after this.
pub(super) const NOT_AVAILABLE_STATUS: StatusCode = StatusCode::NOT_IMPLEMENTED;

/// How a client writes its request, and reads the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    /// A target in the header, or a path, and JSON.
    Json,
    /// A form, answered in XML: CloudFormation, STS, IAM.
    Query,
    /// RPC v2: CloudWatch.
    Cbor,
}

impl Protocol {
    pub(super) fn of(headers: &HeaderMap) -> Protocol {
        let is = |name: HeaderName, start: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with(start))
        };
        if is(HeaderName::from_static("smithy-protocol"), "rpc-v2-cbor") {
            return Protocol::Cbor;
        }
        match is(header::CONTENT_TYPE, "application/x-www-form-urlencoded") {
            true => Protocol::Query,
            false => Protocol::Json,
        }
    }
}

/// Returns an error that the SDKs read: its code and its message.
pub(super) fn refusal(protocol: Protocol, status: StatusCode, code: &str, message: &str) -> Response {
    match protocol {
        Protocol::Json => {
            let head = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", code)];
            (status, head, json!({"__type": code, "message": message}).to_string()).into_response()
        }
        Protocol::Query => {
            let (code, message) = (escape(code), escape(message));
            let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            let id = Uuid::new_v4();
            xml(status, format!("<ErrorResponse>{error}<RequestId>{id}</RequestId></ErrorResponse>"))
        }
        Protocol::Cbor => {
            let head = [(header::CONTENT_TYPE.as_str(), "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
            // A map of two entries.
            let mut body = vec![0xA2];
            for text in ["__type", code, "message", message] {
                write_cbor(&mut body, text);
            }
            (status, head, body).into_response()
        }
    }
}

/// Returns the refusal of an operation that its stand-in does not have.
pub(super) fn not_available(protocol: Protocol, operation: &str) -> Response {
    refusal(protocol, NOT_AVAILABLE_STATUS, NOT_AVAILABLE, &format!("There is no stand-in for {operation:?}."))
}

/// The length of a text is 0 to 23 in the first byte, or in one or two bytes after it.
fn write_cbor(body: &mut Vec<u8>, text: &str) {
    const TEXT: u8 = 0x60;
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match (u8::try_from(end), end as u16) {
        (Ok(length @ 0..24), _) => body.push(TEXT | length),
        (Ok(length), _) => body.extend([TEXT | 24, length]),
        (Err(_), length) => {
            body.push(TEXT | 25);
            body.extend(length.to_be_bytes());
        }
    }
    body.extend(&text.as_bytes()[..end]);
}

/// The successful answer to an `Action` of the query protocol. `result` is XML.
pub(super) fn query_result(action: &str, result: &str) -> Response {
    let id = Uuid::new_v4();
    let metadata = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
    xml(
        StatusCode::OK,
        format!("<{action}Response><{action}Result>{result}</{action}Result>{metadata}</{action}Response>"),
    )
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/xml")], body).into_response()
}

/// Returns the text as it must be between two tags.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A request of the query protocol: `Action=DescribeStacks&Version=…&StackName=…`.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &Bytes) -> Form {
        Form(url::form_urlencoded::parse(body).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cbor_has_three_forms_of_length() {
        for (length, head) in [
            (0, vec![0x60]),
            (23, vec![0x77]),
            (24, vec![0x78, 24]),
            (255, vec![0x78, 255]),
            (256, vec![0x79, 1, 0]),
            (70_000, vec![0x79, 255, 255]),
        ] {
            let (mut body, text) = (Vec::new(), "x".repeat(length));
            write_cbor(&mut body, &text);
            assert_eq!(body[..head.len()], head);
            assert_eq!(body.len(), head.len() + length.min(65_535));
        }
    }

    #[test]
    fn markup_in_a_text_is_escaped() {
        assert_eq!(escape(r#"[{"a&b": "<x>"}]"#), r#"[{"a&amp;b": "&lt;x&gt;"}]"#);
    }
}
