//! Lets time pass in a test without waiting: whatever a job waits for ends at once.

use std::time::Duration;

use anyhow::{Context as _, Result};
use local::stack::{JOBS_TABLE, WORK_QUEUE};
use serde_json::Value;

use crate::{Pipeline, SWEEP};

/// The timestamps in a row that move with time: the ends of leases and waits, and the times that they are counted from.
const MOMENTS: [&str; 10] = [
    "retry_at",
    "check_at",
    "due_at",
    "first_call_at",
    "last_call_at",
    "since",
    "missing_since",
    "unknown_since",
    "inconclusive_since",
    "failed_at",
];
/// The timestamps that do not move: nothing is counted from them, or they follow from what Recall says.
#[cfg(test)]
const FIXED: [&str; 8] = [
    "done_at",
    "expires_at",
    "expiry_alarm_at",
    "stored_at",
    "created_at",
    "rendering_stopped_at",
    "ended_at",
    "dismissed_at",
];
/// The timestamps that a job waits for.
const ENDS: [&str; 2] = ["retry_at", "check_at"];
/// How long a due job may still wait after its last call, until Recall's lists are reliable.
const LIST_SETTLE_MS: i64 = 120_000;

impl Pipeline {
    /// Returns whether no function is at work. A lease that is still held then belongs to a dead process.
    pub fn is_idle(&self) -> bool {
        self.stack.event_source.under_way() == 0
            && self.stack.transcript.under_way() == 0
            && self.stack.webhook.under_way() == 0
            && self.stack.sweep.under_way() == 0
    }

    /// Lets time pass until the next event that each job waits for. Moves the job's row into the past by that time,
    /// unless a function is working on it, and lets Recall's memory of it age by the same time. Delayed and hidden
    /// messages become visible.
    ///
    /// Only rows without a living worker may be moved, because the lease of a living worker would end too early.
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
            // The pipeline is checked after the row was read: a worker that begins later writes another version.
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

    /// Ends the wait of the sweep, which may be for a lease or for the time that Recall has asked for.
    fn let_the_sweep_go_on(&self) -> Result<()> {
        let Some(mut place) = self.stack.dynamodb.item(JOBS_TABLE, SWEEP)? else { return Ok(()) };
        if place["lease_until"].as_i64().is_some_and(|until| until > now_ms()) && self.is_idle() {
            place["lease_until"] = now_ms().into();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use job::Job;

    use super::*;

    fn timestamps(row: &Value, found: &mut BTreeSet<String>) {
        match row {
            Value::Object(members) => {
                for (name, value) in members {
                    if value.is_i64() && (name.ends_with("_at") || name.ends_with("since")) {
                        found.insert(name.clone());
                    }
                    timestamps(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| timestamps(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// With a timestamp that wrongly stays where it is, a job waits forever.
    #[test]
    fn every_timestamp_of_a_row_moves_or_is_fixed() {
        let mut found = BTreeSet::new();
        for job in Job::samples() {
            timestamps(&serde_json::to_value(job).expect("a row"), &mut found);
        }
        // The store adds this one.
        found.insert("due_at".to_owned());
        let known: BTreeSet<String> = MOMENTS.iter().chain(&FIXED).map(|name| (*name).to_owned()).collect();
        assert_eq!(found, known);
    }
}
