//! Serves, observes, and disturbs every stand-in.
//!
//! Each server on loopback is an axum router behind [`serve`]. All of them share one [`Wire`], which records the calls,
//! and which can make any call fail, disappear, or hang, before or after its effect. A test can thus kill a function at
//! an exact point without a hook in the function.

mod faults;

use std::{
    convert::Infallible,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tower::ServiceExt as _;

use self::faults::Faults;
pub use self::faults::{Fault, Hits, When};

/// The service that receives a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    DynamoDb,
    S3,
    Sqs,
    Secrets,
    EventBridge,
    /// Recall's API.
    Recall,
    /// The pre-signed download URLs that Recall hands out.
    Download,
    /// The Lambda Runtime API, as the functions' processes see it.
    Lambda,
    /// The functions' public URL.
    Webhook,
    /// What the operator's command asks of CloudFormation, STS, and Lambda.
    CloudFormation,
    Sts,
    LambdaApi,
    /// A call that no stand-in answers.
    Unavailable,
    /// The page that `cargo dev` shows. It is not part of the pipeline.
    Page,
}

/// One call that a stand-in received.
#[derive(Clone, Debug)]
pub struct Call {
    pub service: Service,
    /// `PutItem` for services with an `x-amz-target` header; otherwise method and path: `PUT /bucket/key`.
    pub operation: String,
    /// The id that a webhook states, verified or not.
    pub delivery_id: Option<String>,
    /// `None` while the call is in progress, or if no answer was sent.
    pub status: Option<u16>,
    pub began: Instant,
    /// The time from the head of the request to the head of the answer.
    pub took: Option<Duration>,
}

/// The shared log of calls, and the injected faults.
#[derive(Clone, Default)]
pub struct Wire(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: Mutex<Vec<Call>>,
    faults: Faults,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Disturbs the next `times` calls to `service` whose operation contains `operation`. [`usize::MAX`] means all of
    /// them, and at least one.
    pub fn inject(&self, service: Service, operation: &str, when: When, fault: Fault, times: usize) -> Hits {
        self.0.faults.add(service, operation, when, fault, times)
    }

    /// Lets `dice` decide on every call that no injected fault strikes.
    pub fn disturb_by(&self, dice: impl FnMut(Service, &str, When) -> Option<Fault> + Send + 'static) {
        self.0.faults.throw(Box::new(dice));
    }

    /// Serves the calls after [`Fault::Last`] again. Calls that hang keep hanging.
    pub fn go_on(&self) {
        self.0.faults.go_on();
    }

    /// Ends all faults that have not struck yet.
    pub fn calm(&self) {
        self.0.faults.calm();
    }

    /// Returns the faults that struck fewer times than requested, unless they are [`Hits::optional`]. A test that
    /// injects faults must check that there are none at its end.
    pub fn unstruck(&self) -> Vec<String> {
        self.0.faults.unstruck()
    }

    /// Returns every call so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    /// Passes every call so far to `look`, oldest first, without a copy.
    pub fn each_call(&self, show: impl FnMut(&Call)) {
        lock(&self.0.calls).iter().for_each(show);
    }

    /// Returns how many calls went to `service` with `operation` in their name.
    pub fn count(&self, service: Service, operation: &str) -> usize {
        lock(&self.0.calls).iter().filter(|call| call.service == service && call.operation.contains(operation)).count()
    }

    fn begin(&self, call: Call) -> usize {
        let mut calls = lock(&self.0.calls);
        calls.push(call);
        calls.len() - 1
    }

    fn end(&self, index: usize, status: u16) {
        let call = &mut lock(&self.0.calls)[index];
        call.status = Some(status);
        call.took = Some(call.began.elapsed());
    }

    async fn disturb(&self, service: Service, operation: &str, when: When) -> Disturbed {
        match self.0.faults.strike(service, operation, when) {
            None | Some(Fault::Last) => Disturbed::Not,
            Some(Fault::Drop) => Disturbed::Dropped,
            Some(Fault::Hold) => std::future::pending().await,
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Disturbed::Not
            }
            Some(Fault::S3Error { status, code }) => {
                made_up(status, "application/xml", None, format!("<Error><Code>{code}</Code></Error>"))
            }
            Some(Fault::Html { status }) => made_up(status, "text/html", None, "<html><body>not here</body></html>"),
            Some(Fault::Answer { status, retry_after }) => made_up(status, "application/json", retry_after, "{}"),
        }
    }

    async fn answer(self, service: Service, router: Router, request: Request) -> Result<Response, Dropped> {
        let operation = operation(service, &request);
        // The start of a Lambda invocation is a long poll, and the page polls every second: neither is worth recording.
        let index = (!matches!(service, Service::Lambda | Service::Page)).then(|| {
            let (operation, delivery_id) = (operation.clone(), delivery_id(&request));
            self.begin(Call { service, operation, delivery_id, status: None, began: Instant::now(), took: None })
        });
        let mut response = match self.disturb(service, &operation, When::Before).await {
            Disturbed::Answered(response) => response,
            Disturbed::Dropped => return Err(Dropped),
            Disturbed::Not => {
                let response = router.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
                match self.disturb(service, &operation, When::After).await {
                    Disturbed::Answered(response) => response,
                    Disturbed::Dropped => return Err(Dropped),
                    Disturbed::Not => response,
                }
            }
        };
        if response.extensions_mut().remove::<Dropped>().is_some() {
            return Err(Dropped);
        }
        if let Some(index) = index {
            self.end(index, response.status().as_u16());
        }
        Ok(response)
    }
}

enum Disturbed {
    Not,
    Answered(Response),
    Dropped,
}

/// A handler puts this into a response's extensions to close the connection instead of sending the response.
#[derive(Clone, Copy, Debug)]
pub struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was closed on purpose")
    }
}

impl std::error::Error for Dropped {}

/// The query is kept only for S3, whose operations differ in it (`?uploads`, `?partNumber=1&uploadId=…`). Elsewhere it
/// can contain a credential.
fn operation(service: Service, request: &Request) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let query = request.uri().query().filter(|_| service == Service::S3);
    match (target.and_then(|target| target.rsplit('.').next()), query) {
        (Some(operation), _) => operation.to_owned(),
        (None, Some(query)) => format!("{} {}?{query}", request.method(), request.uri().path()),
        (None, None) => format!("{} {}", request.method(), request.uri().path()),
    }
}

fn made_up(status: u16, content_type: &str, retry_after: Option<u32>, body: impl Into<Body>) -> Disturbed {
    let mut response = Response::builder().status(status).header("content-type", content_type);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(body.into()).map_or(Disturbed::Dropped, Disturbed::Answered)
}

fn delivery_id(request: &Request) -> Option<String> {
    let id = ["webhook-id", "svix-id"].iter().find_map(|name| request.headers().get(*name))?;
    id.to_str().ok().map(str::to_owned)
}

/// Serves `router` on `listener` until the returned guard is dropped.
pub fn serve(wire: &Wire, service: Service, listener: TcpListener, router: Router) -> Server {
    serve_each(wire, listener, move |_| (service, router.clone()))
}

/// Like [`serve`], but `route` chooses the service for each request.
pub(crate) fn serve_each(
    wire: &Wire,
    listener: TcpListener,
    route: impl Fn(&Request) -> (Service, Router) + Clone + Send + 'static,
) -> Server {
    let wire = wire.clone();
    Server(tokio::spawn(async move {
        // The connections live in this set, so they end with the server.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            while connections.try_join_next().is_some() {}
            // Small answers should not wait for the kernel to fill a packet.
            let _ = stream.set_nodelay(true);
            let (wire, route) = (wire.clone(), route.clone());
            let handler = tower::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let request = request.map(Body::new);
                let (service, router) = route(&request);
                wire.clone().answer(service, router, request)
            });
            connections.spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(handler))
                    .await;
            });
        }
    }))
}

/// A server that stops, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns a listener on loopback. Port 0 takes any free port.
pub async fn listen(port: u16) -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("port {port} on 127.0.0.1 cannot be used"))?;
    let port = listener.local_addr().context("the listener has no address")?.port();
    Ok((listener, port))
}

/// Returns a listener on the given port, or else on one of the `usual` ones or any free one. The error names what it is
/// for, and the `option` to choose another port.
pub(crate) async fn listen_usual(
    port: Option<u16>,
    usual: Range<u16>,
    what: &str,
    option: &str,
) -> Result<TcpListener> {
    if let Some(port) = port {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        return listener
            .with_context(|| format!("cannot use port {port} on 127.0.0.1 for {what}; choose another with {option}"));
    }
    for port in usual {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return Ok(listener);
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    listener.with_context(|| format!("there is no free port for {what} on 127.0.0.1"))
}

/// Returns an answer in the JSON protocol of Secrets Manager and EventBridge.
pub(crate) fn amz_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

/// No holder of one of our locks panics while the data is inconsistent, so the data of a poisoned lock is still valid.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
