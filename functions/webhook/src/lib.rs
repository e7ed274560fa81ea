//! The function behind the public URL: verify · parse · advance or hand over · answer.
//!
//! A delivery is answered 2xx only once what it says is durable: in the jobs table or on a queue.

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

/// The largest body that is looked at. Recall's are about one KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
/// What a sender is told to wait when something of ours is out of order.
const UNAVAILABLE: Duration = Duration::from_secs(5);
/// What a sender names itself is cut to this many characters before it goes into metadata and logs.
const MAX_LOGGED_CHARS: usize = 100;

#[derive(Debug)]
pub struct Webhook {
    clients: Clients,
    dead_letters: DeadLetterQueue,
}

/// Why a delivery cannot be parsed.
#[derive(Debug)]
enum NotVerified {
    Refused(Refusal),
    /// The secrets could not be read, so the signature can be neither accepted nor refused.
    NoSecrets,
}

impl From<Refusal> for NotVerified {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the sender is told.
enum Reply {
    Applied,
    Ignored,
    Parked,
    Refused(Refusal),
    MethodNotAllowed,
    TooLarge,
    /// Nothing durable yet; send it again after this time.
    RetryAfter(Duration),
}

impl Webhook {
    /// # Errors
    /// The HTTP stack could not be set up.
    pub fn new(settings: Settings) -> Result<Self, lambda_http::Error> {
        let Settings { common, dead_letter_queue_url } = settings;
        Ok(Self {
            clients: Clients::new(&common)?,
            dead_letters: DeadLetterQueue::new(common.aws.sqs(), dead_letter_queue_url),
        })
    }

    /// Uses the full speed of the init phase for the first handshake.
    pub async fn warm_up(&self) {
        self.clients.warm_up().await;
    }

    /// The function as Lambda's runtime calls it. Whatever the event holds, it is answered.
    pub fn service(&self) -> impl Service<LambdaEvent<Envelope>, Response = impl Serialize, Error = Infallible> {
        let handler = service_fn(async |request: Request| Ok::<_, Infallible>(self.handle(request).await));
        ServiceBuilder::new().map_request(Envelope::opened).service(Adapter::from(handler))
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
            return refused("method_not_allowed", body, Reply::MethodNotAllowed);
        }
        if body.len() > MAX_BODY_BYTES {
            return refused("too_large", body, Reply::TooLarge);
        }
        let verified = match self.verify(request, body).await {
            Ok(verified) => verified,
            Err(NotVerified::Refused(refusal)) => return refused(refusal.as_str(), body, Reply::Refused(refusal)),
            Err(NotVerified::NoSecrets) => return Reply::RetryAfter(UNAVAILABLE),
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
            Delivery::Unreadable { why } => self.park(verified, &delivery_id, &why).await,
        }
    }

    async fn verify<'a>(&self, request: &'a Request, body: &'a [u8]) -> Result<Verified<'a>, NotVerified> {
        // A delivery without a usable signature is refused before the secrets are read.
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
            | Event::Render { .. } => match self.hand_over(recording_id, event, delivery_id).await {
                Ok(()) => Reply::Applied,
                Err(_) => Reply::RetryAfter(UNAVAILABLE),
            },
        };
        tracing::info!(message = logs::WEBHOOK_HANDLED, recording.id = %recording_id, delivery.id = delivery_id, event = name, outcome = reply.outcome(),
            duration_ms = watch.millis());
        reply
    }

    /// A finished recording: the paid call is made here and now.
    async fn advance(&self, recording_id: RecordingId, event: &Event, delivery_id: &str, deadline: Deadline) -> Reply {
        let advance = Advance {
            store: &self.clients.store,
            policy: &self.clients.create.policy,
            lease_until: deadline.lease_until(),
            role: Role::Webhook,
        };
        let actor = Delivered { webhook: self, recording_id, delivery_id, deadline };
        match advance.run(recording_id, event, &actor).await {
            Ok(Outcome::Applied(status)) => {
                tracing::info!(message = logs::JOB_ADVANCED, recording.id = %recording_id, job.status = status.as_str());
                Reply::Applied
            }
            Ok(Outcome::Ignored(reason)) => {
                tracing::info!(message = logs::EVENT_IGNORED, recording.id = %recording_id, reason = reason.as_str());
                Reply::Ignored
            }
            // The job goes on by itself; the sender's next try is a second way there.
            Ok(Outcome::Waiting { retry_at }) => {
                self.wake(recording_id, retry_at, delivery_id).await;
                ask_to_retry(retry_at, Reply::Applied)
            }
            Ok(Outcome::Busy { retry_at }) => ask_to_retry(retry_at, Reply::Ignored),
            Err(AdvanceError { error, .. }) => {
                tracing::error!(message = logs::JOB_NOT_SAVED, recording.id = %recording_id, error = %Chain(&error));
                Reply::RetryAfter(UNAVAILABLE)
            }
        }
    }

    async fn hand_over(&self, recording_id: RecordingId, event: Event, delivery_id: &str) -> Result<(), QueueError> {
        let sent = self.clients.work.send(&Message::new(recording_id, event, delivery_id)).await;
        if let Err(error) = &sent {
            tracing::error!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(error));
        }
        sent
    }

    /// Has the job looked at again then. If that cannot be sent, it is in the row as due, and the sweep finds it.
    async fn wake(&self, recording_id: RecordingId, at: Timestamp, delivery_id: &str) {
        if let Err(error) = self.clients.work.wake_after(recording_id, at.since(time::now()), delivery_id).await {
            tracing::error!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(&error));
        }
    }

    async fn park(&self, verified: Verified<'_>, delivery_id: &str, why: &str) -> Reply {
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
                Reply::RetryAfter(UNAVAILABLE)
            }
        }
    }
}

/// One delivery that is being worked on.
struct Delivered<'a> {
    webhook: &'a Webhook,
    recording_id: RecordingId,
    delivery_id: &'a str,
    deadline: Deadline,
}

impl Act for Delivered<'_> {
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
            // These are the transcript function's, and the core asks only that one for them.
            Command::List
            | Command::Copy { .. }
            | Command::Render { .. }
            | Command::Delete { .. }
            | Command::Announce { .. }
            | Command::Wake => {
                Answer::Wake { sent: webhook.hand_over(recording_id, Event::WAKE, delivery_id).await.is_ok() }
            }
        }
    }
}

impl Reply {
    /// The word for logs.
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

/// A sender that comes again soon is welcome. One that would be told so for hours would give up on us altogether: Recall
/// disables an endpoint that fails for days. What it says is in the row, and its time comes without the sender.
fn ask_to_retry(at: Timestamp, reply: Reply) -> Reply {
    let after = at.since(time::now());
    if after > MAX_DELAY { reply } else { Reply::RetryAfter(after) }
}

fn refused(reason: &'static str, body: &[u8], reply: Reply) -> Reply {
    tracing::warn!(message = logs::WEBHOOK_REFUSED, reason, bytes = body.len());
    metrics::WEBHOOKS_REFUSED.count(reason);
    reply
}

fn response(reply: &Reply) -> Response<Body> {
    let error = |error: &str| serde_json::json!({"error": error});
    let outcome = || serde_json::json!({"outcome": reply.outcome()});
    let (status, body) = match reply {
        Reply::Applied | Reply::Ignored | Reply::Parked => (StatusCode::OK, outcome()),
        Reply::Refused(refusal) => (StatusCode::UNAUTHORIZED, error(&refusal.to_string())),
        Reply::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, error("only POST is answered here")),
        Reply::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, error("the body is over 1 MiB")),
        Reply::RetryAfter(_) => (StatusCode::SERVICE_UNAVAILABLE, error("not taken yet; send it again")),
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
