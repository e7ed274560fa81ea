//! The function behind the work queue: advance · copy · announce · delete.
//!
//! A message is deleted only once what it asked for is done and recorded; otherwise it comes back.

mod about;
mod act;
mod copy;
mod delete;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod render;
mod rerender;
mod settings;
mod upload;
mod url_guard;

use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use job::{Role, ids::RecordingId, time::Timestamp};
use pipeline::{
    advance::{Advance, AdvanceError, Outcome},
    bucket::Bucket,
    bus::Bus,
    clients::Clients,
    dead_letter::DeadLetterQueue,
    deadline::Deadline,
    logs, metrics,
    store::StoreError,
    telemetry::Chain,
    time::{self, Stopwatch},
    work_queue::Message,
};

pub use self::settings::Settings;
use self::{
    act::{Announcer, Received},
    copy::Copier,
    delete::Deleter,
    render::Renditions,
    rerender::Rerenderer,
};

/// A message is not begun with less time than this; it goes back to the queue.
const MIN_MESSAGE_TIME: Duration = Duration::from_secs(5);
/// How long a message waits when something of ours is out of order; it doubles with every time it was received. Where the
/// row cannot be read, nobody knows when the recording expires.
const UNAVAILABLE: Duration = Duration::from_secs(5);
const UNAVAILABLE_MAX: Duration = Duration::from_secs(15 * 60);
/// The reason of a request, and its sender, are cut to this in logs.
const MAX_REASON_CHARS: usize = 200;

#[derive(Debug)]
pub struct Transcripts {
    clients: Clients,
    dead_letters: DeadLetterQueue,
    copier: Copier,
    rerenderer: Rerenderer,
    deleter: Deleter,
    announcer: Announcer,
}

/// Whether a message is done with.
enum Handled {
    Done,
    /// It should come back after this time.
    RetryAfter(Duration),
}

impl Transcripts {
    /// # Errors
    /// The HTTP stack could not be set up.
    pub fn new(settings: Settings) -> Result<Self, lambda_runtime::Error> {
        let Settings { common, bucket, key_prefix, dead_letter_queue_url, event_bus, renditions } = settings;
        let clients = Clients::new(&common)?;
        let recall = &clients.recall;
        let bus = event_bus.map(|name| Bus::new(common.aws.event_bridge(), name));
        let bucket = Bucket::new(&common.aws, bucket);
        let renditions = Renditions::new(bucket.clone(), key_prefix.clone(), renditions);
        Ok(Self {
            announcer: Announcer::new(bus, bucket.name.clone()),
            deleter: Deleter::new(recall.clone(), bucket.clone()),
            rerenderer: Rerenderer::new(bucket.clone(), key_prefix.clone(), renditions.clone()),
            copier: Copier::new(recall.clone(), &common.recall, bucket, key_prefix, renditions)?,
            dead_letters: DeadLetterQueue::new(common.aws.sqs(), dead_letter_queue_url),
            clients,
        })
    }

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// Works through a batch, one message after the other, so that memory stays flat.
    pub async fn handle(&self, event: SqsEvent, deadline_ms: u64) -> SqsBatchResponse {
        let deadline = Deadline::of_invocation(Some(deadline_ms));
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let turn = if deadline.left(time::now()) < MIN_MESSAGE_TIME {
                Handled::RetryAfter(Duration::ZERO)
            } else {
                self.handle_one(&record, deadline).await
            };
            if let Handled::RetryAfter(after) = turn {
                self.give_back(record, after, &mut response).await;
            }
        }
        response
    }

    async fn handle_one(&self, record: &SqsMessage, deadline: Deadline) -> Handled {
        let watch = Stopwatch::start();
        let body = record.body.as_deref().unwrap_or_default();
        let Message { recording_id, event, delivery_id, reason, by } = match serde_json::from_str(body) {
            Ok(message) => message,
            Err(error) => {
                let position = format!("not a message of ours, line {} column {}", error.line(), error.column());
                return self.park(record, &position).await;
            }
        };
        let delivery_id = delivery_id.unwrap_or_default();
        if reason.is_some() || by.is_some() {
            let (reason, by) = (one_line(reason.as_deref()), one_line(by.as_deref()));
            tracing::info!(message = logs::MESSAGE_REQUESTED, recording.id = %recording_id, event = event.name(), reason, by);
        }
        let advance = Advance {
            store: &self.clients.store,
            policy: &self.clients.create.policy,
            lease_until: deadline.lease_until(),
            role: Role::Worker,
        };
        let actor = Received { transcripts: self, recording_id, delivery_id: &delivery_id, deadline };
        let result = advance.run(recording_id, &event, &actor).await;
        let (turn, outcome) = match &result {
            Ok(Outcome::Applied(status)) => (Handled::Done, status.as_str()),
            Ok(Outcome::Ignored(reason)) => (Handled::Done, reason.as_str()),
            Ok(Outcome::Busy { retry_at }) => (Handled::RetryAfter(retry_at.since(time::now())), "busy"),
            Ok(Outcome::Waiting { retry_at }) => (self.wait(recording_id, *retry_at, &delivery_id).await, "waits"),
            Err(error) => self.unreadable(record, recording_id, error).await,
        };
        tracing::info!(message = logs::MESSAGE_HANDLED, recording.id = %recording_id, delivery.id = delivery_id, event = event.name(), outcome,
            duration_ms = watch.millis());
        turn
    }

    async fn unreadable(
        &self,
        record: &SqsMessage,
        recording_id: RecordingId,
        AdvanceError { error, expires_at }: &AdvanceError,
    ) -> (Handled, &'static str) {
        match error {
            StoreError::Unreadable { .. } => {
                tracing::error!(message = logs::JOB_NOT_READ, recording.id = %recording_id, error = %Chain(error));
                (self.park(record, "the recording's item in the table is not a job").await, "parked")
            }
            StoreError::Unavailable { .. } => {
                tracing::error!(message = logs::JOB_NOT_SAVED, recording.id = %recording_id, error = %Chain(error));
                let wait = job::capped_wait(unavailable(record), *expires_at, time::now());
                (Handled::RetryAfter(wait), "not_saved")
            }
        }
    }

    /// What a wait needs is in the row, so a wake-up takes the message's place: the times that a message is received
    /// count only what went wrong.
    async fn wait(&self, recording_id: RecordingId, at: Timestamp, delivery_id: &str) -> Handled {
        let wait = at.since(time::now());
        match self.clients.work.wake_after(recording_id, wait, delivery_id).await {
            Ok(()) => Handled::Done,
            Err(error) => {
                tracing::warn!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(&error));
                Handled::RetryAfter(wait)
            }
        }
    }

    /// A message that can never be worked on goes to the dead-letter queue at once, whole and with the reason.
    async fn park(&self, record: &SqsMessage, why: &str) -> Handled {
        let (id, body) = (record.message_id.as_deref().unwrap_or_default(), record.body.as_deref().unwrap_or_default());
        match self.dead_letters.park(id, body.as_bytes(), why).await {
            Ok(()) => {
                tracing::error!(message = logs::MESSAGE_PARKED, message.id = id, bytes = body.len(), why);
                metrics::MESSAGES_PARKED.count();
                Handled::Done
            }
            Err(error) => {
                tracing::error!(message = logs::MESSAGE_NOT_PARKED, message.id = id, error = %Chain(&error));
                Handled::RetryAfter(unavailable(record))
            }
        }
    }

    async fn give_back(&self, record: SqsMessage, after: Duration, response: &mut SqsBatchResponse) {
        if let Some(receipt) = &record.receipt_handle
            && let Err(error) = self.clients.work.hide(receipt, after).await
        {
            tracing::warn!(message = logs::MESSAGE_NOT_HIDDEN, error = %Chain(&error));
        }
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = record.message_id.unwrap_or_default();
        response.batch_item_failures.push(failure);
    }
}

/// What a person wrote, as far as a log line takes it.
fn one_line(text: Option<&str>) -> String {
    let plain = |character: &char| !character.is_control();
    text.unwrap_or_default().chars().filter(plain).take(MAX_REASON_CHARS).collect()
}

/// SQS counts how many times it has handed a message out.
fn unavailable(record: &SqsMessage) -> Duration {
    let received = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let doubled = 2_u32.saturating_pow(received.unwrap_or(1_u32).saturating_sub(1).min(16));
    UNAVAILABLE.saturating_mul(doubled).min(UNAVAILABLE_MAX)
}
