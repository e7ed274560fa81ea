//! Access to the API: the firewall, the key, the idempotency key, and the rate limits of a workspace.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;

use super::{
    answers,
    idempotency::{Entry, idempotency_key},
    model::Model,
    routes,
};
use crate::wire::{Dropped, lock};

const BODY_BYTES: usize = 1024 * 1024;

/// Refuses any body of a GET, and local addresses in any body.
pub(super) async fn firewall(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        return answers::blocked();
    };
    if parts.method == Method::GET && !body.is_empty() {
        return answers::blocked();
    }
    if names_local_address(&String::from_utf8_lossy(&body)) {
        return answers::coded(StatusCode::FORBIDDEN, "request_blocked", "The request was blocked.");
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn names_local_address(body: &str) -> bool {
    body.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', ':', '"', '?', '\\']).next().unwrap_or_default();
        host == "localhost" || host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
    })
}

/// Accepts `Authorization: Token <key>`, or the key alone.
pub(super) async fn authenticate(Shared(model): Shared<Arc<Model>>, request: Request, next: Next) -> Response {
    let (code, detail) = match request.headers().get(header::AUTHORIZATION) {
        None => ("not_authenticated", "Authentication credentials were not provided."),
        Some(given) => {
            let given = given.to_str().unwrap_or_default();
            if given.strip_prefix("Token ").unwrap_or(given) == lock(&model.state).api_key {
                return next.run(request).await;
            }
            ("authentication_failed", "Invalid API token. Are you using the API key of this region?")
        }
    };
    let mut response = answers::coded(StatusCode::UNAUTHORIZED, code, detail);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Token"));
    response
}

/// Applies the limits of a workspace, separately for each method and route. create_transcript counts by bot instead.
pub(super) async fn throttle(
    Shared(model): Shared<Arc<Model>>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let limit = match route.as_str() {
        routes::CREATE_TRANSCRIPT => return next.run(request).await,
        routes::TRANSCRIPTS | routes::RECORDINGS => model.limits.lists_per_minute,
        _ => model.limits.calls_per_minute,
    };
    match model.throttle.admit(format!("{} {}", request.method(), route.as_str()), limit, model.clock) {
        Ok(()) => next.run(request).await,
        Err(seconds) => answers::throttled(seconds),
    }
}

/// Runs a POST, PUT, or PATCH once under each key, and to its end even if the caller disconnects.
pub(super) async fn once(Shared(model): Shared<Arc<Model>>, request: Request, next: Next) -> Response {
    let repeatable = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    let slot =
        idempotency_key(request.headers()).filter(|_| repeatable).map(|key| (key, request.uri().path().to_owned()));
    if let Some(slot) = &slot {
        match model.answers.claim(slot, model.clock.real(model.limits.idempotency)) {
            None => {}
            Some(Entry::Running) => {
                let detail = "A request with this Idempotency-Key is still being processed.";
                return answers::coded(StatusCode::CONFLICT, "conflict", detail);
            }
            Some(Entry::Given { status, headers, body, .. }) => return replayed(status, headers, body),
        }
    }
    let work = tokio::spawn(async move {
        let (parts, body) = next.run(request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        if let Some(slot) = slot {
            let (status, headers) = (parts.status, parts.headers.clone());
            model.answers.record(slot, status, headers, body.clone());
        }
        Response::from_parts(parts, Body::from(body))
    });
    work.await.unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Dropped);
        response
    })
}

fn replayed(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
