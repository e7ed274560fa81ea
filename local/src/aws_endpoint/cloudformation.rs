//! CloudFormation: `DescribeStacks` of the one stack, from which a command learns the names of everything else.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::Response};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    STACK_NAME,
    answers::{Form, Protocol, escape, not_available, query_result, refusal},
};
use crate::{ACCOUNT_ID, REGION};

/// The parameters of `template.yaml` that a stack has here too: name, variable of the functions, default.
pub(super) const PARAMETERS: [(&str, &str, &str); 19] = [
    ("RecallRegion", "RECALL_REGION", REGION),
    ("RecallBaseUrl", "RECALL_BASE_URL", ""),
    ("DownloadHosts", "DOWNLOAD_HOSTS", ""),
    ("TranscriptProviders", "TRANSCRIPT_PROVIDERS", r#"[{"recallai_async": {}}]"#),
    ("TriesPerProvider", "TRIES_PER_PROVIDER", "3"),
    ("SeparateStreams", "SEPARATE_STREAMS", "false"),
    ("MaxTranscriptsPerRecording", "MAX_TRANSCRIPTS_PER_RECORDING", "10"),
    ("OnLimit", "ON_LIMIT", "stop"),
    ("CopyUnrequested", "COPY_UNREQUESTED", "true"),
    ("DeleteAfterStore", "DELETE_AFTER_STORE", "none"),
    ("Deployment", "DEPLOYMENT", ""),
    ("KeyPrefix", "KEY_PREFIX", ""),
    ("Renditions", "RENDITIONS", "jsonl,meetings,txt,md,vtt,srt,html"),
    ("MeetingFiles", "MEETING_FILES", "participants"),
    ("ProviderData", "PROVIDER_DATA", "false"),
    ("MetadataKeys", "METADATA_KEYS", ""),
    ("SweepWindowHours", "SWEEP_WINDOW_HOURS", "48"),
    ("EventBusName", "EVENT_BUS", "default"),
    ("ExpiryAlarmHours", "EXPIRY_ALARM_HOURS", "24"),
];

/// What CloudFormation says about the stack.
#[derive(Debug)]
pub(crate) struct Description {
    id: String,
    created_at: OffsetDateTime,
    parameters: Vec<(&'static str, String)>,
    outputs: Vec<(&'static str, String)>,
}

impl Description {
    /// `env` is that of the functions. As in a process, a later variable replaces an earlier one of the same name.
    pub(crate) fn new(env: &[(String, String)], outputs: Vec<(&'static str, String)>) -> Description {
        let env: BTreeMap<&str, &str> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let parameters = PARAMETERS.map(|(name, variable, default)| {
            let value = env.get(variable).copied().unwrap_or(default);
            (name, value.to_owned())
        });
        let id = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{STACK_NAME}/{}", Uuid::new_v4());
        Description { id, created_at: OffsetDateTime::now_utc(), parameters: parameters.into(), outputs }
    }

    fn xml(&self) -> String {
        let mut parameters = String::new();
        for (name, value) in &self.parameters {
            let value = escape(value);
            let _ = write!(
                parameters,
                "<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>"
            );
        }
        let mut outputs = String::new();
        for (name, value) in &self.outputs {
            let value = escape(value);
            let _ = write!(outputs, "<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>");
        }
        let created_at = self.created_at.format(&Rfc3339).unwrap_or_default();
        format!(
            "<Stacks><member><StackId>{}</StackId><StackName>{STACK_NAME}</StackName>\
             <CreationTime>{created_at}</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
             <DisableRollback>false</DisableRollback><EnableTerminationProtection>false</EnableTerminationProtection>\
             <Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs><Tags/></member></Stacks>",
            self.id
        )
    }
}

pub(super) fn router(description: Description) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(description))
}

async fn answer(State(description): State<Arc<Description>>, body: Bytes) -> Response {
    let form = Form::read(&body);
    match (form.action(), form.get("StackName")) {
        ("DescribeStacks", Some(name)) if name != STACK_NAME && name != description.id => {
            let message = format!("Stack with id {name} does not exist");
            refusal(Protocol::Query, StatusCode::BAD_REQUEST, "ValidationError", &message)
        }
        ("DescribeStacks", _) => query_result("DescribeStacks", &description.xml()),
        (other, _) => not_available(Protocol::Query, &format!("cloudformation:{other}")),
    }
}
