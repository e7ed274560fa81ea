//! How far the sweep has come in Recall's lists: one more item of the jobs table, which is no job.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Item, Put, Store, StoreError, parse};
use crate::time::{self, Timestamp};

/// The partition key of the item. No recording has it: theirs are UUIDs.
const KEY: &str = "sweep";

/// Where the next sweep goes on, and who is at it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Nobody else lists before this: a sweep is at it, or Recall has asked us to wait.
    #[serde(default)]
    pub until: Timestamp,
    #[serde(default)]
    pub recordings: Position,
    #[serde(default)]
    pub transcripts: Position,
    /// Counts the saves. 0 means that the item is not in the table yet.
    pub version: u64,
}

/// How far one list is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Recall's link to the next page: its cursor and our filters, no secret. `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Pages read since the beginning.
    #[serde(default)]
    pub pages: u32,
    /// How often in a row this page could not be had.
    #[serde(default)]
    pub failures: u32,
}

impl Store {
    /// The place where the last sweep stopped; the beginning, if there was none. A consistent read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load_place(&self) -> Result<Place, StoreError> {
        self.get(KEY).await?.map_or_else(|| Ok(Place::default()), |item| parse(KEY, item))
    }

    /// Writes the place with its next version, if nobody else has since it was loaded. Whether it was written.
    ///
    /// # Errors
    /// [`StoreError`]; the write may or may not have happened.
    pub async fn save_place(&self, place: &mut Place) -> Result<bool, StoreError> {
        place.version += 1;
        let token = Uuid::new_v4().to_string();
        let item = write(place, &token, time::now())?;
        Ok(matches!(self.put(item, place.version, &token).await?, Put::Done))
    }
}

fn write(place: &Place, token: &str, now: Timestamp) -> Result<Item, StoreError> {
    let unwritable = |source| StoreError::Unreadable { key: KEY.to_owned(), source };
    let mut item: Item = serde_dynamo::to_item(place).map_err(unwritable)?;
    for (name, value) in [("recording_id", KEY), ("updated_at", &now.rfc3339()), ("write_token", token)] {
        item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_table_and_is_no_job() {
        let recordings = Position { next: Some("https://x/?cursor=c".to_owned()), pages: 3, failures: 1 };
        let until = Timestamp::from_millis(1_700_000_000_000);
        let place = Place { until, recordings, transcripts: Position::default(), version: 7 };
        let item = write(&place, "token", Timestamp::from_millis(0)).expect("it can be written");
        assert_eq!(item["recording_id"], AttributeValue::S("sweep".to_owned()));
        assert!(!item.contains_key("status") && !item.contains_key("due_shard"), "{item:?}");
        assert_eq!(parse::<Place>(KEY, item).expect("it can be read"), place);
    }
}
