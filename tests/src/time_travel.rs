//! Time, for tests that do not wait: what a job waits for is over at once.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::stack::{JOBS_TABLE, WORK_QUEUE};
use serde_json::Value;

use crate::{Pipeline, SWEEP};

/// The moments of a row that time moves: ends of leases and of waits, and what they are counted from. When Recall
/// deletes a recording is not among them.
const MOMENTS: [&str; 8] =
    ["until", "check_at", "due_at", "first_call_at", "last_call_at", "since", "missing_since", "unknown_since"];
/// Those of them that somebody waits for.
const ENDS: [&str; 2] = ["until", "check_at"];
/// A job that is due may still wait for this long after its last call, until Recall's lists can be believed.
const LIST_SETTLE_MS: i64 = 120_000;

impl Pipeline {
    /// Nobody works on anything: leases that are still held belong to processes that are gone.
    pub fn is_idle(&self) -> bool {
        self.stack.event_source.under_way() == 0
            && self.stack.transcript.under_way() == 0
            && self.stack.webhook.under_way() == 0
            && self.stack.sweep.under_way() == 0
    }

    /// Lets time pass until the next thing that each job waits for: its row is moved into the past by so much, unless
    /// somebody works on it, and what Recall remembers of it grows older by the same. Messages that are delayed or
    /// hidden become visible.
    ///
    /// Only rows without a living worker may be moved: a lease of one that lives would end too early.
    pub async fn let_time_pass(&self) -> Result<()> {
        for row in self.stack.dynamodb.items(JOBS_TABLE)? {
            if row.get("due_at").is_none() {
                continue;
            }
            let mut moved = row;
            let now = now_ms();
            let next = ends(&moved).filter(|end| *end > now).min();
            let by_ms = next.map_or(LIST_SETTLE_MS, |next| next - now);
            shift(&mut moved, by_ms);
            // Looked at after the row was read: whoever begins later writes another version.
            if self.is_idle() && self.stack.dynamodb.replace(JOBS_TABLE, &moved)? {
                let recording = moved["recording_id"].as_str().context("a row without its key")?.parse()?;
                self.simulator().age(recording, Duration::from_millis(by_ms.unsigned_abs()));
            }
        }
        self.let_the_sweep_go_on()?;
        if self.is_idle() {
            self.stack.queues.hurry(WORK_QUEUE).await?;
        }
        Ok(())
    }

    /// The sweep's place waits, too: for the end of a lease, or as long as Recall has asked for.
    fn let_the_sweep_go_on(&self) -> Result<()> {
        let Some(mut place) = self.stack.dynamodb.item(JOBS_TABLE, SWEEP)? else { return Ok(()) };
        if place["until"].as_i64().is_some_and(|until| until > now_ms()) && self.is_idle() {
            place["until"] = now_ms().into();
            self.stack.dynamodb.replace(JOBS_TABLE, &place)?;
        }
        Ok(())
    }
}

fn ends(row: &Value) -> Box<dyn Iterator<Item = i64> + '_> {
    match row {
        Value::Object(members) => Box::new(members.iter().flat_map(|(name, value)| {
            let own = value.as_i64().filter(|_| ENDS.contains(&name.as_str()));
            own.into_iter().chain(ends(value))
        })),
        Value::Array(values) => Box::new(values.iter().flat_map(ends)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
    }
}

fn shift(row: &mut Value, by_ms: i64) {
    match row {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_i64().filter(|at| *at > 0 && MOMENTS.contains(&name.as_str())) {
                    Some(at) => *value = (at - by_ms).into(),
                    None => shift(value, by_ms),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| shift(value, by_ms)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
