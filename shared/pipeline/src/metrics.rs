//! Every metric that the functions emit: its name, its unit, and its dimensions. Tests compare this list with the
//! template's alarms and dashboard and with `docs/operating.md`.
//!
//! A metric is a line on standard output in CloudWatch's embedded format. Every value of a dimension makes a series of
//! its own and costs money, so a dimension must have few values. Each metric also has a series without dimensions,
//! because an alarm cannot add up values that it cannot name.

use std::{io::Write as _, sync::OnceLock};

use serde_json::{Map, Value, json};

use crate::{env::Env, time};

/// The CloudWatch namespace of our metrics, unless METRICS_NAMESPACE names another one.
pub const NAMESPACE: &str = "RecallTranscripts";
/// The longest namespace that CloudWatch accepts.
const MAX_NAMESPACE_BYTES: usize = 255;
/// Recall's codes are at most this long; anything longer is reported as `other`.
const MAX_CODE_BYTES: usize = 64;

/// The namespace of this process.
static CHOSEN_NAMESPACE: OnceLock<String> = OnceLock::new();

/// The unit of a metric, as CloudWatch names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Milliseconds,
    Seconds,
    Bytes,
}

/// One metric with `DIMENSIONS` dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Metric<const DIMENSIONS: usize> {
    name: &'static str,
    unit: Unit,
    dimensions: [&'static str; DIMENSIONS],
}

/// A metric as the checks of documents and of the template see it.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    pub name: &'static str,
    pub unit: Unit,
    pub dimensions: &'static [&'static str],
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $unit:ident, [$($dimension:literal),*];)*) => {
        $(
            $(#[$doc])*
            pub const $constant: Metric<{ <[&str]>::len(&[$($dimension),*]) }> =
                Metric { name: $name, unit: Unit::$unit, dimensions: [$($dimension),*] };
        )*

        /// Every metric.
        pub const ALL: &[Description] =
            &[$(Description { name: $name, unit: Unit::$unit, dimensions: &[$($dimension),*] }),*];
    };
}

metrics! {
    /// Verified events that we handle.
    WEBHOOKS_RECEIVED = "WebhooksReceived", Count, ["event"];
    /// Verified events that we do not handle.
    WEBHOOKS_UNHANDLED = "WebhooksUnhandled", Count, [];
    /// Deliveries that were refused; see `webhook::signature::Refusal` for most reasons.
    WEBHOOKS_REFUSED = "WebhooksRefused", Count, ["reason"];
    /// Verified deliveries that could not be read and went to the dead-letter queue.
    WEBHOOKS_PARKED = "WebhooksParked", Count, [];
    /// Messages that can never be handled and went to the dead-letter queue.
    MESSAGES_PARKED = "MessagesParked", Count, [];
    /// Calls of create_transcript, by the kind of answer.
    CREATES_SENT = "CreatesSent", Count, ["answer"];
    /// Our transcripts that exist at Recall, each counted once.
    TRANSCRIPTS_PAID = "TranscriptsPaid", Count, ["provider"];
    /// Our attempts that failed or were refused.
    ATTEMPTS_FAILED = "AttemptsFailed", Count, ["provider", "sub_code"];
    /// Attempts that two transcripts carry.
    ATTEMPTS_PAID_TWICE = "AttemptsPaidTwice", Count, [];
    /// Answers 401, 402 and 403 from Recall.
    RECALL_REFUSALS = "RecallRefusals", Count, [];
    /// Jobs whose recording Recall does not know, each counted once.
    RECORDINGS_UNKNOWN = "RecordingsUnknown", Count, [];
    /// Jobs that wait because every provider of the chain was refused.
    PROVIDERS_REFUSED = "ProvidersRefused", Count, [];
    /// Deletions at Recall that were given up.
    DELETIONS_STOPPED = "DeletionsStopped", Count, [];
    /// Failed reads of the secret.
    SECRET_UNAVAILABLE = "SecretUnavailable", Count, [];
    /// Complete copies.
    TRANSCRIPTS_STORED = "TranscriptsStored", Count, [];
    /// The size of a verbatim file.
    TRANSCRIPT_BYTES = "TranscriptBytes", Bytes, [];
    /// The duration of one successful copy.
    COPY_TIME = "CopyTime", Milliseconds, [];
    /// Copies that failed and are tried again.
    COPIES_FAILED = "CopiesFailed", Count, ["reason"];
    /// The time from the end of the recording, as Recall states it, to the first stored transcript.
    TIME_TO_STORED = "TimeToStored", Seconds, [];
    /// Transcripts stored without readable files, and renderings that were given up.
    RENDERING_ERRORS = "RenderingErrors", Count, [];
    /// Transcripts whose readable files were made again from the file in S3.
    TRANSCRIPTS_RENDERED_AGAIN = "TranscriptsRenderedAgain", Count, [];
    /// Recall's files about meetings that were given up.
    MEETING_FILES_FAILED = "MeetingFilesFailed", Count, ["file"];
    /// Values that S3 would not keep unchanged as object tags.
    TAGS_NOT_SET = "TagsNotSet", Count, [];
    /// Transcripts without a knowledge document, because their metadata does not fit into its sidecar.
    KNOWLEDGE_NOT_WRITTEN = "KnowledgeNotWritten", Count, [];
    /// Jobs that ended without a transcript.
    JOBS_FAILED = "JobsFailed", Count, ["status"];
    /// Recordings that are not stored and that Recall deletes soon.
    RECORDINGS_EXPIRING = "RecordingsExpiring", Count, [];
    /// Transcripts and recordings that we deleted at Recall.
    DELETED_AT_RECALL = "DeletedAtRecall", Count, ["what"];
    /// Values in transcripts of which something could not be used.
    SKIPPED_VALUES = "SkippedValues", Count, [];
    /// Copies in S3 that differ from their receipt.
    COPIES_UNVERIFIED = "CopiesUnverified", Count, [];
    /// Announcements that the event bus did not accept.
    ANNOUNCEMENTS_FAILED = "AnnouncementsFailed", Count, [];
    /// Due jobs that a run of the sweep saw. Every run records it.
    JOBS_DUE = "JobsDue", Count, [];
    /// Due jobs that a run of the sweep sent a message for.
    JOBS_WOKEN = "JobsWoken", Count, [];
    /// How long the oldest due job has been due.
    OLDEST_DUE_AGE = "OldestDueAge", Seconds, [];
    /// The time since the recording of the oldest unfinished job was done.
    OLDEST_UNFINISHED_AGE = "OldestUnfinishedAge", Seconds, [];
    /// Entries of Recall's lists that the sweep read.
    SWEEP_LISTED = "SweepListed", Count, ["list"];
    /// Facts that the sweep found and that no webhook had reported.
    SWEEP_FOUND = "SweepFound", Count, ["kind"];
    /// Lists that could not be read to their end.
    SWEEPS_STOPPED = "SweepsStopped", Count, ["reason"];
    /// Entries of Recall's lists that could not be read and were skipped.
    ENTRIES_UNREADABLE = "EntriesUnreadable", Count, ["list"];
}

impl Metric<0> {
    /// Emits a count of one.
    pub fn count(self) {
        self.emit(1, []);
    }

    /// Emits one value.
    pub fn record(self, value: u64) {
        self.emit(value, []);
    }
}

impl Metric<1> {
    /// Emits a count of one.
    pub fn count(self, dimension: &str) {
        self.emit(1, [dimension]);
    }

    /// Emits one value.
    pub fn record(self, value: u64, dimension: &str) {
        self.emit(value, [dimension]);
    }
}

impl Metric<2> {
    /// Emits a count of one.
    pub fn count(self, first: &str, second: &str) {
        self.emit(1, [first, second]);
    }
}

impl<const DIMENSIONS: usize> Metric<DIMENSIONS> {
    /// Without a call of [`choose_namespace`], the process is a test or a fuzzer, and no one reads its metrics.
    fn emit(self, value: u64, dimension_values: [&str; DIMENSIONS]) {
        let Some(namespace) = CHOSEN_NAMESPACE.get() else { return };
        let line = self.line(namespace, value, dimension_values, time::now().as_millis());
        // If standard output is gone, there is no other place to report it to.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    fn line(self, namespace: &str, value: u64, dimension_values: [&str; DIMENSIONS], at_ms: i64) -> Value {
        let Self { name, unit, dimensions } = self;
        let mut line = Map::new();
        for (dimension, value) in dimensions.into_iter().zip(dimension_values) {
            line.insert(dimension.to_owned(), value.into());
        }
        let sets = if DIMENSIONS == 0 { json!([[]]) } else { json!([[], dimensions.to_vec()]) };
        line.insert(name.to_owned(), value.into());
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": at_ms,
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": sets,
                    "Metrics": [{"Name": name, "Unit": unit.as_str()}],
                }],
            }),
        );
        Value::Object(line)
    }
}

impl Unit {
    /// Returns CloudWatch's name of the unit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// Chooses the namespace of this process. Metrics are emitted from then on. A second call changes nothing.
pub(crate) fn choose_namespace(env: &Env) {
    // An invalid namespace stops the start, together with all other invalid settings.
    let chosen = env.get("METRICS_NAMESPACE").and_then(|text| namespace(text).ok());
    CHOSEN_NAMESPACE.get_or_init(|| chosen.unwrap_or_else(|| NAMESPACE.to_owned()));
}

/// Checks a namespace, because CloudWatch silently drops metrics in a namespace that it does not accept.
///
/// # Errors
/// Says which namespaces are allowed.
pub fn namespace(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    if text.len() <= MAX_NAMESPACE_BYTES && text.bytes().all(is_plain) && !text.starts_with("AWS/") {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a namespace: use at most {MAX_NAMESPACE_BYTES} letters, digits and ._-/#"))
    }
}

/// Returns a code from Recall or a provider as the value of a dimension. Each value costs money, so a code that is not
/// a plain word becomes `other`.
pub fn code(code: Option<&str>) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match code {
        None => "none",
        Some(code) if (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(is_plain) => code,
        Some(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn metric_is_written_in_the_embedded_format() {
        let line = WEBHOOKS_REFUSED.line(NAMESPACE, 1, ["stale"], 1_700_000_000_000);
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "RecallTranscripts",
                        "Dimensions": [[], ["reason"]],
                        "Metrics": [{"Name": "WebhooksRefused", "Unit": "Count"}],
                    }],
                },
                "reason": "stale",
                "WebhooksRefused": 1,
            })
        );
        let line = JOBS_DUE.line("Recall/eu", 0, [], 0);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&metrics["Namespace"], &metrics["Dimensions"]), (&json!("Recall/eu"), &json!([[]])));
    }

    #[test]
    fn metrics_have_distinct_names() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn namespace_is_rejected_if_cloudwatch_does_not_accept_it() {
        assert_eq!(namespace("RecallTranscripts/my-stack").as_deref(), Ok("RecallTranscripts/my-stack"));
        for bad in ["AWS/Lambda", "a b", "\u{e4}", &"x".repeat(256)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn code_is_a_plain_word_or_other() {
        assert_eq!(code(Some("provider_connection_failed")), "provider_connection_failed");
        assert_eq!(code(None), "none");
        for odd in ["", "a b", "\u{e9}", "a\nb", &"x".repeat(65)] {
            assert_eq!(code(Some(odd)), "other", "{odd}");
        }
    }
}
