//! The function behind the work queue: advance · copy · announce · delete.
//!
//! A message is deleted only once what it asked for is done and recorded; otherwise it comes back.

mod act;
mod again;
mod copy;
mod delete;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
mod manifest;
mod render;
mod settings;
mod stored;
mod upload;

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use job::{Role, ids::RecordingId, time::Timestamp};
use pipeline::{
    advance::{Advance, NotSaved, Outcome},
    bus::Bus,
    deadline::Deadline,
    park::Parking,
    recall::{Recall, http_client, tls},
    secret::Secrets,
    settings::CreateSettings,
    store::{Store, StoreError},
    telemetry::{self, Chain},
    time::{self, Stopwatch},
    work::{Message, WorkQueue},
};

pub use self::settings::Settings;
use self::{
    act::{Announcer, Received},
    again::Again,
    copy::Copier,
    delete::Deleter,
    render::Renditions,
    upload::Bucket,
};

/// Fetching the secret during init may take this long; it is fetched again later if need be.
const WARM_UP: Duration = Duration::from_millis(500);
/// A message is not begun with less time than this; it goes back to the queue.
const SHORTEST_TURN: Duration = Duration::from_secs(5);
/// How long a message waits when something of ours is out of order; it doubles with every time it was received. Where the
/// row cannot be read, nobody knows when the recording expires.
const UNAVAILABLE: Duration = Duration::from_secs(5);
const UNAVAILABLE_MAX: Duration = Duration::from_secs(15 * 60);
/// The reason of a request, and its sender, are cut to this in logs.
const MAX_REASON_CHARS: usize = 200;

#[derive(Debug)]
pub struct Transcripts {
    create: CreateSettings,
    secrets: Arc<Secrets>,
    store: Store,
    recall: Recall,
    work: WorkQueue,
    parking: Parking,
    copier: Copier,
    again: Again,
    deleter: Deleter,
    announcer: Announcer,
}

/// Whether a message is done with.
enum Turn {
    Done,
    /// It should come back after this time.
    Again(Duration),
}

impl Transcripts {
    /// # Errors
    /// The HTTP stack could not be set up.
    pub fn new(settings: Settings) -> Result<Self, lambda_runtime::Error> {
        let Settings { common, bucket, key_prefix, dead_letter_queue_url, event_bus, renditions } = settings;
        let secrets = Arc::new(Secrets::new(common.secrets, common.aws.secrets_manager()));
        let recall = Recall::new(http_client(tls()?)?.build()?, &common.recall, Arc::clone(&secrets));
        let bus = event_bus.map(|name| Bus::new(common.aws.event_bridge(), name));
        let sqs = common.aws.sqs();
        let bucket = Bucket::new(&common.aws, bucket);
        let renditions = Renditions::new(bucket.clone(), key_prefix.clone(), renditions);
        Ok(Self {
            announcer: Announcer::new(bus, bucket.name.clone()),
            deleter: Deleter::new(recall.clone(), bucket.clone()),
            again: Again::new(bucket.clone(), key_prefix.clone(), renditions.clone()),
            copier: Copier::new(recall.clone(), &common.recall, bucket, key_prefix, renditions)?,
            recall,
            secrets,
            store: Store::new(common.aws.dynamodb(), common.jobs_table),
            parking: Parking::new(sqs.clone(), dead_letter_queue_url),
            work: WorkQueue::new(sqs, common.work_queue_url),
            create: common.create,
        })
    }

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        // A failure is logged where it happens, and the first message tries again.
        let _ = tokio::time::timeout(WARM_UP, self.secrets.get()).await;
    }

    /// Works through a batch, one message after the other, so that memory stays flat.
    pub async fn handle(&self, event: SqsEvent, deadline_ms: u64) -> SqsBatchResponse {
        let deadline = Deadline::of_invocation(Some(deadline_ms));
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let turn = if deadline.left(time::now()) < SHORTEST_TURN {
                Turn::Again(Duration::ZERO)
            } else {
                self.turn(&record, deadline).await
            };
            if let Turn::Again(after) = turn {
                self.give_back(record, after, &mut response).await;
            }
        }
        response
    }

    async fn turn(&self, record: &SqsMessage, deadline: Deadline) -> Turn {
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
            tracing::info!(recording.id = %recording_id, event = event.name(), reason, by, "message.requested");
        }
        let advance = Advance {
            store: &self.store,
            policy: &self.create.policy,
            lease_until: deadline.lease_until(),
            role: Role::Worker,
        };
        let actor = Received { transcripts: self, recording_id, delivery_id: &delivery_id, deadline };
        let result = advance.run(recording_id, &event, &actor).await;
        let (turn, outcome) = match &result {
            Ok(Outcome::Applied(status)) => (Turn::Done, status.as_str()),
            Ok(Outcome::Ignored(reason)) => (Turn::Done, reason.as_str()),
            Ok(Outcome::Busy { retry_at }) => (Turn::Again(retry_at.since(time::now())), "busy"),
            Ok(Outcome::Waiting { retry_at }) => (self.wait(recording_id, *retry_at, &delivery_id).await, "waits"),
            Err(error) => self.unreadable(record, recording_id, error).await,
        };
        tracing::info!(recording.id = %recording_id, delivery.id = delivery_id, event = event.name(), outcome,
            duration_ms = watch.millis(), "message.handled");
        turn
    }

    async fn unreadable(
        &self,
        record: &SqsMessage,
        recording_id: RecordingId,
        NotSaved { error, expires_at }: &NotSaved,
    ) -> (Turn, &'static str) {
        match error {
            StoreError::Unreadable { .. } => {
                tracing::error!(recording.id = %recording_id, error = %Chain(error), "job.unreadable");
                (self.park(record, "the recording's item in the table is not a job").await, "parked")
            }
            StoreError::Unavailable(_) => {
                tracing::error!(recording.id = %recording_id, error = %Chain(error), "job.not_saved");
                let wait = job::capped_wait(unavailable(record), *expires_at, time::now());
                (Turn::Again(wait), "not_saved")
            }
        }
    }

    /// What a wait needs is in the row, so a wake-up takes the message's place: the times that a message is received
    /// count only what went wrong.
    async fn wait(&self, recording_id: RecordingId, at: Timestamp, delivery_id: &str) -> Turn {
        let wait = at.since(time::now());
        match self.work.wake_after(recording_id, wait, delivery_id).await {
            Ok(()) => Turn::Done,
            Err(error) => {
                tracing::warn!(recording.id = %recording_id, error = %Chain(&error), "work.not_sent");
                Turn::Again(wait)
            }
        }
    }

    /// A message that can never be worked on goes to the dead-letter queue at once, whole and with the reason.
    async fn park(&self, record: &SqsMessage, why: &str) -> Turn {
        let (id, body) = (record.message_id.as_deref().unwrap_or_default(), record.body.as_deref().unwrap_or_default());
        match self.parking.park(id, body.as_bytes(), why).await {
            Ok(()) => {
                tracing::error!(message.id = id, bytes = body.len(), why, "message.parked");
                telemetry::count("MessagesParked", &[]);
                Turn::Done
            }
            Err(error) => {
                tracing::error!(message.id = id, error = %Chain(&error), "message.not_parked");
                Turn::Again(unavailable(record))
            }
        }
    }

    async fn give_back(&self, record: SqsMessage, after: Duration, response: &mut SqsBatchResponse) {
        if let Some(receipt) = &record.receipt_handle
            && let Err(error) = self.work.hide(receipt, after).await
        {
            tracing::warn!(error = %Chain(&error), "message.not_hidden");
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
