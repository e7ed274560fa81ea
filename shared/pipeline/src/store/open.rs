//! The index of unfinished jobs, in the order in which their recordings were done.
//!
//! The index `due` has the same jobs in the order in which they are due, so every run would have to read all of them to
//! find the oldest one. This index needs one read in each partition, however many jobs there are. It costs one write
//! when a job begins and one when it ends, because the index has nothing but its keys. At ten million recordings a
//! month these are about 20 million small writes.

use aws_sdk_dynamodb::types::AttributeValue;
use job::time::Timestamp;

use super::{Store, StoreError, unavailable};

impl Store {
    /// Returns when the recording of the oldest unfinished job was done; `None` if no job is unfinished. Jobs for which
    /// this time is unknown are left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn oldest_unfinished(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut oldest = None;
        for shard in Self::due_shards() {
            let first = self.first_unfinished(shard).await?;
            oldest = [oldest, first].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    async fn first_unfinished(&self, shard: u8) -> Result<Option<Timestamp>, StoreError> {
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("open")
            .key_condition_expression("open_shard = :shard")
            .expression_attribute_values(":shard", AttributeValue::S(shard.to_string()))
            .limit(1)
            .send()
            .await
            .map_err(|error| unavailable("Query", error))?;
        let millis = |number: &AttributeValue| number.as_n().ok()?.parse().ok();
        let first = output.items.unwrap_or_default().into_iter().next();
        Ok(first.and_then(|item| item.get("done_at").and_then(millis)).map(Timestamp::from_millis))
    }
}
