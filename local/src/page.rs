//! The page of `cargo dev`: the jobs as they change, the contents of the bucket, and buttons that play meetings.
//!
//! It is for the person at this machine. It listens on loopback, and `guard` refuses what other web sites could make
//! that person's browser send. It shows the table, the bucket, and the simulator, and decides nothing.

pub(crate) mod guard;
mod jobs;
mod manifests;
mod objects;
mod plays;
mod steps;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use self::manifests::Manifests;
pub use self::plays::Kind;
pub(crate) use self::plays::Plays;
use crate::{
    stack::Stack,
    wire::{Server, Service, listen_usual, serve},
};

/// The default port of the page. It is always the same, so that an open tab survives a restart.
pub const PORT: u16 = 8765;
/// How many ports from [`PORT`] on are tried before any free one is taken.
pub(crate) const PORTS: u16 = 10;

/// A running page. It stops when this is dropped.
#[derive(Debug)]
pub struct Page {
    url: String,
    _server: Server,
}

/// What the handlers share.
struct Shared {
    stack: Arc<Stack>,
    plays: Plays,
    manifests: Manifests,
    /// When each recording was first seen, in milliseconds since the epoch. This is its permanent place in the list.
    seen: Mutex<HashMap<String, i64>>,
}

/// Reserves the page's port: the given one, or else the usual one or any free one.
pub async fn listen(port: Option<u16>) -> Result<TcpListener> {
    listen_usual(port, PORT..PORT + PORTS, "the page", "--page-port").await
}

impl Page {
    /// Serves the page of this stack.
    pub fn start(stack: Arc<Stack>, listener: TcpListener) -> Result<Page> {
        let port = listener.local_addr().context("the listener has no address")?.port();
        let wire = stack.wire.clone();
        let shared = Shared { stack, plays: Plays::default(), manifests: Manifests::default(), seen: Mutex::default() };
        let router = Router::new()
            .route("/", get(|| asset("text/html; charset=utf-8", include_str!("page/page.html"))))
            .route("/page.css", get(|| asset("text/css; charset=utf-8", include_str!("page/page.css"))))
            .route("/page.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/page.js"))))
            .route("/icon.svg", get(|| asset("image/svg+xml", include_str!("page/icon.svg"))))
            .route("/api/jobs", get(list))
            .route("/api/jobs/{recording_id}/steps", get(steps))
            .route("/api/play/{kind}", post(play))
            .route("/objects/{*key}", get(objects::object))
            .layer(middleware::from_fn(guard::guard))
            .with_state(Arc::new(shared));
        Ok(Page { url: format!("http://127.0.0.1:{port}/"), _server: serve(&wire, Service::Page, listener, router) })
    }

    /// `http://127.0.0.1:PORT/`
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn asset(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn list(State(shared): State<Arc<Shared>>) -> Response {
    answer(move || jobs::list(&shared)).await
}

async fn steps(State(shared): State<Arc<Shared>>, Path(recording_id): Path<Uuid>) -> Response {
    answer(move || Ok(json!({"steps": steps::of(&shared.stack, recording_id)}))).await
}

async fn play(State(shared): State<Arc<Shared>>, Path(kind): Path<String>) -> Response {
    let (Some(kind), Some(simulator)) = (Kind::named(&kind), shared.stack.simulator.clone()) else {
        return (StatusCode::NOT_FOUND, axum::Json(json!({"error": "there is no such meeting"}))).into_response();
    };
    // Generating an hour of talk takes a while.
    let made = tokio::task::spawn_blocking(move || {
        let now_ms = pipeline::time::now().as_millis();
        shared.plays.play(kind, &simulator, &shared.stack.wire, now_ms)
    });
    match made.await {
        Ok(Some(recording_id)) => {
            (StatusCode::CREATED, axum::Json(json!({"recording_id": recording_id}))).into_response()
        }
        Ok(None) => {
            let error = format!("one run plays at most {} meetings; restart cargo dev", plays::MAX_PLAYS);
            (StatusCode::TOO_MANY_REQUESTS, axum::Json(json!({"error": error}))).into_response()
        }
        Err(error) => broken(&error.into()),
    }
}

/// Reads JSON from the table and from files, on a thread that may block.
async fn answer<T: serde::Serialize + Send + 'static>(read: impl FnOnce() -> Result<T> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(read).await.map_err(anyhow::Error::from).flatten() {
        Ok(found) => axum::Json(found).into_response(),
        Err(error) => broken(&error),
    }
}

fn broken(error: &anyhow::Error) -> Response {
    tracing::warn!(error = format!("{error:#}"), "cannot answer the page");
    let error = json!({"error": format!("{error:#}")});
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(error)).into_response()
}
