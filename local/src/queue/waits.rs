//! The hidden and delayed messages of the queues, so that tests need not wait for them.
//!
//! The emulator's clock cannot be moved. A hidden message is made visible by its receipt handle. A delayed message is
//! sent again without its delay, and the original is dropped when its time comes.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::Message;
use crate::wire::lock;

#[derive(Default)]
pub(super) struct Waits(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The queue and the newest receipt handle of each message that was received and not deleted, by its id.
    received: HashMap<String, (String, String)>,
    /// The messages whose delay is not over.
    delayed: Vec<Delayed>,
    /// The ids and queue URLs of delayed messages that were copied.
    overtaken: HashSet<(String, String)>,
}

struct Delayed {
    message_id: String,
    /// The message as it was sent, without its delay.
    request: Value,
    until: Instant,
}

impl Waits {
    /// Records a message that was sent with a delay, from the request and its answer.
    pub(super) fn sent(&self, request: &[u8], answer: &[u8]) {
        let Ok(mut request) = serde_json::from_slice::<Value>(request) else { return };
        let Some(seconds) = request["DelaySeconds"].as_u64().filter(|seconds| *seconds > 0) else { return };
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let Some(message_id) = answer["MessageId"].as_str().map(str::to_owned) else { return };
        if let Some(fields) = request.as_object_mut() {
            fields.remove("DelaySeconds");
        }
        let now = Instant::now();
        let mut known = lock(&self.0);
        known.delayed.retain(|delayed| now < delayed.until);
        known.delayed.push(Delayed { message_id, request, until: now + Duration::from_secs(seconds) });
    }

    /// Records a message that was received. Returns `false` if a copy of it has been or will be received, so that this
    /// one must be dropped.
    pub(super) fn received(&self, queue: &str, url: &str, message: &Message) -> bool {
        let mut known = lock(&self.0);
        if known.overtaken.remove(&(message.message_id.clone(), url.to_owned())) {
            return false;
        }
        known.delayed.retain(|delayed| delayed.message_id != message.message_id);
        known.received.insert(message.message_id.clone(), (queue.to_owned(), message.receipt_handle.clone()));
        true
    }

    pub(super) fn deleted(&self, receipt_handle: &str) {
        lock(&self.0).received.retain(|_, (_, handle)| handle != receipt_handle);
    }

    /// Returns the receipt handles of the messages of a queue that may be hidden.
    pub(super) fn hidden(&self, queue: &str) -> Vec<String> {
        let known = lock(&self.0);
        known.received.values().filter(|(of, _)| of == queue).map(|(_, handle)| handle.clone()).collect()
    }

    /// Returns the delayed messages of a queue, which must be sent at once. The originals no longer count.
    pub(super) fn hurry(&self, url: &str) -> Vec<Value> {
        let mut known = lock(&self.0);
        let (hurried, others) =
            std::mem::take(&mut known.delayed).into_iter().partition(|delayed| delayed.request["QueueUrl"] == url);
        known.delayed = others;
        let hurried: Vec<Delayed> = hurried;
        let now = Instant::now();
        let waiting = hurried.into_iter().filter(|delayed| now < delayed.until);
        waiting
            .map(|delayed| {
                known.overtaken.insert((delayed.message_id, url.to_owned()));
                delayed.request
            })
            .collect()
    }

    /// Returns how many messages of a queue no longer count.
    pub(super) fn overtaken(&self, url: &str) -> usize {
        lock(&self.0).overtaken.iter().filter(|(_, of)| of == url).count()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;
    use hyper_util::{client::legacy, rt::TokioExecutor};
    use serde_json::json;

    use crate::{queue::Queues, wire::Wire};

    #[tokio::test]
    async fn waits_end_once_they_are_hurried() -> Result<()> {
        let queues = Queues::start(&Wire::default()).await?;
        queues.create("work", 30, None).await?;
        queues.send("work", "hidden", &[]).await?;
        assert_eq!(queues.receive("work", 1).await?.len(), 1);
        let body = json!({"QueueUrl": queues.url("work"), "MessageBody": "delayed", "DelaySeconds": 900}).to_string();
        let client: legacy::Client<_, String> = legacy::Client::builder(TokioExecutor::new()).build_http();
        let request = http::Request::post(queues.endpoint())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(body)?;
        assert_eq!(client.request(request).await?.status(), 200);
        assert_eq!((queues.visible("work").await?, queues.depth("work").await?), (0, 2));

        queues.hurry("work").await?;
        assert_eq!((queues.visible("work").await?, queues.depth("work").await?), (2, 2));
        queues.hurry("work").await?;
        let mut received = queues.receive("work", 10).await?;
        received.sort_by(|one, other| one.body.cmp(&other.body));
        assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["delayed", "hidden"]);
        for message in received {
            queues.delete("work", &message.receipt_handle).await?;
        }
        assert_eq!(queues.depth("work").await?, 0, "replaced messages do not count");
        Ok(())
    }
}
