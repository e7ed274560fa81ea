//! `dead-letters`: what the functions could not handle, and what to do with it.

mod change;
mod letter;
mod queue;
mod redrive;

use serde_json::{Value, json};

use self::{
    change::{Change, Effect},
    letter::{DeadLetter, Kind},
    queue::{Queue, Survey},
    redrive::Redrive,
};
use crate::{
    args::{DeadLetters, Filters, Global},
    error::CliError,
    output::{self, Output},
    stack::Stack,
};

pub(crate) async fn run(stack: &Stack, global: &Global, output: &Output, what: &DeadLetters) -> Result<(), CliError> {
    let queue = Queue::of(stack)?;
    match what {
        DeadLetters::List { filters, limit } => list(&queue, output, filters, usize::from(*limit)).await,
        DeadLetters::Show { message_id, body } => show(&queue, output, message_id, *body).await,
        DeadLetters::Redrive { chosen } => {
            let change = Change { queue: &queue, global, output };
            change.run(chosen, Effect::Redrive(Redrive::new(stack)?)).await
        }
        DeadLetters::Drop { chosen, reason } => {
            let change = Change { queue: &queue, global, output };
            change.run(chosen, Effect::Drop { reason }).await
        }
    }
}

async fn list(queue: &Queue, output: &Output, filters: &Filters, limit: usize) -> Result<(), CliError> {
    let Survey { letters, unseen } = queue.survey(output).await?;
    let chosen: Vec<&DeadLetter> = letters.iter().filter(|letter| letter.matches(filters)).collect();
    for letter in chosen.iter().take(limit) {
        if output.json {
            output.object(&letter.summary());
        } else {
            output.text(&letter.in_words(&output.times));
        }
    }
    match (letters.len(), chosen.len()) {
        (0, _) => output.message("no dead letter can be seen"),
        (all, 0) => output.message(&format!("none of the {all} dead letters has what the filters ask for")),
        (_, found) if found > limit => output.message(&format!("{} more are not shown; use --limit", found - limit)),
        (_, _) => {}
    }
    say_unseen(output, unseen);
    Ok(())
}

/// Says how many messages the command could not see, if any.
fn say_unseen(output: &Output, unseen: usize) {
    if unseen > 0 {
        output.message(&format!(
            "messages that cannot be seen now, because others have received them or there are too many: about {unseen}"
        ));
    }
}

fn unknown_message(message_id: &str, unseen: usize) -> CliError {
    let hint = match unseen {
        0 => {
            "it may be redriven or deleted already; list what there is: recall-transcripts dead-letters list".to_owned()
        }
        _ => "someone else may have received it; try again in a minute".to_owned(),
    };
    CliError::not_found("unknown_message", format!("the dead-letter queue shows no message {message_id}")).hint(hint)
}

async fn show(queue: &Queue, output: &Output, message_id: &str, whole_body: bool) -> Result<(), CliError> {
    let Survey { letters, unseen } = queue.survey(output).await?;
    let letter = letters.iter().find(|letter| letter.message_ids().any(|id| id == message_id));
    let letter = letter.ok_or_else(|| unknown_message(message_id, unseen))?;
    if whole_body {
        let body = letter.body().map_err(|error| CliError::failed("not_whole", format!("{message_id}: {error}")))?;
        if output.json {
            output.object(&with_body(letter, &body));
        } else {
            output.bytes(&body);
        }
    } else if output.json {
        output.object(&as_json(letter));
    } else {
        output.text(&in_words(letter, output));
    }
    Ok(())
}

fn as_json(letter: &DeadLetter) -> Value {
    let mut value = json!(letter.summary());
    value["message"] = json!(letter.message());
    value["headers"] = letter.headers().map_or(Value::Null, |(name, value)| json!({ name: value }));
    value
}

/// Adds the body as text. A body that is no text is there as the queue has it, in base64.
fn with_body(letter: &DeadLetter, body: &[u8]) -> Value {
    let mut value = as_json(letter);
    value["body"] = match std::str::from_utf8(body) {
        Ok(text) => json!(text),
        Err(_) => json!(letter.stored_text()),
    };
    value
}

fn in_words(letter: &DeadLetter, output: &Output) -> String {
    let mut lines = vec![letter.in_words(&output.times)];
    if let Some((name, value)) = letter.headers() {
        lines.push(format!("  {name:<10}  {}", output::plain(value)));
    }
    let size = letter.body().map_or_else(|error| error.to_string(), |body| format!("{} bytes", body.len()));
    let messages = letter.message_ids().count();
    let parts = if messages > 1 { format!(", in {messages} messages") } else { String::new() };
    lines.push(format!("  {:<10}  {size}{parts}", "body"));
    if let Some(message) = letter.message().and_then(|message| serde_json::to_string_pretty(&message).ok()) {
        lines.push(String::new());
        lines.push(message);
    }
    lines.push(String::new());
    lines.push("You can run:".to_owned());
    let id = letter.message_id();
    let mut option =
        |command: String, effect: &str| lines.push(format!("  recall-transcripts {command}\n    {effect}"));
    if let Some(recording_id) = letter.facts.recording_id {
        option(format!("show {recording_id}"), "tells what became of the recording");
    }
    let again = match letter.kind {
        Kind::UnfinishedWork => "sends the message to the work queue again",
        Kind::UnreadableMessage => "sends the message to the work queue again, once the cause is fixed",
        Kind::UnreadableDelivery => "delivers it to the webhook again, once a version that can read it is deployed",
    };
    option(format!("dead-letters redrive {id}"), again);
    option(format!("dead-letters show {id} --body"), "prints the whole body, which may contain personal data");
    option(format!("dead-letters drop {id} --reason TEXT"), "deletes it for good");
    lines.join("\n")
}
