//! The index of due jobs.

use aws_sdk_dynamodb::types::AttributeValue;
use job::{Job, time::Timestamp};

use super::{DUE_SHARDS, Item, Store, StoreError, batch_get::readable_job, unavailable};

/// How many jobs one page of the index has.
const JOBS_PER_PAGE: i32 = 100;

/// The position of the next page in a partition of the index.
#[derive(Clone, Debug)]
pub struct DueCursor(Item);

/// One page of the due jobs of one partition, in the order of `due_at`.
#[derive(Debug)]
pub struct DuePage {
    pub jobs: Vec<Job>,
    /// The position of the next page; `None` on the last page.
    pub next: Option<DueCursor>,
}

impl Store {
    /// Returns the partitions of the indexes `due` and `open`.
    pub fn due_shards() -> impl Iterator<Item = u8> {
        0..DUE_SHARDS
    }

    /// Reads one page of the jobs of one partition that are due now. An item that is not a job is left out. The index
    /// may lag a little behind the table.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn due(&self, shard: u8, now: Timestamp, after: Option<DueCursor>) -> Result<DuePage, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("due_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", AttributeValue::S(shard.to_string()))
            .expression_attribute_values(":now", AttributeValue::N(now.as_millis().to_string()))
            .limit(JOBS_PER_PAGE)
            .set_exclusive_start_key(after.map(|DueCursor(key)| key))
            .send()
            .await
            .map_err(|error| unavailable("Query", error))?;
        let jobs = output.items.unwrap_or_default().into_iter().filter_map(readable_job).collect();
        Ok(DuePage { jobs, next: output.last_evaluated_key.map(DueCursor) })
    }
}
