//! Timestamps.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// A point in time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the later time. Saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the earlier time. Saturates instead of wrapping.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns RFC 3339 in UTC with milliseconds: `2026-11-23T09:30:00.000Z`.
    pub fn rfc3339(self) -> String {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, milli) = time.to_hms_milli();
        format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
    }

    /// Reads RFC 3339 with any offset and any number of fractional digits, as Recall sends both.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().and_then(Self::of)
    }

    /// Reads the date of an HTTP header: `Mon, 23 Nov 2026 09:30:00 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc2822).ok().and_then(Self::of)
    }

    fn of(time: OffsetDateTime) -> Option<Self> {
        i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_reads_both_forms_of_recall() {
        let zulu = Timestamp::parse_rfc3339("2026-11-23T09:30:00Z").expect("docs form");
        let offset = Timestamp::parse_rfc3339("2026-11-23T09:30:00.000000+00:00").expect("catalogue form");
        assert_eq!(zulu, offset);
        assert_eq!(zulu.rfc3339(), "2026-11-23T09:30:00.000Z");
        assert_eq!(Timestamp::parse_http_date("Mon, 23 Nov 2026 09:30:00 GMT"), Some(zulu));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn timestamp_arithmetic_does_not_wrap() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).as_millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
