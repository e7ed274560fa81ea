//! Fills in the missing times of words. The rules are in the module above.

use std::fmt;

/// A span of time in milliseconds, relative to the start of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start_ms: u32,
    pub(crate) end_ms: u32,
}

/// The latest relative time, in milliseconds: a recording is shorter than a month.
pub(crate) const MAX_MS: u32 = 31 * 24 * 60 * 60 * 1000;
/// The assumed duration of a word without any known time.
pub(crate) const DEFAULT_WORD_MS: u32 = 400;
/// The maximum duration of an interpolated word, even if there is more room.
const MAX_INTERPOLATED_WORD_MS: u32 = 1000;

/// Converts a relative time to milliseconds, or returns none if it is out of range.
pub(crate) fn millis_of_seconds(seconds: f64) -> Option<u32> {
    let millis = (seconds * 1000.0).round();
    // A value that is out of range, not a number, or before the start is unknown.
    (millis >= 0.0 && millis <= f64::from(MAX_MS)).then_some(millis as u32)
}

/// Parses a number of seconds with at most three decimals. Most times are like this, and this is much faster than
/// parsing a float.
pub(crate) fn parse_whole_millis(text: &str) -> Option<u32> {
    let mut digits: u64 = 0;
    let mut point = None;
    // A valid time has at most 12 characters.
    let bytes = Some(text.as_bytes()).filter(|bytes| bytes.len() <= 12)?;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let decimals = point.map_or(0, |point| bytes.len() - point - 1);
    let scale = [1000, 100, 10, 1].get(decimals)?;
    let is_number = !bytes.is_empty() && (point.is_none() || decimals > 0);
    u32::try_from(digits * scale).ok().filter(|millis| is_number && *millis <= MAX_MS)
}

/// The words of one entry whose times are not settled yet. They are only counted, so memory does not grow with them.
#[derive(Debug, Default)]
pub(crate) struct TimeInterpolator {
    /// The last known time.
    last_known_ms: Option<u32>,
    /// Whether the oldest unsettled word began at `last_known_ms`.
    oldest_began_there: bool,
    /// The number of unsettled words.
    unsettled: u32,
}

impl TimeInterpolator {
    /// Returns whether any time of this entry is known.
    pub(crate) fn has_known(&self) -> bool {
        self.last_known_ms.is_some()
    }

    /// Returns the last known time so far.
    pub(crate) fn last_known_ms(&self) -> Option<u32> {
        self.last_known_ms
    }

    /// Adds the next word, and passes every span that is certain now to `settle`, in order.
    pub(crate) fn push(&mut self, start: Option<u32>, end: Option<u32>, settle: impl FnMut(Span)) {
        match (start, end) {
            (Some(start_ms), Some(end_ms)) => {
                let mut settle = settle;
                self.settle_until(start_ms, false, &mut settle);
                settle(Span { start_ms, end_ms: end_ms.max(start_ms) });
                self.last_known_ms = Some(end_ms.max(start_ms));
            }
            (Some(start_ms), None) => {
                self.settle_until(start_ms, false, settle);
                self.last_known_ms = Some(start_ms);
                self.oldest_began_there = true;
                self.unsettled = 1;
            }
            (None, Some(end_ms)) => {
                self.unsettled += 1;
                self.settle_until(end_ms, true, settle);
                self.last_known_ms = Some(end_ms.max(self.last_known_ms.unwrap_or(0)));
            }
            (None, None) => self.unsettled += 1,
        }
    }

    /// Ends the entry. If no time is known, its words start at `after`.
    pub(crate) fn finish(&mut self, after: u32, mut settle: impl FnMut(Span)) {
        let from = self.last_known_ms.unwrap_or(after);
        for index in 0..self.unsettled {
            let start_ms = from.saturating_add(index.saturating_mul(DEFAULT_WORD_MS)).min(MAX_MS);
            settle(Span { start_ms, end_ms: start_ms.saturating_add(DEFAULT_WORD_MS).min(MAX_MS) });
        }
        *self = Self::default();
    }

    /// Spreads the unsettled words between the last known time and `to`. If `ends` is set, the last of them ends
    /// exactly at `to`.
    fn settle_until(&mut self, to: u32, ends: bool, mut settle: impl FnMut(Span)) {
        let count = self.unsettled;
        let share = |room_ms: u32| room_ms.checked_div(count).unwrap_or(0);
        let (from, width) = match self.last_known_ms {
            Some(from) => (from, share(to.saturating_sub(from)).min(MAX_INTERPOLATED_WORD_MS)),
            None => {
                let width = share(to).min(DEFAULT_WORD_MS);
                (to - width * count, width)
            }
        };
        for index in 0..count {
            let mut start_ms = from.saturating_add(index.saturating_mul(width));
            let mut end_ms = start_ms.saturating_add(width);
            if ends && index + 1 == count {
                end_ms = to.max(start_ms);
                if !(self.oldest_began_there && count == 1) {
                    start_ms = start_ms.max(end_ms.saturating_sub(MAX_INTERPOLATED_WORD_MS));
                }
            }
            settle(Span { start_ms, end_ms });
        }
        self.unsettled = 0;
        self.oldest_began_there = false;
    }
}

/// A time as `01:02:03`. The hours may exceed 99.
pub(crate) struct Hms(pub(crate) u32);

impl Hms {
    pub(crate) fn of(ms: u64) -> Self {
        Self(u32::try_from(ms).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Hms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(words: &[(Option<u32>, Option<u32>)]) -> Vec<(u32, u32)> {
        let mut times = TimeInterpolator::default();
        let mut spans = Vec::new();
        for (start, end) in words {
            times.push(*start, *end, |span| spans.push((span.start_ms, span.end_ms)));
        }
        times.finish(5000, |span| spans.push((span.start_ms, span.end_ms)));
        spans
    }

    #[test]
    fn only_valid_seconds_are_times() {
        assert_eq!(millis_of_seconds(1.2345), Some(1235));
        assert_eq!(millis_of_seconds(0.0), Some(0));
        assert_eq!(millis_of_seconds(31.0 * 24.0 * 3600.0), Some(MAX_MS));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 31.0 * 24.0 * 3600.0 + 1.0, 1e300] {
            assert_eq!(millis_of_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_milliseconds_parse_like_floats() {
        for text in ["0", "7", "12.5", "12.05", "12.005", "2678399.999", "2678400", "2678400.0", "0.000"] {
            assert_eq!(parse_whole_millis(text), millis_of_seconds(text.parse().expect("a number")), "{text}");
            assert!(parse_whole_millis(text).is_some(), "{text}");
        }
        for other in ["", ".5", "5.", "-1", "1e3", "1.2345", "2678400.001", "9999999999", "1.2.3", " 1", "NaN"] {
            assert_eq!(parse_whole_millis(other), None, "{other}");
        }
    }

    #[test]
    fn missing_times_are_filled_in_from_neighbors() {
        let no = None;
        for (words, expected) in [
            // Words between two known times.
            (
                &[(Some(0), Some(100)), (no, no), (no, no), (Some(700), Some(900))][..],
                &[(0, 100), (100, 400), (400, 700), (700, 900)][..],
            ),
            // Words before the first known time and after the last one.
            (&[(no, no), (Some(1000), Some(1200)), (no, no)], &[(600, 1000), (1000, 1200), (1200, 1600)]),
            // Words at the very beginning, where there is little room.
            (&[(no, no), (no, no), (Some(100), no)], &[(0, 50), (50, 100), (100, 500)]),
            // A word with only an end, or only a start.
            (&[(Some(0), no), (no, Some(800))], &[(0, 400), (400, 800)]),
            (&[(Some(0), no), (Some(60_000), Some(60_100))], &[(0, 1000), (60_000, 60_100)]),
            (&[(Some(0), Some(100)), (no, Some(60_000))], &[(0, 100), (59_000, 60_000)]),
            // A word whose end is before its start.
            (&[(Some(500), Some(200)), (no, no)], &[(500, 500), (500, 900)]),
            // An entry without any known time follows the entry before it.
            (&[(no, no), (no, no)], &[(5000, 5400), (5400, 5800)]),
            (&[], &[]),
        ] {
            assert_eq!(settled(words), expected, "{words:?}");
        }
    }
}
