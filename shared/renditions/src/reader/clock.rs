//! Combines Recall's two clocks: seconds from the start of the recording, and the time of day.

use job::time::Timestamp;

use crate::CLOCK_TOLERANCE_MS;

/// Computes the time of each word from both clocks. The relative time is more precise, but it may restart at zero, for
/// example after a break. Then the absolute time counts. Both clocks start together. The first times show the
/// difference between them, as soon as two times agree with each other or one agrees with the start of the recording.
#[derive(Debug, Default)]
pub(super) struct RecordingClock {
    started_ms: Option<i64>,
    /// When the relative times began, in milliseconds since the epoch.
    relative_zero_ms: Option<i64>,
    is_certain: bool,
    /// How much later the relative times restarted.
    shift_ms: i64,
}

impl RecordingClock {
    pub(super) fn new(started_at: Option<Timestamp>) -> Self {
        Self { started_ms: started_at.map(Timestamp::as_millis), ..Self::default() }
    }

    /// Returns whether relative times are shifted after a restart.
    pub(super) fn is_shifted(&self) -> bool {
        self.shift_ms != 0
    }

    /// Returns the time in milliseconds from the start of the recording, if it is known and `is_within` the recording.
    pub(super) fn resolve(
        &mut self,
        relative: Option<u32>,
        absolute: Option<Timestamp>,
        is_within: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let usable = |ms: i64| u32::try_from(ms).ok().filter(|ms| is_within(*ms));
        match (relative, absolute) {
            (None, None) => None,
            (Some(relative), None) if self.shift_ms == 0 => Some(relative),
            (Some(relative), None) => usable(i64::from(relative) + self.shift_ms).or(Some(relative)),
            (None, Some(absolute)) => {
                usable(absolute.as_millis().saturating_sub(self.relative_zero_ms.or(self.started_ms)?))
            }
            (Some(relative), Some(absolute)) => {
                let shift_ms = self.measure_shift(absolute.as_millis().saturating_sub(i64::from(relative)));
                if differ(shift_ms, 0) {
                    // A time outside of the recording belongs to another clock.
                    let resolved = usable(i64::from(relative).saturating_add(shift_ms));
                    // A time that is earlier than expected is a single wrong time.
                    self.shift_ms = resolved.map_or(self.shift_ms, |_| shift_ms.max(0));
                    return resolved.or(Some(relative));
                }
                self.shift_ms = 0;
                Some(relative)
            }
        }
    }

    /// Returns how much later than at first the relative times began, if they began at this moment.
    fn measure_shift(&mut self, relative_zero_ms: i64) -> i64 {
        if !self.is_certain {
            let started_ms = self.started_ms.filter(|started_ms| !differ(*started_ms, relative_zero_ms));
            let known_ms = self.relative_zero_ms.filter(|known_ms| !differ(*known_ms, relative_zero_ms));
            self.is_certain = started_ms.or(known_ms).is_some();
            self.relative_zero_ms = started_ms.or(known_ms).or(Some(relative_zero_ms));
        }
        relative_zero_ms.saturating_sub(self.relative_zero_ms.unwrap_or(relative_zero_ms))
    }
}

fn differ(one_ms: i64, other_ms: i64) -> bool {
    one_ms.abs_diff(other_ms) > u64::from(CLOCK_TOLERANCE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the resolved times for these relative and absolute seconds, in a recording of one hour. It began at 0 if
    /// `started`.
    fn resolved(started: bool, times: &[(Option<u32>, Option<i64>)]) -> Vec<Option<u32>> {
        let mut clock = RecordingClock::new(started.then(|| Timestamp::from_secs(0)));
        let ms = |seconds: u32| seconds * 1000;
        let resolve = |(relative, absolute): &(Option<u32>, Option<i64>)| {
            clock
                .resolve(relative.map(ms), absolute.map(Timestamp::from_secs), |ms| ms <= 3_660_000)
                .map(|ms| ms / 1000)
        };
        times.iter().map(resolve).collect()
    }

    #[test]
    fn restarted_relative_times_continue_with_absolute_ones() {
        let times =
            [(Some(1), Some(1)), (Some(61), Some(1)), (Some(2), Some(1200)), (Some(3), None), (Some(2), Some(2000))];
        assert_eq!(resolved(true, &times), [1, 61, 1200, 1201, 2000].map(Some));
        let times =
            [(Some(1), Some(51)), (Some(2), Some(52)), (Some(1), Some(1250)), (None, Some(1300)), (Some(60), None)];
        assert_eq!(resolved(false, &times), [1, 2, 1200, 1250, 1259].map(Some));
    }

    #[test]
    fn clock_with_a_constant_difference_is_ignored() {
        for offset in [-7200, -120, 120, 3600] {
            let times = [100, 300, 500, 3000].map(|at| (Some(at), Some(i64::from(at) + offset)));
            assert_eq!(resolved(true, &times), [100, 300, 500, 3000].map(Some), "{offset}");
        }
    }

    #[test]
    fn wrong_time_moves_no_other_time() {
        let times =
            [(Some(95), Some(10)), (Some(11), Some(11)), (Some(12), Some(12)), (Some(97), Some(13)), (Some(14), None)];
        assert_eq!(resolved(false, &times), [95, 11, 12, 13, 14].map(Some));
        assert_eq!(resolved(true, &times), [95, 11, 12, 13, 14].map(Some));
        assert_eq!(
            resolved(true, &[(Some(10), Some(9_000_000)), (Some(11), Some(11)), (None, None)]),
            [Some(10), Some(11), None]
        );
    }
}
