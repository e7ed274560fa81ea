//! A plain HTTP client for loopback, which sends exactly what a test says.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

/// An HTTP response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub headers: http::HeaderMap,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
    pub bytes: Bytes,
}

/// Posts a JSON body.
pub async fn post(url: &str, headers: &[(&str, String)], body: &[u8]) -> Result<Reply> {
    let mut all = vec![("content-type", "application/json".to_owned())];
    all.extend_from_slice(headers);
    request("POST", url, &all, body).await
}

/// Sends a request of any method.
pub async fn request(method: &str, url: &str, headers: &[(&str, String)], body: &[u8]) -> Result<Reply> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).context("not a request")?;
    let response = client.request(request).await.context("no response")?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let headers = response.headers().clone();
    let bytes = response.into_body().collect().await.context("the response ended early")?.to_bytes();
    Ok(Reply { status, retry_after, headers, body: serde_json::from_slice(&bytes).unwrap_or_default(), bytes })
}
