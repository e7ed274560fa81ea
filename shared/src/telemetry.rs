//! Logs as JSON lines, and metrics in CloudWatch's embedded metric format, both on standard output.
//!
//! The rules: one name per field everywhere (`recording.id`, `transcript.id`, `delivery.id`, `job.status`,
//! `attempt`, `duration_ms`, `bytes`), a failure is logged once where it is handled, and never a body, transcript
//! text, header, key, or URL with a query.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{env::Env, time};

/// The CloudWatch namespace of all our metrics.
pub const NAMESPACE: &str = "RecallTranscripts";
/// Our own crates: others may log headers when they are asked for detail, so they never are.
const OURS: [&str; 4] = ["shared", "webhook", "transcript", "sweep"];

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
    // A second call, as tests make it, changes nothing.
    let _ = tracing_subscriber::registry().with(targets).with(format).try_init();
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

/// Emits one value. Every dimension makes a series of its own, so its values must be few.
pub fn metric(name: &str, value: u64, unit: Unit, dimensions: &[(&str, &str)]) {
    let line = embedded(name, value, unit, dimensions, time::now().as_millis());
    // Nobody can be told that standard output is gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Emits a count of one.
pub fn count(name: &str, dimensions: &[(&str, &str)]) {
    metric(name, 1, Unit::Count, dimensions);
}

fn embedded(name: &str, value: u64, unit: Unit, dimensions: &[(&str, &str)], at_ms: i64) -> Value {
    let mut line: Map<String, Value> =
        dimensions.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    line.insert(name.to_owned(), value.into());
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at_ms,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [names],
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
        let line = embedded("WebhooksRefused", 1, Unit::Count, &[("reason", "stale")], 1_700_000_000_000);
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_700_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "RecallTranscripts",
                        "Dimensions": [["reason"]],
                        "Metrics": [{"Name": "WebhooksRefused", "Unit": "Count"}],
                    }],
                },
                "reason": "stale",
                "WebhooksRefused": 1,
            })
        );
    }
}
