//! EventBridge: one bus and `PutEvents`, the one operation that the functions call. There are no rules: what the bus
//! takes is kept in memory, to be looked at.

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

/// EventBridge's own limit on one call.
const MAX_ENTRIES: usize = 10;
/// Of all entries of a call, in bytes. EventBridge takes 1 MB by now; who keeps to this can deliver anywhere.
const MAX_BYTES: usize = 256 * 1024;
/// So many events are kept; older ones are forgotten.
const EVENTS_KEPT: usize = 10_000;

/// EventBridge on loopback, in memory; it stops when this is dropped.
pub struct Bus {
    endpoint: String,
    record: Arc<Record>,
    _server: Server,
}

struct Record {
    bus: String,
    events: Mutex<VecDeque<Event>>,
}

/// An event that the bus took.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Given by EventBridge: an event that was sent twice has two.
    pub id: Uuid,
    pub source: String,
    pub detail_type: String,
    pub detail: Map<String, Value>,
}

impl Bus {
    /// Starts it with one bus, which is called `name`.
    pub async fn start(wire: &Wire, name: &str) -> Result<Bus> {
        let (listener, port) = listen(0).await?;
        let record = Arc::new(Record { bus: name.to_owned(), events: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(record.clone());
        Ok(Bus {
            endpoint: format!("http://127.0.0.1:{port}"),
            record,
            _server: serve(wire, Service::EventBridge, listener, router),
        })
    }

    /// The base URL, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the bus took so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.record.events).iter().cloned().collect()
    }

    /// Forgets all events.
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
    /// As EventBridge counts.
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
        // A bus is named by its name or by its ARN.
        let prefix = format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/");
        let bus = entry.event_bus_name.as_deref().unwrap_or("default");
        if bus.strip_prefix(&prefix).unwrap_or(bus) != self.bus {
            // EventBridge, too, takes an event for a bus that is not there, says so, and forgets it.
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
