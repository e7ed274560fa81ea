//! The event source mapping: passes batches from a queue to a function, and deletes the processed messages.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{Function, InvokeError};
use crate::{
    REGION,
    queue::{Message, Queues},
};

/// How long the end of a delay or a visibility timeout may go unnoticed. A new message is noticed at once.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// How a queue feeds a function.
#[derive(Clone, Copy, Debug)]
pub struct EventSourceConfig {
    /// The number of messages in one invocation, 1 to 10.
    pub batch_size: usize,
    /// The number of concurrent invocations.
    pub maximum_concurrency: usize,
}

/// A queue that feeds a function until this is dropped. The messages of running invocations then come back when their
/// visibility timeout ends.
#[derive(Debug)]
pub struct EventSource {
    id: Uuid,
    flow: Flow,
    under_way: Arc<AtomicUsize>,
    poller: JoinHandle<()>,
}

/// The switch of an event source. All clones are the same switch.
#[derive(Clone, Debug)]
pub struct Flow(watch::Sender<bool>);

impl Flow {
    /// Stops receiving messages, or starts again. Running invocations continue to their end.
    pub fn set(&self, flows: bool) {
        self.0.send_replace(flows);
    }

    /// Returns whether messages are received.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }
}

impl EventSource {
    /// Starts to poll the queue.
    pub fn start(queues: &Queues, queue: &str, function: Function, config: EventSourceConfig) -> Result<EventSource> {
        ensure!((1..=10).contains(&config.batch_size), "a batch has 1 to 10 messages");
        ensure!(config.maximum_concurrency > 0, "an event source needs a concurrency of at least 1");
        let under_way = Arc::<AtomicUsize>::default();
        let source =
            Source { queues: queues.clone(), queue: queue.to_owned(), function, under_way: Arc::clone(&under_way) };
        let (flow, flows) = watch::channel(true);
        let poller = tokio::spawn(poll(Arc::new(source), config, flows));
        Ok(EventSource { id: Uuid::new_v4(), flow: Flow(flow), under_way, poller })
    }

    /// The UUID of the mapping.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the switch that [`EventSource::pause`] and [`EventSource::resume`] turn.
    pub fn flow(&self) -> Flow {
        self.flow.clone()
    }

    /// Returns the number of batches in progress, including one that is just being received.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Stops receiving messages. Running invocations continue to their end.
    pub fn pause(&self) {
        self.flow.set(false);
    }

    /// Resumes after a pause.
    pub fn resume(&self) {
        self.flow.set(true);
    }

    /// Returns whether the event source is paused.
    pub fn is_paused(&self) -> bool {
        !self.flow.is_on()
    }

    /// Stops it, like dropping it does.
    pub fn stop(self) {}
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

struct Source {
    queues: Queues,
    queue: String,
    function: Function,
    under_way: Arc<AtomicUsize>,
}

/// Counts a batch as in progress until it is dropped.
struct Batch(Arc<AtomicUsize>);

impl Batch {
    fn begin(under_way: &Arc<AtomicUsize>) -> Batch {
        under_way.fetch_add(1, Ordering::SeqCst);
        Batch(Arc::clone(under_way))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn poll(source: Arc<Source>, config: EventSourceConfig, mut flows: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(config.maximum_concurrency));
    // The batches live in this set, so they end with the poller.
    let mut batches = JoinSet::new();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (messages, batch) = loop {
            if flows.wait_for(|flows| *flows).await.is_err() {
                return;
            }
            // Subscribes before the check, so that no message is missed in between.
            let changed = source.queues.changed();
            let batch = Batch::begin(&source.under_way);
            match source.queues.receive(&source.queue, config.batch_size).await {
                Ok(messages) if !messages.is_empty() => break (messages, batch),
                Ok(_) => {}
                Err(error) => tracing::error!(error = format!("{error:#}"), "cannot poll the queue"),
            }
            drop(batch);
            let _ = timeout(POLL_EVERY, changed).await;
        };
        while batches.try_join_next().is_some() {}
        let source = source.clone();
        batches.spawn(async move {
            if let Err(error) = source.run(messages).await {
                tracing::error!(error = format!("{error:#}"), "cannot delete messages");
            }
            drop((batch, slot));
        });
    }
}

impl Source {
    async fn run(&self, messages: Vec<Message>) -> Result<()> {
        let visible_again = Instant::now() + self.queues.visibility(&self.queue).await?;
        let event = event(&messages, &self.queues.arn(&self.queue)).to_string().into_bytes();
        let result = loop {
            match self.function.invoke(event.clone()).await {
                // Lambda's poller also retries until the messages become visible to others.
                Err(InvokeError::Throttled) if Instant::now() < visible_again => {
                    tokio::time::sleep(POLL_EVERY).await;
                }
                // They are not lost: they come back, and this counts as one receive.
                Err(InvokeError::Throttled) => return Ok(()),
                result => break result,
            }
        };
        let failed = match result {
            Ok(result) => failed(&messages, &result).unwrap_or_else(|error| {
                tracing::warn!(error = format!("{error:#}"), "the whole batch counts as failed");
                all(&messages)
            }),
            Err(error) => {
                tracing::warn!(function = self.function.name(), error = error.to_string(), "the batch failed");
                all(&messages)
            }
        };
        for message in messages.iter().filter(|message| !failed.contains(message.message_id.as_str())) {
            self.queues.delete(&self.queue, &message.receipt_handle).await?;
        }
        Ok(())
    }
}

fn all(messages: &[Message]) -> HashSet<&str> {
    messages.iter().map(|message| message.message_id.as_str()).collect()
}

/// Returns the messages that the function has not processed according to its result. An error means all of them.
fn failed<'a>(messages: &'a [Message], result: &[u8]) -> Result<HashSet<&'a str>> {
    if result.trim_ascii().is_empty() {
        return Ok(HashSet::new());
    }
    let result: Value = serde_json::from_slice(result).context("the result is not JSON")?;
    if result.is_null() {
        return Ok(HashSet::new());
    }
    let failures = match result.as_object().context("the result is not an object")?.get("batchItemFailures") {
        None | Some(Value::Null) => return Ok(HashSet::new()),
        Some(failures) => failures.as_array().context("batchItemFailures is not a list")?,
    };
    failures
        .iter()
        .map(|failure| {
            let id = failure.get("itemIdentifier").and_then(Value::as_str).context("itemIdentifier is missing")?;
            let message = messages.iter().find(|message| message.message_id == id);
            message.map(|message| message.message_id.as_str()).context("itemIdentifier is not of this batch")
        })
        .collect()
}

/// Returns the event that Lambda creates from a batch.
fn event(messages: &[Message], arn: &str) -> Value {
    let records: Vec<_> = messages.iter().map(|message| record(message, arn)).collect();
    json!({"Records": records})
}

fn record(message: &Message, arn: &str) -> Value {
    let attributes: Map<_, _> = message
        .attributes
        .iter()
        .map(|(name, attribute)| {
            let attribute = json!({
                "stringValue": attribute.value,
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": attribute.data_type,
            });
            (name.clone(), attribute)
        })
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": message.system_attributes,
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Attribute;

    fn messages() -> Vec<Message> {
        let message = |id: &str| Message {
            message_id: id.to_owned(),
            receipt_handle: format!("receipt-{id}"),
            body: "{}".to_owned(),
            md5_of_body: "99914b932bd37a50b983c5e7c90ae93b".to_owned(),
            system_attributes: [("ApproximateReceiveCount".to_owned(), "1".to_owned())].into(),
            attributes: [("kind".to_owned(), Attribute { data_type: "String".to_owned(), value: "x".to_owned() })]
                .into(),
        };
        vec![message("a"), message("b")]
    }

    #[test]
    fn a_batch_becomes_an_sqs_event() {
        let event = event(&messages()[..1], "arn:aws:sqs:us-east-1:000000000000:work");
        let expected = json!({"Records": [{
            "messageId": "a",
            "receiptHandle": "receipt-a",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {
                "kind": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            },
            "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:work",
            "awsRegion": "us-east-1",
        }]});
        assert_eq!(event, expected);
    }

    #[test]
    fn failed_messages_are_those_that_the_function_names() -> Result<()> {
        let messages = messages();
        for nothing in ["", "null", "{}", r#"{"batchItemFailures": null}"#, r#"{"batchItemFailures": []}"#] {
            assert_eq!(failed(&messages, nothing.as_bytes())?, HashSet::new(), "{nothing}");
        }
        let one = failed(&messages, br#"{"batchItemFailures": [{"itemIdentifier": "b"}]}"#)?;
        assert_eq!(one, HashSet::from(["b"]));
        Ok(())
    }

    #[test]
    fn an_answer_that_makes_no_sense_fails_the_batch() {
        for nonsense in [
            "no JSON",
            "7",
            r#"{"batchItemFailures": "b"}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#,
            r#"{"batchItemFailures": [{"id": "b"}]}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "c"}]}"#,
        ] {
            assert!(failed(&messages(), nonsense.as_bytes()).is_err(), "{nonsense}");
        }
    }
}
