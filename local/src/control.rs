//! The control of a simulator that runs by itself: plays meetings and reports their results. It speaks JSON over HTTP
//! on loopback, for a person with curl and for programs in any language.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    page::{Kind, Plays, guard::is_here},
    recall::{Meeting, Simulator},
    wire::{Server, Service, Wire, listen, serve},
};

/// The largest transcript file that a caller may bring.
const FILE_BYTES: usize = 64 << 20;

/// A running control. It stops when this is dropped.
#[derive(Debug)]
pub struct Control {
    url: String,
    _server: Server,
}

struct Shared {
    simulator: Simulator,
    wire: Wire,
    plays: Plays,
}

impl Control {
    /// Serves the control on 127.0.0.1. Port 0 takes any free port.
    pub async fn start(wire: &Wire, simulator: Simulator, port: u16) -> Result<Self> {
        let (listener, port) = listen(port)
            .await
            .with_context(|| format!("port {port} on 127.0.0.1 cannot be used; choose another with --control-port"))?;
        let shared = Shared { simulator, wire: wire.clone(), plays: Plays::default() };
        let router = Router::new()
            .route("/", get(overview))
            .route("/webhook", put(set_webhook))
            .route("/play/{kind}", post(play))
            .route("/play/file", post(play_file).layer(DefaultBodyLimit::max(FILE_BYTES)))
            .route("/example/{event}", post(example))
            .route("/recordings", get(recordings))
            .route("/recordings/{id}", get(recording))
            .route("/recordings/{id}/resend", post(resend))
            .route("/recordings/{id}/age", post(age))
            .route("/deliveries", get(deliveries))
            .route("/deliveries/retry", post(retry))
            .layer(middleware::from_fn(guard))
            .with_state(Arc::new(shared));
        Ok(Self { url: format!("http://127.0.0.1:{port}/"), _server: serve(wire, Service::Page, listener, router) })
    }

    /// `http://127.0.0.1:PORT/`
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Refuses requests that web sites could make through a browser on this machine: those have an Origin header or the
/// name of another host.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_here) || headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, Json(json!({"error": "browsers have no access"}))).into_response();
    }
    next.run(request).await
}

/// Returns the meetings that can be played, and counts of what has happened.
async fn overview(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let simulator = &shared.simulator;
    let kinds: serde_json::Map<String, Value> =
        Kind::ALL.into_iter().map(|kind| (kind.name().to_owned(), kind.about().into())).collect();
    Json(json!({
        "recall": simulator.base_url(),
        "kinds": kinds,
        "recordings": simulator.all_recordings().len(),
        "creates": simulator.all_creates(),
        "under_way": simulator.under_way(),
        "undelivered": simulator.undelivered().len(),
    }))
}

#[derive(Deserialize)]
struct Endpoint {
    url: Option<String>,
}

/// Sets the URL for webhooks. With null, webhooks are lost.
async fn set_webhook(State(shared): State<Arc<Shared>>, Json(endpoint): Json<Endpoint>) -> Json<Value> {
    shared.simulator.set_webhook_url(endpoint.url.clone());
    Json(json!({"url": endpoint.url}))
}

#[derive(Deserialize)]
struct HowMany {
    #[serde(default = "once")]
    count: usize,
}

fn once() -> usize {
    1
}

/// Ends this many meetings now.
async fn play(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    Query(HowMany { count }): Query<HowMany>,
) -> Response {
    let Some(kind) = Kind::named(&kind) else { return refused(StatusCode::NOT_FOUND, "there is no such meeting") };
    // Generating an hour of talk takes a while.
    let played = tokio::task::spawn_blocking(move || {
        let at_ms = pipeline::time::now().as_millis();
        let play = |_| shared.plays.play(kind, &shared.simulator, &shared.wire, at_ms);
        (0..count).map_while(play).collect::<Vec<Uuid>>()
    });
    match played.await {
        Ok(played) if played.len() == count => {
            (StatusCode::CREATED, Json(json!({"recordings": played}))).into_response()
        }
        Ok(_) => {
            refused(StatusCode::TOO_MANY_REQUESTS, "one run plays no more meetings than this; restart the simulator")
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Ends a meeting of ten minutes, whose transcript has this file.
async fn play_file(State(shared): State<Arc<Shared>>, file: Bytes) -> Response {
    let recording = shared.simulator.play(Meeting::with_content(file));
    (StatusCode::CREATED, Json(json!({"recordings": [recording]}))).into_response()
}

/// Sends an event with unknown ids, like "send example" in Recall's dashboard.
async fn example(State(shared): State<Arc<Shared>>, Path(event): Path<String>) -> Response {
    let recording = shared.simulator.send_example(&event);
    (StatusCode::CREATED, Json(json!({"recordings": [recording]}))).into_response()
}

async fn recordings(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    let simulator = &shared.simulator;
    Json(simulator.all_recordings().into_iter().filter_map(|(id, _)| describe(simulator, id)).collect())
}

async fn recording(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Response {
    match describe(&shared.simulator, id) {
        Some(recording) => Json(recording).into_response(),
        None => refused(StatusCode::NOT_FOUND, "there is no such recording"),
    }
}

/// Returns a recording and its transcripts. `creates` counts the paid ones.
fn describe(simulator: &Simulator, id: Uuid) -> Option<Value> {
    let recording = simulator.recording(id)?;
    let transcripts = simulator.transcripts(id).into_iter().map(|transcript| {
        let bytes = simulator.transcript_bytes(transcript.id).map(|content| content.len());
        json!({"id": transcript.id, "status": transcript.status.as_str(), "bytes": bytes})
    });
    Some(json!({
        "id": id,
        "status": recording.status.as_str(),
        "metadata": recording.metadata,
        "creates": simulator.creates(id),
        "transcripts": transcripts.collect::<Vec<_>>(),
    }))
}

/// Sends every event of a recording again, like "resend" in Recall's dashboard.
async fn resend(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Json<Value> {
    Json(json!({"sent": shared.simulator.redeliver_all(id)}))
}

#[derive(Deserialize)]
struct Seconds {
    seconds: u64,
}

/// Makes the recording older, as if it had ended earlier by this time.
async fn age(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
    Query(Seconds { seconds }): Query<Seconds>,
) -> Json<Value> {
    shared.simulator.age(id, Duration::from_secs(seconds));
    Json(json!({"aged_s": seconds}))
}

/// Returns every attempt to deliver an event, oldest first.
async fn deliveries(State(shared): State<Arc<Shared>>) -> Json<Vec<Value>> {
    let all = shared.simulator.deliveries().into_iter().map(|delivery| {
        json!({
            "message_id": delivery.message_id,
            "event": delivery.event,
            "recording_id": delivery.recording_id,
            "attempt": delivery.attempt,
            "status": delivery.status,
            "duration_ms": u64::try_from(delivery.latency.as_millis()).unwrap_or(u64::MAX),
        })
    });
    Json(all.collect())
}

/// Starts all waiting retries now.
async fn retry(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.simulator.retry_now();
    Json(json!({"under_way": shared.simulator.under_way()}))
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recall::SimulatorConfig;

    async fn ask(control: &Control, method: &str, path: &str, header: (&str, &str)) -> Result<(u16, Value)> {
        // Plain HTTP needs no TLS, but the client requires a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().request(method.parse()?, format!("{}{path}", control.url()));
        let response = request.header(header.0, header.1).body("[]").send().await?;
        Ok((response.status().as_u16(), response.json().await.unwrap_or_default()))
    }

    #[tokio::test]
    async fn the_control_plays_meetings_and_reports_them() -> Result<()> {
        let wire = Wire::default();
        let simulator = Simulator::start(&wire, SimulatorConfig::default()).await?;
        let control = Control::start(&wire, simulator.clone(), 0).await?;
        let plain = ("accept", "*/*");
        let (status, played) = ask(&control, "POST", "play/short?count=2", plain).await?;
        assert_eq!((status, played["recordings"].as_array().map(Vec::len)), (201, Some(2)));
        assert_eq!(ask(&control, "POST", "play/file", plain).await?.0, 201);
        assert_eq!(ask(&control, "POST", "play/nothing", plain).await?.0, 404);
        assert_eq!(ask(&control, "POST", "example/recording.done", plain).await?.0, 201);
        let (_, overview) = ask(&control, "GET", "", plain).await?;
        assert_eq!((&overview["recordings"], &overview["creates"]), (&json!(3), &json!(0)));
        let (_, recordings) = ask(&control, "GET", "recordings", plain).await?;
        assert_eq!(recordings.as_array().map(Vec::len), Some(3));
        Ok(())
    }

    #[tokio::test]
    async fn web_sites_are_refused() -> Result<()> {
        let wire = Wire::default();
        let simulator = Simulator::start(&wire, SimulatorConfig::default()).await?;
        let control = Control::start(&wire, simulator.clone(), 0).await?;
        for header in [("origin", "http://example.org"), ("origin", "null"), ("host", "example.org")] {
            assert_eq!(ask(&control, "POST", "play/short", header).await?.0, 403, "{header:?}");
        }
        assert!(simulator.all_recordings().is_empty());
        Ok(())
    }
}
