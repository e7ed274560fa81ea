//! create_transcript: the only call that costs money.

use std::{borrow::Cow, time::Duration};

use job::{CreateAnswer, ids::RecordingId};
use reqwest::{Client, Response, header};
use serde::Serialize;
use serde_json::value::RawValue;
use url::Url;

use super::{
    Problem, Recall,
    artifact::{Created, ErrorBody},
    read_body, retry_after,
};
use crate::{
    logs, metrics,
    settings::CreateSettings,
    telemetry::Chain,
    time::{self, Stopwatch},
};

/// The parameters of one paid call.
#[derive(Clone, Debug)]
pub struct Create<'a> {
    pub recording_id: RecordingId,
    pub attempt: u32,
    /// The `provider` object of the request.
    pub provider: Cow<'a, RawValue>,
    pub separate_streams: bool,
    /// The delivery that led to the call. It helps people to find the cause.
    pub delivery_id: &'a str,
    /// The call ends within this time, answered or not.
    pub timeout: Duration,
}

/// The attempt that the core wants to pay for.
#[derive(Clone, Copy, Debug)]
pub struct AttemptSpec<'a> {
    pub recording_id: RecordingId,
    pub attempt: u32,
    /// The name of a provider of the chain.
    pub provider: &'a str,
    pub language: Option<&'a str>,
}

impl<'a> Create<'a> {
    /// Builds the paid call for one attempt. If the chain has changed since the attempt began and no longer has the
    /// provider, the first provider replaces it.
    pub fn new(settings: &'a CreateSettings, spec: AttemptSpec<'_>, delivery_id: &'a str, timeout: Duration) -> Self {
        let AttemptSpec { recording_id, attempt, provider, language } = spec;
        // Each setting is named, so that a new one does not compile until it is used here, or left out on purpose.
        let CreateSettings { providers, separate_streams, policy: _ } = settings;
        let (separate_streams, named) = (*separate_streams, providers.iter().find(|known| known.name == provider));
        let provider = named.unwrap_or(&providers[0]).body_for(language);
        Self { recording_id, attempt, provider, separate_streams, delivery_id, timeout }
    }
}

impl Create<'_> {
    fn body(&self, deployment: Option<&str>) -> serde_json::Result<String> {
        let separate_streams = Diarization { use_separate_streams_when_available: true };
        serde_json::to_string(&CreateBody {
            provider: &self.provider,
            diarization: self.separate_streams.then_some(separate_streams),
            metadata: Metadata {
                job: self.recording_id,
                attempt: self.attempt.to_string(),
                trace: self.delivery_id,
                deployment,
            },
        })
    }

    /// Recall tells keys apart by their text, the path, and the user of the API key. Two deployments may share a user,
    /// so the key also names the deployment.
    fn idempotency_key(&self, deployment: Option<&str>) -> String {
        let Self { recording_id, attempt, .. } = self;
        match deployment {
            Some(deployment) => format!("{recording_id}:{attempt}:{deployment}"),
            None => format!("{recording_id}:{attempt}"),
        }
    }
}

/// The JSON of the request. `provider` is the operator's text, byte for byte.
#[derive(Serialize)]
struct CreateBody<'a> {
    provider: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    diarization: Option<Diarization>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Diarization {
    use_separate_streams_when_available: bool,
}

/// The metadata that Recall repeats in every webhook and list. Recall accepts only text values of at most 500
/// characters.
#[derive(Serialize)]
struct Metadata<'a> {
    job: RecordingId,
    attempt: String,
    trace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'a str>,
}

async fn read_answer(response: Response) -> CreateAnswer {
    let status = response.status().as_u16();
    let stated = retry_after(response.headers(), time::now());
    match status {
        200..300 => match read_body(response).await.ok().and_then(|body| serde_json::from_slice::<Created>(&body).ok())
        {
            Some(created) => CreateAnswer::Created { transcript_id: created.id },
            // The transcript was created, but only a look-up can tell its id.
            None => {
                tracing::error!(message = logs::CREATE_TRANSCRIPT_ANSWER_NOT_READ, status);
                CreateAnswer::ServerError { after: Duration::ZERO }
            }
        },
        408 => CreateAnswer::Lost,
        409 => CreateAnswer::InProgress,
        425 | 429 => CreateAnswer::Throttled { after: stated.unwrap_or_default() },
        400..500 => match ErrorBody::read(response).await {
            // The API answers in JSON, so this is the page of a firewall or of another server.
            body if !body.is_json => CreateAnswer::Operator { status },
            body => CreateAnswer::Refused { status, code: body.code() },
        },
        500.. => CreateAnswer::ServerError { after: stated.unwrap_or_default() },
        // Recall's API does not redirect a POST, so the base URL is not that of the API.
        status => CreateAnswer::Operator { status },
    }
}

impl Recall {
    /// Calls create_transcript once. The call costs money, so it is not repeated here unless Recall rejected the key.
    pub async fn create_transcript(&self, create: Create<'_>) -> CreateAnswer {
        let watch = Stopwatch::start();
        let answer = self.send_create(&create).await;
        tracing::info!(
            message = logs::CREATE_TRANSCRIPT_ANSWERED,
            recording.id = %create.recording_id,
            attempt = create.attempt,
            answer = ?answer,
            duration_ms = watch.millis(),
        );
        metrics::CREATES_SENT.count(answer.as_str());
        answer
    }

    async fn send_create(&self, create: &Create<'_>) -> CreateAnswer {
        let path = format!("api/v1/recording/{}/create_transcript/", create.recording_id);
        let Ok(body) = create.body(self.deployment()) else { return CreateAnswer::Lost };
        let request = |http: &Client, url: Url| {
            http.post(url)
                .header("idempotency-key", create.idempotency_key(self.deployment()))
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone())
        };
        let response = match self.send(&path, create.timeout, request).await {
            Ok(response) => response,
            Err(Problem::Later { source: Some(error), .. }) => {
                tracing::warn!(
                    message = logs::CREATE_TRANSCRIPT_NOT_ANSWERED,
                    recording.id = %create.recording_id,
                    attempt = create.attempt,
                    error = %Chain(&error),
                );
                return CreateAnswer::Lost;
            }
            Err(Problem::Operator { status }) => return CreateAnswer::Operator { status },
            Err(problem) => {
                tracing::warn!(
                    message = logs::CREATE_TRANSCRIPT_NOT_SENT,
                    recording.id = %create.recording_id,
                    attempt = create.attempt,
                    error = %Chain(&problem),
                );
                return CreateAnswer::Lost;
            }
        };
        read_answer(response).await
    }
}
