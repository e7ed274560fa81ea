//! The sweep function's settings.

use std::time::Duration;

use pipeline::{
    env::{BadSettings, Env, Reader},
    settings::Common,
};

/// Recall repeats a webhook for 27.6 hours, and a recording that is done is already as old as its meeting is long.
const MIN_WINDOW_HOURS: u64 = 28;
const MAX_WINDOW_HOURS: u64 = 31 * 24;
const DEFAULT_WINDOW_HOURS: u64 = 48;

#[derive(Debug)]
pub struct Settings {
    pub common: Common,
    /// How far back Recall's lists are read, or `None` if they are not read.
    pub window: Option<Duration>,
}

impl Settings {
    /// # Errors
    /// One error that names every missing or invalid setting.
    pub fn read(env: &Env) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(env);
        let hours = reader.parsed("SWEEP_WINDOW_HOURS", DEFAULT_WINDOW_HOURS, window_hours);
        let window = (hours > 0).then(|| Duration::from_secs(hours * 60 * 60));
        let settings = Self { common: Common::read(env, &mut reader, false), window };
        reader.finish(settings)
    }
}

fn window_hours(text: &str) -> Result<u64, String> {
    let is_valid = |hours: &u64| *hours == 0 || (MIN_WINDOW_HOURS..=MAX_WINDOW_HOURS).contains(hours);
    text.parse().ok().filter(is_valid).ok_or_else(|| {
        format!(
            "`{text}` is not a valid number of hours; use a whole number from {MIN_WINDOW_HOURS} to \
             {MAX_WINDOW_HOURS}, or 0 to turn off the reading of Recall's lists"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_is_longer_than_recall_repeats_a_webhook() {
        for (text, hours) in [("28", 28), ("48", 48), ("744", 744), ("0", 0)] {
            assert_eq!(window_hours(text), Ok(hours));
        }
        for bad in ["27", "745", "-1", "1.5", "two days", "99999999999999999999"] {
            assert!(window_hours(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_that_are_missing_are_all_named() {
        let error = Settings::read(&Env::from_pairs([("SWEEP_WINDOW_HOURS", "1")])).expect_err("invalid").to_string();
        for name in
            ["AWS_REGION", "RECALL_REGION", "RECALL_API_KEY", "JOBS_TABLE", "WORK_QUEUE_URL", "SWEEP_WINDOW_HOURS"]
        {
            assert!(error.contains(name), "{name} is not in: {error}");
        }
    }
}
