use std::collections::BTreeSet;

use job::{Hold, Job, Recording, ids::RecordingId, time::Timestamp};
use pipeline::{
    aws::Aws,
    env::{Env, Reader},
    store::{ListCursor, Saved, Store, SweepCursor},
};

use super::*;
use crate::{
    ACCESS_KEY, REGION, SECRET_KEY,
    wire::{Fault, When},
};

/// The jobs table, and the functions' store for it.
struct Lab {
    wire: Wire,
    dynamodb: DynamoDb,
    store: Store,
}

impl Lab {
    async fn start() -> Result<Lab> {
        let wire = Wire::default();
        let dynamodb = DynamoDb::start(&wire, None).await?;
        dynamodb.create_jobs_table("jobs")?;
        let env = Env::from_pairs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()),
        ]);
        let mut reader = Reader::new(&env);
        let store = Store::new(Aws::read(&env, &mut reader).dynamodb(), "jobs".to_owned());
        Ok(reader.finish(Lab { wire, dynamodb, store })?)
    }

    async fn save(&self, job: &Job) -> Result<()> {
        anyhow::ensure!(matches!(self.store.save(job).await?, Saved::Yes), "another writer was first");
        Ok(())
    }

    /// Gives an item one more attribute of this many bytes.
    fn fatten(&self, id: RecordingId, bytes: usize) -> Result<()> {
        let request = json!({
            "TableName": "jobs", "Key": {"recording_id": {"S": id.to_string()}},
            "UpdateExpression": "SET fat = :fat", "ExpressionAttributeValues": {":fat": {"S": "x".repeat(bytes)}},
        });
        self.dynamodb.database.update_item(serde_json::from_value(request)?)?;
        Ok(())
    }
}

/// Returns a job that is due at this time.
fn job(id: u128, due_at: i64) -> Job {
    let hold =
        Hold::Wait { retry_at: Timestamp::from_secs(due_at), status: None, times: 1, since: Timestamp::from_secs(0) };
    let id = RecordingId::from_u128(id);
    Job { recording: Recording::Done, hold: Some(hold), version: 1, ..Job::new(id) }
}

#[test]
fn items_lose_their_type_tags() -> Result<()> {
    let tagged = json!({"M": {
        "s": {"S": "x"}, "n": {"N": "1790000000123"}, "f": {"N": "1.5"}, "b": {"BOOL": true}, "z": {"NULL": true},
        "l": {"L": [{"N": "-1"}, {"M": {}}]}, "ns": {"NS": ["1", "2"]}, "ss": {"SS": ["a"]},
    }});
    let plain = json!({
        "s": "x", "n": 1_790_000_000_123_i64, "f": 1.5, "b": true, "z": null,
        "l": [-1, {}], "ns": [1, 2], "ss": ["a"],
    });
    assert_eq!(untag(tagged)?, plain);
    Ok(())
}

#[tokio::test]
async fn a_table_is_made_once_and_read_back() -> Result<()> {
    let dynamodb = DynamoDb::start(&Wire::default(), None).await?;
    dynamodb.create_jobs_table("jobs")?;
    let item = json!({"TableName": "jobs", "Item": {"recording_id": {"S": "r1"}, "version": {"N": "3"}}});
    dynamodb.database.put_item(serde_json::from_value(item)?)?;
    dynamodb.create_jobs_table("jobs")?;

    let job = json!({"recording_id": "r1", "version": 3});
    assert_eq!(dynamodb.item("jobs", "r1")?, Some(job.clone()));
    assert_eq!(dynamodb.item("jobs", "r2")?, None);
    assert_eq!(dynamodb.items("jobs")?, [job]);
    Ok(())
}

#[tokio::test]
async fn due_jobs_are_found_page_by_page() -> Result<()> {
    let lab = Lab::start().await?;
    // Ids that end in `0` and `8` share a partition.
    for id in 0..150 {
        lab.save(&job(16 * (id + 1), 1_000 + i64::try_from(id)?)).await?;
    }
    lab.save(&job(16 * 200, 9_000)).await?;
    lab.save(&job(1, 1_000)).await?;
    let shard = u8::try_from(u32::from('0') % 8)?;
    let now = Timestamp::from_secs(2_000);
    let first = lab.store.due(shard, now, None).await?;
    let second = lab.store.due(shard, now, first.next).await?;
    let found: Vec<_> = first.jobs.iter().chain(&second.jobs).map(Job::due_at).collect();
    assert_eq!((first.jobs.len(), found.len(), second.next.is_some()), (100, 150, false));
    assert!(found.is_sorted(), "{found:?}");
    assert!(lab.store.due(shard, Timestamp::from_secs(999), None).await?.jobs.is_empty());
    let all = futures_util::future::try_join_all(Store::due_shards().map(|shard| lab.store.due(shard, now, None)));
    assert_eq!(all.await?.iter().map(|page| page.jobs.len()).sum::<usize>(), 101);
    Ok(())
}

/// DynamoDB leaves out the items beyond 16 MB, and reports their keys.
#[tokio::test]
async fn unprocessed_keys_are_requested_again() -> Result<()> {
    let lab = Lab::start().await?;
    let ids: BTreeSet<RecordingId> = (1..=130).map(RecordingId::from_u128).collect();
    for id in 1..=60 {
        lab.save(&job(id, 5)).await?;
        lab.fatten(RecordingId::from_u128(id), 380_000)?;
    }
    let jobs = lab.store.load_many(&ids).await?;
    assert_eq!(jobs.len(), 130);
    assert_eq!(jobs.values().filter(|job| job.version == 1).count(), 60);
    let calls = lab.wire.count(Service::DynamoDb, "BatchGetItem");
    assert_eq!(calls, 3, "two for the first 100 keys, one for the rest");
    Ok(())
}

#[tokio::test]
async fn an_item_that_is_not_a_job_is_skipped() -> Result<()> {
    let lab = Lab::start().await?;
    let id = RecordingId::from_u128(7);
    let item = json!({"TableName": "jobs", "Item": {
        "recording_id": {"S": id.to_string()}, "due_shard": {"S": "7"}, "due_at": {"N": "1"},
    }});
    lab.dynamodb.database.put_item(serde_json::from_value(item)?)?;
    assert!(lab.store.load_many(&BTreeSet::from([id])).await?.is_empty());
    assert!(lab.store.due(7, Timestamp::from_secs(9), None).await?.jobs.is_empty());
    // An answer without rows does not mean that there is no job either.
    let empty = Fault::Answer { status: 200, retry_after: None };
    lab.wire.inject(Service::DynamoDb, "BatchGetItem", When::Before, empty, 1);
    assert!(lab.store.load_many(&BTreeSet::from([id])).await.is_err());
    Ok(())
}

#[tokio::test]
async fn the_sweeps_place_has_one_owner() -> Result<()> {
    let lab = Lab::start().await?;
    let mut mine = lab.store.load_cursor().await?;
    assert_eq!(mine, SweepCursor::default());
    let mut theirs = mine.clone();
    mine.recordings = ListCursor { next: Some("https://x/?cursor=c".to_owned()), pages: 1, ..ListCursor::default() };
    // The SDK writes again when the answer is lost, and meets its own item.
    lab.wire.inject(Service::DynamoDb, "PutItem", When::After, Fault::Drop, 1);
    assert!(lab.store.save_cursor(&mut mine).await?);
    assert!(!lab.store.save_cursor(&mut theirs).await?);
    assert_eq!(lab.store.load_cursor().await?, mine);
    assert!(lab.store.save_cursor(&mut mine).await?);
    assert!(!lab.store.save_cursor(&mut theirs).await?);
    Ok(())
}

#[tokio::test]
async fn an_item_is_replaced_under_its_version() -> Result<()> {
    let dynamodb = DynamoDb::start(&Wire::default(), None).await?;
    dynamodb.create_jobs_table("jobs")?;
    let item = json!({"TableName": "jobs", "Item": {"recording_id": {"S": "r1"}, "version": {"N": "3"}}});
    dynamodb.database.put_item(serde_json::from_value(item)?)?;

    let job = json!({"recording_id": "r1", "version": 3, "list": [{"a": null, "b": true}, -1, "x"]});
    assert!(dynamodb.replace("jobs", &job)?);
    assert_eq!(dynamodb.item("jobs", "r1")?, Some(job));
    assert!(!dynamodb.replace("jobs", &json!({"recording_id": "r1", "version": 4}))?);
    assert!(!dynamodb.replace("jobs", &json!({"recording_id": "r2", "version": 1}))?);
    Ok(())
}
