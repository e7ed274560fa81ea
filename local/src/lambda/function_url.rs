//! The public URL of a function: converts HTTP to payload format 2.0, and the function's answer back to HTTP.

use anyhow::{Result, ensure};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Function, InvokeError};
use crate::wire::{Server, Service, Wire, listen, serve};

/// Lambda's own limit for a request body, in bytes.
const LARGEST_BODY_BYTES: usize = 6 * 1024 * 1024;

/// A function's URL on loopback. It stops when this is dropped.
#[derive(Debug)]
pub struct FunctionUrl {
    url: String,
    _server: Server,
}

impl FunctionUrl {
    /// Serves the function on this port. 0 takes any free port.
    pub async fn start(wire: &Wire, port: u16, function: Function) -> Result<FunctionUrl> {
        let (listener, port) = listen(port).await?;
        let router = Router::new().fallback(answer).with_state(function);
        Ok(FunctionUrl {
            url: format!("http://127.0.0.1:{port}/"),
            _server: serve(wire, Service::Webhook, listener, router),
        })
    }

    /// `http://127.0.0.1:PORT/`. Every path and method below it goes to the function.
    pub fn url(&self) -> &str {
        &self.url
    }
}

pub(super) async fn answer(State(function): State<Function>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY_BYTES).await else {
        let message =
            format!("Request must be smaller than {LARGEST_BODY_BYTES} bytes for the InvokeFunction operation");
        return (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(json!({"Message": message}))).into_response();
    };
    let event = payload(&parts, &body, OffsetDateTime::now_utc());
    let result = function.invoke(event.to_string().into_bytes()).await;
    let result = result.map_err(anyhow::Error::from).and_then(|result| response(&result));
    result.unwrap_or_else(|error| match error.downcast_ref() {
        Some(InvokeError::Throttled) => {
            (StatusCode::TOO_MANY_REQUESTS, axum::Json(json!({"Message": "Rate Exceeded."}))).into_response()
        }
        Some(_) | None => {
            tracing::warn!(function = function.name(), error = format!("{error:#}"), "answered 502");
            (StatusCode::BAD_GATEWAY, axum::Json(json!({"message": "Internal Server Error"}))).into_response()
        }
    })
}

/// Returns the event that a function URL creates from a request.
fn payload(request: &Parts, body: &Bytes, now: OffsetDateTime) -> Value {
    let text = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = request.uri.query().unwrap_or_default();
    let host = text(header::HOST);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.uri.path(),
        // A `+` arrives as a space here, as users have reported of AWS. Escaped characters stay escaped.
        "rawQueryString": query.replace('+', " "),
        "headers": headers(&request.headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": text(header::USER_AGENT),
            },
            "requestId": Uuid::new_v4(),
            "routeKey": "$default",
            "stage": "$default",
            "time": common_log_time(now),
            "timeEpoch": (now.unix_timestamp_nanos() / 1_000_000) as i64,
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<_> = text(header::COOKIE).split("; ").filter(|cookie| !cookie.is_empty()).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = query_parameters(query);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(body) if is_textual(text(header::CONTENT_TYPE)) => event["body"] = body.into(),
            Ok(_) | Err(_) => {
                event["body"] = BASE64_STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event
}

/// Names are in lowercase, and the values of a repeated header are joined. Cookies have their own field.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut joined = Map::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        joined.insert(name.as_str().to_owned(), values.join(",").into());
    }
    for (name, value) in [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")]
    {
        joined.entry(name).or_insert_with(|| value.into());
    }
    joined
}

fn query_parameters(query: &str) -> Value {
    let mut parameters = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match parameters.get_mut(name.as_ref()) {
            Some(Value::String(values)) => {
                values.push(',');
                values.push_str(&value);
            }
            Some(_) | None => {
                parameters.insert(name.into_owned(), value.into());
            }
        }
    }
    Value::Object(parameters)
}

/// A body of any other type arrives in base64.
fn is_textual(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.starts_with("application/") && (kind.ends_with("+json") || kind.ends_with("+xml"))
}

/// `12/Mar/2026:19:03:58 +0000`.
fn common_log_time(now: OffsetDateTime) -> String {
    let month = &now.month().to_string()[..3];
    let (hour, minute, second) = now.to_hms();
    format!("{:02}/{month}/{}:{hour:02}:{minute:02}:{second:02} +0000", now.day(), now.year())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Returns the response that a function URL creates from a function's result.
fn response(result: &[u8]) -> Result<Response> {
    let value: Value = serde_json::from_slice(result)?;
    if value.get("statusCode").is_none() {
        // Without a status, the whole result is the body.
        return Ok(axum::Json(value).into_response());
    }
    let answer: Answer = serde_json::from_value(value)?;
    ensure!((200..=599).contains(&answer.status_code), "{} is no status of a response", answer.status_code);
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64_STANDARD.decode(body)? } else { body.into_bytes() };
    let mut response = Response::builder().status(answer.status_code).body(Body::from(body))?;
    let headers = response.headers_mut();
    for (name, value) in answer.headers.unwrap_or_default() {
        let name: HeaderName = name.parse()?;
        // The length must be that of the decoded body, and the transfer encoding belongs to the connection.
        if matches!(name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION) {
            continue;
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.insert(name, HeaderValue::from_str(&value)?);
    }
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    for cookie in answer.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(&cookie)?);
    }
    Ok(response)
}

#[cfg(test)]
mod tests;
