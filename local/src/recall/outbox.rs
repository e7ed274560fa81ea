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

/// One event that happened, whether or not it was delivered.
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
    /// From 1; it begins again at 1 in a copy or a replay of the message.
    pub attempt: usize,
    pub at: OffsetDateTime,
    /// Real time until the answer, or until it was given up.
    pub latency: Duration,
    /// `None` if no answer came.
    pub status: Option<u16>,
}

impl Delivery {
    /// Any 2xx; a redirect is a failure.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// What was sent, and what waits to be.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) settings: Mutex<Settings>,
    pub(super) messages: Mutex<Vec<Message>>,
    pub(super) log: Mutex<Vec<Delivery>>,
    pub(super) held: Mutex<Vec<Message>>,
    /// How many deliveries of each message will be tried, or tried again.
    pub(super) under_way: Mutex<HashMap<String, usize>>,
    /// Counts the calls to make all retries now.
    pub(super) hurries: watch::Sender<u64>,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
}

/// The endpoint, as it is set in the dashboard.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) url: Option<String>,
    pub(super) keys: Vec<Secret<Vec<u8>>>,
    pub(super) family: HeaderFamily,
}

impl Outbox {
    pub(super) fn new(keys: Vec<Secret<Vec<u8>>>, family: HeaderFamily) -> Self {
        // A connection for each attempt: one that went stale would look like a failure of the receiver.
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
