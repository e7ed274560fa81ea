//! Many jobs at once, by their keys.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use job::{Job, ids::RecordingId};

use super::{Item, Store, StoreError, read, unavailable};
use crate::{logs, telemetry::Chain};

/// Keys in one call: DynamoDB takes no more.
const MAX_KEYS: usize = 100;
/// DynamoDB leaves keys of a call for the next one when it is short of capacity, or the answer of room (16 MB). So
/// often it may do that for one set of keys.
const MAX_CALLS: u32 = 10;
/// The wait before keys that were left are asked for again; it doubles with every call.
const LEFT_WAIT: Duration = Duration::from_millis(20);
const LEFT_WAIT_MAX: Duration = Duration::from_secs(1);

impl Store {
    /// The jobs of these recordings; a new one where there is none. An item that is no job is left out. They may be a
    /// moment old, which costs half.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load_many(&self, ids: &BTreeSet<RecordingId>) -> Result<HashMap<RecordingId, Job>, StoreError> {
        let mut jobs: HashMap<_, _> = ids.iter().map(|id| (*id, Job::new(*id))).collect();
        let key = |id: &RecordingId| Item::from([("recording_id".to_owned(), AttributeValue::S(id.to_string()))]);
        let keys: Vec<Item> = ids.iter().map(key).collect();
        for keys in keys.chunks(MAX_KEYS) {
            self.load_chunk(keys.to_vec(), &mut jobs).await?;
        }
        Ok(jobs)
    }

    async fn load_chunk(&self, keys: Vec<Item>, jobs: &mut HashMap<RecordingId, Job>) -> Result<(), StoreError> {
        let unexpected = |error| StoreError::Unavailable(error);
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).build();
        let mut wanted = wanted.map_err(|error| unexpected(error.into()))?;
        let mut wait = LEFT_WAIT;
        for _ in 0..MAX_CALLS {
            let output = self.client.batch_get_item().request_items(&self.table, wanted).send().await;
            let output = output.map_err(unavailable)?;
            // A recording without a row is going to be paid for, so an answer that may not be one counts for nothing.
            let mut found = output.responses.ok_or_else(|| unexpected("the answer has no rows".into()))?;
            for item in found.remove(&self.table).unwrap_or_default() {
                let Some(id) = recording_id(&item) else { continue };
                match job(item) {
                    Some(job) => drop(jobs.insert(id, job)),
                    None => drop(jobs.remove(&id)),
                }
            }
            match output.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table)) {
                None => return Ok(()),
                Some(left) => wanted = left,
            }
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(LEFT_WAIT_MAX);
        }
        Err(unexpected("keys are left again and again".into()))
    }
}

/// What is no job is logged and left out: it must not hold up the others.
pub(super) fn job(item: Item) -> Option<Job> {
    let Some(id) = recording_id(&item) else {
        tracing::error!(message = logs::JOB_NOT_READ);
        return None;
    };
    read(id, item)
        .inspect_err(|error| tracing::error!(message = logs::JOB_NOT_READ, recording.id = %id, error = %Chain(error)))
        .ok()
}

fn recording_id(item: &Item) -> Option<RecordingId> {
    item.get("recording_id")?.as_s().ok()?.parse().ok()
}
