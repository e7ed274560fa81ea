//! What of Lambda's event gets any further: the method, the signature's headers, and the body.
//!
//! lambda_http makes a URL of the path, the query, the host and the protocol, which are as the caller wrote them, and
//! panics where they make none. A panic ends the process, so it gets an event of our own in which they are not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::{LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpRequest, request::LambdaRequest};
use pipeline::signature::FAMILIES;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// An event of a function URL or an HTTP API (payload format 2.0). Any JSON at all is one: what is missing or odd in it
/// is as if the caller had sent nothing there, and gets the answer to that.
#[derive(Debug, Default)]
pub struct Envelope {
    method: Method,
    headers: HeaderMap,
    body: String,
    is_base64: bool,
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Copied, because Lambda's runtime reads it from bytes that it does not lend.
        Box::<RawValue>::deserialize(deserializer).map(|event| Self::read(&event))
    }
}

impl Envelope {
    fn read(event: &RawValue) -> Self {
        let event = Members::of(Some(event));
        let http = Members::of(Members::of(event.last("requestContext")).last("http"));
        let body = event.last("body").map(text_or_json).unwrap_or_default();
        let said = event.last("isBase64Encoded").is_some_and(|said| said.get() == "true");
        Self {
            // No method at all is none that is answered here, like this one.
            method: http.last("method").and_then(method).unwrap_or(Method::GET),
            headers: signature_headers(&Members::of(event.last("headers"))),
            // A body that is marked as base64 and is not stays as it is. It is believed only if exactly these bytes
            // were signed.
            is_base64: said && STANDARD.decode(&body).is_ok(),
            body,
        }
    }

    /// What lambda_http gets to see in the event's place.
    pub fn opened(event: LambdaEvent<Self>) -> LambdaEvent<LambdaRequest> {
        let Self { method, headers, body, is_base64 } = event.payload;
        let mut request = ApiGatewayV2httpRequest::default();
        request.request_context.http.method = method;
        request.raw_path = Some("/".to_owned());
        request.headers = headers;
        request.body = Some(body);
        request.is_base64_encoded = is_base64;
        LambdaEvent::new(LambdaRequest::ApiGatewayV2(request), event.context)
    }
}

/// Only what signs a delivery. A value that no header can have counts as an empty one, not as none: it is not a header
/// that was not sent.
fn signature_headers(sent: &Members<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.0 {
        if let Some(known) = FAMILIES.as_flattened().iter().find(|known| name.eq_ignore_ascii_case(known)) {
            let value = text(value).and_then(|value| HeaderValue::from_str(&value).ok());
            headers.append(HeaderName::from_static(known), value.unwrap_or(HeaderValue::from_static("")));
        }
    }
    headers
}

fn method(value: &RawValue) -> Option<Method> {
    text(value)?.parse().ok()
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The text, or what stands in its place as it is written. Null is no body.
fn text_or_json(value: &RawValue) -> String {
    text(value).unwrap_or_else(|| if value.get() == "null" { String::new() } else { value.get().to_owned() })
}

/// The members of an object, in their order and unread; none of anything else.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn of(value: Option<&'a RawValue>) -> Self {
        value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
    }

    /// As everywhere, the last one of a name counts.
    fn last(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests;
