//! Logs as JSON lines, and metrics in CloudWatch's embedded metric format, both on standard output.
//!
//! The rules: one name per field everywhere (`recording.id`, `transcript.id`, `delivery.id`, `job.status`,
//! `attempt`, `duration_ms`, `bytes`), a failure is logged once where it is handled, and never a body, transcript
//! text, header, key, or URL with a query.

use std::{io::Write as _, sync::OnceLock};

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{env::Env, time};

/// The CloudWatch namespace of our metrics, unless METRICS_NAMESPACE names another one.
pub const NAMESPACE: &str = "RecallTranscripts";
/// CloudWatch takes no longer name, and no longer value of a dimension.
const MAX_NAME_BYTES: usize = 255;
/// A code of Recall's is no longer than this; what is, is none.
const MAX_WORD_BYTES: usize = 64;
/// Our own crates: others may log headers when they are asked for detail, so they never are.
const OURS: [&str; 6] = ["job", "renditions", "pipeline", "webhook", "transcript", "sweep"];

/// The namespace that this process was told to use.
static CHOSEN: OnceLock<String> = OnceLock::new();

/// Starts logging at the level that Lambda's `AWS_LAMBDA_LOG_LEVEL` asks for, `INFO` by default.
pub fn init(env: &Env) {
    let level = match env.get("AWS_LAMBDA_LOG_LEVEL").map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => Level::TRACE,
        Some("DEBUG") => Level::DEBUG,
        Some("WARN") => Level::WARN,
        Some("ERROR" | "FATAL") => Level::ERROR,
        Some(_) | None => Level::INFO,
    };
    let targets = Targets::new().with_default(Level::WARN.min(level)).with_targets(OURS.map(|ours| (ours, level)));
    let format = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_ansi(false);
    // A bad one is named with all other bad settings, and stops the start.
    let chosen = env.get("METRICS_NAMESPACE").and_then(|text| namespace(text).ok());
    // A second call, as tests make it, changes nothing.
    CHOSEN.get_or_init(|| chosen.unwrap_or_else(|| NAMESPACE.to_owned()));
    let _ = tracing_subscriber::registry().with(targets).with(format).try_init();
}

/// Checks a namespace: CloudWatch drops without a word what it does not take.
///
/// # Errors
/// What is wrong with it.
pub fn namespace(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte);
    if text.len() <= MAX_NAME_BYTES && text.bytes().all(plain) && !text.starts_with("AWS/") {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no namespace of at most {MAX_NAME_BYTES} letters, digits and ._-/#"))
    }
}

/// A code that somebody else made up, as the value of a dimension: each value costs money, so whatever is no plain word
/// is `other`.
pub fn word(code: Option<&str>) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match code {
        None => "none",
        Some(code) if (1..=MAX_WORD_BYTES).contains(&code.len()) && code.bytes().all(plain) => code,
        Some(_) => "other",
    }
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Count,
    Milliseconds,
    Seconds,
    Bytes,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// Emits one value. Every value of a dimension makes a series of its own, so they must be few. There is always a series
/// without dimensions, too: an alarm cannot add up values that it cannot name. Before [`init`] there is nobody to read
/// them: a test or a fuzzer, not a function.
pub fn metric(name: &str, value: u64, unit: Unit, dimensions: &[(&str, &str)]) {
    let Some(namespace) = CHOSEN.get() else { return };
    let line = embedded(namespace, name, value, unit, dimensions, time::now().as_millis());
    // Nobody can be told that standard output is gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Emits a count of one.
pub fn count(name: &str, dimensions: &[(&str, &str)]) {
    metric(name, 1, Unit::Count, dimensions);
}

fn embedded(namespace: &str, name: &str, value: u64, unit: Unit, dimensions: &[(&str, &str)], at_ms: i64) -> Value {
    let mut line: Map<String, Value> =
        dimensions.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let sets = if names.is_empty() { vec![names] } else { vec![Vec::new(), names] };
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

/// Shows an error with all its sources on one line.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_in_the_embedded_format() {
        let line = embedded(NAMESPACE, "WebhooksRefused", 1, Unit::Count, &[("reason", "stale")], 1_700_000_000_000);
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
        let line = embedded("Recall/eu", "JobsDue", 0, Unit::Count, &[], 0);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&metrics["Namespace"], &metrics["Dimensions"]), (&json!("Recall/eu"), &json!([[]])));
    }

    #[test]
    fn a_namespace_is_one_that_cloudwatch_takes() {
        assert_eq!(namespace("RecallTranscripts/my-stack").as_deref(), Ok("RecallTranscripts/my-stack"));
        for bad in ["AWS/Lambda", "a b", "ä", &"x".repeat(256)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_code_of_others_is_a_plain_word_or_none() {
        assert_eq!(word(Some("provider_connection_failed")), "provider_connection_failed");
        assert_eq!(word(None), "none");
        for odd in ["", "a b", "\u{e9}", "a\nb", &"x".repeat(65)] {
            assert_eq!(word(Some(odd)), "other", "{odd}");
        }
    }
}
