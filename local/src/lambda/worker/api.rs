//! The Runtime API, version 2018-06-01, as one process sees it.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use time::OffsetDateTime;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// Lambda's own limit for a function's result, in bytes.
const LARGEST_RESULT_BYTES: usize = 6 * 1024 * 1024;

/// What a process has to do.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) deadline: OffsetDateTime,
    pub(super) arn: String,
    pub(super) payload: Bytes,
}

/// What a process reports.
pub(super) enum Signal {
    /// The process asks for an invocation, so it is idle.
    Next,
    Response {
        id: String,
        body: Bytes,
    },
    Error {
        id: String,
        body: Bytes,
    },
    InitError(Bytes),
}

#[derive(Clone)]
struct Runtime {
    invocations: Arc<Mutex<mpsc::Receiver<Invocation>>>,
    signals: mpsc::UnboundedSender<Signal>,
}

/// The API of one process, with both ends of its channels.
pub(super) fn router() -> (Router, mpsc::Sender<Invocation>, mpsc::UnboundedReceiver<Signal>) {
    let (invocations, to_process) = mpsc::channel(1);
    let (from_process, signals) = mpsc::unbounded_channel();
    let runtime = Runtime { invocations: Arc::new(Mutex::new(to_process)), signals: from_process };
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(LARGEST_RESULT_BYTES))
        .with_state(runtime);
    (router, invocations, signals)
}

async fn next(State(runtime): State<Runtime>) -> Response {
    runtime.tell(Signal::Next);
    let Some(invocation) = runtime.invocations.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let trace = Uuid::new_v4().simple().to_string();
    let seconds = OffsetDateTime::now_utc().unix_timestamp();
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.id)
        .header("lambda-runtime-deadline-ms", (invocation.deadline.unix_timestamp_nanos() / 1_000_000).to_string())
        .header("lambda-runtime-invoked-function-arn", &invocation.arn)
        .header("lambda-runtime-trace-id", format!("Root=1-{seconds:08x}-{};Sampled=0", &trace[..24]))
        .body(Body::from(invocation.payload));
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn response(State(runtime): State<Runtime>, Path(id): Path<String>, body: Bytes) -> Response {
    runtime.tell(Signal::Response { id, body });
    accepted()
}

async fn error(State(runtime): State<Runtime>, Path(id): Path<String>, body: Bytes) -> Response {
    runtime.tell(Signal::Error { id, body });
    accepted()
}

async fn init_error(State(runtime): State<Runtime>, body: Bytes) -> Response {
    runtime.tell(Signal::InitError(body));
    accepted()
}

impl Runtime {
    fn tell(&self, signal: Signal) {
        // The receiver is gone when the process is being killed.
        let _ = self.signals.send(signal);
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [("content-type", "application/json")], r#"{"status":"OK"}"#).into_response()
}
