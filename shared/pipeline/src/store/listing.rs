//! The jobs that a person looks at: pages of the indexes `open` and `attention`, and one job by its recording.

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use job::{Job, ids::RecordingId, time::Timestamp};

use super::{Item, Store, StoreError, batch_get::readable_job, from_item, unavailable};

/// The position of the next page in a partition of an index.
#[derive(Clone, Debug)]
pub struct ListingCursor(Item);

/// One page of a partition of an index.
#[derive(Debug)]
pub struct ListingPage<T> {
    pub entries: Vec<T>,
    /// The position of the next page; `None` on the last page.
    pub next: Option<ListingCursor>,
}

/// A kind of job that an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// In progress.
    Open,
    /// Ended without a transcript, and not dismissed.
    Attention,
    /// Due before this time.
    Due(Timestamp),
}

impl Store {
    /// Counts the jobs of this kind, up to `most`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn count(&self, kind: Listed, most: u16) -> Result<usize, StoreError> {
        let mut left = i32::from(most);
        for shard in Self::due_shards() {
            let query = self.client.query();
            let query = match kind {
                Listed::Open => query.index_name("open").key_condition_expression("open_shard = :shard"),
                Listed::Attention => query.index_name("attention").key_condition_expression("attention_shard = :shard"),
                Listed::Due(now) => query
                    .index_name("due")
                    .key_condition_expression("due_shard = :shard AND due_at <= :now")
                    .expression_attribute_values(":now", AttributeValue::N(now.as_millis().to_string())),
            };
            let mut next = None;
            while left > 0 {
                let page = query.clone().table_name(&self.table).select(Select::Count).limit(left);
                let page = page.expression_attribute_values(":shard", AttributeValue::S(shard.to_string()));
                let output = page.set_exclusive_start_key(next).send().await;
                let output = output.map_err(|error| unavailable("Query", error))?;
                left -= output.count;
                next = output.last_evaluated_key;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(usize::try_from(i32::from(most) - left).unwrap_or_default())
    }

    /// Reads the job of this recording; `None` if the table has none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn find(&self, recording_id: RecordingId) -> Result<Option<Job>, StoreError> {
        let item = self.get(&recording_id.to_string()).await?;
        item.map(|item| from_item(recording_id, item)).transpose()
    }

    /// Reads one page of the jobs of one partition that ended without a transcript and that no one has dismissed, the
    /// newest first. An item that is not a job is left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn attention(
        &self,
        shard: u8,
        limit: u16,
        after: Option<ListingCursor>,
    ) -> Result<ListingPage<Job>, StoreError> {
        let query = self.client.query().index_name("attention").key_condition_expression("attention_shard = :shard");
        self.page(query.scan_index_forward(false), shard, limit, after, readable_job).await
    }

    /// Reads one page of the jobs in progress of one partition, the oldest first. The index has only their keys.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open(
        &self,
        shard: u8,
        limit: u16,
        after: Option<ListingCursor>,
    ) -> Result<ListingPage<RecordingId>, StoreError> {
        let query = self.client.query().index_name("open").key_condition_expression("open_shard = :shard");
        let id = |item: Item| item.get("recording_id")?.as_s().ok()?.parse().ok();
        self.page(query, shard, limit, after, id).await
    }

    async fn page<T>(
        &self,
        query: QueryFluentBuilder,
        shard: u8,
        limit: u16,
        after: Option<ListingCursor>,
        read: impl FnMut(Item) -> Option<T>,
    ) -> Result<ListingPage<T>, StoreError> {
        let output = query
            .table_name(&self.table)
            .expression_attribute_values(":shard", AttributeValue::S(shard.to_string()))
            .limit(limit.into())
            .set_exclusive_start_key(after.map(|ListingCursor(key)| key))
            .send()
            .await
            .map_err(|error| unavailable("Query", error))?;
        let entries = output.items.unwrap_or_default().into_iter().filter_map(read).collect();
        Ok(ListingPage { entries, next: output.last_evaluated_key.map(ListingCursor) })
    }
}
