//! create_transcript: its checks and its effects.

use std::sync::Arc;

use axum::{
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    answers::{self, Id},
    artifacts::{self, PROVIDERS},
    clock::now,
    faults::Plan,
    idempotency::idempotency_key,
    model::Model,
    state::{Metadata, Progress, Status, Transcript},
};
use crate::wire::lock;

const METADATA_VALUE_CHARACTERS: usize = 500;

/// A request for a transcript.
pub(super) struct Order {
    pub(super) provider: Metadata,
    pub(super) diarization: Value,
    pub(super) metadata: Metadata,
    pub(super) idempotency_key: Option<String>,
}

/// `POST /api/v1/recording/{id}/create_transcript/`
pub(super) async fn create(
    Shared(model): Shared<Arc<Model>>,
    Id(recording): Id,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bot = match lock(&model.state).recordings.get(&recording) {
        Some(found) if found.progress.status != Status::Deleted => found.bot,
        _ => return answers::not_found(),
    };
    let scope = format!("create_transcript {}", bot.unwrap_or(recording));
    if let Err(seconds) = model.throttle.admit(scope, model.limits.creates_per_minute, model.clock) {
        return answers::throttled(seconds);
    }
    let order = match parse(&body, idempotency_key(&headers)) {
        Ok(order) => order,
        Err(problem) => return answers::json(StatusCode::BAD_REQUEST, &problem),
    };
    let (transcript, plan) = match model.create(recording, order, true) {
        Ok(created) => created,
        Err(refusal) => return refusal.answer(),
    };
    let artifact = {
        let state = lock(&model.state);
        let Some(transcript) = state.transcripts.get(&transcript) else { return answers::not_found() };
        artifacts::transcript(&state, transcript, None)
    };
    if plan.done_before_answer
        && let Some(message) = model.finish(transcript, plan.sub_code.map_or(Ok(()), Err))
    {
        model.answered(&message).await;
    }
    model.clock.sleep(plan.answer_takes).await;
    answers::json(StatusCode::OK, &artifact)
}

/// Why there is no new transcript. Only the status of the limit is documented, and none of the bodies.
#[derive(Debug)]
pub(super) enum Refusal {
    NoRecording,
    NotDone,
    NoMedia,
    Limit(usize),
}

impl Refusal {
    fn answer(self) -> Response {
        let (code, detail) = match self {
            Self::NoRecording => return answers::not_found(),
            Self::NotDone => ("recording_not_done", "The recording is not done.".to_owned()),
            Self::NoMedia => ("recording_not_transcribable", "The recording has neither video nor audio.".to_owned()),
            Self::Limit(limit) => (
                "transcript_limit_reached",
                format!("This recording has {limit} transcripts. Delete some of them before creating another."),
            ),
        };
        answers::coded(StatusCode::BAD_REQUEST, code, &detail)
    }
}

impl Model {
    /// Starts a transcription. `paid` means that the pipeline requested it through the API.
    pub(super) fn create(self: &Arc<Self>, recording: Uuid, order: Order, paid: bool) -> Result<(Uuid, Plan), Refusal> {
        let (id, duration) = {
            let mut state = lock(&self.state);
            let found = state.recordings.get(&recording).ok_or(Refusal::NoRecording)?;
            match found.progress.status {
                Status::Done => {}
                Status::Deleted => return Err(Refusal::NoRecording),
                Status::Processing | Status::Failed => return Err(Refusal::NotDone),
            }
            if !found.has_media {
                return Err(Refusal::NoMedia);
            }
            let statuses: Vec<Status> = state.transcripts_of(found).map(|one| one.progress.status).collect();
            let exist = statuses.iter().filter(|status| **status != Status::Deleted).count();
            let failed = statuses.iter().filter(|status| **status == Status::Failed).count();
            let counted = if self.limits.failed_transcripts_count { exist } else { exist - failed };
            if counted >= self.limits.transcripts_per_recording {
                return Err(Refusal::Limit(counted));
            }
            if exist >= self.limits.attempts_per_recording {
                return Err(Refusal::Limit(exist));
            }
            let duration = found.duration;
            let (id, place) = (state.id(), state.next());
            let transcript = Transcript {
                id,
                order: place,
                recording,
                created_at: now(),
                created: Instant::now(),
                progress: Progress::now(Status::Processing, None),
                metadata: order.metadata,
                provider: order.provider,
                diarization: order.diarization,
                idempotency_key: order.idempotency_key,
            };
            state.transcripts.insert(id, transcript);
            if let Some(found) = state.recordings.get_mut(&recording) {
                found.transcripts.push(id);
                found.creates += usize::from(paid);
            }
            (id, duration)
        };
        let plan = self.faults.plan(recording, id);
        self.changed();
        self.announce_transcript(id);
        if !plan.endless && !plan.done_before_answer {
            let outcome = plan.sub_code.clone().map_or(Ok(()), Err);
            let hours = duration.as_secs_f64() / 3600.0;
            let takes = self.limits.transcription + self.limits.transcription_per_hour.mul_f64(hours);
            let model = self.clone();
            self.spawn(async move {
                model.clock.sleep(takes).await;
                model.finish(id, outcome);
            });
        }
        Ok((id, plan))
    }
}

/// Returns the order in a body, or the validation error.
fn parse(body: &[u8], idempotency_key: Option<String>) -> Result<Order, Value> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| json!({"code": "parse_error", "detail": format!("JSON parse error - {error}")}))?;
    let Value::Object(mut body) = body else {
        return Err(json!({"non_field_errors": ["Invalid data. Expected a dictionary."]}));
    };
    let mut problems = Metadata::new();
    let provider = match body.remove("provider") {
        None => Err(json!(["This field is required."])),
        Some(Value::Null) => Err(json!(["This field may not be null."])),
        Some(Value::Object(provider)) => providers(provider),
        Some(_) => Err(json!(["Invalid data. Expected a dictionary."])),
    };
    let provider = provider.unwrap_or_else(|problem| {
        problems.insert("provider".to_owned(), problem);
        Metadata::new()
    });
    let diarization = body.remove("diarization").unwrap_or_default();
    let separate = diarization.get("use_separate_streams_when_available");
    if !(diarization.is_null() || diarization.is_object()) {
        problems.insert("diarization".to_owned(), json!(["Invalid data. Expected a dictionary."]));
    } else if separate.is_some_and(|flag| !flag.is_boolean()) {
        let problem = json!({"use_separate_streams_when_available": ["Must be a valid boolean."]});
        problems.insert("diarization".to_owned(), problem);
    }
    let diarization = if diarization.is_object() {
        json!({"use_separate_streams_when_available": separate.and_then(Value::as_bool).unwrap_or_default()})
    } else {
        Value::Null
    };
    let metadata = metadata(body.remove("metadata")).unwrap_or_else(|problem| {
        problems.insert("metadata".to_owned(), problem);
        Metadata::new()
    });
    if problems.is_empty() {
        Ok(Order { provider, diarization, metadata, idempotency_key })
    } else {
        Err(Value::Object(problems))
    }
}

fn providers(mut provider: Metadata) -> Result<Metadata, Value> {
    provider.retain(|_, options| !options.is_null());
    if provider.is_empty() {
        return Err(json!(["A provider is required."]));
    }
    let unknown = provider.keys().find(|name| !PROVIDERS.contains(&name.as_str()));
    if let Some(unknown) = unknown {
        return Err(json!({unknown: ["This is not an async provider."]}));
    }
    match provider.iter().find(|(_, options)| !options.is_object()) {
        Some((name, _)) => Err(json!({name: ["Invalid data. Expected a dictionary."]})),
        None => Ok(provider),
    }
}

/// Checks custom metadata: strings or nulls, and no value that is too long.
pub(super) fn metadata(value: Option<Value>) -> Result<Metadata, Value> {
    let map = match value {
        None | Some(Value::Null) => return Ok(Metadata::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(json!(["Expected a dictionary of items."])),
    };
    let mut problems = Metadata::new();
    for (key, value) in &map {
        match value {
            Value::Null => {}
            Value::String(text) if text.chars().count() <= METADATA_VALUE_CHARACTERS => {}
            Value::String(_) => {
                let problem = format!("Ensure this field has no more than {METADATA_VALUE_CHARACTERS} characters.");
                problems.insert(key.clone(), json!([problem]));
            }
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                problems.insert(key.clone(), json!(["Not a valid string."]));
            }
        }
    }
    if problems.is_empty() { Ok(map) } else { Err(Value::Object(problems)) }
}
