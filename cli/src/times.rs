//! Times and ages, as people write and read them.

use std::{str::FromStr, time::Duration};

use clap::ValueEnum;
use jiff::{SignedDuration, Span, SpanRelativeTo, tz::TimeZone};
use job::time::Timestamp;

/// How times are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TimeFormat {
    /// With the time zone of this machine
    Local,
    Utc,
    /// As the distance from now: `3 min ago`, `in 2 h`
    Relative,
}

/// A duration as a person writes it: `90s`, `15m`, `2h`, `3d`, `2w`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |_| "write a number with a unit, such as 30m, 2h or 3d".to_owned();
        let span: Span = text.parse().map_err(bad)?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(bad)?;
        Duration::try_from(duration).map(Age).map_err(|_| "an age is not negative".to_owned())
    }
}

/// Shows times in one format.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) now: Timestamp,
    format: TimeFormat,
    zone: TimeZone,
}

impl Times {
    pub(crate) fn new(format: TimeFormat, now: Timestamp) -> Self {
        let zone = if format == TimeFormat::Local { TimeZone::system() } else { TimeZone::UTC };
        Self { now, format, zone }
    }

    pub(crate) fn show(&self, at: Timestamp) -> String {
        match self.format {
            TimeFormat::Relative if at > self.now => format!("in {}", short(at.since(self.now))),
            TimeFormat::Relative => format!("{} ago", short(self.now.since(at))),
            TimeFormat::Local | TimeFormat::Utc => match jiff::Timestamp::from_millisecond(at.as_millis()) {
                Ok(time) => time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string(),
                Err(_) => at.rfc3339(),
            },
        }
    }

    /// Shows how long ago a time was, whatever the format.
    pub(crate) fn age(&self, at: Timestamp) -> String {
        short(self.now.since(at))
    }
}

/// Returns the duration with its largest unit.
fn short(duration: Duration) -> String {
    let seconds = SignedDuration::try_from(duration).map_or(i64::MAX, |duration| duration.as_secs());
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400.. => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        let age = |text: &str| text.parse::<Age>().map(|age| age.0.as_secs());
        assert_eq!(age("90s"), Ok(90));
        assert_eq!(age("2h"), Ok(7_200));
        assert_eq!(age("3d"), Ok(259_200));
        assert_eq!(age("2w"), Ok(1_209_600));
        for bad in ["", "7", "h", "-2h", "1month"] {
            assert!(age(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_shown_in_the_chosen_format() {
        let now = Timestamp::parse_rfc3339("2026-11-30T12:00:00Z").expect("a time");
        let show = |format, seconds: i64| {
            let at = Timestamp::from_millis(now.as_millis() + seconds * 1000);
            Times::new(format, now).show(at)
        };
        assert_eq!(show(TimeFormat::Relative, 90), "in 1 min");
        assert_eq!(show(TimeFormat::Relative, 0), "0 s ago");
        assert_eq!(show(TimeFormat::Relative, -7_300), "2 h ago");
        assert_eq!(show(TimeFormat::Relative, -200_000), "2 d ago");
        assert_eq!(show(TimeFormat::Utc, 90), "2026-11-30 12:01:30 UTC");
    }
}
