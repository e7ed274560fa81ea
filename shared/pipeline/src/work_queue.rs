//! The work queue: what the webhook hands over, and wake-ups.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    types::{BatchResultErrorEntry, QueueAttributeName, SendMessageBatchRequestEntry},
};
use job::{Event, JITTER_PART, ids::RecordingId};
use serde::{Deserialize, Serialize};

/// The longest delay that SQS knows.
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// Messages in one call: SQS takes no more.
pub const MAX_BATCH: usize = 10;
/// So often a message of a batch is sent that SQS does not take although it took others.
const MAX_SENDS: u32 = 3;

/// One message of the queue, as JSON:
/// `{"recording_id": "…", "event": "transcript.done", "transcript_id": "…", "attempt": 1, "delivery_id": "msg_…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub recording_id: RecordingId,
    #[serde(flatten)]
    pub event: Event,
    /// The delivery that began it, for the logs.
    #[serde(default)]
    pub delivery_id: Option<String>,
    /// Why a person sent it, in one line, and who: for the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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

/// The message is not known to be on the queue; try again.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take the message")]
pub struct QueueError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl WorkQueue {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// # Errors
    /// [`QueueError`]
    pub async fn send(&self, message: &Message) -> Result<(), QueueError> {
        self.send_after(message, Duration::ZERO).await
    }

    /// Has the job looked at again when `wait` is over, or a little later. What is too far away for a message is left to
    /// the sweep, which finds it in the row.
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

    /// Sends a message that nobody sees before `delay` is over: whole seconds, and at most [`MAX_DELAY`].
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn send_after(&self, message: &Message, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(message).map_err(|error| QueueError(Box::new(error)))?;
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_millis().div_ceil(1000)).unwrap_or_default();
        let message = self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(seconds);
        message.send().await.map(drop).map_err(|error| QueueError(Box::new(error)))
    }

    /// Sends up to [`MAX_BATCH`] messages in one call. Those that SQS does not take are sent again a few times.
    ///
    /// # Errors
    /// [`QueueError`]; some messages may be on the queue.
    pub async fn send_batch(&self, messages: &[Message]) -> Result<(), QueueError> {
        let entry = |(index, message): (usize, &Message)| {
            let body = serde_json::to_string(message).map_err(|error| QueueError(Box::new(error)))?;
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            entry.map_err(|error| QueueError(Box::new(error)))
        };
        let mut entries: Vec<_> = messages.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let mut code = String::new();
        for _ in 0..MAX_SENDS {
            let batch = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries.clone()));
            let output = batch.send().await.map_err(|error| QueueError(Box::new(error)))?;
            entries.retain(|entry| !output.successful().iter().any(|taken| taken.id() == entry.id()));
            if entries.is_empty() {
                return Ok(());
            }
            code = output.failed().first().map(BatchResultErrorEntry::code).unwrap_or("no reason").to_owned();
        }
        Err(QueueError(format!("{} messages were refused: {code}", entries.len()).into()))
    }

    /// About how many messages somebody has to take, or has taken and not finished. Those that are delayed are not
    /// counted: they wait for their time, not for a worker.
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn backlog(&self) -> Result<usize, QueueError> {
        const COUNTED: [QueueAttributeName; 2] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(COUNTED.to_vec()));
        let output = get.send().await.map_err(|error| QueueError(Box::new(error)))?;
        let count = |name| output.attributes().and_then(|attributes| attributes.get(name)?.parse::<usize>().ok());
        let counts: Option<Vec<usize>> = COUNTED.iter().map(count).collect();
        let counts = counts.ok_or_else(|| QueueError("the answer does not have the number of messages".into()))?;
        Ok(counts.into_iter().sum())
    }

    /// Hides a message that was received until it should come again, or a little longer.
    ///
    /// # Errors
    /// [`QueueError`]; the message then comes again after the queue's own visibility time-out.
    pub async fn hide(&self, receipt_handle: &str, time: Duration) -> Result<(), QueueError> {
        // SQS counts whole seconds, and no more than twelve hours from the receipt.
        let seconds = jittered(time).as_millis().div_ceil(1000);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX).min(11 * 60 * 60);
        let hidden = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await;
        hidden.map(drop).map_err(|error| QueueError(Box::new(error)))
    }
}

/// Many jobs that were told to wait equally long should not all come back at once. The core leaves room for this in the
/// waits that it cuts.
fn jittered(wait: Duration) -> Duration {
    wait + (wait / JITTER_PART).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_stretched_each_by_another_part() {
        let wait = Duration::from_secs(100);
        let waits: Vec<Duration> = (0..100).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|stretched| (wait..=wait + wait / JITTER_PART).contains(stretched)), "{waits:?}");
        assert!(waits.iter().any(|stretched| *stretched != waits[0]), "{waits:?}");
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
    use job::RecordingInfo;

    #[test]
    fn a_message_reads_as_it_was_written() {
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
    fn the_form_is_the_documented_one() {
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
        message(r#""event":"retry""#).expect_err("it could be applied twice");
    }
}
