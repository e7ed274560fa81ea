//! The schedule: invokes a function on a timer, as EventBridge does.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at},
};
use uuid::Uuid;

use super::{Function, InvokeError};
use crate::{ACCOUNT_ID, REGION};

/// The timer's own limit; AWS goes down to a minute.
const SHORTEST: Duration = Duration::from_millis(1);

/// Invokes a function again and again, until this is dropped. Invocations under way go on to their end even then.
///
/// A failed invocation is logged and not repeated. Lambda would repeat it twice, after a minute and after two more;
/// here the next one comes sooner than that, and a test knows how many there were.
#[derive(Debug)]
pub struct Schedule {
    function: Function,
    flow: watch::Sender<bool>,
    timer: JoinHandle<()>,
}

impl Schedule {
    /// Starts the timer; the first invocation comes after `every`.
    pub fn start(function: Function, every: Duration) -> Schedule {
        let (flow, flows) = watch::channel(true);
        let timer = tokio::spawn(run(function.clone(), every.max(SHORTEST), flows));
        Schedule { function, flow, timer }
    }

    /// Invokes no more, except by [`Schedule::fire`]. Invocations under way go on to their end.
    pub fn pause(&self) {
        self.flow.send_replace(false);
    }

    /// Goes on after a pause. What fell into it is not made up for.
    pub fn resume(&self) {
        self.flow.send_replace(true);
    }

    /// Invokes the function at once, and answers its result when it has one.
    pub async fn fire(&self) -> Result<Vec<u8>, InvokeError> {
        invoke(&self.function).await
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

async fn run(function: Function, every: Duration, flows: watch::Receiver<bool>) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // As in AWS, an invocation does not wait for the one before. The function's concurrency bounds them: one too many
    // is throttled at once.
    let mut invocations = JoinSet::new();
    loop {
        ticks.tick().await;
        while invocations.try_join_next().is_some() {}
        if !*flows.borrow() {
            continue;
        }
        let function = function.clone();
        invocations.spawn(async move {
            if let Err(error) = invoke(&function).await {
                tracing::warn!(
                    function = function.name(),
                    error = error.to_string(),
                    "the scheduled invocation failed"
                );
            }
        });
    }
}

async fn invoke(function: &Function) -> Result<Vec<u8>, InvokeError> {
    function.invoke(event(function.name(), OffsetDateTime::now_utc()).to_string().into_bytes()).await
}

/// What a scheduled rule of EventBridge sends.
fn event(rule: &str, now: OffsetDateTime) -> Value {
    let (hour, minute, second) = now.to_hms();
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": format!("{}T{hour:02}:{minute:02}:{second:02}Z", now.date()),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{rule}")],
        "detail": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_that_of_a_scheduled_rule() -> anyhow::Result<()> {
        let mut event = event("sweep", OffsetDateTime::from_unix_timestamp_nanos(1_773_342_238_987_000_000)?);
        assert!(event["id"].take().is_string());
        let expected = json!({
            "version": "0",
            "id": null,
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": "2026-03-12T19:03:58Z",
            "region": "us-east-1",
            "resources": ["arn:aws:events:us-east-1:000000000000:rule/sweep"],
            "detail": {},
        });
        assert_eq!(event, expected);
        Ok(())
    }
}
