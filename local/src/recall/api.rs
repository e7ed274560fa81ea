//! Recall's HTTP API, as far as a pipeline for async transcripts needs it.

use std::sync::Arc;

use axum::{
    Router,
    extract::State as Shared,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    access,
    answers::{self, Id},
    artifacts::{self, Look},
    create, download,
    faults::{BotFault, Url},
    list,
    meeting::MeetingFile,
    model::Model,
    routes,
    state::Status,
};
use crate::wire::lock;

/// A request passes the firewall, the key, the idempotency key, and the rate limit, in this order. A request without a
/// route is answered before all of them, as Django does. A download needs only its token.
pub(super) fn router(model: Arc<Model>) -> Router {
    Router::new()
        .route(routes::CREATE_TRANSCRIPT, post(create::create))
        .route(routes::TRANSCRIPTS, get(list::transcripts))
        .route("/api/v1/transcript/{id}/", get(retrieve_transcript).patch(patch_transcript).delete(delete_transcript))
        .route(routes::RECORDINGS, get(list::recordings))
        .route("/api/v1/recording/{id}/", get(retrieve_recording).delete(delete_recording))
        .route("/api/v1/bot/{id}/", get(retrieve_bot))
        .route("/api/v1/bot/{id}/delete_media/", post(delete_media))
        .method_not_allowed_fallback(answers::wrong_method)
        .route_layer(from_fn_with_state(model.clone(), access::throttle))
        .route_layer(from_fn_with_state(model.clone(), access::once))
        .route_layer(from_fn_with_state(model.clone(), access::authenticate))
        .route_layer(from_fn(access::firewall))
        .route(routes::DOWNLOAD, get(download::by_token))
        .fallback(answers::no_route)
        .with_state(model)
}

async fn retrieve_transcript(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    let state = lock(&model.state);
    let Some(transcript) = state.transcript(id, &model.limits) else { return answers::not_found() };
    let mut urls = model.urls(transcript);
    if let Some(urls) = &mut urls {
        match model.faults.url(transcript.recording, transcript.id) {
            Url::Right => {}
            Url::Null => urls.transcript = None,
            Url::Elsewhere => urls.transcript = urls.transcript.take().map(|url| model.elsewhere(&url)),
            Url::OnApiHost => urls.transcript = Some(model.api_host_url("transcript", transcript.id)),
        }
        if let Some(url) = urls.provider_data.take() {
            let file = MeetingFile::ProviderData;
            let fault = model.faults.strike_url(transcript.recording, transcript.id, file);
            urls.provider_data = model.disturbed_url(url, fault, || model.api_host_url(file.name(), transcript.id));
        }
    }
    let artifact = artifacts::transcript(&state, transcript, urls);
    answers::json(StatusCode::OK, &model.faults.transcript_shown(transcript.recording, id, artifact))
}

/// Only the metadata can be changed. Other fields are ignored.
async fn patch_transcript(Shared(model): Shared<Arc<Model>>, Id(id): Id, body: Bytes) -> Response {
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => {
            let detail = format!("JSON parse error - {error}");
            return answers::coded(StatusCode::BAD_REQUEST, "parse_error", &detail);
        }
    };
    let metadata = match body.get("metadata").map(|metadata| create::metadata(Some(metadata.clone()))) {
        None => None,
        Some(Ok(metadata)) => Some(metadata),
        Some(Err(problem)) => return answers::json(StatusCode::BAD_REQUEST, &json!({"metadata": problem})),
    };
    let mut state = lock(&model.state);
    match state.transcripts.get_mut(&id) {
        Some(transcript) if transcript.progress.status != Status::Deleted => {
            transcript.metadata = metadata.unwrap_or_else(|| transcript.metadata.clone());
        }
        _ => return answers::not_found(),
    }
    model.changed();
    let Some(transcript) = state.transcripts.get(&id) else { return answers::not_found() };
    answers::json(StatusCode::OK, &artifacts::transcript(&state, transcript, model.urls(transcript)))
}

async fn delete_transcript(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    if model.delete_transcript(id) { answers::no_content() } else { answers::not_found() }
}

async fn retrieve_recording(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    let state = lock(&model.state);
    match state.recording(id, &model.limits) {
        Some(recording) => {
            let artifact = artifacts::recording(&model, &state, recording, Look::Retrieval);
            answers::json(StatusCode::OK, &model.faults.recording_shown(id, artifact))
        }
        None => answers::not_found(),
    }
}

async fn delete_recording(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    if model.delete_recording(id) { answers::no_content() } else { answers::not_found() }
}

async fn retrieve_bot(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    let state = lock(&model.state);
    let Some(bot) = state.bots.get(&id) else { return answers::not_found() };
    let mut shown = artifacts::bot(&model, &state, bot);
    let recordings = state.recordings.values().filter(|recording| recording.bot == Some(id));
    match model.faults.strike_bot(&recordings.map(|recording| recording.id).collect::<Vec<_>>()) {
        None => {}
        Some(BotFault::NotFound) => return answers::not_found(),
        Some(BotFault::Throttled { retry_after }) => return answers::throttled(retry_after),
        Some(BotFault::Broken) => return answers::broken(),
        Some(BotFault::NoMeetingUrl) => shown["meeting_url"] = Value::Null,
        Some(BotFault::TextForMeetingUrl) => shown["meeting_url"] = "https://zoom.us/j/5051?pwd=secret".into(),
        Some(BotFault::NoPlatform) => {
            shown["meeting_url"].as_object_mut().map(|fields| fields.remove("platform"));
        }
    }
    answers::json(StatusCode::OK, &shown)
}

/// Deletes all media of a bot, or answers 409 if they are already deleted. The body of the success is not documented.
async fn delete_media(Shared(model): Shared<Arc<Model>>, Id(id): Id) -> Response {
    let recordings: Vec<_> = {
        let state = lock(&model.state);
        if !state.bots.contains_key(&id) {
            return answers::not_found();
        }
        state.recordings.values().filter(|recording| recording.bot == Some(id)).map(|recording| recording.id).collect()
    };
    // This does not use `any`, because every recording must be deleted, not only the first.
    let deleted = recordings.into_iter().filter(|recording| model.delete_recording(*recording)).count();
    if deleted == 0 {
        return answers::coded(StatusCode::CONFLICT, "conflict", "The media of this bot is already deleted.");
    }
    answers::json(StatusCode::OK, &json!({}))
}
