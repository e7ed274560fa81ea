//! The function behind the work queue. It advances jobs, copies and renders transcripts, announces ends, and deletes at
//! Recall.
//!
//! A message is deleted only after its work is done and recorded. Otherwise SQS delivers it again.

mod act;
mod chat;
mod copy;
mod delete;
mod download;
mod follow_up;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod knowledge;
mod meeting_data;
mod render;
mod rerender;
mod settings;
mod tags;
mod transcript_info;
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
    dead_letter::{DeadLetterQueue, NOT_A_MESSAGE, ROW_NOT_READABLE},
    deadline::Deadline,
    logs, metrics,
    store::StoreError,
    telemetry::Chain,
    time::{self, Stopwatch},
    work_queue::Message,
};
use renditions::Rendition;

pub use self::settings::Settings;
use self::{
    act::{Announcer, MessageActor},
    copy::Copier,
    delete::Deleter,
    download::Downloads,
    follow_up::FollowUps,
    meeting_data::MeetingFetcher,
    render::Renditions,
    rerender::Rerenderer,
};

/// A message is not started with less time than this. It goes back to the queue.
const MIN_MESSAGE_TIME: Duration = Duration::from_secs(5);
/// How long a message waits after a failure of the table or of the dead-letter queue. The wait doubles each time the
/// message is received, up to the maximum: if the row cannot be read, it is not known when the recording expires.
const RETRY_WAIT: Duration = Duration::from_secs(5);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The reason and the sender of a request are cut to this many characters in logs.
const MAX_REASON_CHARS: usize = 200;

#[derive(Debug)]
pub struct Transcripts {
    clients: Clients,
    dead_letters: DeadLetterQueue,
    copier: Copier,
    rerenderer: Rerenderer,
    follow_ups: FollowUps,
    deleter: Deleter,
    announcer: Announcer,
}

/// What happens to a message after it was handled.
enum Handled {
    /// It is deleted.
    Done,
    /// It goes back to the queue and is delivered again after this time.
    RetryAfter(Duration),
}

impl Transcripts {
    /// # Errors
    /// Setting up the HTTP client failed.
    pub fn new(settings: Settings) -> Result<Self, lambda_runtime::Error> {
        let Settings { mut common, bucket, key_prefix, dead_letter_queue_url, event_bus, .. } = settings;
        let Settings { renditions, kept_files, metadata_keys, .. } = settings;
        common.create.policy.has_knowledge = renditions.contains(&Rendition::Knowledge);
        let clients = Clients::new(&common)?;
        let recall = &clients.recall;
        let bus = event_bus.map(|name| Bus::new(common.aws.event_bridge(), name));
        let bucket = Bucket::new(&common.aws, bucket);
        let renditions = Renditions::new(bucket.clone(), key_prefix.clone(), &renditions);
        let downloads = Downloads::new(&common.recall)?;
        let fetcher =
            MeetingFetcher::new(recall.clone(), downloads.clone(), bucket.clone(), key_prefix.clone(), kept_files);
        let rerenderer = Rerenderer::new(bucket.clone(), metadata_keys.clone(), renditions.clone());
        Ok(Self {
            announcer: Announcer::new(bus, bucket.name.clone()),
            deleter: Deleter::new(recall.clone(), bucket.clone()),
            follow_ups: FollowUps::new(recall.clone(), fetcher.clone(), rerenderer.clone()),
            rerenderer,
            copier: Copier::new(recall.clone(), downloads, bucket, key_prefix, metadata_keys, fetcher, renditions),
            dead_letters: DeadLetterQueue::new(common.aws.sqs(), dead_letter_queue_url),
            clients,
        })
    }

    /// Makes the first TLS handshake in the init phase, in which Lambda gives a function its full CPU speed.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// Handles a batch, one message after the other, so that memory use does not grow with the batch.
    pub async fn handle(&self, event: SqsEvent, deadline_ms: u64) -> SqsBatchResponse {
        let deadline = Deadline::of_invocation(Some(deadline_ms));
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let handled = if deadline.left(time::now()) < MIN_MESSAGE_TIME {
                Handled::RetryAfter(Duration::ZERO)
            } else {
                self.handle_message(&record, deadline).await
            };
            if let Handled::RetryAfter(after) = handled {
                self.give_back(record, after, &mut response).await;
            }
        }
        response
    }

    async fn handle_message(&self, record: &SqsMessage, deadline: Deadline) -> Handled {
        let watch = Stopwatch::start();
        let body = record.body.as_deref().unwrap_or_default();
        let Message { recording_id, event, delivery_id, reason, by } = match serde_json::from_str(body) {
            Ok(message) => message,
            Err(error) => {
                let why = format!("{NOT_A_MESSAGE}: line {} column {}", error.line(), error.column());
                return self.move_to_dead_letters(record, &why).await;
            }
        };
        let delivery_id = delivery_id.unwrap_or_default();
        if reason.is_some() || by.is_some() {
            let (reason, by) = (log_text(reason.as_deref()), log_text(by.as_deref()));
            tracing::info!(
                message = logs::MESSAGE_REQUESTED,
                recording.id = %recording_id,
                event = event.name(),
                reason,
                by
            );
        }
        let advance = Advance {
            store: &self.clients.store,
            policy: &self.clients.create.policy,
            lease_until: deadline.lease_until(),
            role: Role::Worker,
        };
        let actor = MessageActor { transcripts: self, recording_id, delivery_id: &delivery_id, deadline };
        let result = advance.run(recording_id, &event, &actor).await;
        let (handled, outcome) = match &result {
            Ok(Outcome::Applied(status)) => (Handled::Done, status.as_str()),
            Ok(Outcome::Ignored(reason)) => (Handled::Done, reason.as_str()),
            Ok(Outcome::Busy { retry_at }) => (Handled::RetryAfter(retry_at.since(time::now())), "busy"),
            Ok(Outcome::Waiting { retry_at }) => {
                (self.schedule_wake(recording_id, *retry_at, &delivery_id).await, "waits")
            }
            Err(error) => self.not_saved(record, recording_id, error).await,
        };
        tracing::info!(
            message = logs::MESSAGE_HANDLED,
            recording.id = %recording_id,
            delivery.id = delivery_id,
            event = event.name(),
            outcome,
            duration_ms = watch.millis()
        );
        handled
    }

    /// Decides what happens to a message whose job could not be loaded or saved. Also returns the outcome for the log.
    async fn not_saved(
        &self,
        record: &SqsMessage,
        recording_id: RecordingId,
        AdvanceError { error, expires_at }: &AdvanceError,
    ) -> (Handled, &'static str) {
        match error {
            StoreError::Unreadable { .. } => {
                tracing::error!(message = logs::JOB_NOT_READ, recording.id = %recording_id, error = %Chain(error));
                (self.move_to_dead_letters(record, ROW_NOT_READABLE).await, "parked")
            }
            StoreError::Unavailable { .. } => {
                tracing::error!(message = logs::JOB_NOT_SAVED, recording.id = %recording_id, error = %Chain(error));
                let wait = job::capped_wait(retry_wait(record), *expires_at, time::now());
                (Handled::RetryAfter(wait), "not_saved")
            }
        }
    }

    /// Puts a delayed wake-up on the queue in the place of the message. The row has everything that the wait needs, and
    /// so the receive count of a message counts only failures.
    async fn schedule_wake(&self, recording_id: RecordingId, retry_at: Timestamp, delivery_id: &str) -> Handled {
        let wait = retry_at.since(time::now());
        match self.clients.work.wake_after(recording_id, wait, delivery_id).await {
            Ok(()) => Handled::Done,
            Err(error) => {
                tracing::warn!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(&error));
                Handled::RetryAfter(wait)
            }
        }
    }

    /// Moves a message that can never be handled to the dead-letter queue at once, whole and with the reason.
    async fn move_to_dead_letters(&self, record: &SqsMessage, why: &str) -> Handled {
        let (id, body) = (record.message_id.as_deref().unwrap_or_default(), record.body.as_deref().unwrap_or_default());
        match self.dead_letters.park(id, body.as_bytes(), why).await {
            Ok(()) => {
                tracing::error!(message = logs::MESSAGE_PARKED, message.id = id, bytes = body.len(), why);
                metrics::MESSAGES_PARKED.count();
                Handled::Done
            }
            Err(error) => {
                tracing::error!(message = logs::MESSAGE_NOT_PARKED, message.id = id, error = %Chain(&error));
                Handled::RetryAfter(retry_wait(record))
            }
        }
    }

    /// Hides the message until its retry and reports it as failed, so that SQS keeps it.
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

/// Shortens a text that a person wrote and removes its control characters, for a log line.
fn log_text(text: Option<&str>) -> String {
    let is_printable = |character: &char| !character.is_control();
    text.unwrap_or_default().chars().filter(is_printable).take(MAX_REASON_CHARS).collect()
}

/// The wait after a failure, by the number of times that SQS has delivered the message.
fn retry_wait(record: &SqsMessage) -> Duration {
    let received = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
    let doubled = 2_u32.saturating_pow(received.unwrap_or(1_u32).saturating_sub(1).min(16));
    RETRY_WAIT.saturating_mul(doubled).min(RETRY_WAIT_MAX)
}
