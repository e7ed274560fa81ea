//! Recall's answers that are not a resource, and ids in paths.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::Model;

pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The form of a business error.
pub(super) fn coded(status: StatusCode, code: &str, detail: &str) -> Response {
    json(status, &json!({"code": code, "detail": detail}))
}

/// The route is known, but this workspace has no such resource.
pub(super) fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({"detail": "Not found."}))
}

/// There is no such route: Django's page, not JSON.
pub(super) async fn no_route() -> Response {
    html(StatusCode::NOT_FOUND, "<h1>Not Found</h1><p>The requested resource was not found on this server.</p>")
}

/// A block by the firewall in front of the API.
pub(super) fn blocked() -> Response {
    html(StatusCode::FORBIDDEN, "<h1>403 ERROR</h1><h2>The request could not be satisfied.</h2><p>Request blocked.</p>")
}

/// An error of the server itself.
pub(super) fn broken() -> Response {
    html(StatusCode::INTERNAL_SERVER_ERROR, "<h1>Server Error (500)</h1>")
}

/// `Retry-After` is in real seconds, rounded up, because the caller's clock is not scaled.
pub(super) fn throttled(seconds: u64) -> Response {
    let detail = format!("Request was throttled. Expected available in {seconds} seconds.");
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, &json!({"detail": detail}));
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

pub(super) async fn wrong_method() -> Response {
    coded(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed.")
}

pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn html(status: StatusCode, body: &str) -> Response {
    let page =
        format!("<!doctype html>\n<html lang=\"en\"><head><title>{status}</title></head><body>{body}</body></html>\n");
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}

/// The id in a path. A path without a UUID there has no route, as in Django.
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<Arc<Model>> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, model: &Arc<Model>) -> Result<Self, Response> {
        match Path::<Uuid>::from_request_parts(parts, model).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(no_route().await),
        }
    }
}
