//! `Idempotency-Key`: the answers to each key and path within an hour.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use tokio::time::Instant;

use crate::wire::lock;

/// The answers that were given under a key, including errors.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<(String, String), Entry>>);

#[derive(Clone, Debug)]
pub(super) enum Entry {
    Running,
    Given { at: Instant, status: StatusCode, headers: HeaderMap, body: Bytes },
}

impl Answers {
    /// Claims the key, or returns its entry if it was claimed before.
    pub(super) fn claim(&self, slot: &(String, String), lifetime: Duration) -> Option<Entry> {
        let mut answers = lock(&self.0);
        answers.retain(|_, entry| match entry {
            Entry::Running => true,
            Entry::Given { at, .. } => at.elapsed() < lifetime,
        });
        if let Some(known) = answers.get(slot) {
            return Some(known.clone());
        }
        answers.insert(slot.clone(), Entry::Running);
        None
    }

    /// Records the answer under a claimed key.
    pub(super) fn record(&self, slot: (String, String), status: StatusCode, headers: HeaderMap, body: Bytes) {
        lock(&self.0).insert(slot, Entry::Given { at: Instant::now(), status, headers, body });
    }

    /// Makes the entries of paths that contain `part` older by this real time.
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

pub(super) fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("idempotency-key")?.to_str().ok()?.to_owned())
}
