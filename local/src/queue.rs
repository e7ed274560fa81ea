//! SQS: queues in memory, with delays, visibility timeouts, and dead-letter queues.
//!
//! The functions send over HTTP, where the wire sees it. The event source of [`crate::lambda`] and the tests use the
//! queues directly.

mod contents;
mod waits;

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use rustack_sqs_core::{config::SqsConfig, handler::RustackSqsHandler, provider::RustackSqs};
use rustack_sqs_http::{dispatch::dispatch_operation, response::error_to_response, router::resolve_operation};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, Notify, futures::Notified};

use self::{contents::Looked, waits::Waits};
use crate::{
    ACCOUNT_ID, REGION,
    wire::{Server, Service, Wire, listen, serve},
};

/// Ten messages of the largest size.
const LARGEST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// SQS on loopback, in memory: messages are gone when the process ends. It stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Queues(Arc<Inner>);

struct Inner {
    endpoint: String,
    queues: Arc<RustackSqs>,
    /// Notified after every change that may have made a message visible.
    changed: Arc<Notify>,
    waits: Arc<Waits>,
    peek: Mutex<()>,
    router: Router,
    _server: Server,
}

/// A message as a receiver sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    pub message_id: String,
    /// Identifies this delivery of the message until its visibility timeout ends.
    pub receipt_handle: String,
    pub body: String,
    pub md5_of_body: String,
    /// `ApproximateReceiveCount`, `SentTimestamp`, and so on.
    pub system_attributes: HashMap<String, String>,
    /// The sender's attributes. Binary ones are not kept, because nothing here sends any.
    pub attributes: HashMap<String, Attribute>,
}

/// An attribute that the sender gave a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    /// `String`, `Number`, or one of these with a suffix.
    pub data_type: String,
    pub value: String,
}

impl Queues {
    /// Starts SQS without any queue.
    pub async fn start(wire: &Wire) -> Result<Queues> {
        let (listener, port) = listen(0).await?;
        let config = SqsConfig {
            skip_signature_validation: true,
            default_region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
        };
        let queues = Arc::new(RustackSqs::new(config));
        let (changed, waits) = (Arc::new(Notify::new()), Arc::new(Waits::default()));
        let handler = Arc::new(RustackSqsHandler::new(queues.clone()));
        let front = Front { handler, changed: changed.clone(), waits: waits.clone() };
        let router = Router::new().fallback(answer).with_state(front);
        Ok(Queues(Arc::new(Inner {
            endpoint: format!("http://127.0.0.1:{port}"),
            queues,
            changed,
            waits,
            peek: Mutex::new(()),
            router: router.clone(),
            _server: serve(wire, Service::Sqs, listener, router),
        })))
    }

    /// The base URL, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Answers like the endpoint, for another listener.
    pub(crate) fn router(&self) -> Router {
        self.0.router.clone()
    }

    /// Returns the value for `QueueUrl`, even if the queue does not exist.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT_ID}/{name}", self.0.endpoint)
    }

    /// Returns the queue's ARN, even if the queue does not exist.
    pub fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
    }

    /// Creates a queue. A message that was received `dead_letter.1` times without being deleted goes to the queue
    /// `dead_letter.0`, which must be created as well.
    pub async fn create(&self, name: &str, visibility_s: u32, dead_letter: Option<(&str, u32)>) -> Result<()> {
        let mut attributes = Map::new();
        attributes.insert("VisibilityTimeout".to_owned(), visibility_s.to_string().into());
        if let Some((target, max_receive_count)) = dead_letter {
            let policy = json!({"deadLetterTargetArn": self.arn(target), "maxReceiveCount": max_receive_count});
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        let request = json!({"QueueName": name, "Attributes": attributes});
        let made = self.0.queues.create_queue(serde_json::from_value(request)?).await;
        made.map_err(anyhow::Error::msg).with_context(|| format!("cannot create queue {name}"))?;
        Ok(())
    }

    /// Sends a message with string attributes and returns its id.
    pub async fn send(&self, name: &str, body: &str, attributes: &[(&str, &str)]) -> Result<String> {
        ensure!(contents::allowed(body), "SQS would refuse a character of the message");
        let attributes: Map<String, Value> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({"DataType": "String", "StringValue": value})))
            .collect();
        let request = json!({"QueueUrl": self.url(name), "MessageBody": body, "MessageAttributes": attributes});
        let sent = self.0.queues.send_message(serde_json::from_value(request)?).await.map_err(anyhow::Error::msg)?;
        self.0.changed.notify_waiters();
        sent.message_id.context("a message without an id")
    }

    /// Receives up to `max` (1 to 10) visible messages. They stay hidden for the queue's visibility timeout.
    pub async fn receive(&self, name: &str, max: usize) -> Result<Vec<Message>> {
        self.take(name, max, None).await
    }

    /// Deletes a message. An outdated receipt handle has no effect, as in SQS.
    pub async fn delete(&self, name: &str, receipt_handle: &str) -> Result<()> {
        let request = json!({"QueueUrl": self.url(name), "ReceiptHandle": receipt_handle});
        self.0.queues.delete_message(serde_json::from_value(request)?).await.map_err(anyhow::Error::msg)?;
        self.0.waits.deleted(receipt_handle);
        Ok(())
    }

    /// Makes a received message visible this many seconds from now; 0 means at once.
    pub async fn change_visibility(&self, name: &str, receipt_handle: &str, seconds: u32) -> Result<()> {
        let request = json!({
            "QueueUrl": self.url(name), "ReceiptHandle": receipt_handle, "VisibilityTimeout": seconds,
        });
        let changed = self.0.queues.change_message_visibility(serde_json::from_value(request)?).await;
        changed.map_err(anyhow::Error::msg)?;
        self.0.changed.notify_waiters();
        Ok(())
    }

    /// Ends every delay and every visibility timeout, so that all messages are visible. A message that is being
    /// processed is then received twice.
    pub async fn hurry(&self, name: &str) -> Result<()> {
        for receipt_handle in self.0.waits.hidden(name) {
            // The message may already be visible again, and then the handle is invalid.
            let _ = self.change_visibility(name, &receipt_handle, 0).await;
        }
        for request in self.0.waits.hurry(&self.url(name)) {
            self.0.queues.send_message(serde_json::from_value(request)?).await.map_err(anyhow::Error::msg)?;
        }
        self.0.changed.notify_waiters();
        Ok(())
    }

    /// Returns the number of messages in the queue: visible, in flight, and delayed.
    pub async fn depth(&self, name: &str) -> Result<usize> {
        let all = self.count(name, &["", "NotVisible", "Delayed"]).await?;
        Ok(all.saturating_sub(self.0.waits.overtaken(&self.url(name))))
    }

    /// Returns the number of messages that can be received now.
    pub async fn visible(&self, name: &str) -> Result<usize> {
        self.count(name, &[""]).await
    }

    /// Returns how long a received message stays hidden.
    pub async fn visibility(&self, name: &str) -> Result<Duration> {
        let attributes = self.attributes(name).await?;
        let seconds = attributes.get("VisibilityTimeout").context("a queue without a visibility timeout")?;
        Ok(Duration::from_secs(seconds.parse().context("a visibility timeout that is not a number")?))
    }

    async fn attributes(&self, name: &str) -> Result<HashMap<String, String>> {
        let request = json!({"QueueUrl": self.url(name), "AttributeNames": ["All"]});
        let found = self.0.queues.get_queue_attributes(serde_json::from_value(request)?).await;
        Ok(found.map_err(anyhow::Error::msg)?.attributes)
    }

    async fn count(&self, name: &str, which: &[&str]) -> Result<usize> {
        let attributes = self.attributes(name).await?;
        which
            .iter()
            .map(|which| {
                let count = attributes.get(&format!("ApproximateNumberOfMessages{which}"));
                count.context("a queue without its depth")?.parse::<usize>().context("a depth that is not a number")
            })
            .sum()
    }

    /// Returns the visible messages, which stay in the queue. This counts as one receive, so use it on a dead-letter
    /// queue, and not on a queue that has one.
    pub async fn messages(&self, name: &str) -> Result<Vec<Message>> {
        let _alone = self.0.peek.lock().await;
        let mut messages = Vec::new();
        loop {
            let more = self.take(name, 10, Some(60)).await?;
            if more.is_empty() {
                break;
            }
            messages.extend(more);
        }
        for message in &messages {
            self.change_visibility(name, &message.receipt_handle, 0).await?;
        }
        Ok(messages)
    }

    /// Waits until a message was sent or made visible. The end of a delay or a visibility timeout does not end this
    /// wait, so wait only for a short time. Changes count from this call on, not from the first poll.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    async fn take(&self, name: &str, max: usize, visibility_s: Option<u32>) -> Result<Vec<Message>> {
        let mut request = json!({
            "QueueUrl": self.url(name), "MaxNumberOfMessages": max,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"],
        });
        if let Some(seconds) = visibility_s {
            request["VisibilityTimeout"] = seconds.into();
        }
        let received = self.0.queues.receive_message(serde_json::from_value(request)?).await;
        let received = received.map_err(anyhow::Error::msg)?.messages.into_iter();
        let received: Vec<Message> = received
            .map(|message| Message {
                message_id: message.message_id.unwrap_or_default(),
                receipt_handle: message.receipt_handle.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                md5_of_body: message.md5_of_body.unwrap_or_default(),
                system_attributes: message.attributes,
                attributes: message
                    .message_attributes
                    .into_iter()
                    .filter_map(|(name, attribute)| {
                        Some((name, Attribute { data_type: attribute.data_type, value: attribute.string_value? }))
                    })
                    .collect(),
            })
            .collect();
        let mut messages = Vec::with_capacity(received.len());
        for message in received {
            if self.0.waits.received(name, &self.url(name), &message) {
                messages.push(message);
            } else {
                self.delete(name, &message.receipt_handle).await?;
            }
        }
        Ok(messages)
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Front {
    handler: Arc<RustackSqsHandler>,
    changed: Arc<Notify>,
    waits: Arc<Waits>,
}

/// As in AWS, a call continues to its end when its sender dies, so [`Waits`] knows every message that was sent.
async fn answer(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> Response {
    let done = tokio::spawn(front.answer(headers, body));
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Front {
    async fn answer(self, headers: HeaderMap, body: Bytes) -> Response {
        match contents::look(&body) {
            Looked::Good => self.dispatch(headers, body).await,
            Looked::Refused => contents::refusal(),
            Looked::Parts { rest: None, failed } => contents::with_failures(&[], failed).into_response(),
            Looked::Parts { rest: Some(rest), failed } => {
                let (head, answer) = self.dispatch(headers, rest).await.into_parts();
                let answer = to_bytes(answer, LARGEST_ANSWER_BYTES).await.unwrap_or_default();
                Response::from_parts(head, contents::with_failures(&answer, failed))
            }
        }
    }

    async fn dispatch(&self, headers: HeaderMap, body: Bytes) -> Response {
        let done = match resolve_operation(&headers) {
            Ok(operation) => dispatch_operation(self.handler.as_ref(), operation, body.clone()).await,
            Err(error) => Err(error),
        };
        let response = done.unwrap_or_else(|error| error_to_response(&error, "local")).map(Body::new);
        let (head, answer) = response.into_parts();
        let answer = to_bytes(answer, LARGEST_ANSWER_BYTES).await.unwrap_or_default();
        // The message is recorded before its receivers are notified, so that they can hurry it.
        self.waits.sent(&body, &answer);
        self.changed.notify_waiters();
        Response::from_parts(head, Body::from(answer))
    }
}

#[cfg(test)]
mod tests;
