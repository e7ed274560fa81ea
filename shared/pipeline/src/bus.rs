//! The event bus, on which the outcome of each recording is announced to other programs.

use aws_sdk_eventbridge::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_events::{PutEventsError, PutEventsOutput},
    types::PutEventsRequestEntry,
};
use serde::Serialize;

/// The source of all our events. The rules of listeners match it.
pub const SOURCE: &str = "recall-transcripts";
/// The largest entry. EventBridge itself now accepts 1 MB, but many of its targets, such as SNS, do not.
const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// The codes of temporary failures, which say nothing about the event.
const TEMPORARY_CODES: [&str; 3] = ["InternalException", "InternalFailure", "ThrottlingException"];

#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// Why an event was not announced, as far as we know. An error has only the code of a refusal, because EventBridge's
/// messages may quote the detail of the event.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Announce the event again. It may be on the bus already; listeners recognize a repeat by its `detail.id`.
    #[error("EventBridge PutEvents failed and can be repeated")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// EventBridge will refuse this event until the operator changes a permission or we change the event.
    #[error("the event bus refused the event: {code}")]
    Refused { code: String },
    /// The event was not sent, and it can never be sent.
    #[error("the event has {bytes} bytes, but at most {MAX_ENTRY_BYTES} are allowed")]
    TooLarge { bytes: usize },
    /// The event was not sent, and it can never be sent.
    #[error("the event could not be written as JSON")]
    Unwritable(#[source] serde_json::Error),
}

impl Bus {
    /// `name` is the name of the bus or its ARN. EventBridge does not say whether the bus exists: it accepts events for
    /// any name and drops the events for a bus that does not exist.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Announces one event at least once: the SDK sends it again if the answer is lost. `detail` must be an object.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn put(&self, detail_type: &str, detail: &impl Serialize) -> Result<(), BusError> {
        let detail = serde_json::to_string(detail).map_err(BusError::Unwritable)?;
        // EventBridge counts these parts of an entry that has neither a time nor resources.
        let bytes = SOURCE.len() + detail_type.len() + detail.len();
        if bytes > MAX_ENTRY_BYTES {
            return Err(BusError::TooLarge { bytes });
        }
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail)
            .build();
        match self.client.put_events().entries(entry).send().await {
            Ok(output) => check_entry(&output),
            Err(error) => Err(failed_call(error)),
        }
    }
}

/// Checks that EventBridge accepted the entry. The status is 200 even if it did not.
fn check_entry(output: &PutEventsOutput) -> Result<(), BusError> {
    let entry = output.entries().first();
    match entry.and_then(|entry| entry.error_code()) {
        Some(code) => Err(refused_entry(code.to_owned(), false)),
        None if output.failed_entry_count() == 0 && entry.is_some_and(|entry| entry.event_id().is_some()) => Ok(()),
        None => Err(BusError::Unavailable("the answer has neither the id of an event nor an error code".into())),
    }
}

fn failed_call(error: SdkError<PutEventsError, HttpResponse>) -> BusError {
    if let SdkError::ServiceError(answer) = &error {
        let status = answer.raw().status();
        let code = answer.err().code().map_or_else(|| format!("HTTP {}", status.as_u16()), str::to_owned);
        return refused_entry(code, status.is_server_error() || status.as_u16() == 429);
    }
    BusError::Unavailable(error.into_source().unwrap_or_else(|error| Box::new(error)))
}

fn refused_entry(code: String, is_temporary: bool) -> BusError {
    if is_temporary || TEMPORARY_CODES.contains(&code.as_str()) {
        BusError::Unavailable(code.into())
    } else {
        BusError::Refused { code }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::{error::ErrorMetadata, types::PutEventsResultEntry};

    use super::*;
    use crate::telemetry::Chain;

    fn answered(status: u16, code: Option<&str>) -> BusError {
        let meta = ErrorMetadata::builder().message("Value '[detail={\"speaker\": \"Ada\"}]' at 'entries' failed");
        let meta = if let Some(code) = code { meta.code(code) } else { meta }.build();
        let response = HttpResponse::new(status.try_into().expect("a status"), "Ada".into());
        failed_call(SdkError::service_error(PutEventsError::generic(meta), response))
    }

    #[test]
    fn error_says_whether_to_repeat_the_call_and_quotes_nothing() {
        for (status, code, is_temporary, shown) in [
            (400, Some("ThrottlingException"), true, "ThrottlingException"),
            (500, Some("InternalException"), true, "InternalException"),
            (503, None, true, "HTTP 503"),
            (429, None, true, "HTTP 429"),
            (400, Some("ValidationException"), false, "ValidationException"),
            (400, Some("AccessDeniedException"), false, "AccessDeniedException"),
            (413, None, false, "HTTP 413"),
        ] {
            let error = answered(status, code);
            assert_eq!(matches!(error, BusError::Unavailable(_)), is_temporary, "{error:?}");
            assert!(Chain(&error).to_string().ends_with(shown), "{error:?}");
            assert!(!format!("{error:?} {}", Chain(&error)).contains("Ada"), "{error:?}");
        }
    }

    #[test]
    fn event_is_on_the_bus_only_if_the_answer_has_its_id() {
        let output = |count, entry: Option<PutEventsResultEntry>| {
            PutEventsOutput::builder().failed_entry_count(count).set_entries(entry.map(|entry| vec![entry])).build()
        };
        let entry = PutEventsResultEntry::builder;
        check_entry(&output(0, Some(entry().event_id("1").build()))).expect("EventBridge accepted it");
        for (count, entry, is_temporary) in [
            (0, None, true),
            (0, Some(entry().build()), true),
            (1, Some(entry().event_id("1").build()), true),
            (1, Some(entry().error_code("InternalFailure").build()), true),
            (1, Some(entry().error_code("ThrottlingException").build()), true),
            (1, Some(entry().error_code("NotAuthorizedForSourceException").error_message("Ada").build()), false),
            (0, Some(entry().event_id("1").error_code("InvalidArgument").build()), false),
        ] {
            let error = check_entry(&output(count, entry)).expect_err("EventBridge did not accept it");
            assert_eq!(matches!(error, BusError::Unavailable(_)), is_temporary, "{error:?}");
            assert!(!format!("{error:?}").contains("Ada"), "{error:?}");
        }
    }
}
