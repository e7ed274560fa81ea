//! The webhooks that were sent, and those that wait.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use pipeline::{secret::Secret, signature::HeaderFamily};
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

/// One event, whether or not it was delivered.
#[derive(Clone, Debug)]
pub struct Message {
    /// `msg_…`, the same in every attempt.
    pub id: String,
    pub event: String,
    pub recording_id: Option<Uuid>,
    pub transcript_id: Option<Uuid>,
    pub body: Bytes,
}

/// One attempt to deliver a message.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub message_id: String,
    pub event: String,
    pub recording_id: Option<Uuid>,
    pub transcript_id: Option<Uuid>,
    /// From 1. A copy or a replay of the message starts at 1 again.
    pub attempt: usize,
    pub at: OffsetDateTime,
    /// The real time until the answer, or until the timeout.
    pub latency: Duration,
    /// `None` if no answer came.
    pub status: Option<u16>,
}

impl Delivery {
    /// Returns whether the answer was a 2xx. A redirect is a failure.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The sent and the waiting webhooks.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) settings: Mutex<Settings>,
    pub(super) messages: Mutex<Vec<Message>>,
    pub(super) log: Mutex<Vec<Delivery>>,
    pub(super) held: Mutex<Vec<Message>>,
    /// The number of deliveries of each message that are still to be tried.
    pub(super) under_way: Mutex<HashMap<String, usize>>,
    /// Counts the requests to start all retries now.
    pub(super) hurries: watch::Sender<u64>,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
}

/// The endpoint, as set in the dashboard.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) url: Option<String>,
    pub(super) keys: Vec<Secret<Vec<u8>>>,
    pub(super) family: HeaderFamily,
}

impl Outbox {
    pub(super) fn new(keys: Vec<Secret<Vec<u8>>>, family: HeaderFamily) -> Self {
        // Each attempt has its own connection, because a stale one would look like a failure of the receiver.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(HttpConnector::new());
        Self {
            settings: Mutex::new(Settings { url: None, keys, family }),
            messages: Mutex::default(),
            log: Mutex::default(),
            held: Mutex::default(),
            under_way: Mutex::default(),
            hurries: watch::Sender::default(),
            client,
        }
    }
}
