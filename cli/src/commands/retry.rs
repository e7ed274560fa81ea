//! `retry`: one more attempt, which is paid for.

use std::collections::BTreeSet;

use job::{Command, Context, Decision, Event, Job, Next, Reason, Role, ids::RecordingId};
use pipeline::settings::CreateSettings;

use super::messages;
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
    let settings = stack.create_settings().await?;
    let event = |job: Job| {
        let id = job.recording_id;
        event(job, asked.provider.as_deref(), &settings, output).map_err(|why| not_possible(id, why))
    };
    let (mut messages, mut providers) = (Vec::new(), BTreeSet::new());
    for (id, (event, provider)) in messages::of_jobs(stack, output, ids, event).await? {
        messages.push((id, event));
        providers.insert(provider);
    }
    let failed = ids.len() - messages.len();
    let which = match messages.as_slice() {
        [(id, _)] => format!("Recording {id} gets one more attempt"),
        several => format!("{} recordings get one more attempt each", several.len()),
    };
    output.message(&format!("{which}."));
    let more = if settings.separate_streams { ", and about 1.8 times that with separate streams" } else { "" };
    for provider in providers {
        output
            .message(&format!("An attempt with {provider} costs {}{more}.", prices::in_words(&provider, asked.price)));
    }
    let answer = confirm::ask(global, output, "Pay for it?")?;
    messages::send(stack, output, messages, answer, asked.why.reason.as_deref()).await?;
    if failed == 0 { Ok(()) } else { Err(CliError::some_failed(failed, ids.len())) }
}

/// Returns the message for a job and the provider of the attempt, or why the message would have no effect. The core
/// decides that, as it will in the function.
fn event(
    job: Job,
    provider: Option<&str>,
    settings: &CreateSettings,
    output: &Output,
) -> Result<(Event, String), Reason> {
    let event = Event::Retry { provider: provider.map(str::to_owned), after_attempt: job.attempts };
    let now = output.times.now;
    let context = Context { now, lease_until: now, role: Role::Worker, policy: &settings.policy };
    match job.on_event(&event, context) {
        Decision::Ignore(reason) => Err(reason),
        Decision::Apply { next: Next::Act(Command::Create { provider, .. }), .. } => Ok((event, provider)),
        // Another step comes first, or a worker is at work. The message waits for it on the queue.
        Decision::Apply { .. } | Decision::Busy { .. } => {
            let first = settings.policy.providers.first().cloned();
            Ok((event, provider.map(str::to_owned).or(first).unwrap_or_default()))
        }
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
