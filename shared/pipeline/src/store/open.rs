//! The index of what is unfinished, by the moment since which it is.
//!
//! The index `due` holds the same jobs, but in the order in which they are due: the oldest could only be found by reading
//! all of them in every run. Here it is one read in each partition, however many there are, and one write when a job
//! begins and when it ends, because the index holds nothing but its keys. At ten million recordings a month that is
//! about 20 million small writes.

use aws_sdk_dynamodb::types::AttributeValue;
use job::time::Timestamp;

use super::{Store, StoreError, unavailable};

impl Store {
    /// When the recording was done that has been unfinished for the longest; `None` if nothing is. Jobs that are not
    /// known to be done since then are left out.
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
            .map_err(unavailable)?;
        let millis = |number: &AttributeValue| number.as_n().ok()?.parse().ok();
        let first = output.items.unwrap_or_default().into_iter().next();
        Ok(first.and_then(|item| item.get("done_at").and_then(millis)).map(Timestamp::from_millis))
    }
}
