//! The dead-letter queue: sees what is on it, and gives it back.

use std::collections::BTreeMap;

use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName},
};
use job::time::Timestamp;

use super::letter::{self, DeadLetter, Received};
use crate::{error::CliError, output::Output, stack::Stack};

/// How many messages SQS returns at most.
const BATCH: usize = 10;
/// How long a message that is only looked at is hidden from others, if the command ends before it gives it back.
const LOOK_S: i32 = 30;
/// How long a message is hidden from others while it is sent again or deleted.
pub(super) const HANDLE_S: i32 = 60;
/// How long one receive waits for a message. SQS then asks all of its servers, and not only some.
const WAIT_S: i32 = 1;
/// After so many receives in a row without a new message, the rest of the queue cannot be seen now.
const MAX_RECEIVES_WITHOUT_NEWS: u32 = 3;
/// How many messages the command looks at.
const MAX_MESSAGES: usize = 5_000;

/// The dead-letter queue of a stack.
#[derive(Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
}

/// What could be seen of the queue.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) letters: Vec<DeadLetter>,
    /// About how many messages could not be seen, because someone else has received them or the queue is too long.
    pub(super) unseen: usize,
}

/// The messages that this command hides from others, by their IDs, with the newest receipt handle of each.
pub(super) type Held = BTreeMap<String, String>;

impl Queue {
    pub(super) fn of(stack: &Stack) -> Result<Self, CliError> {
        Ok(Self { client: Client::new(&stack.config), url: stack.output("DeadLetterQueueUrl")?.to_owned() })
    }

    /// Receives whatever can be received, and gives all of it back.
    pub(super) async fn survey(&self, output: &Output) -> Result<Survey, CliError> {
        let counted = self.count().await?;
        let mut received = Vec::new();
        let mut held = Held::new();
        let looked = self.look(LOOK_S, counted, &mut held, |message| received.push(message)).await;
        self.give_back(held.values(), output).await;
        looked?;
        let unseen = counted.saturating_sub(held.len());
        output.detail(&format!("{} messages were received and given back", held.len()));
        Ok(Survey { letters: letter::group(received), unseen })
    }

    /// Receives until there is nothing new. `enough`: about how many messages there are.
    async fn look(
        &self,
        visibility_s: i32,
        enough: usize,
        held: &mut Held,
        mut see: impl FnMut(Received),
    ) -> Result<(), CliError> {
        let mut without_news = 0;
        while held.len() < MAX_MESSAGES && without_news < MAX_RECEIVES_WITHOUT_NEWS {
            let before = held.len();
            let batch = self.receive(visibility_s).await?;
            let is_empty = batch.is_empty();
            for (receipt_handle, message) in batch {
                if held.insert(message.message_id.clone(), receipt_handle).is_none() {
                    see(message);
                }
            }
            if is_empty && held.len() >= enough {
                return Ok(());
            }
            without_news = if held.len() > before { 0 } else { without_news + 1 };
        }
        Ok(())
    }

    /// Receives up to [`BATCH`] messages, each with its receipt handle.
    pub(super) async fn receive(&self, visibility_s: i32) -> Result<Vec<(String, Received)>, CliError> {
        let receive = self.client.receive_message().queue_url(&self.url).visibility_timeout(visibility_s);
        let receive = receive.max_number_of_messages(i32::try_from(BATCH).unwrap_or(1)).wait_time_seconds(WAIT_S);
        let receive = receive.message_attribute_names("All");
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let output = receive.send().await.map_err(|error| CliError::aws("ReceiveMessage", &error))?;
        Ok(output.messages.unwrap_or_default().into_iter().map(read).collect())
    }

    /// Hides a message that this command has received. An error means that it is someone else's now, or gone.
    pub(super) async fn keep(&self, receipt_handle: &str) -> Result<(), CliError> {
        let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
        let changed = change.visibility_timeout(HANDLE_S).send().await;
        changed.map(drop).map_err(|error| CliError::aws("ChangeMessageVisibility", &error))
    }

    pub(super) async fn delete(&self, receipt_handle: &str) -> Result<(), CliError> {
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle);
        delete.send().await.map(drop).map_err(|error| CliError::aws("DeleteMessage", &error))
    }

    /// Makes messages visible for others again. What this misses becomes visible by itself soon.
    pub(super) async fn give_back(&self, receipt_handles: impl Iterator<Item = &String>, output: &Output) {
        let handles: Vec<&String> = receipt_handles.collect();
        let mut missed = 0;
        for batch in handles.chunks(BATCH) {
            let entry = |(index, handle): (usize, &&String)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(*handle).visibility_timeout(0).build().ok()
            };
            let entries = batch.iter().enumerate().filter_map(entry).collect();
            let change = self.client.change_message_visibility_batch().queue_url(&self.url);
            let failed = match change.set_entries(Some(entries)).send().await {
                Ok(answer) => answer.failed().len(),
                Err(_) => batch.len(),
            };
            missed += failed;
        }
        if missed > 0 {
            output.detail(&format!("{missed} messages become visible by themselves within a minute"));
        }
    }

    /// Returns about how many messages there are.
    async fn count(&self) -> Result<usize, CliError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(names.to_vec()));
        let output = get.send().await.map_err(|error| CliError::aws("GetQueueAttributes", &error))?;
        let count = |name| output.attributes().and_then(|all| all.get(name)?.parse::<usize>().ok());
        Ok(names.iter().filter_map(count).sum())
    }
}

fn read(message: Message) -> (String, Received) {
    let system = message.attributes.unwrap_or_default();
    let sent = system.get(&MessageSystemAttributeName::SentTimestamp).and_then(|millis| millis.parse().ok());
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let received = Received {
        message_id: message.message_id.unwrap_or_default(),
        sent_at: sent.map(Timestamp::from_millis),
        attributes: attributes.filter_map(|(name, value)| Some((name, value.string_value?))).collect(),
        body: message.body.unwrap_or_default(),
    };
    (message.receipt_handle.unwrap_or_default(), received)
}

/// A pass over the queue that receives chosen dead letters, to change them.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    queue: &'a Queue,
    held: Held,
    without_news: u32,
}

impl<'a> Pass<'a> {
    pub(super) fn new(queue: &'a Queue) -> Self {
        Self { queue, held: Held::new(), without_news: 0 }
    }

    /// Receives more messages. Returns whether it makes sense to look further.
    pub(super) async fn more(&mut self) -> Result<bool, CliError> {
        if self.without_news >= MAX_RECEIVES_WITHOUT_NEWS {
            return Ok(false);
        }
        let before = self.held.len();
        for (receipt_handle, message) in self.queue.receive(HANDLE_S).await? {
            self.held.insert(message.message_id, receipt_handle);
        }
        self.without_news = if self.held.len() > before { 0 } else { self.without_news + 1 };
        Ok(true)
    }

    /// Returns the receipt handles of all messages of a dead letter, if all were received.
    pub(super) fn handles_of(&self, letter: &DeadLetter) -> Option<Vec<String>> {
        letter.message_ids().map(|id| self.held.get(id).cloned()).collect()
    }

    /// Gives back what was received and not deleted.
    pub(super) async fn end(mut self, deleted: &[String], output: &Output) {
        self.held.retain(|_, handle| !deleted.contains(handle));
        self.queue.give_back(self.held.values(), output).await;
    }
}
