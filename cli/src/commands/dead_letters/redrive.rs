//! Sends a dead letter again: to the work queue, or, with a new signature, to the webhook.

use std::time::Duration;

use pipeline::{
    credentials::Credentials,
    recall::{http_client, tls},
    signature::{self, HeaderFamily},
    telemetry::Chain,
};
use serde_json::Value;

use super::letter::{DeadLetter, Kind};
use crate::{error::CliError, stack::Stack};

/// How long one delivery may take. The webhook function gives up earlier.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The webhook's answers are much shorter.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longer outcomes are not the webhook's.
const MAX_OUTCOME_BYTES: usize = 32;

/// Where a dead letter went.
#[derive(Debug)]
pub(super) enum Sent {
    Queued,
    /// The webhook accepted it, with this outcome.
    Delivered {
        outcome: String,
    },
}

/// Sends dead letters again.
#[derive(Debug)]
pub(super) struct Redrive<'a> {
    stack: &'a Stack,
    work_queue: aws_sdk_sqs::Client,
    /// Read only if there is something to sign.
    credentials: Option<Credentials>,
}

impl<'a> Redrive<'a> {
    pub(super) fn new(stack: &'a Stack) -> Result<Self, CliError> {
        stack.output("WorkQueueUrl")?;
        Ok(Self { stack, work_queue: aws_sdk_sqs::Client::new(&stack.config), credentials: None })
    }

    /// Reads the webhook secrets if one of these has to be signed.
    pub(super) async fn prepare(&mut self, letters: &[DeadLetter]) -> Result<(), CliError> {
        if letters.iter().all(|letter| letter.kind != Kind::UnreadableDelivery) {
            return Ok(());
        }
        self.stack.output("WebhookUrl")?;
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.config);
        let read = client.get_secret_value().secret_id(self.stack.output("SecretArn")?).send().await;
        let value = read.map_err(|error| CliError::aws("GetSecretValue", &error))?;
        let unusable = |why: String| {
            CliError::failed("bad_secret", format!("the stack's secret is invalid: {why}"))
                .hint("docs/deploying.md says what the secret must hold")
        };
        let credentials = Credentials::of_secret(value.secret_string().unwrap_or_default()).map_err(unusable)?;
        if credentials.webhook_keys.is_empty() {
            return Err(unusable("it has no webhook secret to sign with".to_owned()));
        }
        self.credentials = Some(credentials);
        Ok(())
    }

    /// Sends one dead letter. An error means that it may not have arrived.
    pub(super) async fn send(&self, letter: &DeadLetter) -> Result<Sent, CliError> {
        let body = letter.body().map_err(|error| CliError::failed("not_whole", error.to_string()))?;
        match letter.kind {
            Kind::UnfinishedWork | Kind::UnreadableMessage => self.queue(body).await,
            Kind::UnreadableDelivery => self.deliver(letter, body).await,
        }
    }

    /// Sends the text unchanged, because the functions may be able to read more than this command.
    async fn queue(&self, body: Vec<u8>) -> Result<Sent, CliError> {
        let text = String::from_utf8(body)
            .map_err(|_| CliError::failed("not_text", "its body is not text, so it cannot be a message"))?;
        let send = self.work_queue.send_message().queue_url(self.stack.output("WorkQueueUrl")?).message_body(text);
        send.send().await.map_err(|error| CliError::aws("SendMessage", &error))?;
        Ok(Sent::Queued)
    }

    async fn deliver(&self, letter: &DeadLetter, body: Vec<u8>) -> Result<Sent, CliError> {
        let not_sent = |error: &(dyn std::error::Error + 'static)| {
            CliError::failed("not_delivered", format!("the webhook did not answer: {}", Chain(error)))
                .hint("it is still on the dead-letter queue; check the output WebhookUrl and the network")
        };
        let keys = self.credentials.as_ref().map(|credentials| credentials.webhook_keys.as_slice()).unwrap_or_default();
        let id = letter.delivery_id.as_deref().unwrap_or_else(|| letter.message_id());
        let now = pipeline::time::now().as_millis() / 1000;
        let client = http_client(tls().map_err(|error| not_sent(&error))?).map_err(|error| not_sent(&error))?;
        let client = client.build().map_err(|error| not_sent(&error))?;
        let mut request = client.post(self.stack.output("WebhookUrl")?).timeout(DELIVERY_TIMEOUT);
        for (name, value) in signature::headers(keys, HeaderFamily::default(), id, now, &body) {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(|error| not_sent(&error.without_url()))?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        if !status.is_success() {
            let hint = match status.as_u16() {
                401 => "it is still on the dead-letter queue; the functions may not have the newest secret yet",
                _ => "it is still on the dead-letter queue; try again later",
            };
            return Err(CliError::failed("refused", format!("the webhook answered {}", status.as_u16())).hint(hint));
        }
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let outcome = answer["outcome"].as_str().filter(|outcome| outcome.len() <= MAX_OUTCOME_BYTES);
        let outcome = crate::output::plain(outcome.unwrap_or("accepted"));
        Ok(Sent::Delivered { outcome })
    }
}
