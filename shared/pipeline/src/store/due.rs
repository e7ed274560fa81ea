//! The index of what is due.

use aws_sdk_dynamodb::types::AttributeValue;
use job::{Job, time::Timestamp};

use super::{DUE_SHARDS, Item, Store, StoreError, batch_get::job, unavailable};

/// Jobs on one page of the index.
const PAGE: i32 = 100;

/// Where a partition of the index goes on.
#[derive(Clone, Debug)]
pub struct Cursor(Item);

/// A part of what is due in one partition, the longest due first.
#[derive(Debug)]
pub struct DuePage {
    pub jobs: Vec<Job>,
    /// `None` at the end.
    pub next: Option<Cursor>,
}

impl Store {
    /// The partitions of the index.
    pub fn due_shards() -> impl Iterator<Item = u8> {
        0..DUE_SHARDS
    }

    /// Jobs of one partition that are due now. An item that is no job is left out. The index may lag a little behind
    /// the table.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn due(&self, shard: u8, now: Timestamp, after: Option<Cursor>) -> Result<DuePage, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("due_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", AttributeValue::S(shard.to_string()))
            .expression_attribute_values(":now", AttributeValue::N(now.as_millis().to_string()))
            .limit(PAGE)
            .set_exclusive_start_key(after.map(|Cursor(key)| key))
            .send()
            .await
            .map_err(unavailable)?;
        let jobs = output.items.unwrap_or_default().into_iter().filter_map(job).collect();
        Ok(DuePage { jobs, next: output.last_evaluated_key.map(Cursor) })
    }
}
