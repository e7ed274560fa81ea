//! Who is let in: the firewall, the key, the rate limits of a workspace.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State as Shared},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{answers, model::Model};
use crate::wire::lock;

const BODY_BYTES: usize = 1024 * 1024;

/// Refuses any body on a GET, and local addresses in any body.
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

/// `Authorization: Token <key>`, or the key alone.
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

/// The limits of a workspace, for each method and route of its own. create_transcript counts by bot instead.
pub(super) async fn throttle(
    Shared(model): Shared<Arc<Model>>,
    route: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let limit = match route.as_str() {
        super::api::CREATE_TRANSCRIPT => return next.run(request).await,
        super::api::TRANSCRIPTS | super::api::RECORDINGS => model.limits.lists_per_minute,
        _ => model.limits.calls_per_minute,
    };
    match model.throttle.admit(format!("{} {}", request.method(), route.as_str()), limit, model.clock) {
        Ok(()) => next.run(request).await,
        Err(seconds) => answers::throttled(seconds),
    }
}
