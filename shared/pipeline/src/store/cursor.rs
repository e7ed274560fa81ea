//! The sweep's position in Recall's lists. It is an item of the jobs table, but not a job.

use aws_sdk_dynamodb::types::AttributeValue;
use job::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Item, Put, Store, StoreError, from_item};
use crate::time;

/// The partition key of the item. It cannot be that of a recording, because these are UUIDs.
const CURSOR_KEY: &str = "sweep";

/// The position in both lists, and the lease of the run that reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepCursor {
    /// A run is reading the lists, and no other run may read them before this time.
    #[serde(default)]
    pub lease_until: Timestamp,
    #[serde(default)]
    pub recordings: ListCursor,
    #[serde(default)]
    pub transcripts: ListCursor,
    /// Counts the saves. 0 means that the item is not in the table yet.
    pub version: u64,
}

/// The position in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCursor {
    /// Recall's link to the next page, with its cursor and our filters. It has no secret. `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many pages were read since the beginning.
    #[serde(default)]
    pub pages: u32,
    /// How many times in a row this page could not be read.
    #[serde(default)]
    pub failures: u32,
    /// Recall has asked us not to read this list before this time.
    #[serde(default)]
    pub retry_at: Timestamp,
    /// When the very first pass began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// When this pass over the list began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When the last complete pass began. The jobs know everything that the list had then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_at: Option<Timestamp>,
}

impl ListCursor {
    /// Begins a pass.
    pub fn begin(&mut self, now: Timestamp) {
        self.began_at = Some(now);
        self.first_at = self.first_at.or(Some(now));
    }

    /// Returns to the beginning of the list without completing this pass.
    pub fn restart(&mut self) {
        let Self { retry_at, first_at, complete_at, .. } = *self;
        *self = Self { retry_at, first_at, complete_at, ..Self::default() };
    }

    /// Completes this pass, which has reached the end of the list, and returns to the beginning.
    pub fn complete(&mut self) {
        self.complete_at = self.began_at.or(self.complete_at);
        self.restart();
    }

    /// Returns the time from which the window of a pass reaches back: the beginning of the last complete pass. Before
    /// the first complete pass, it is the beginning of the first pass, so that the window does not move past unread
    /// entries.
    pub fn window_anchor(&self, now: Timestamp) -> Timestamp {
        self.complete_at.or(self.first_at).map_or(now, |at| at.min(now))
    }
}

impl Store {
    /// Reads consistently where the last run stopped. Without an earlier run, this is the beginning.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load_cursor(&self) -> Result<SweepCursor, StoreError> {
        self.get(CURSOR_KEY).await?.map_or_else(|| Ok(SweepCursor::default()), |item| from_item(CURSOR_KEY, item))
    }

    /// Writes the cursor with its next version, unless another run wrote it after it was loaded. Returns whether it was
    /// written.
    ///
    /// # Errors
    /// [`StoreError`]; the outcome of the write is unknown.
    pub async fn save_cursor(&self, cursor: &mut SweepCursor) -> Result<bool, StoreError> {
        cursor.version += 1;
        let token = Uuid::new_v4().to_string();
        let item = to_item(cursor, &token, time::now())?;
        Ok(matches!(self.put(item, cursor.version, &token).await?, Put::Done))
    }
}

fn to_item(cursor: &SweepCursor, token: &str, now: Timestamp) -> Result<Item, StoreError> {
    let unwritable = |source| StoreError::Unreadable { key: CURSOR_KEY.to_owned(), source };
    let mut item: Item = serde_dynamo::to_item(cursor).map_err(unwritable)?;
    for (name, value) in [("recording_id", CURSOR_KEY), ("updated_at", &now.rfc3339()), ("write_token", token)] {
        item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_read_as_it_was_written_and_is_not_a_job() {
        let at = Timestamp::from_millis;
        let recordings = ListCursor {
            next: Some("https://x/?cursor=c".to_owned()),
            pages: 3,
            failures: 1,
            retry_at: at(1_700_000_000_003),
            first_at: Some(at(1_700_000_000_004)),
            began_at: Some(at(1_700_000_000_001)),
            complete_at: Some(at(1_700_000_000_002)),
        };
        let lease_until = at(1_700_000_000_000);
        let cursor = SweepCursor { lease_until, recordings, transcripts: ListCursor::default(), version: 7 };
        let item = to_item(&cursor, "token", at(0)).expect("it can be written");
        assert_eq!(item["recording_id"], AttributeValue::S("sweep".to_owned()));
        assert!(!item.contains_key("status") && !item.contains_key("due_shard"), "{item:?}");
        assert_eq!(from_item::<SweepCursor>(CURSOR_KEY, item).expect("it can be read"), cursor);
    }

    #[test]
    fn item_without_the_times_of_passes_can_be_read() {
        let map = |members: [(&str, AttributeValue); 2]| {
            AttributeValue::M(members.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let number = |value: &str| AttributeValue::N(value.to_owned());
        let item = Item::from([
            ("recording_id".to_owned(), AttributeValue::S(CURSOR_KEY.to_owned())),
            ("recordings".to_owned(), map([("pages", number("3")), ("next", AttributeValue::S("c".to_owned()))])),
            ("transcripts".to_owned(), map([("pages", number("0")), ("failures", number("1"))])),
            ("version".to_owned(), number("7")),
        ]);
        let cursor: SweepCursor = from_item(CURSOR_KEY, item).expect("it can be read");
        let recordings = ListCursor { next: Some("c".to_owned()), pages: 3, ..ListCursor::default() };
        assert_eq!((cursor.recordings, cursor.version), (recordings, 7));
        assert_eq!(cursor.transcripts, ListCursor { failures: 1, ..ListCursor::default() });
    }

    #[test]
    fn pass_is_remembered_only_if_it_is_complete() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        let kept = ListCursor { retry_at: Timestamp::from_secs(11), first_at: at(2), ..ListCursor::default() };
        let reading = ListCursor {
            next: Some("c".to_owned()),
            pages: 3,
            failures: 1,
            began_at: at(9),
            complete_at: at(5),
            ..kept.clone()
        };
        let (mut restarted, mut complete) = (reading.clone(), reading);
        restarted.restart();
        assert_eq!(restarted, ListCursor { complete_at: at(5), ..kept.clone() });
        complete.complete();
        assert_eq!(complete, ListCursor { complete_at: at(9), ..kept.clone() });
        // An older version began this pass, so the time is unknown.
        complete.complete();
        assert_eq!(complete, ListCursor { complete_at: at(9), ..kept });
    }

    #[test]
    fn window_anchor_is_the_first_pass_until_one_is_complete() {
        let at = Timestamp::from_secs;
        let mut cursor = ListCursor::default();
        assert_eq!(cursor.window_anchor(at(100)), at(100));
        for now in [100, 200, 300] {
            cursor.begin(at(now));
            assert_eq!(cursor.window_anchor(at(now)), at(100));
            cursor.restart();
        }
        cursor.begin(at(400));
        cursor.complete();
        assert_eq!(cursor.window_anchor(at(500)), at(400));
        assert_eq!(cursor.window_anchor(at(300)), at(300), "a clock was ahead");
    }
}
