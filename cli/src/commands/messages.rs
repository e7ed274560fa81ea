//! Changes by messages to the work queue: the only way in which the command changes a job.

use job::{Event, Job, ids::RecordingId};
use pipeline::work_queue::Message;
use serde::Serialize;

use super::unknown_recording;
use crate::{
    args::Global,
    confirm::{self, Answer},
    error::CliError,
    output::Output,
    stack::Stack,
};

/// The same change of one or more jobs.
pub(super) struct Change<F: Fn(&Job) -> Result<Event, String>> {
    /// Completes "this would …".
    pub(super) what: &'static str,
    /// Returns the message for a job, or why the job cannot be changed like this.
    pub(super) event: F,
    pub(super) reason: Option<String>,
}

/// What became of one recording.
#[derive(Debug, Serialize)]
struct Sent {
    recording_id: RecordingId,
    event: Event,
    sent: bool,
}

impl<F: Fn(&Job) -> Result<Event, String>> Change<F> {
    /// Checks every job first, asks once, and sends the messages.
    pub(super) async fn send(
        &self,
        stack: &Stack,
        global: &Global,
        output: &Output,
        ids: &[RecordingId],
    ) -> Result<(), CliError> {
        let event = |job: Job| {
            let id = job.recording_id;
            (self.event)(&job).map_err(|why| CliError::failed("not_possible", format!("{id}: {why}")))
        };
        let messages = of_jobs(stack, output, ids, event).await?;
        let failed = ids.len() - messages.len();
        let which = match messages.as_slice() {
            [(id, _)] => format!("recording {id}"),
            several => format!("{} recordings", several.len()),
        };
        let answer = confirm::ask(global, output, &format!("{which}: {}?", self.what))?;
        send(stack, output, messages, answer, self.reason.as_deref()).await?;
        if answer == Answer::DryRun {
            output.message(&format!("dry run: this would, for {which}, {}", self.what));
        }
        if failed == 0 { Ok(()) } else { Err(CliError::some_failed(failed, ids.len())) }
    }
}

/// Loads the jobs, and returns what `of` makes of each. An error about one of several recordings is printed. It is an
/// error if nothing is left.
pub(super) async fn of_jobs<T>(
    stack: &Stack,
    output: &Output,
    ids: &[RecordingId],
    of: impl Fn(Job) -> Result<T, CliError>,
) -> Result<Vec<(RecordingId, T)>, CliError> {
    let store = stack.store()?;
    let mut found = Vec::new();
    for id in ids {
        match store.find(*id).await?.ok_or_else(|| unknown_recording(stack, *id)).and_then(&of) {
            Ok(made) => found.push((*id, made)),
            // With one recording, the error is the result of the command.
            Err(error) if ids.len() == 1 => return Err(error),
            Err(error) => output.error(&error),
        }
    }
    if found.is_empty() { Err(CliError::some_failed(ids.len(), ids.len())) } else { Ok(found) }
}

/// Sends the messages, unless this is a dry run, and prints a line for each.
pub(super) async fn send(
    stack: &Stack,
    output: &Output,
    messages: Vec<(RecordingId, Event)>,
    answer: Answer,
    reason: Option<&str>,
) -> Result<(), CliError> {
    let queue = stack.work_queue()?;
    let by = if answer == Answer::Do { Some(caller(stack).await?) } else { None };
    for (recording_id, event) in messages {
        let sent = answer == Answer::Do;
        if sent {
            let message = Message {
                recording_id,
                event: event.clone(),
                delivery_id: Some("operator".to_owned()),
                reason: reason.map(str::to_owned),
                by: by.clone(),
            };
            queue.send(&message).await.map_err(|error| {
                CliError::failed("not_sent", format!("{recording_id}: {}", pipeline::telemetry::Chain(&error)))
                    .hint("the queue may have the message; sending it again is safe")
            })?;
        }
        if output.json {
            output.object(&Sent { recording_id, event, sent });
        } else if sent {
            output.text(&format!("{recording_id}  {} sent", event.name()));
            output.message(&format!("follow it with: recall-transcripts show {recording_id}"));
        }
    }
    Ok(())
}

/// Returns who sends the message, for the functions' logs.
async fn caller(stack: &Stack) -> Result<String, CliError> {
    let identity = aws_sdk_sts::Client::new(&stack.config).get_caller_identity().send().await;
    let identity = identity.map_err(|error| CliError::aws("GetCallerIdentity", &error))?;
    Ok(identity.arn.unwrap_or_default())
}
