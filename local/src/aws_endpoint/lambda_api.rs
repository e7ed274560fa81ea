//! Lambda's API, as far as a command needs it to pause the functions and to see how they are set up.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::answers::{Protocol, not_available, refusal};
use crate::lambda::{EventSource, EventSourceConfig, Flow, Function, MEMORY_MB};

/// Variables that hold a secret. In AWS the functions do not have them: they have RECALL_SECRET_ID.
const SECRETS: [&str; 2] = ["RECALL_API_KEY", "RECALL_WEBHOOK_SECRETS"];

/// What a command can see and change.
#[derive(Clone, Debug)]
pub(crate) struct LambdaApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    functions: Vec<Function>,
    mapping: Mapping,
    started_at: OffsetDateTime,
}

/// The event source that feeds a function from a queue.
#[derive(Debug)]
struct Mapping {
    id: Uuid,
    flow: Flow,
    queue_arn: String,
    function_arn: String,
    config: EventSourceConfig,
}

impl LambdaApi {
    /// `source` feeds `fed`, which is one of the functions, from the queue.
    pub(crate) fn new(
        functions: Vec<Function>,
        fed: &Function,
        source: &EventSource,
        config: EventSourceConfig,
        queue_arn: String,
    ) -> LambdaApi {
        let mapping = Mapping { id: source.id(), flow: source.flow(), queue_arn, function_arn: fed.arn(), config };
        LambdaApi(Arc::new(Inner { functions, mapping, started_at: OffsetDateTime::now_utc() }))
    }

    /// Finds a function by its name, its ARN, or `ACCOUNT:function:NAME`.
    fn function(&self, name: &str) -> Result<&Function, Refused> {
        let short = name.rsplit_once("function:").map_or(name, |(_, short)| short);
        let found = self.0.functions.iter().find(|function| function.name() == short);
        found.ok_or_else(|| Refused::NotFound(format!("Function not found: {name}")))
    }
}

pub(super) fn router(api: LambdaApi) -> Router {
    let concurrency = get(unknown).put(reserve).delete(lift);
    Router::new()
        // Lambda has the same path in two versions of its API.
        .route("/2017-10-31/functions/{name}/concurrency", concurrency)
        .route("/2019-09-30/functions/{name}/concurrency", get(reserved))
        .route("/2015-03-31/functions/{name}/configuration", get(configuration))
        .route("/2015-03-31/event-source-mappings/{id}", get(mapping).put(set_mapping))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(api)
}

async fn unknown(request: Request) -> Response {
    not_available(Protocol::Json, &format!("lambda: {} {}", request.method(), request.uri().path()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reserve {
    reserved_concurrent_executions: usize,
}

async fn reserve(State(api): State<LambdaApi>, Path(name): Path<String>, body: Bytes) -> Result<Response, Refused> {
    let function = api.function(&name)?;
    let Reserve { reserved_concurrent_executions } = read(&body, "ReservedConcurrentExecutions")?;
    function.reserve(Some(reserved_concurrent_executions));
    Ok(json_answer(StatusCode::OK, &concurrency(function)))
}

async fn lift(State(api): State<LambdaApi>, Path(name): Path<String>) -> Result<Response, Refused> {
    api.function(&name)?.reserve(None);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reserved(State(api): State<LambdaApi>, Path(name): Path<String>) -> Result<Response, Refused> {
    Ok(json_answer(StatusCode::OK, &concurrency(api.function(&name)?)))
}

/// Without a limit, the answer is `{}`.
fn concurrency(function: &Function) -> Value {
    function.reserved().map_or_else(|| json!({}), |most| json!({"ReservedConcurrentExecutions": most}))
}

async fn configuration(State(api): State<LambdaApi>, Path(name): Path<String>) -> Result<Response, Refused> {
    let function = api.function(&name)?;
    let config = function.config();
    let variables: Map<String, Value> = config
        .env
        .iter()
        .filter(|(name, _)| !SECRETS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    // Lambda writes this time in a form of its own.
    let (started_at, (hour, minute, second, ms)) = (api.0.started_at, api.0.started_at.to_hms_milli());
    let answer = json!({
        "FunctionName": function.name(),
        "FunctionArn": function.arn(),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Description": "",
        "Timeout": config.timeout.as_secs(),
        "MemorySize": MEMORY_MB,
        "LastModified": format!("{}T{hour:02}:{minute:02}:{second:02}.{ms:03}+0000", started_at.date()),
        "Version": "$LATEST",
        "Environment": {"Variables": variables},
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    });
    Ok(json_answer(StatusCode::OK, &answer))
}

async fn mapping(State(api): State<LambdaApi>, Path(id): Path<String>) -> Result<Response, Refused> {
    Ok(json_answer(StatusCode::OK, &api.mapping(&id)?.describe(api.0.started_at)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetMapping {
    /// Other settings of the mapping cannot be changed here.
    enabled: bool,
}

async fn set_mapping(State(api): State<LambdaApi>, Path(id): Path<String>, body: Bytes) -> Result<Response, Refused> {
    let mapping = api.mapping(&id)?;
    let SetMapping { enabled } = read(&body, "Enabled")?;
    mapping.flow.set(enabled);
    Ok(json_answer(StatusCode::ACCEPTED, &mapping.describe(api.0.started_at)))
}

impl LambdaApi {
    fn mapping(&self, id: &str) -> Result<&Mapping, Refused> {
        let mapping = &self.0.mapping;
        match id == mapping.id.to_string() {
            true => Ok(mapping),
            false => Err(Refused::NotFound("The resource you requested does not exist.".to_owned())),
        }
    }
}

impl Mapping {
    /// The switch turns at once, so the states in between (`Enabling`, `Disabling`) are never seen.
    fn describe(&self, modified_at: OffsetDateTime) -> Value {
        json!({
            "UUID": self.id,
            "State": if self.flow.is_on() { "Enabled" } else { "Disabled" },
            "StateTransitionReason": "USER_INITIATED",
            "BatchSize": self.config.batch_size,
            "ScalingConfig": {"MaximumConcurrency": self.config.maximum_concurrency},
            "EventSourceArn": self.queue_arn,
            "FunctionArn": self.function_arn,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "LastModified": modified_at.unix_timestamp(),
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &Bytes, field: &'static str) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|_| Refused::Invalid { field })
}

/// Why a call has no effect.
enum Refused {
    NotFound(String),
    Invalid { field: &'static str },
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let refuse = |status, code, message: &str| refusal(Protocol::Json, status, code, message);
        match self {
            Self::NotFound(message) => refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message),
            Self::Invalid { field } => {
                let message = format!("{field} is missing or has an invalid value.");
                refuse(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message)
            }
        }
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
