//! The sweep function's settings.

use std::time::Duration;

use pipeline::{
    env::{BadSettings, Env, Reader},
    settings::Common,
};

/// Recall sends a webhook again for 27.6 hours, and a recording is as old as its meeting is long.
const MIN_WINDOW_HOURS: u64 = 28;
const MAX_WINDOW_HOURS: u64 = 31 * 24;
const DEFAULT_WINDOW_HOURS: u64 = 48;

#[derive(Debug)]
pub struct Settings {
    pub common: Common,
    /// How far back Recall's lists are read; `None`: not at all.
    pub window: Option<Duration>,
}

impl Settings {
    /// # Errors
    /// Every missing or wrong setting, in one error.
    pub fn read(env: &Env) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(env);
        let hours = reader.parsed("SWEEP_WINDOW_HOURS", DEFAULT_WINDOW_HOURS, window_hours);
        let window = (hours > 0).then(|| Duration::from_secs(hours * 60 * 60));
        let settings = Self { common: Common::read(env, &mut reader, false), window };
        reader.finish(settings)
    }
}

fn window_hours(text: &str) -> Result<u64, String> {
    let good = |hours: &u64| *hours == 0 || (MIN_WINDOW_HOURS..=MAX_WINDOW_HOURS).contains(hours);
    text.parse().ok().filter(good).ok_or_else(|| {
        format!(
            "`{text}` is not a whole number from {MIN_WINDOW_HOURS} to {MAX_WINDOW_HOURS}, nor 0, which leaves \
             Recall's lists alone"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_longer_than_recall_tries_to_deliver() {
        for (text, hours) in [("28", 28), ("48", 48), ("744", 744), ("0", 0)] {
            assert_eq!(window_hours(text), Ok(hours));
        }
        for bad in ["27", "745", "-1", "1.5", "two days", "99999999999999999999"] {
            assert!(window_hours(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_missing_setting_is_named() {
        let said = Settings::read(&Env::from_pairs([("SWEEP_WINDOW_HOURS", "1")])).expect_err("wrong").to_string();
        for name in
            ["AWS_REGION", "RECALL_REGION", "RECALL_API_KEY", "JOBS_TABLE", "WORK_QUEUE_URL", "SWEEP_WINDOW_HOURS"]
        {
            assert!(said.contains(name), "{name} is not in: {said}");
        }
    }
}
