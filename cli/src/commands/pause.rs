//! `pause` and `resume`: the two switches that stop everything that costs money, and start it again.

use aws_sdk_lambda::Client;
use serde::Serialize;

use crate::{
    args::Global,
    confirm::{self, Answer},
    error::CliError,
    output::Output,
    stack::Stack,
};

/// What `pause` changes, so that a person knows what follows.
const MEANWHILE: &str = "\
Until `resume`, no transcript is requested, none is copied to S3, and every
webhook is refused. Invocations in progress end within five minutes.
The sweep still runs: it wakes due jobs, whose messages wait on the queue.
Nothing is lost until Recall deletes a recording. Recall sends a refused
webhook again for 27 hours, and disables an endpoint after five days of
refusals.";

/// The state of the two switches.
#[derive(Debug, Serialize)]
pub(super) struct Switches {
    /// The reserved concurrency of the webhook function; null if none is reserved.
    webhook_concurrency: Option<i32>,
    /// The state of the event source that feeds the transcript function.
    work_source: String,
    paused: bool,
}

impl Switches {
    pub(super) fn in_words(&self) -> &'static str {
        if self.paused { "paused: `resume` starts it again" } else { "running" }
    }
}

/// Reads the switches.
pub(super) async fn switches(stack: &Stack) -> Result<Switches, CliError> {
    let client = Client::new(&stack.config);
    let concurrency = client.get_function_concurrency().function_name(stack.output("WebhookFunction")?).send();
    let source = client.get_event_source_mapping().uuid(stack.output("WorkSourceId")?).send();
    let (concurrency, source) = tokio::join!(concurrency, source);
    let concurrency = concurrency.map_err(|error| CliError::aws("GetFunctionConcurrency", &error))?;
    let source = source.map_err(|error| CliError::aws("GetEventSourceMapping", &error))?;
    let webhook_concurrency = concurrency.reserved_concurrent_executions;
    let work_source = source.state.unwrap_or_default();
    let paused = webhook_concurrency == Some(0) || ["Disabled", "Disabling"].contains(&work_source.as_str());
    Ok(Switches { webhook_concurrency, work_source, paused })
}

pub(super) async fn pause(stack: &Stack, global: &Global, output: &Output) -> Result<(), CliError> {
    output.message(MEANWHILE);
    if confirm::ask(global, output, &format!("Pause {} in {}?", stack.name, stack.region()))? == Answer::DryRun {
        output.message("dry run: nothing was changed");
        return report(stack, output).await;
    }
    let client = Client::new(&stack.config);
    // The paid calls of webhooks stop first.
    let reserve = client.put_function_concurrency().function_name(stack.output("WebhookFunction")?);
    let reserved = reserve.reserved_concurrent_executions(0).send().await;
    reserved.map_err(|error| CliError::aws("PutFunctionConcurrency", &error))?;
    switch_work(&client, stack, false).await.map_err(|error| {
        error.hint("the webhook function is paused already; run `pause` again, or `resume` to start it again")
    })?;
    report(stack, output).await
}

pub(super) async fn resume(stack: &Stack, global: &Global, output: &Output) -> Result<(), CliError> {
    let configured = stack.parameter("WebhookConcurrency").and_then(|text| text.parse().ok()).filter(|most| *most > 0);
    let limit = configured.map_or("no reserved concurrency".to_owned(), |most: i32| format!("at most {most} at once"));
    output.message(&format!("The webhook function runs again with {limit}, as the stack configures it."));
    if confirm::ask(global, output, &format!("Resume {} in {}?", stack.name, stack.region()))? == Answer::DryRun {
        output.message("dry run: nothing was changed");
        return report(stack, output).await;
    }
    let client = Client::new(&stack.config);
    // What is on the queue comes first, because Recall sends its webhooks again.
    switch_work(&client, stack, true).await?;
    let function = stack.output("WebhookFunction")?;
    match configured {
        Some(most) => {
            let reserve = client.put_function_concurrency().function_name(function);
            let reserved = reserve.reserved_concurrent_executions(most).send().await;
            reserved.map_err(|error| CliError::aws("PutFunctionConcurrency", &error))?;
        }
        None => {
            let lifted = client.delete_function_concurrency().function_name(function).send().await;
            lifted.map_err(|error| CliError::aws("DeleteFunctionConcurrency", &error))?;
        }
    }
    report(stack, output).await
}

async fn switch_work(client: &Client, stack: &Stack, is_on: bool) -> Result<(), CliError> {
    let update = client.update_event_source_mapping().uuid(stack.output("WorkSourceId")?).enabled(is_on);
    update.send().await.map(drop).map_err(|error| CliError::aws("UpdateEventSourceMapping", &error))
}

async fn report(stack: &Stack, output: &Output) -> Result<(), CliError> {
    let switches = switches(stack).await?;
    if output.json {
        output.object(&switches);
        return Ok(());
    }
    let concurrency = switches.webhook_concurrency.map_or("not limited".to_owned(), |most| format!("at most {most}"));
    output.text(&format!(
        "{}\n  webhook function      {concurrency}\n  transcript function   its event source is {}",
        if switches.paused { "paused" } else { "running" },
        switches.work_source.to_lowercase(),
    ));
    Ok(())
}
