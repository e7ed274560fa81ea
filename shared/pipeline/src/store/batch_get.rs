//! Reading many jobs at once by their keys.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use job::{Job, ids::RecordingId};

use super::{Item, Store, StoreError, from_item, unavailable};
use crate::{logs, telemetry::Chain};

/// How many keys DynamoDB accepts in one call.
const MAX_KEYS: usize = 100;
/// How many calls to make for one set of keys. DynamoDB leaves keys unprocessed if it is short of capacity or if the
/// answer reaches 16 MB.
const MAX_BATCH_CALLS: u32 = 10;
/// The wait before unprocessed keys are requested again. It doubles with every call, up to the maximum.
const UNPROCESSED_WAIT: Duration = Duration::from_millis(20);
const UNPROCESSED_WAIT_MAX: Duration = Duration::from_secs(1);

impl Store {
    /// Loads the jobs of these recordings. A recording without an item gets a new job, and an item that is not a job is
    /// left out. The read is eventually consistent, which costs half as much.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load_many(&self, ids: &BTreeSet<RecordingId>) -> Result<HashMap<RecordingId, Job>, StoreError> {
        let mut jobs: HashMap<_, _> = ids.iter().map(|id| (*id, Job::new(*id))).collect();
        let key = |id: &RecordingId| Item::from([("recording_id".to_owned(), AttributeValue::S(id.to_string()))]);
        let keys: Vec<Item> = ids.iter().map(key).collect();
        for chunk in keys.chunks(MAX_KEYS) {
            self.load_chunk(chunk.to_vec(), &mut jobs).await?;
        }
        Ok(jobs)
    }

    async fn load_chunk(&self, keys: Vec<Item>, jobs: &mut HashMap<RecordingId, Job>) -> Result<(), StoreError> {
        let failed = |source| StoreError::Unavailable { operation: "BatchGetItem", source };
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).build();
        let mut request = request.map_err(|error| failed(error.into()))?;
        let mut wait = UNPROCESSED_WAIT;
        for _ in 0..MAX_BATCH_CALLS {
            let output = self.client.batch_get_item().request_items(&self.table, request).send().await;
            let output = output.map_err(|error| unavailable("BatchGetItem", error))?;
            // A recording without an item is paid for, so an answer that may be incomplete is an error.
            let mut tables = output.responses.ok_or_else(|| failed("the answer has no items".into()))?;
            for item in tables.remove(&self.table).unwrap_or_default() {
                let Some(id) = recording_id(&item) else { continue };
                match readable_job(item) {
                    Some(job) => drop(jobs.insert(id, job)),
                    None => drop(jobs.remove(&id)),
                }
            }
            match output.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table)) {
                None => return Ok(()),
                Some(unprocessed) => request = unprocessed,
            }
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(UNPROCESSED_WAIT_MAX);
        }
        Err(failed(format!("DynamoDB left keys unprocessed in {MAX_BATCH_CALLS} calls").into()))
    }
}

/// Returns the job in an item. An item that is not a job is logged and left out, so that it does not affect the others.
pub(super) fn readable_job(item: Item) -> Option<Job> {
    let Some(id) = recording_id(&item) else {
        tracing::error!(message = logs::JOB_NOT_READ);
        return None;
    };
    from_item(id, item)
        .inspect_err(|error| tracing::error!(message = logs::JOB_NOT_READ, recording.id = %id, error = %Chain(error)))
        .ok()
}

fn recording_id(item: &Item) -> Option<RecordingId> {
    item.get("recording_id")?.as_s().ok()?.parse().ok()
}
