//! When each word was said, with what is missing filled in. The rules are in the module above.

use std::fmt;

use super::meeting::Span;

/// Recall's relative seconds end here: a recording is shorter than a month.
pub(crate) const MAX_MS: u32 = 31 * 24 * 60 * 60 * 1000;
/// What a word without any known time is taken to last.
pub(crate) const DEFAULT_WORD_MS: u32 = 400;
/// An interpolated word lasts at most this long, even if there is more room.
const MAX_INTERPOLATED_WORD_MS: u32 = 1000;

/// Milliseconds of a relative time; none if it is not one.
pub(crate) fn millis_of_seconds(seconds: f64) -> Option<u32> {
    let millis = (seconds * 1000.0).round();
    // Out of range, not a number, before the start: unknown.
    (millis >= 0.0 && millis <= f64::from(MAX_MS)).then_some(millis as u32)
}

/// The same of a number as it is written, if it has no more than whole milliseconds: most have, and this is much quicker.
pub(crate) fn parse_whole_millis(text: &str) -> Option<u32> {
    let mut digits: u64 = 0;
    let mut point = None;
    // More digits than there are in a month.
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

/// The words of one entry whose times are not settled yet. However many, it is only counted how many they are.
#[derive(Debug, Default)]
pub(crate) struct TimeInterpolator {
    /// The last known moment.
    last_known_ms: Option<u32>,
    /// The oldest unsettled word began at `known`.
    oldest_began_there: bool,
    /// Unsettled words.
    unsettled: u32,
}

impl TimeInterpolator {
    /// Whether anything at all is known of this entry.
    pub(crate) fn has_known(&self) -> bool {
        self.last_known_ms.is_some()
    }

    /// The last known moment so far.
    pub(crate) fn last_known_ms(&self) -> Option<u32> {
        self.last_known_ms
    }

    /// Takes the next word, and gives to `settle` all spans that are certain now, in order.
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

    /// The entry has ended. Without any known time, its words follow the moment `after`.
    pub(crate) fn finish(&mut self, after: u32, mut settle: impl FnMut(Span)) {
        let from = self.last_known_ms.unwrap_or(after);
        for index in 0..self.unsettled {
            let start_ms = from.saturating_add(index.saturating_mul(DEFAULT_WORD_MS)).min(MAX_MS);
            settle(Span { start_ms, end_ms: start_ms.saturating_add(DEFAULT_WORD_MS).min(MAX_MS) });
        }
        *self = Self::default();
    }

    /// The unsettled words lie between the last known moment and this one; `ends`: the last of them ends exactly here.
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

/// `01:02:03`, as people read times; hours go on beyond 99.
pub(crate) struct Hms(pub(crate) u32);

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
    fn only_sensible_seconds_are_times() {
        assert_eq!(millis_of_seconds(1.2345), Some(1235));
        assert_eq!(millis_of_seconds(0.0), Some(0));
        assert_eq!(millis_of_seconds(31.0 * 24.0 * 3600.0), Some(MAX_MS));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 31.0 * 24.0 * 3600.0 + 1.0, 1e300] {
            assert_eq!(millis_of_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_milliseconds_are_read_as_any_number_is() {
        for text in ["0", "7", "12.5", "12.05", "12.005", "2678399.999", "2678400", "2678400.0", "0.000"] {
            assert_eq!(parse_whole_millis(text), millis_of_seconds(text.parse().expect("a number")), "{text}");
            assert!(parse_whole_millis(text).is_some(), "{text}");
        }
        for other in ["", ".5", "5.", "-1", "1e3", "1.2345", "2678400.001", "9999999999", "1.2.3", " 1", "NaN"] {
            assert_eq!(parse_whole_millis(other), None, "{other}");
        }
    }

    #[test]
    fn missing_times_are_filled_in_from_the_neighbours() {
        let no = None;
        for (words, expected) in [
            // Between two known ones.
            (
                &[(Some(0), Some(100)), (no, no), (no, no), (Some(700), Some(900))][..],
                &[(0, 100), (100, 400), (400, 700), (700, 900)][..],
            ),
            // Before the first known one, and after the last.
            (&[(no, no), (Some(1000), Some(1200)), (no, no)], &[(600, 1000), (1000, 1200), (1200, 1600)]),
            // At the very beginning there is little room.
            (&[(no, no), (no, no), (Some(100), no)], &[(0, 50), (50, 100), (100, 500)]),
            // An end alone, a beginning alone.
            (&[(Some(0), no), (no, Some(800))], &[(0, 400), (400, 800)]),
            (&[(Some(0), no), (Some(60_000), Some(60_100))], &[(0, 1000), (60_000, 60_100)]),
            (&[(Some(0), Some(100)), (no, Some(60_000))], &[(0, 100), (59_000, 60_000)]),
            // The end before the beginning.
            (&[(Some(500), Some(200)), (no, no)], &[(500, 500), (500, 900)]),
            // Nothing known: after the entry before.
            (&[(no, no), (no, no)], &[(5000, 5400), (5400, 5800)]),
            (&[], &[]),
        ] {
            assert_eq!(settled(words), expected, "{words:?}");
        }
    }
}
