//! EventBridge: one bus and `PutEvents`, the only operation that the functions call. There are no rules: the bus keeps
//! its events in memory, where tests can read them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    ACCOUNT_ID, REGION,
    wire::{Server, Service, Wire, amz_json, listen, lock, serve},
};

/// EventBridge's own limit for one call.
const MAX_ENTRIES: usize = 10;
/// The limit for all entries of a call, in bytes. EventBridge now accepts 1 MB, but this limit works with every
/// version.
const MAX_BYTES: usize = 256 * 1024;
/// The number of events to keep. Older ones are dropped.
const EVENTS_KEPT: usize = 10_000;

/// EventBridge on loopback, in memory. It stops when this is dropped.
pub struct Bus {
    endpoint: String,
    record: Arc<Record>,
    router: Router,
    _server: Server,
}

struct Record {
    bus: String,
    events: Mutex<VecDeque<Event>>,
}

/// An event that the bus has accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// EventBridge's own id: an event that was sent twice has two.
    pub id: Uuid,
    pub source: String,
    pub detail_type: String,
    pub detail: Map<String, Value>,
}

impl Bus {
    /// Starts EventBridge with one bus of this name.
    pub async fn start(wire: &Wire, name: &str) -> Result<Bus> {
        let (listener, port) = listen(0).await?;
        let record = Arc::new(Record { bus: name.to_owned(), events: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(record.clone());
        Ok(Bus {
            endpoint: format!("http://127.0.0.1:{port}"),
            record,
            router: router.clone(),
            _server: serve(wire, Service::EventBridge, listener, router),
        })
    }

    /// The base URL, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Answers like the endpoint, for another listener.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Returns the accepted events, oldest first.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.record.events).iter().cloned().collect()
    }

    /// Drops all events.
    pub fn clear(&self) {
        lock(&self.record.events).clear();
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    event_bus_name: Option<String>,
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    resources: Vec<String>,
    time: Option<f64>,
}

impl Entry {
    /// Counts the size as EventBridge does.
    fn bytes(&self) -> usize {
        let texts = [&self.source, &self.detail_type, &self.detail].into_iter().flatten().chain(&self.resources);
        texts.map(String::len).sum::<usize>() + self.time.map_or(0, |_| 14)
    }
}

async fn answer(State(record): State<Arc<Record>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target != "AWSEvents.PutEvents" {
        return refuse("UnknownOperationException", &format!("there is no {target} here, only PutEvents"));
    }
    let Ok(PutEvents { entries }) = serde_json::from_slice(&body) else {
        return refuse("SerializationException", "the body is not that of PutEvents");
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return refuse("ValidationException", "'entries' must have a length of 1 to 10");
    }
    if entries.iter().map(Entry::bytes).sum::<usize>() > MAX_BYTES {
        return refuse("ValidationException", "Total size of the entries in the request is over the limit.");
    }
    let results: Vec<_> = entries.into_iter().map(|entry| record.put(entry)).collect();
    let failed = results.iter().filter(|result| result.is_err()).count();
    let results: Vec<_> = results
        .into_iter()
        .map(|result| match result {
            Ok(id) => json!({"EventId": id}),
            Err((code, message)) => json!({"ErrorCode": code, "ErrorMessage": message}),
        })
        .collect();
    amz_json(StatusCode::OK, &json!({"FailedEntryCount": failed, "Entries": results}))
}

impl Record {
    fn put(&self, entry: Entry) -> Result<Uuid, (&'static str, String)> {
        let required = |name: &str, value: Option<String>| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                let message = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
                ("InvalidArgument", message)
            })
        };
        let source = required("Source", entry.source)?;
        let detail_type = required("DetailType", entry.detail_type)?;
        let detail = required("Detail", entry.detail)?;
        let detail =
            serde_json::from_str(&detail).map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
        let id = Uuid::new_v4();
        // An entry may name the bus by its name or its ARN.
        let prefix = format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/");
        let bus = entry.event_bus_name.as_deref().unwrap_or("default");
        if bus.strip_prefix(&prefix).unwrap_or(bus) != self.bus {
            // Like EventBridge, this accepts an event for a bus that does not exist, and drops it.
            tracing::warn!(bus, "an event is lost: there is no such event bus");
            return Ok(id);
        }
        let mut events = lock(&self.events);
        if events.len() == EVENTS_KEPT {
            events.pop_front();
        }
        events.push_back(Event { id, source, detail_type, detail });
        Ok(id)
    }
}

fn refuse(kind: &str, message: &str) -> Response {
    amz_json(StatusCode::BAD_REQUEST, &json!({"__type": kind, "message": message}))
}

#[cfg(test)]
mod tests;
