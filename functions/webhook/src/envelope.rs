//! The part of Lambda's event that this function uses: the method, the signature headers and the body.
//!
//! lambda_http builds a URL from the path, the query, the host and the protocol as the caller wrote them, and panics if
//! they do not form a URL. A panic ends the process. So lambda_http gets an event that we build, without those parts.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::{LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpRequest, request::LambdaRequest};
use pipeline::signature::FAMILIES;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// An event of a function URL or an HTTP API (payload format 2.0). Any JSON value can be read as one: a part that is
/// missing or malformed is treated as if the caller had not sent it, and is answered accordingly.
#[derive(Debug, Default)]
pub struct Envelope {
    method: Method,
    headers: HeaderMap,
    body: String,
    is_base64: bool,
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text is copied because Lambda's runtime does not let a deserialized event borrow its bytes.
        Box::<RawValue>::deserialize(deserializer).map(|event| Self::read(&event))
    }
}

impl Envelope {
    fn read(event: &RawValue) -> Self {
        let event = Members::of(Some(event));
        let http = Members::of(Members::of(event.last("requestContext")).last("http"));
        let body = event.last("body").map(text_or_json).unwrap_or_default();
        let marked_base64 = event.last("isBase64Encoded").is_some_and(|flag| flag.get() == "true");
        Self {
            // A missing or invalid method is answered with 405, as GET is.
            method: http.last("method").and_then(method).unwrap_or(Method::GET),
            headers: signature_headers(&Members::of(event.last("headers"))),
            // A body that is marked as base64 but is not valid base64 stays as it is. It is accepted only if exactly
            // these bytes were signed.
            is_base64: marked_base64 && STANDARD.decode(&body).is_ok(),
            body,
        }
    }

    /// Builds the event that lambda_http gets instead of Lambda's event.
    pub fn into_request(event: LambdaEvent<Self>) -> LambdaEvent<LambdaRequest> {
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

/// Returns only the headers of the signature. A value that is not valid in a header becomes an empty value, so that the
/// header still counts as sent.
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

/// Returns the text, or the JSON of a value that is not text. Null is an empty body.
fn text_or_json(value: &RawValue) -> String {
    text(value).unwrap_or_else(|| if value.get() == "null" { String::new() } else { value.get().to_owned() })
}

/// The members of an object, unparsed and in their order. A value of another type has no members.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn of(value: Option<&'a RawValue>) -> Self {
        value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
    }

    /// Returns the last member with this name: as in most JSON parsers, the last one wins.
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
