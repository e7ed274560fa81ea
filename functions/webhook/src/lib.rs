//! The function behind the public URL. It verifies a delivery, parses it, advances the job or puts the event on the
//! work queue, and answers.
//!
//! A delivery is answered with 2xx only after its event is durable: in the jobs table or on a queue.

mod envelope;
pub mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod settings;
pub mod signature;

use std::{convert::Infallible, time::Duration};

use http::{Method, StatusCode, header};
use job::{Answer, Command, Event, Role, ids::RecordingId, time::Timestamp};
use lambda_http::{
    Adapter, Body, LambdaEvent, Request, RequestExt as _, Response, Service, service_fn, tower::ServiceBuilder,
};
use pipeline::{
    advance::{Act, Advance, AdvanceError, Outcome},
    clients::Clients,
    dead_letter::DeadLetterQueue,
    deadline::Deadline,
    logs, metrics,
    recall::AttemptSpec,
    telemetry::Chain,
    time::{self, Stopwatch},
    work_queue::{MAX_DELAY, Message, QueueError},
};
use serde::Serialize;

pub use self::{envelope::Envelope, settings::Settings};
use self::{
    event::Delivery,
    signature::{Refusal, Signed, Verified},
};

/// The largest body that is accepted. Recall's bodies are about one KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The `Retry-After` of an answer to a delivery that failed because one of our own dependencies failed.
const FAILURE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Names that the sender chooses (the delivery id and the event) are cut to this many characters before they go into
/// metadata and logs.
const MAX_LOGGED_CHARS: usize = 100;

#[derive(Debug)]
pub struct Webhook {
    clients: Clients,
    dead_letters: DeadLetterQueue,
}

/// Why a delivery was not verified, and so cannot be parsed.
#[derive(Debug)]
enum NotVerified {
    Refused(Refusal),
    /// The secrets could not be read, so the signature could not be checked.
    NoSecrets,
}

impl From<Refusal> for NotVerified {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The answer to the sender.
enum Reply {
    Applied,
    Ignored,
    Parked,
    Refused(Refusal),
    MethodNotAllowed,
    TooLarge,
    /// The sender is asked to send the delivery again after this time.
    RetryAfter(Duration),
}

impl Webhook {
    /// # Errors
    /// Setting up the HTTP client failed.
    pub fn new(settings: Settings) -> Result<Self, lambda_http::Error> {
        let Settings { common, dead_letter_queue_url } = settings;
        Ok(Self {
            clients: Clients::new(&common)?,
            dead_letters: DeadLetterQueue::new(common.aws.sqs(), dead_letter_queue_url),
        })
    }

    /// Makes the first TLS handshake in the init phase, in which Lambda gives a function its full CPU speed.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// Returns the function as Lambda's runtime calls it. It answers every event, whatever the event contains.
    pub fn service(&self) -> impl Service<LambdaEvent<Envelope>, Response = impl Serialize, Error = Infallible> {
        let handler = service_fn(async |request: Request| Ok::<_, Infallible>(self.handle(request).await));
        ServiceBuilder::new().map_request(Envelope::into_request).service(Adapter::from(handler))
    }

    /// Answers one delivery.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let watch = Stopwatch::start();
        let deadline = Deadline::of_invocation(request.lambda_context_ref().map(|context| context.deadline));
        let reply = self.reply(&request, deadline, watch).await;
        response(&reply)
    }

    async fn reply(&self, request: &Request, deadline: Deadline, watch: Stopwatch) -> Reply {
        let body: &[u8] = request.body().as_ref();
        if request.method() != Method::POST {
            return refuse("method_not_allowed", body, Reply::MethodNotAllowed);
        }
        if body.len() > MAX_BODY_BYTES {
            return refuse("too_large", body, Reply::TooLarge);
        }
        let verified = match self.verify(request, body).await {
            Ok(verified) => verified,
            Err(NotVerified::Refused(refusal)) => return refuse(refusal.as_str(), body, Reply::Refused(refusal)),
            Err(NotVerified::NoSecrets) => return Reply::RetryAfter(FAILURE_RETRY_AFTER),
        };
        let delivery_id: String = verified.delivery_id.chars().take(MAX_LOGGED_CHARS).collect();
        match event::parse(verified, &self.clients.create.policy.providers, self.clients.recall.deployment()) {
            Delivery::Known { recording_id, event } => {
                self.apply(recording_id, event, &delivery_id, deadline, watch).await
            }
            Delivery::Unhandled { name } => {
                let event: String = name.chars().take(MAX_LOGGED_CHARS).collect();
                tracing::info!(message = logs::WEBHOOK_IGNORED, delivery.id = delivery_id, event);
                metrics::WEBHOOKS_UNHANDLED.count();
                Reply::Ignored
            }
            Delivery::Unreadable { why } => self.move_to_dead_letters(verified, &delivery_id, &why).await,
        }
    }

    async fn verify<'a>(&self, request: &'a Request, body: &'a [u8]) -> Result<Verified<'a>, NotVerified> {
        // Refuse a delivery without a usable signature before reading the secrets.
        let signed = Signed::read(request.headers(), time::now())?;
        // `Secrets` logs the error.
        let credentials = self.clients.secrets.get().await.map_err(|_| NotVerified::NoSecrets)?;
        match signed.verify(body, &credentials.webhook_keys) {
            Ok(verified) => Ok(verified),
            Err(refusal) => match self.clients.secrets.refresh(&credentials).await {
                Some(renewed) => Ok(signed.verify(body, &renewed.webhook_keys)?),
                None => Err(refusal.into()),
            },
        }
    }

    async fn apply(
        &self,
        recording_id: RecordingId,
        event: Event,
        delivery_id: &str,
        deadline: Deadline,
        watch: Stopwatch,
    ) -> Reply {
        let name = event.name();
        metrics::WEBHOOKS_RECEIVED.count(name);
        let reply = match event {
            Event::RecordingDone(_) => self.advance(recording_id, &event, delivery_id, deadline).await,
            Event::RecordingFailed { .. }
            | Event::RecordingDeleted
            | Event::TranscriptProcessing(_)
            | Event::TranscriptDone(_)
            | Event::TranscriptFailed { .. }
            | Event::TranscriptDeleted(_)
            | Event::Wake { .. }
            | Event::Retry { .. }
            | Event::Render { .. }
            | Event::Dismiss { .. } => match self.enqueue(recording_id, event, delivery_id).await {
                Ok(()) => Reply::Applied,
                Err(_) => Reply::RetryAfter(FAILURE_RETRY_AFTER),
            },
        };
        tracing::info!(
            message = logs::WEBHOOK_HANDLED,
            recording.id = %recording_id,
            delivery.id = delivery_id,
            event = name,
            outcome = reply.outcome(),
            duration_ms = watch.millis()
        );
        reply
    }

    /// Takes `recording.done` through the core. The paid call is made here, within this invocation.
    async fn advance(&self, recording_id: RecordingId, event: &Event, delivery_id: &str, deadline: Deadline) -> Reply {
        let advance = Advance {
            store: &self.clients.store,
            policy: &self.clients.create.policy,
            lease_until: deadline.lease_until(),
            role: Role::Webhook,
        };
        let actor = DeliveryActor { webhook: self, recording_id, delivery_id, deadline };
        match advance.run(recording_id, event, &actor).await {
            Ok(Outcome::Applied(status)) => {
                let status = status.as_str();
                tracing::info!(message = logs::JOB_ADVANCED, recording.id = %recording_id, job.status = status);
                Reply::Applied
            }
            Ok(Outcome::Ignored(reason)) => {
                tracing::info!(message = logs::EVENT_IGNORED, recording.id = %recording_id, reason = reason.as_str());
                Reply::Ignored
            }
            // The wake-up advances the job. The sender's next delivery would advance it as well.
            Ok(Outcome::Waiting { retry_at }) => {
                self.schedule_wake(recording_id, retry_at, delivery_id).await;
                ask_to_retry(retry_at, Reply::Applied)
            }
            Ok(Outcome::Busy { retry_at }) => ask_to_retry(retry_at, Reply::Ignored),
            Err(AdvanceError { error, .. }) => {
                tracing::error!(message = logs::JOB_NOT_SAVED, recording.id = %recording_id, error = %Chain(&error));
                Reply::RetryAfter(FAILURE_RETRY_AFTER)
            }
        }
    }

    /// Puts the event on the work queue, for the transcript function.
    async fn enqueue(&self, recording_id: RecordingId, event: Event, delivery_id: &str) -> Result<(), QueueError> {
        let sent = self.clients.work.send(&Message::new(recording_id, event, delivery_id)).await;
        if let Err(error) = &sent {
            tracing::error!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(error));
        }
        sent
    }

    /// Puts a delayed wake-up on the work queue. If that fails, the sweep wakes the job: its row says when it is due.
    async fn schedule_wake(&self, recording_id: RecordingId, retry_at: Timestamp, delivery_id: &str) {
        let delay = retry_at.since(time::now());
        if let Err(error) = self.clients.work.wake_after(recording_id, delay, delivery_id).await {
            tracing::error!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(&error));
        }
    }

    /// Keeps a signed body that cannot be read, whole and with the reason, on the dead-letter queue.
    async fn move_to_dead_letters(&self, verified: Verified<'_>, delivery_id: &str, why: &str) -> Reply {
        match self.dead_letters.park(delivery_id, verified.body, why).await {
            Ok(()) => {
                tracing::error!(
                    message = logs::WEBHOOK_PARKED,
                    delivery.id = delivery_id,
                    bytes = verified.body.len(),
                    why
                );
                metrics::WEBHOOKS_PARKED.count();
                Reply::Parked
            }
            Err(error) => {
                tracing::error!(message = logs::WEBHOOK_NOT_PARKED, delivery.id = delivery_id, error = %Chain(&error));
                Reply::RetryAfter(FAILURE_RETRY_AFTER)
            }
        }
    }
}

/// Carries out the core's commands for one delivery.
struct DeliveryActor<'a> {
    webhook: &'a Webhook,
    recording_id: RecordingId,
    delivery_id: &'a str,
    deadline: Deadline,
}

impl Act for DeliveryActor<'_> {
    async fn act(&self, command: Command) -> Answer {
        let Self { webhook, recording_id, delivery_id, deadline } = *self;
        match command {
            Command::Create { attempt, provider, language, claim } => {
                let spec = AttemptSpec { recording_id, attempt, provider: &provider, language: language.as_deref() };
                let answer = webhook.clients.create_transcript(spec, delivery_id, deadline).await;
                Answer::Create { attempt, claim, answer }
            }
            Command::LookUp { attempt, claim } => {
                Answer::LookUp { attempt, claim, answer: webhook.clients.look_up(recording_id, deadline).await }
            }
            Command::ReadRecording { claim } => {
                let answer = webhook.clients.read_recording(recording_id, deadline).await;
                Answer::ReadRecording { claim, answer }
            }
            // `Wake` puts a wake-up on the work queue. The core gives the other commands only to the transcript
            // function (`worker: false` above). If it ever gave one to this function, a wake-up would be the right
            // answer as well: it makes the transcript function continue the job.
            Command::List
            | Command::Copy { .. }
            | Command::Render { .. }
            | Command::FollowUp { .. }
            | Command::Delete { .. }
            | Command::Announce { .. }
            | Command::Wake => {
                Answer::Wake { sent: webhook.enqueue(recording_id, Event::WAKE, delivery_id).await.is_ok() }
            }
        }
    }
}

impl Reply {
    /// The name for logs and for the body of the answer.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
            Self::Refused(_) | Self::MethodNotAllowed | Self::TooLarge => "refused",
            Self::RetryAfter(_) => "retry_later",
        }
    }
}

/// Asks the sender to deliver again if the job can continue soon. For a longer wait it returns `otherwise`, a 200:
/// Recall disables an endpoint that fails for days. The event is in the row, and a wake-up or the sweep continues the
/// job.
fn ask_to_retry(retry_at: Timestamp, otherwise: Reply) -> Reply {
    let after = retry_at.since(time::now());
    if after > MAX_DELAY { otherwise } else { Reply::RetryAfter(after) }
}

/// Logs and counts a refused request.
fn refuse(reason: &'static str, body: &[u8], reply: Reply) -> Reply {
    tracing::warn!(message = logs::WEBHOOK_REFUSED, reason, bytes = body.len());
    metrics::WEBHOOKS_REFUSED.count(reason);
    reply
}

fn response(reply: &Reply) -> Response<Body> {
    let error_body = |text: &str| serde_json::json!({"error": text});
    let outcome_body = || serde_json::json!({"outcome": reply.outcome()});
    let (status, body) = match reply {
        Reply::Applied | Reply::Ignored | Reply::Parked => (StatusCode::OK, outcome_body()),
        Reply::Refused(refusal) => (StatusCode::UNAUTHORIZED, error_body(&refusal.to_string())),
        Reply::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, error_body("this URL accepts only POST requests")),
        Reply::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, error_body("the body is larger than 1 MiB")),
        Reply::RetryAfter(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            error_body("the delivery is not processed yet; send it again after the time in Retry-After"),
        ),
    };
    let mut response = Response::new(Body::Text(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    match reply {
        Reply::RetryAfter(after) => {
            let seconds = after.as_millis().div_ceil(1000).max(1);
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from(u32::try_from(seconds).unwrap_or(u32::MAX)));
        }
        Reply::MethodNotAllowed => {
            headers.insert(header::ALLOW, header::HeaderValue::from_static("POST"));
        }
        Reply::Applied | Reply::Ignored | Reply::Parked | Reply::Refused(_) | Reply::TooLarge => {}
    }
    response
}
