//! Compares the simulator with the notes on Recall that it follows.

mod api;
mod bots;
mod create;
mod downloads;
mod files;
mod files_disturbed;
mod lists;
mod meetings;
mod people;
mod webhooks;

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Limits, Simulator, SimulatorConfig};
use crate::wire::Wire;

const KEY: &str = "the-key-of-this-region";

/// A simulator, and a caller with the right key.
struct Lab {
    wire: Wire,
    recall: Simulator,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{:?} is not JSON", self.body))
    }

    fn is_html(&self) -> bool {
        self.header("content-type") == "text/html" && self.body.starts_with(b"<!doctype html>")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Lab {
    async fn start(config: SimulatorConfig) -> Result<Self> {
        let wire = Wire::default();
        let recall = Simulator::start(&wire, SimulatorConfig { api_key: KEY.to_owned(), ..config }).await?;
        Ok(Self { wire, recall })
    }

    /// Transcription takes no time, and everything else is as documented.
    async fn quick() -> Result<Self> {
        Self::with_limits(|_| {}).await
    }

    async fn with_limits(change: impl FnOnce(&mut Limits)) -> Result<Self> {
        let mut limits = Limits::default();
        (limits.transcription, limits.transcription_per_hour) = (Duration::ZERO, Duration::ZERO);
        change(&mut limits);
        Self::start(SimulatorConfig { limits, ..SimulatorConfig::default() }).await
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let authorization = ("authorization", &*format!("Token {KEY}"));
        let headers: Vec<_> = headers.iter().copied().chain([authorization]).collect();
        send(method, &format!("{}{path}", self.recall.base_url()), &headers, body).await
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, &[], "").await
    }

    async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, &[], "").await
    }

    async fn create(&self, recording: Uuid, key: Option<&str>) -> Result<Answer> {
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let body = json!({"provider": {"recallai_async": {}}, "metadata": {"attempt": "1"}}).to_string();
        self.call(Method::POST, &format!("/api/v1/recording/{recording}/create_transcript/"), &headers, &body).await
    }

    /// Returns a finished transcript of this recording.
    async fn transcribe(&self, recording: Uuid) -> Result<Uuid> {
        let id = id_of(&self.create(recording, None).await?.json()?)?;
        soon(self.recall.wait_for_status(id, super::Status::Done)).await?;
        Ok(id)
    }
}

async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, body) = client.request(request.body(Full::from(body.to_owned()))?).await?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
}

fn id_of(value: &Value) -> Result<Uuid> {
    Ok(value["id"].as_str().context("no id")?.parse()?)
}

fn keys_of(value: &Value) -> Vec<&str> {
    value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The limit for every wait in these tests. A longer wait never ends.
async fn soon<T>(future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(Duration::from_secs(10), future).await.context("it did not happen")
}
