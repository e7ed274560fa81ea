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

/// The shortest interval. AWS allows a minute or more.
const SHORTEST: Duration = Duration::from_millis(1);

/// Invokes a function periodically until this is dropped. Running invocations continue to their end even then.
///
/// A failed invocation is logged and not retried. Lambda would retry it twice, after one minute and two more. Here the
/// next invocation comes sooner than that, and a test knows how many invocations there were.
#[derive(Debug)]
pub struct Schedule {
    function: Function,
    flow: watch::Sender<bool>,
    timer: JoinHandle<()>,
}

impl Schedule {
    /// Starts the timer. The first invocation comes after `every`.
    pub fn start(function: Function, every: Duration) -> Schedule {
        let (flow, flows) = watch::channel(true);
        let timer = tokio::spawn(run(function.clone(), every.max(SHORTEST), flows));
        Schedule { function, flow, timer }
    }

    /// Stops the timer; only [`Schedule::fire`] invokes the function then. Running invocations continue to their end.
    pub fn pause(&self) {
        self.flow.send_replace(false);
    }

    /// Resumes after a pause. The missed invocations are not made up for.
    pub fn resume(&self) {
        self.flow.send_replace(true);
    }

    /// Invokes the function at once and returns its result.
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
    // As in AWS, an invocation does not wait for the previous one. The function's concurrency limits them: an
    // invocation beyond it is throttled at once.
    let mut invocations = JoinSet::new();
    loop {
        ticks.tick().await;
        while invocations.try_join_next().is_some() {}
        if !*flows.borrow() {
            continue;
        }
        let function = function.clone();
        invocations.spawn(async move {
            match invoke(&function).await {
                Ok(_) => {}
                // An operator has paused the function, and knows it. As in AWS, the event is dropped.
                Err(InvokeError::Throttled) if function.reserved() == Some(0) => {}
                Err(error) => {
                    tracing::warn!(
                        function = function.name(),
                        error = error.to_string(),
                        "the scheduled invocation failed"
                    );
                }
            }
        });
    }
}

async fn invoke(function: &Function) -> Result<Vec<u8>, InvokeError> {
    function.invoke(event(function.name(), OffsetDateTime::now_utc()).to_string().into_bytes()).await
}

/// Returns the event of a scheduled rule of EventBridge.
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
