//! The store against an emulator of DynamoDB.
#![allow(clippy::disallowed_methods, reason = "tests may wait")]

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use job::{Job, Recording, ids::RecordingId, samples::NOW};
use local::{
    dynamodb::DynamoDb,
    stack::JOBS_TABLE,
    wire::{Fault, Service, When, Wire},
};
use pipeline::{
    aws::Aws,
    env::{Env, Reader},
    store::{Listed, Saved, Store},
};
use serde_json::json;

struct Table {
    wire: Wire,
    dynamodb: DynamoDb,
    store: Store,
}

async fn table() -> Result<Table> {
    let wire = Wire::default();
    let dynamodb = DynamoDb::start(&wire, None).await?;
    dynamodb.create_jobs_table(JOBS_TABLE)?;
    let env = Env::from_pairs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()),
    ]);
    let mut reader = Reader::new(&env);
    let aws = Aws::read(&env, &mut reader);
    reader.finish(())?;
    Ok(Table { wire, store: Store::new(aws.dynamodb(), JOBS_TABLE.to_owned()), dynamodb })
}

fn id(number: u128) -> RecordingId {
    RecordingId::from_u128(number)
}

/// A job in progress, whose recording was done at this time.
fn unfinished(number: u128, minutes: u64) -> Job {
    let done_at = Some(NOW.plus(std::time::Duration::from_secs(60 * minutes)));
    let hold = Some(job::Hold::Wait { retry_at: NOW, status: None, times: 0, since: NOW });
    Job { recording: Recording::Done, done_at, hold, version: 1, ..Job::new(id(number)) }
}

async fn save(store: &Store, job: &Job) -> Result<()> {
    match store.save(job).await? {
        Saved::Yes => Ok(()),
        Saved::Conflict(theirs) => anyhow::bail!("{theirs:?} was there"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_loaded_as_it_was_saved_and_only_over_its_own_version() -> Result<()> {
    let table = table().await?;
    let store = &table.store;
    assert_eq!(store.load(id(1)).await?, Job::new(id(1)), "nothing is known yet");
    let first = unfinished(1, 0);
    save(store, &first).await?;
    assert_eq!(store.load(id(1)).await?, first);
    let second = Job { version: 2, attempts: 1, ..first.clone() };
    save(store, &second).await?;
    // Another worker has read the first version.
    let late = Job { version: 2, attempts: 7, ..first.clone() };
    for outdated in [late, first] {
        let Saved::Conflict(theirs) = store.save(&outdated).await? else { anyhow::bail!("it was overwritten") };
        assert_eq!(*theirs, second);
    }
    assert_eq!(store.load(id(1)).await?, second);
    // Someone removed the item by hand.
    let Saved::Conflict(theirs) = store.save(&Job { version: 3, ..unfinished(2, 0) }).await? else {
        anyhow::bail!("it was saved without an earlier version")
    };
    assert_eq!(*theirs, Job::new(id(2)));
    Ok(())
}

/// The SDK writes again, and DynamoDB refuses the second write, because the first one succeeded.
#[tokio::test(flavor = "multi_thread")]
async fn save_whose_answer_was_lost_has_succeeded() -> Result<()> {
    let table = table().await?;
    let (store, wire) = (&table.store, &table.wire);
    for job in [unfinished(1, 0), Job { version: 2, ..unfinished(1, 0) }] {
        let fault = Fault::Answer { status: 500, retry_after: None };
        let hits = wire.inject(Service::DynamoDb, "PutItem", When::After, fault, 1);
        save(store, &job).await?;
        drop(hits);
    }
    assert_eq!(store.load(id(1)).await?.version, 2);
    ensure!(wire.count(Service::DynamoDb, "PutItem") == 4, "each save was sent twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_loaded_at_once() -> Result<()> {
    let table = table().await?;
    let (store, dynamodb) = (&table.store, &table.dynamodb);
    let saved: Vec<Job> = (1..=3).map(|number| unfinished(number, 0)).collect();
    for job in &saved {
        save(store, job).await?;
    }
    let mut odd = dynamodb.item(JOBS_TABLE, &id(3).to_string())?.context("no item")?;
    odd["hold"] = json!("x");
    assert!(dynamodb.replace(JOBS_TABLE, &odd)?);
    // More than one call takes.
    let ids: BTreeSet<RecordingId> = (1..=150).map(id).collect();
    let jobs = store.load_many(&ids).await?;
    assert_eq!((jobs.get(&id(1)), jobs.get(&id(2))), (Some(&saved[0]), Some(&saved[1])));
    assert_eq!(
        (jobs.get(&id(3)), jobs.get(&id(150))),
        (None, Some(&Job::new(id(150)))),
        "what cannot be read is left out"
    );
    assert_eq!(jobs.len(), 149);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn oldest_unfinished_job_is_found_in_any_partition() -> Result<()> {
    let table = table().await?;
    let store = &table.store;
    assert_eq!(store.oldest_unfinished().await?, None);
    for (number, minutes) in [(1, 50), (2, 30), (3, 40)] {
        save(store, &unfinished(number, minutes)).await?;
    }
    assert_eq!(store.oldest_unfinished().await?, unfinished(2, 30).done_at);
    Ok(())
}

/// A person sees the newest ends first and the oldest unfinished jobs first, page by page, without a scan.
#[tokio::test(flavor = "multi_thread")]
async fn listings_read_pages_of_their_index() -> Result<()> {
    let table = table().await?;
    let store = &table.store;
    // Ids with the same last character are in one partition.
    let shard = 1;
    let in_shard = |number: u128| id((number << 4) | 1);
    for number in 0..5_u64 {
        let minutes = std::time::Duration::from_secs(60 * number);
        let ended = Job {
            recording: Recording::Failed { sub_code: None },
            ended_at: Some(NOW.plus(minutes)),
            dismissed_at: (number == 2).then_some(NOW),
            version: 1,
            ..Job::new(in_shard(number.into()))
        };
        save(store, &ended).await?;
        let open = Job { recording_id: in_shard(u128::from(number) + 100), ..unfinished(1, number) };
        save(store, &open).await?;
    }
    let (mut ended, mut next) = (Vec::new(), None);
    loop {
        let page = store.attention(shard, 3, next).await?;
        ended.extend(page.entries.iter().map(|job| job.recording_id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(ended, [4, 3, 1, 0].map(in_shard), "the one that was dismissed is not there");
    let page = store.open(shard, 2, None).await?;
    assert_eq!(page.entries, [100, 101].map(in_shard));
    let page = store.open(shard, 9, page.next).await?;
    assert_eq!((page.entries, page.next.is_none()), ([102, 103, 104].map(in_shard).to_vec(), true));
    assert_eq!(store.attention(shard + 1, 9, None).await?.entries, []);
    for (kind, most, count) in [
        (Listed::Open, 99, 5),
        (Listed::Open, 3, 3),
        (Listed::Attention, 99, 4),
        (Listed::Due(NOW), 99, 5),
        (Listed::Due(NOW.minus(std::time::Duration::from_millis(1))), 99, 0),
    ] {
        assert_eq!(store.count(kind, most).await?, count, "{kind:?}");
    }
    assert_eq!((store.find(in_shard(2)).await?.map(|job| job.version), store.find(id(9)).await?), (Some(1), None));
    assert_eq!(table.wire.count(Service::DynamoDb, "Scan"), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_of_the_sweep_is_saved_by_one_run_only() -> Result<()> {
    let table = table().await?;
    let store = &table.store;
    let mut first = store.load_cursor().await?;
    assert_eq!(first.version, 0);
    let mut second = first.clone();
    first.recordings.pages = 3;
    assert!(store.save_cursor(&mut first).await?);
    assert_eq!((store.load_cursor().await?, first.version), (first.clone(), 1));
    assert!(!store.save_cursor(&mut second).await?, "another run was first");
    assert!(store.save_cursor(&mut first).await?);
    assert_eq!(store.load_cursor().await?.version, 2);
    Ok(())
}
