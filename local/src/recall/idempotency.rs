//! `Idempotency-Key`: one effect for each key and path within an hour.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State as Shared},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{answers, create::idempotency_key, model::Model};
use crate::wire::{Dropped, lock};

/// The answers that were given under a key, errors too.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<(String, String), Entry>>);

#[derive(Clone, Debug)]
enum Entry {
    Running,
    Given { at: Instant, status: StatusCode, headers: HeaderMap, body: Bytes },
}

impl Answers {
    /// Claims the key, or returns what is known under it.
    fn claim(&self, slot: &(String, String), model: &Model) -> Option<Entry> {
        let hour = model.clock.real(model.limits.idempotency);
        let mut answers = lock(&self.0);
        answers.retain(|_, entry| match entry {
            Entry::Running => true,
            Entry::Given { at, .. } => at.elapsed() < hour,
        });
        if let Some(known) = answers.get(slot) {
            return Some(known.clone());
        }
        answers.insert(slot.clone(), Entry::Running);
        None
    }
}

impl Answers {
    /// Remembers what is known under the paths with `part` in them for so much less, in real time.
    pub(super) fn age(&self, part: &str, by: Duration) {
        for ((_, path), entry) in lock(&self.0).iter_mut() {
            if let Entry::Given { at, .. } = entry
                && path.contains(part)
            {
                *at = at.checked_sub(by).unwrap_or(*at);
            }
        }
    }
}

/// Runs a POST, PUT or PATCH to its end even if the caller goes away, once under each key.
pub(super) async fn once(Shared(model): Shared<Arc<Model>>, request: Request, next: Next) -> Response {
    let repeatable = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    let slot =
        idempotency_key(request.headers()).filter(|_| repeatable).map(|key| (key, request.uri().path().to_owned()));
    if let Some(slot) = &slot {
        match model.answers.claim(slot, &model) {
            None => {}
            Some(Entry::Running) => {
                let detail = "A request with this Idempotency-Key is still being processed.";
                return answers::coded(StatusCode::CONFLICT, "conflict", detail);
            }
            Some(Entry::Given { status, headers, body, .. }) => return response(status, headers, body),
        }
    }
    let work = tokio::spawn(async move {
        let (parts, body) = next.run(request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        if let Some(slot) = slot {
            let (status, headers) = (parts.status, parts.headers.clone());
            let given = Entry::Given { at: Instant::now(), status, headers, body: body.clone() };
            lock(&model.answers.0).insert(slot, given);
        }
        Response::from_parts(parts, Body::from(body))
    });
    work.await.unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Dropped);
        response
    })
}

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
