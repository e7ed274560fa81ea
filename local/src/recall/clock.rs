//! The simulator's time: durations are scaled, and timestamps are real.

use std::time::Duration;

use time::OffsetDateTime;

/// Converts the simulator's durations to real ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) speed: f64,
}

impl Clock {
    /// Returns how long `simulated` lasts in real time.
    pub(super) fn real(self, simulated: Duration) -> Duration {
        simulated.div_f64(self.speed)
    }

    pub(super) async fn sleep(self, simulated: Duration) {
        let real = self.real(simulated);
        if !real.is_zero() {
            tokio::time::sleep(real).await;
        }
    }
}

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The API's format: `2026-11-20T09:30:00.123456Z`.
pub(super) fn api_time(time: OffsetDateTime) -> String {
    format!("{}Z", to_microseconds(time))
}

/// The webhooks' format: `2026-11-20T09:30:00.123456+00:00`.
pub(super) fn webhook_time(time: OffsetDateTime) -> String {
    format!("{}+00:00", to_microseconds(time))
}

fn to_microseconds(time: OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}
