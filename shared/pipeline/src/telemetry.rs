//! Logs as JSON lines on standard output, together with the metrics. [`crate::logs`] has the rules for log lines.

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{env::Env, metrics};

/// Our own crates. Other crates log at WARN at most, because at a finer level they may log headers.
const OURS: [&str; 6] = ["job", "renditions", "pipeline", "webhook", "transcript", "sweep"];

/// Starts logging at the level in Lambda's variable `AWS_LAMBDA_LOG_LEVEL`, which is `INFO` by default.
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
    metrics::choose_namespace(env);
    // Tests call this several times. Only the first call has an effect.
    let _ = tracing_subscriber::registry().with(targets).with(format).try_init();
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
