//! How far the sweep has come in Recall's lists: one more item of the jobs table, which is no job.

use aws_sdk_dynamodb::types::AttributeValue;
use job::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Item, Put, Store, StoreError, parse};
use crate::time;

/// The partition key of the item. No recording has it: theirs are UUIDs.
const KEY: &str = "sweep";

/// Where the next sweep goes on, and who is at it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepCursor {
    /// Nobody else lists before this: a sweep is reading the lists.
    #[serde(default)]
    pub lease_until: Timestamp,
    #[serde(default)]
    pub recordings: ListCursor,
    #[serde(default)]
    pub transcripts: ListCursor,
    /// Counts the saves. 0 means that the item is not in the table yet.
    pub version: u64,
}

/// How far one list is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCursor {
    /// Recall's link to the next page: its cursor and our filters, no secret. `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Pages read since the beginning.
    #[serde(default)]
    pub pages: u32,
    /// How often in a row this page could not be had.
    #[serde(default)]
    pub failures: u32,
    /// Recall has asked us to leave this list alone until then.
    #[serde(default)]
    pub retry_at: Timestamp,
    /// When the first pass of all began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// When this pass over the list began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When the last pass began that was read to the list's end. Whatever was listed then has been told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_at: Option<Timestamp>,
}

impl ListCursor {
    /// A pass begins now.
    pub fn begin(&mut self, now: Timestamp) {
        self.began_at = Some(now);
        self.first_at = self.first_at.or(Some(now));
    }

    /// Back to the beginning: what this pass has read counts for nothing.
    pub fn restart(&mut self) {
        let Self { retry_at, first_at, complete_at, .. } = *self;
        *self = Self { retry_at, first_at, complete_at, ..Self::default() };
    }

    /// Back to the beginning, because this pass has come to the list's end.
    pub fn complete(&mut self) {
        self.complete_at = self.began_at.or(self.complete_at);
        self.restart();
    }

    /// What passes count their window from: the beginning of the last one that came to the list's end. Until one has,
    /// the beginning of the first, so that the window does not move on past what nobody has read.
    pub fn counts_from(&self, now: Timestamp) -> Timestamp {
        self.complete_at.or(self.first_at).map_or(now, |at| at.min(now))
    }
}

impl Store {
    /// The place where the last sweep stopped; the beginning, if there was none. A consistent read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load_cursor(&self) -> Result<SweepCursor, StoreError> {
        self.get(KEY).await?.map_or_else(|| Ok(SweepCursor::default()), |item| parse(KEY, item))
    }

    /// Writes the place with its next version, if nobody else has since it was loaded. Whether it was written.
    ///
    /// # Errors
    /// [`StoreError`]; the write may or may not have happened.
    pub async fn save_cursor(&self, cursor: &mut SweepCursor) -> Result<bool, StoreError> {
        cursor.version += 1;
        let token = Uuid::new_v4().to_string();
        let item = write(cursor, &token, time::now())?;
        Ok(matches!(self.put(item, cursor.version, &token).await?, Put::Done))
    }
}

fn write(cursor: &SweepCursor, token: &str, now: Timestamp) -> Result<Item, StoreError> {
    let unwritable = |source| StoreError::Unreadable { key: KEY.to_owned(), source };
    let mut item: Item = serde_dynamo::to_item(cursor).map_err(unwritable)?;
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
        let item = write(&cursor, "token", at(0)).expect("it can be written");
        assert_eq!(item["recording_id"], AttributeValue::S("sweep".to_owned()));
        assert!(!item.contains_key("status") && !item.contains_key("due_shard"), "{item:?}");
        assert_eq!(parse::<SweepCursor>(KEY, item).expect("it can be read"), cursor);
    }

    #[test]
    fn an_item_that_does_not_know_when_passes_began_can_be_read() {
        let of = |members: [(&str, AttributeValue); 2]| {
            AttributeValue::M(members.map(|(name, value)| (name.to_owned(), value)).into())
        };
        let number = |value: &str| AttributeValue::N(value.to_owned());
        let item = Item::from([
            ("recording_id".to_owned(), AttributeValue::S(KEY.to_owned())),
            ("recordings".to_owned(), of([("pages", number("3")), ("next", AttributeValue::S("c".to_owned()))])),
            ("transcripts".to_owned(), of([("pages", number("0")), ("failures", number("1"))])),
            ("version".to_owned(), number("7")),
        ]);
        let cursor: SweepCursor = parse(KEY, item).expect("it can be read");
        let recordings = ListCursor { next: Some("c".to_owned()), pages: 3, ..ListCursor::default() };
        assert_eq!((cursor.recordings, cursor.version), (recordings, 7));
        assert_eq!(cursor.transcripts, ListCursor { failures: 1, ..ListCursor::default() });
    }

    #[test]
    fn only_a_pass_that_came_to_the_end_is_remembered() {
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
        let (mut anew, mut complete) = (reading.clone(), reading);
        anew.restart();
        assert_eq!(anew, ListCursor { complete_at: at(5), ..kept.clone() });
        complete.complete();
        assert_eq!(complete, ListCursor { complete_at: at(9), ..kept.clone() });
        // A pass that an older version began.
        complete.complete();
        assert_eq!(complete, ListCursor { complete_at: at(9), ..kept });
    }

    #[test]
    fn the_first_pass_is_the_anchor_until_one_is_complete() {
        let at = Timestamp::from_secs;
        let mut position = ListCursor::default();
        assert_eq!(position.counts_from(at(100)), at(100));
        for now in [100, 200, 300] {
            position.begin(at(now));
            assert_eq!(position.counts_from(at(now)), at(100));
            position.restart();
        }
        position.begin(at(400));
        position.complete();
        assert_eq!(position.counts_from(at(500)), at(400));
        assert_eq!(position.counts_from(at(300)), at(300), "a clock was ahead");
    }
}
