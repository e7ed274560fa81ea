//! `retry`: one more attempt, which is paid for.

use job::{Context, Decision, Event, Job, Reason, Role, ids::RecordingId};
use pipeline::settings::CreateSettings;

use super::{messages, unknown_recording};
use crate::{
    args::{Global, RetryArgs},
    confirm,
    error::CliError,
    output::Output,
    prices,
    stack::Stack,
};

pub(crate) async fn run(stack: &Stack, global: &Global, output: &Output, asked: &RetryArgs) -> Result<(), CliError> {
    let ids = &asked.recordings.recording_ids;
    let (store, settings) = (stack.store()?, stack.create_settings().await?);
    let (mut messages, mut failed) = (Vec::new(), 0);
    for id in ids {
        let job = store.find(*id).await?;
        let event = match job {
            Some(job) => event(job, asked.provider.as_deref(), &settings, output).map_err(|why| not_possible(*id, why)),
            None => Err(unknown_recording(stack, *id)),
        };
        match event {
            Ok(event) => messages.push((*id, event)),
            Err(error) if ids.len() == 1 => return Err(error),
            Err(error) => {
                output.error(&error);
                failed += 1;
            }
        }
    }
    if messages.is_empty() {
        return Err(CliError::some_failed(failed, ids.len()));
    }
    let provider = asked.provider.as_deref().or(settings.providers.first().map(|provider| &*provider.name));
    let cost = prices::in_words(provider.unwrap_or_default(), asked.price);
    let which = match messages.as_slice() {
        [(id, _)] => format!("Recording {id} gets one more attempt"),
        several => format!("{} recordings get one more attempt each", several.len()),
    };
    let twice = if settings.separate_streams { ", and about 1.8 times that with separate streams" } else { "" };
    output.message(&format!("{which}, with {}. An attempt costs {cost}{twice}.", provider.unwrap_or("the chain")));
    let answer = confirm::ask(global, output, "Pay for it?")?;
    messages::send(stack, output, messages, answer, asked.why.reason.as_deref()).await?;
    if failed == 0 { Ok(()) } else { Err(CliError::some_failed(failed, ids.len())) }
}

/// Returns the message for a job, or why it would have no effect. The core decides that, as it will in the function.
fn event(job: Job, provider: Option<&str>, settings: &CreateSettings, output: &Output) -> Result<Event, Reason> {
    let event = Event::Retry { provider: provider.map(str::to_owned), after_attempt: job.attempts };
    let now = output.times.now;
    let context = Context { now, lease_until: now, role: Role::Worker, policy: &settings.policy };
    match job.on_event(&event, context) {
        Decision::Ignore(reason) => Err(reason),
        // A worker is at work. The message waits for it on the queue.
        Decision::Apply { .. } | Decision::Busy { .. } => Ok(event),
    }
}

fn not_possible(id: RecordingId, reason: Reason) -> CliError {
    let (why, hint) = match reason {
        Reason::AlreadyRequested => ("an attempt is in progress", "look at it with `show`; `wake` ends its wait"),
        Reason::RecordingDeleted => ("Recall has deleted the recording", "nothing can transcribe it any more"),
        Reason::AlreadyEnded => ("Recall could not record the meeting", "there is nothing to transcribe"),
        Reason::LimitReached => {
            ("the recording has as many transcripts as the limit allows", "delete one of them at Recall first")
        }
        Reason::UnknownProvider => {
            ("the chain of the deployment has no such provider", "use a provider of TRANSCRIPT_PROVIDERS")
        }
        Reason::AlreadyKnown
        | Reason::AlreadyStored
        | Reason::UnknownRecording
        | Reason::UnknownTranscript
        | Reason::RecordingDone
        | Reason::Skipped
        | Reason::NotDue
        | Reason::Overtaken
        | Reason::NothingStored
        | Reason::NotEnded => (reason.as_str(), "look at the job with `show`"),
    };
    CliError::failed("not_possible", format!("{id}: {why}")).hint(hint)
}
