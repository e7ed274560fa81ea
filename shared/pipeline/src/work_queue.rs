//! The work queue. It carries the events that the webhook passes on, and wake-ups.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    types::{BatchResultErrorEntry, QueueAttributeName, SendMessageBatchRequestEntry},
};
use job::{Event, JITTER_PART, ids::RecordingId};
use serde::{Deserialize, Serialize};

/// The longest delay that SQS allows.
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// How many messages SQS accepts in one call.
pub const MAX_BATCH: usize = 10;
/// How many times to send the messages of a batch that SQS rejected.
const MAX_BATCH_SENDS: u32 = 3;
/// SQS hides a message for at most 12 hours after it was received. This limit leaves an hour for the work before.
const MAX_HIDE_SECS: i32 = 11 * 60 * 60;

/// One message of the queue, as JSON:
/// `{"recording_id": "…", "event": "transcript.done", "transcript_id": "…", "attempt": 1, "delivery_id": "msg_…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub recording_id: RecordingId,
    #[serde(flatten)]
    pub event: Event,
    /// The delivery that led to the message, for the logs.
    #[serde(default)]
    pub delivery_id: Option<String>,
    /// Why a person sent the message, in one line, for the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The person who sent the message, for the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Message {
    pub fn new(recording_id: RecordingId, event: Event, delivery_id: &str) -> Self {
        Self { recording_id, event, delivery_id: Some(delivery_id.to_owned()), reason: None, by: None }
    }
}

#[derive(Clone, Debug)]
pub struct WorkQueue {
    client: Client,
    url: String,
}

/// A call to SQS failed, and its outcome is unknown. Try again.
#[derive(Debug, thiserror::Error)]
#[error("SQS {operation} failed")]
pub struct QueueError {
    operation: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl QueueError {
    fn new(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { operation, source: source.into() }
    }
}

impl WorkQueue {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn send(&self, message: &Message) -> Result<(), QueueError> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Sends a wake-up that arrives after `wait` or a little later. If `wait` is too long for a message, nothing is
    /// sent, because the sweep finds the time in the row and wakes the job.
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn wake_after(
        &self,
        recording_id: RecordingId,
        wait: Duration,
        delivery_id: &str,
    ) -> Result<(), QueueError> {
        if wait > MAX_DELAY {
            return Ok(());
        }
        let message = Message::new(recording_id, Event::WAKE, delivery_id);
        self.send_after(&message, jittered(wait)).await
    }

    /// Sends a message that no one receives before `delay` is over. The delay is rounded up to whole seconds and is at
    /// most [`MAX_DELAY`].
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn send_after(&self, message: &Message, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(message).map_err(|error| QueueError::new("SendMessage", error))?;
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_millis().div_ceil(1000)).unwrap_or_default();
        let message = self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(seconds);
        message.send().await.map(drop).map_err(|error| QueueError::new("SendMessage", error))
    }

    /// Sends up to [`MAX_BATCH`] messages in one call. Sends the messages that SQS rejected again a few times.
    ///
    /// # Errors
    /// [`QueueError`]; some messages may be on the queue.
    pub async fn send_batch(&self, messages: &[Message]) -> Result<(), QueueError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let body = serde_json::to_string(message).map_err(|error| QueueError::new("SendMessageBatch", error))?;
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            entries.push(entry.map_err(|error| QueueError::new("SendMessageBatch", error))?);
        }
        let mut code = String::new();
        for _ in 0..MAX_BATCH_SENDS {
            let batch = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries.clone()));
            let output = batch.send().await.map_err(|error| QueueError::new("SendMessageBatch", error))?;
            entries.retain(|entry| !output.successful().iter().any(|sent| sent.id() == entry.id()));
            if entries.is_empty() {
                return Ok(());
            }
            code = output.failed().first().map(BatchResultErrorEntry::code).unwrap_or("no code").to_owned();
        }
        Err(QueueError::new("SendMessageBatch", format!("SQS rejected {} of the messages: {code}", entries.len())))
    }

    /// Returns about how many messages wait for a worker or are being handled. Delayed messages do not count, because
    /// they wait for their time, not for a worker.
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn backlog(&self) -> Result<usize, QueueError> {
        const COUNTS: [QueueAttributeName; 2] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(COUNTS.to_vec()));
        let output = get.send().await.map_err(|error| QueueError::new("GetQueueAttributes", error))?;
        let count = |name| output.attributes().and_then(|attributes| attributes.get(name)?.parse::<usize>().ok());
        let sum: Option<usize> = COUNTS.iter().map(count).sum();
        sum.ok_or_else(|| QueueError::new("GetQueueAttributes", "the answer does not have the number of messages"))
    }

    /// Hides a received message for `time` or a little longer. Then the queue delivers it again.
    ///
    /// # Errors
    /// [`QueueError`]; the queue then delivers the message again after its own visibility timeout.
    pub async fn hide(&self, receipt_handle: &str, time: Duration) -> Result<(), QueueError> {
        let seconds = jittered(time).as_millis().div_ceil(1000);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX).min(MAX_HIDE_SECS);
        let hidden = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await;
        hidden.map(drop).map_err(|error| QueueError::new("ChangeMessageVisibility", error))
    }
}

/// Stretches a wait by a random part, so that many jobs with the same wait do not return at once. The core leaves time
/// for this in the waits that it shortens.
fn jittered(wait: Duration) -> Duration {
    wait + (wait / JITTER_PART).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use job::RecordingInfo;

    use super::*;

    #[test]
    fn waits_are_each_stretched_by_another_part() {
        let wait = Duration::from_secs(100);
        let waits: Vec<Duration> = (0..100).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|stretched| (wait..=wait + wait / JITTER_PART).contains(stretched)), "{waits:?}");
        assert!(waits.iter().any(|stretched| *stretched != waits[0]), "{waits:?}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn message_is_read_as_it_was_written() {
        let recording_id = RecordingId::from_u128(1);
        let others = [
            Event::RecordingFailed { sub_code: Some("internal_error".to_owned()) },
            Event::Retry { provider: Some("rev_async".to_owned()), after_attempt: 3 },
        ];
        for event in Event::samples().into_iter().chain(others) {
            let message = Message::new(recording_id, event, "msg_1");
            let text = serde_json::to_string(&message).expect("JSON");
            assert_eq!(serde_json::from_str::<Message>(&text).expect("a message"), message, "{text}");
        }
    }

    #[test]
    fn message_has_the_documented_form() {
        let text = r#"{"recording_id":"00000000-0000-0000-0000-000000000001","event":"transcript.done",
            "transcript_id":"00000000-0000-0000-0000-000000000002","attempt":null}"#;
        let message: Message = serde_json::from_str(text).expect("a message");
        assert_eq!(message.delivery_id, None);
        assert_eq!(message.event.name(), "transcript.done");
        let text = r#"{"recording_id":"00000000-0000-0000-0000-000000000001","event":"recording.done","bot_id":null}"#;
        let message: Message = serde_json::from_str(text).expect("a message");
        assert_eq!(message.event, Event::RecordingDone(RecordingInfo::default()));
        let message = |rest: &str| {
            let text = format!(r#"{{"recording_id":"00000000-0000-0000-0000-000000000001",{rest}}}"#);
            serde_json::from_str::<Message>(&text)
        };
        assert_eq!(message(r#""event":"wake""#).expect("a message").event, Event::WAKE);
        let now = message(r#""event":"wake","now":true,"reason":"key fixed","by":"ops"}"#.trim_end_matches('}'));
        let now = now.expect("a message");
        assert_eq!(
            (now.event, now.reason.as_deref(), now.by.as_deref()),
            (Event::Wake { now: true }, Some("key fixed"), Some("ops"))
        );
        let retry = Event::Retry { provider: None, after_attempt: 0 };
        assert_eq!(message(r#""event":"retry","after_attempt":0"#).expect("a message").event, retry);
        message(r#""event":"retry""#).expect_err("without after_attempt it could be applied twice");
    }
}
