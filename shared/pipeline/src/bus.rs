//! The event bus: tells whoever listens there what became of a recording.

use aws_sdk_eventbridge::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::put_events::{PutEventsError, PutEventsOutput},
    types::PutEventsRequestEntry,
};
use serde::Serialize;

/// The source of all our events: what the rules of listeners match.
pub const SOURCE: &str = "recall-transcripts";
/// Of one entry, in bytes. EventBridge itself takes 1 MB by now, but much of what it delivers to does not (SNS).
const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// Refusals that say nothing about the event, and pass.
const PASSING: [&str; 3] = ["InternalException", "InternalFailure", "ThrottlingException"];

#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// Why an event is not known to be on the bus. Never holds anything of its detail, which EventBridge's own messages
/// may quote: of a refusal only the code is kept.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Announce it again. It may be there already; listeners know a repeat by its `detail.id`.
    #[error("the event bus did not take the event")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same again will be refused again, until the operator changes a permission or we the event.
    #[error("the event bus refused the event: {code}")]
    Refused { code: String },
    /// It was not sent, and never can be.
    #[error("the event has {bytes} bytes, and an event may have {MAX_ENTRY_BYTES}")]
    TooLarge { bytes: usize },
    /// It was not sent, and never can be.
    #[error("the event cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
}

impl Bus {
    /// `name` is the name of the bus, or its ARN. EventBridge does not say whether it exists: it takes events for any
    /// name, and forgets those for no bus.
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Announces one event; `detail` must be an object. At least once: the SDK sends it again when the answer is lost.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn put(&self, detail_type: &str, detail: &impl Serialize) -> Result<(), BusError> {
        let detail = serde_json::to_string(detail).map_err(BusError::Unwritable)?;
        // What EventBridge counts of an entry that has neither time nor resources.
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
            Ok(output) => taken(&output),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The status is 200 even if the entry was refused.
fn taken(output: &PutEventsOutput) -> Result<(), BusError> {
    let entry = output.entries().first();
    match entry.and_then(|entry| entry.error_code()) {
        Some(code) => Err(refused(code.to_owned(), false)),
        None if output.failed_entry_count() == 0 && entry.is_some_and(|entry| entry.event_id().is_some()) => Ok(()),
        None => Err(BusError::Unavailable("the answer names neither an event nor an error".into())),
    }
}

fn failed(error: SdkError<PutEventsError, HttpResponse>) -> BusError {
    if let SdkError::ServiceError(answer) = &error {
        let status = answer.raw().status();
        let code = answer.err().code().map_or_else(|| format!("HTTP {}", status.as_u16()), str::to_owned);
        return refused(code, status.is_server_error() || status.as_u16() == 429);
    }
    BusError::Unavailable(error.into_source().unwrap_or_else(|error| Box::new(error)))
}

fn refused(code: String, passing: bool) -> BusError {
    if passing || PASSING.contains(&code.as_str()) {
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
        failed(SdkError::service_error(PutEventsError::generic(meta), response))
    }

    #[test]
    fn an_error_says_whether_to_come_again_and_quotes_nothing() {
        for (status, code, again, shown) in [
            (400, Some("ThrottlingException"), true, "ThrottlingException"),
            (500, Some("InternalException"), true, "InternalException"),
            (503, None, true, "HTTP 503"),
            (429, None, true, "HTTP 429"),
            (400, Some("ValidationException"), false, "ValidationException"),
            (400, Some("AccessDeniedException"), false, "AccessDeniedException"),
            (413, None, false, "HTTP 413"),
        ] {
            let error = answered(status, code);
            assert_eq!(matches!(error, BusError::Unavailable(_)), again, "{error:?}");
            assert!(Chain(&error).to_string().ends_with(shown), "{error:?}");
            assert!(!format!("{error:?} {}", Chain(&error)).contains("Ada"), "{error:?}");
        }
    }

    #[test]
    fn only_an_event_with_an_id_was_taken() {
        let output = |count, entry: Option<PutEventsResultEntry>| {
            PutEventsOutput::builder().failed_entry_count(count).set_entries(entry.map(|entry| vec![entry])).build()
        };
        let entry = PutEventsResultEntry::builder;
        taken(&output(0, Some(entry().event_id("1").build()))).expect("it was taken");
        for (count, entry, again) in [
            (0, None, true),
            (0, Some(entry().build()), true),
            (1, Some(entry().event_id("1").build()), true),
            (1, Some(entry().error_code("InternalFailure").build()), true),
            (1, Some(entry().error_code("ThrottlingException").build()), true),
            (1, Some(entry().error_code("NotAuthorizedForSourceException").error_message("Ada").build()), false),
            (0, Some(entry().event_id("1").error_code("InvalidArgument").build()), false),
        ] {
            let error = taken(&output(count, entry)).expect_err("it was not taken");
            assert_eq!(matches!(error, BusError::Unavailable(_)), again, "{error:?}");
            assert!(!format!("{error:?}").contains("Ada"), "{error:?}");
        }
    }
}
