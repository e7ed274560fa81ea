//! The jobs table: one item per recording. A write succeeds only if the table still has the version that was read.

mod batch_get;
mod cursor;
mod due;
mod listing;
mod open;

use std::{collections::HashMap, fmt::Display};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use self::{
    cursor::{ListCursor, SweepCursor},
    due::{DueCursor, DuePage},
    listing::{Listed, ListingCursor, ListingPage},
};
use crate::time;
use job::{Job, ids::RecordingId, time::Timestamp};

/// The number of partitions of the indexes `due` and `open`. They spread the burst of writes at the top of the hour.
pub const DUE_SHARDS: u8 = 8;

type Item = HashMap<String, AttributeValue>;

#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The outcome is unknown, and the call can be repeated.
    #[error("DynamoDB {operation} failed")]
    Unavailable { operation: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// Another program wrote the item, or a newer version of this one did.
    #[error("the item {key} of the jobs table could not be converted")]
    Unreadable { key: String, source: serde_dynamo::Error },
}

/// The result of saving a job.
#[derive(Debug)]
pub enum Saved {
    Yes,
    /// Another writer was first. This is the job as it saved it.
    Conflict(Box<Job>),
}

/// The result of a conditional write of any item.
enum Put {
    Done,
    /// Another writer was first. This is the item as it saved it; `None` if the item was deleted.
    Conflict(Option<Item>),
}

impl Store {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Loads the job of this recording, or returns a new one if the table has none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load(&self, recording_id: RecordingId) -> Result<Job, StoreError> {
        let item = self.get(&recording_id.to_string()).await?;
        item.map_or_else(|| Ok(Job::new(recording_id)), |item| from_item(recording_id, item))
    }

    /// Saves the job if the table still has the previous version.
    ///
    /// # Errors
    /// [`StoreError`]; the outcome of the write is unknown, and the same event can safely be handled again.
    pub async fn save(&self, job: &Job) -> Result<Saved, StoreError> {
        let token = Uuid::new_v4().to_string();
        let item = to_item(job, &token, time::now())?;
        Ok(match self.put(item, job.version, &token).await? {
            Put::Done => Saved::Yes,
            Put::Conflict(Some(theirs)) => Saved::Conflict(Box::new(from_item(job.recording_id, theirs)?)),
            // Someone deleted the item by hand after we loaded it.
            Put::Conflict(None) => Saved::Conflict(Box::new(Job::new(job.recording_id))),
        })
    }

    /// Reads an item consistently.
    async fn get(&self, key: &str) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(&self.table).consistent_read(true);
        let output = get.key("recording_id", AttributeValue::S(key.to_owned())).send().await;
        Ok(output.map_err(|error| unavailable("GetItem", error))?.item)
    }

    /// Writes an item of this version if the table still has the previous version. The SDK repeats a write whose answer
    /// was lost. If the first write succeeded, the second one fails its condition, and the token shows that the item in
    /// the table is ours.
    async fn put(&self, item: Item, version: u64, token: &str) -> Result<Put, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match version {
            1 => put.condition_expression("attribute_not_exists(recording_id)"),
            version => put
                .condition_expression("#version = :before")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":before", AttributeValue::N((version - 1).to_string())),
        };
        match put.send().await.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(Put::Done),
            Err(PutItemError::ConditionalCheckFailedException(failed)) => match failed.item {
                Some(theirs) if has_token(&theirs, token) => Ok(Put::Done),
                theirs => Ok(Put::Conflict(theirs)),
            },
            Err(error) => Err(StoreError::Unavailable { operation: "PutItem", source: Box::new(error) }),
        }
    }
}

fn has_token(item: &Item, token: &str) -> bool {
    item.get("write_token").is_some_and(|value| value.as_s().is_ok_and(|value| value == token))
}

fn from_item<T: DeserializeOwned>(key: impl Display, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|source| StoreError::Unreadable { key: key.to_string(), source })
}

fn to_item(job: &Job, token: &str, now: Timestamp) -> Result<Item, StoreError> {
    let unwritable = |source| StoreError::Unreadable { key: job.recording_id.to_string(), source };
    let mut item: Item = serde_dynamo::to_item(job).map_err(unwritable)?;
    item.insert("status".to_owned(), AttributeValue::S(job.status().as_str().to_owned()));
    item.insert("transcript_count".to_owned(), AttributeValue::N(job.transcript_count().to_string()));
    item.insert("updated_at".to_owned(), AttributeValue::S(now.rfc3339()));
    item.insert("write_token".to_owned(), AttributeValue::S(token.to_owned()));
    // The index `due` is sparse. It has only jobs that have something left to do, and these have both attributes.
    if let Some(due_at) = job.due_at() {
        item.insert("due_at".to_owned(), AttributeValue::N(due_at.as_millis().to_string()));
        item.insert("due_shard".to_owned(), AttributeValue::S(due_shard(job.recording_id)));
    }
    // The index `attention` has the jobs that ended without a transcript, until someone dismisses them.
    if job.needs_attention() {
        item.insert("attention_shard".to_owned(), AttributeValue::S(due_shard(job.recording_id)));
    }
    // The index `open` is sparse as well. It has unfinished jobs whose recording is done since a known time.
    if job.is_open() && job.done_at.is_some() {
        item.insert("open_shard".to_owned(), AttributeValue::S(due_shard(job.recording_id)));
    }
    Ok(item)
}

/// Returns the partition of an index that a recording belongs to: "0" to "7".
pub fn due_shard(recording_id: RecordingId) -> String {
    let last = recording_id.to_string().bytes().next_back().unwrap_or_default();
    (last % DUE_SHARDS).to_string()
}

fn unavailable<E, R>(operation: &'static str, error: SdkError<E, R>) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    StoreError::Unavailable { operation, source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::{
        Claim, Copying, Counts, Creating, Deletion, DeletionReason, DeletionTarget, Failures, FollowUp, Hold,
        KeepReason, Notice, Outbox, Overrides, Receipt, Recording, Refusals, Rendering, Retry, State, Status,
        Transcript, UnexplainedRefusal,
        ids::{BotId, TranscriptId},
    };

    fn transcript(attempt: Option<u32>, state: State) -> Transcript {
        let provider = attempt.map(|_| "recallai_async".to_owned());
        Transcript {
            keep_reason: Some(KeepReason::NotDeleted),
            other_deployment: true,
            ..Transcript::new(attempt, provider, state)
        }
    }

    fn written(job: &Job) -> Item {
        to_item(job, "token", Timestamp::from_millis(0)).expect("it can be written")
    }

    fn job() -> Job {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let transcript_id = TranscriptId::from_u128(7);
        let creating = Creating {
            first_call_at: at,
            last_call_at: at,
            calls: 3,
            errors: 2,
            retry_at: at,
            claim: Some(Claim(3)),
            conflicts: 1,
            refusal: Some(UnexplainedRefusal { code: None }),
            inconclusive_since: None,
            retry: None,
        };
        let copying = Copying {
            transcript_id,
            retry_at: at,
            claim: None,
            since: at,
            failures: Failures { transient: 5, crashes: 0, missing: 6, ..Failures::default() },
            missing_since: None,
            checks: 0,
            reported_done: false,
        };
        let receipt = Receipt {
            stored_at: at,
            manifest_key: "recordings/x/manifest.json".to_owned(),
            key: "recordings/x/transcript.json".to_owned(),
            bytes: u64::MAX,
            sha256: "00".to_owned(),
            crc64nvme: "AA==".to_owned(),
            empty: true,
            unreadable: true,
            provider: None,
            counts: Counts { turns: 1, words: 2, speakers: 3, duration_ms: 4 },
            created_at: Some(at),
            title: Some("Standup".to_owned()),
            awaits_meeting_data: true,
        };
        Job {
            bot_id: Some(BotId::from_u128(9)),
            recording: Recording::Failed { sub_code: Some("internal_error".to_owned()) },
            attempts: 3,
            transcripts: vec![
                transcript(Some(1), State::Refused { status: 400, code: None }),
                transcript(Some(2), State::Stored { transcript_id, receipt }),
                transcript(Some(3), State::Creating(creating)),
                transcript(None, State::Transcribing { transcript_id, check_at: at, checks: 4, reported_done: false }),
                transcript(None, State::Copying(copying)),
                transcript(None, State::Failed { transcript_id, sub_code: None }),
                transcript(None, State::Lost { transcript_id }),
                transcript(None, State::Foreign { transcript_id }),
            ],
            done_at: Some(at),
            expires_at: Some(at),
            overrides: Some(Overrides { skip: true, provider: Some("p".to_owned()), language: Some("l".to_owned()) }),
            hold: Some(Hold::Wait { retry_at: at, status: Some(429), times: 1, since: at }),
            refusals: Some(Refusals { since: at, rounds: 1 }),
            retry: Some(Retry { provider: Some("p".to_owned()) }),
            rendering: Some(Rendering { transcript_id: None, retry_at: at, claim: None, tries: 1 }),
            rendering_stopped_at: Some(at),
            follow_up: Some(FollowUp { retry_at: at, claim: None, tries: 1, repeat: true }),
            ended_at: Some(at),
            dismissed_at: None,
            deletion: Some(Deletion {
                target: DeletionTarget::Transcript(transcript_id),
                reason: DeletionReason::Room,
                retry_at: at,
                claim: None,
                tries: 1,
            }),
            outbox: Outbox {
                notices: vec![Notice::Stored { transcript_id }, Notice::Failed { status: Status::Lost, end: 1 }],
                retry_at: at,
                sending: true,
                tries: 1,
                expiry_alarm_at: Some(at),
                last_announced_end: Some(Status::Lost),
                announced_ends: 1,
                expiry_announced: true,
            },
            version: 12,
            ..Job::new(RecordingId::from_u128(0x3c90))
        }
    }

    #[test]
    fn job_in_every_state_is_read_as_it_was_written() {
        let item = written(&job());
        assert_eq!(from_item::<Job>(job().recording_id, item).expect("it can be read"), job());
        // A recording that Recall does not know is not late.
        let unknown = Job { unknown_since: Some(Timestamp::from_millis(7)), ..job() };
        let item = written(&unknown);
        assert!(item.contains_key("due_shard") && !item.contains_key("open_shard"));
        assert_eq!(from_item::<Job>(unknown.recording_id, item).expect("it can be read"), unknown);
        for job in Job::samples() {
            assert_eq!(from_item::<Job>(job.recording_id, written(&job)).expect("it can be read"), job);
        }
    }

    #[test]
    fn new_job_with_a_deletion_is_read_as_it_was_written() {
        let deletion = Deletion {
            target: DeletionTarget::Recording,
            reason: DeletionReason::Stored,
            retry_at: Timestamp::from_millis(1),
            claim: Some(Claim(1)),
            tries: 0,
        };
        let job = Job { deletion: Some(deletion), version: 1, ..Job::new(RecordingId::from_u128(1)) };
        let item = written(&job);
        assert_eq!(from_item::<Job>(job.recording_id, item).expect("it can be read"), job);
    }

    #[test]
    fn item_has_the_documented_attributes() {
        let item = written(&job());
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()).map(String::as_str);
        assert_eq!(text("recording_id"), Some("00000000-0000-0000-0000-000000003c90"));
        assert_eq!(text("status"), Some("creating"));
        assert_eq!(number("transcript_count"), Some("7"));
        assert_eq!(number("attempts"), Some("3"));
        assert_eq!(number("version"), Some("12"));
        assert_eq!(text("updated_at"), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(number("due_at"), Some("1700000000000"));
        assert_eq!(text("due_shard"), Some("0"));
        assert_eq!((text("open_shard"), number("done_at")), (Some("0"), Some("1700000000000")));
    }

    /// The SDK repeats a write whose answer was lost, and only the token shows whose write the table has.
    #[test]
    fn item_is_ours_only_with_our_token() {
        let item = written(&job());
        assert!(has_token(&item, "token"));
        assert!(!has_token(&item, "another") && !has_token(&Item::new(), "token"));
    }

    #[test]
    fn item_that_is_not_a_job_is_left_out() {
        let item = written(&job());
        assert_eq!(batch_get::readable_job(item.clone()), Some(job()));
        let mut odd = item;
        odd.insert("version".to_owned(), AttributeValue::S("x".to_owned()));
        assert_eq!(batch_get::readable_job(odd), None);
    }

    #[test]
    fn finished_job_is_in_no_index() {
        let mut job = job();
        job.transcripts.truncate(2);
        (job.hold, job.deletion, job.rendering, job.follow_up) = (None, None, None, None);
        job.outbox = Outbox::default();
        let item = written(&job);
        assert!(!item.contains_key("due_at") && !item.contains_key("due_shard") && !item.contains_key("open_shard"));
    }

    #[test]
    fn job_that_ended_is_in_the_index_attention_until_it_is_dismissed() {
        let lost = State::Lost { transcript_id: TranscriptId::from_u128(7) };
        let at = Timestamp::from_millis(1_700_000_000_000);
        let ended = Job {
            recording: Recording::Done,
            transcripts: vec![transcript(Some(1), lost)],
            ended_at: Some(at),
            ..Job::new(job().recording_id)
        };
        let item = written(&ended);
        assert_eq!(item.get("attention_shard"), Some(&AttributeValue::S("0".to_owned())));
        assert_eq!(item.get("ended_at"), Some(&AttributeValue::N("1700000000000".to_owned())));
        let dismissed = written(&Job { dismissed_at: Some(at), ..ended });
        assert!(!dismissed.contains_key("attention_shard"));
        // A job in progress is in the index `open` instead.
        assert!(!written(&job()).contains_key("attention_shard"));
    }

    #[test]
    fn row_of_an_older_version_is_read_and_is_not_in_the_index_open() {
        let mut item = written(&job());
        item.remove("done_at");
        item.remove("open_shard");
        let job: Job = from_item(job().recording_id, item).expect("it can be read");
        assert_eq!(job.done_at, None);
        let item = written(&job);
        assert!(!item.contains_key("done_at") && !item.contains_key("open_shard"));
    }
}
