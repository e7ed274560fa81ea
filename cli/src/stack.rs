//! The deployment that the command works on: a CloudFormation stack, with the clients for its resources.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::{Client, error::SdkError, types::Stack as Description};
use pipeline::{
    env::{Env, Reader},
    settings::CreateSettings,
    store::Store,
    work_queue::WorkQueue,
};

use crate::{args::Global, error::CliError, session};

/// The outputs that only a stack of this product has together.
const OWN_OUTPUTS: [&str; 3] = ["TableName", "WorkQueueUrl", "DeadLetterQueueUrl"];

/// A deployment.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) config: SdkConfig,
    outputs: BTreeMap<String, String>,
    parameters: BTreeMap<String, String>,
}

impl Stack {
    /// Finds the stack.
    ///
    /// # Errors
    /// There is no such stack, or there are several and none was named.
    pub(crate) async fn find(global: &Global) -> Result<Self, CliError> {
        let config = session::load(global).await?;
        let client = Client::new(&config);
        let described = match &global.stack {
            Some(name) => one(&client, name).await?,
            None => only(&client).await?,
        };
        let stack = Self::of(described, config);
        if stack.is_own() {
            Ok(stack)
        } else {
            Err(CliError::not_found("other_stack", format!("the stack {} is not one of this product", stack.name))
                .hint("name the stack with --stack"))
        }
    }

    fn of(described: Description, config: SdkConfig) -> Self {
        let outputs = described.outputs.unwrap_or_default().into_iter();
        let parameters = described.parameters.unwrap_or_default().into_iter();
        Self {
            name: described.stack_name.unwrap_or_default(),
            config,
            outputs: outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect(),
            parameters: parameters.filter_map(|one| Some((one.parameter_key?, one.parameter_value?))).collect(),
        }
    }

    fn is_own(&self) -> bool {
        OWN_OUTPUTS.iter().all(|name| self.outputs.contains_key(*name))
    }

    /// Returns an output of the stack.
    ///
    /// # Errors
    /// The stack does not have it.
    pub(crate) fn output(&self, name: &str) -> Result<&str, CliError> {
        self.outputs.get(name).map(String::as_str).ok_or_else(|| {
            CliError::failed("old_stack", format!("the stack {} has no output {name}", self.name))
                .hint("deploy the version of this command")
        })
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.outputs.get("Version").map(String::as_str)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn region(&self) -> &str {
        self.config.region().map_or("", |region| region.as_ref())
    }

    pub(crate) fn store(&self) -> Result<Store, CliError> {
        Ok(Store::new(aws_sdk_dynamodb::Client::new(&self.config), self.output("TableName")?.to_owned()))
    }

    pub(crate) fn work_queue(&self) -> Result<WorkQueue, CliError> {
        Ok(WorkQueue::new(aws_sdk_sqs::Client::new(&self.config), self.output("WorkQueueUrl")?.to_owned()))
    }

    /// Reads the settings with which the functions request transcripts, from the environment of one of them.
    pub(crate) async fn create_settings(&self) -> Result<CreateSettings, CliError> {
        let client = aws_sdk_lambda::Client::new(&self.config);
        let function = self.output("TranscriptFunction")?;
        let configuration = client.get_function_configuration().function_name(function).send().await;
        let configuration = configuration.map_err(|error| CliError::aws("GetFunctionConfiguration", &error))?;
        let variables = configuration.environment.and_then(|environment| environment.variables).unwrap_or_default();
        let env: Env = variables.into_iter().collect();
        let mut reader = Reader::new(&env);
        let settings = CreateSettings::read(&mut reader);
        reader.finish(settings).map_err(|error| {
            CliError::failed("bad_settings", format!("the functions have settings that they refuse: {error}"))
        })
    }
}

/// Describes the stack with this name.
async fn one(client: &Client, name: &str) -> Result<Description, CliError> {
    let described = client.describe_stacks().stack_name(name).send().await;
    let error = match described {
        Ok(output) => {
            let found = output.stacks.unwrap_or_default().into_iter().next();
            return found.ok_or_else(|| unknown(name, &[]));
        }
        Err(error) => error,
    };
    if !is_unknown_stack(&error) {
        return Err(CliError::aws("DescribeStacks", &error));
    }
    // The names of the others help, and are not needed.
    let others = own(client).await.unwrap_or_default();
    Err(unknown(name, &others.iter().filter_map(Description::stack_name).collect::<Vec<_>>()))
}

fn is_unknown_stack<E: aws_sdk_cloudformation::error::ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let said = error.as_service_error().and_then(|error| error.meta().message());
    said.is_some_and(|said| said.contains("does not exist"))
}

fn unknown(name: &str, others: &[&str]) -> CliError {
    let hint = match others {
        [] => "this region has no stack of this product; check --region and --profile".to_owned(),
        others => format!("this region has: {}", others.join(", ")),
    };
    CliError::not_found("unknown_stack", format!("there is no stack {name}")).hint(hint)
}

/// Describes the only stack of this product.
async fn only(client: &Client) -> Result<Description, CliError> {
    let mut found = own(client).await?;
    match (found.pop(), found.len()) {
        (Some(stack), 0) => Ok(stack),
        (Some(last), _) => {
            let names = found.iter().chain([&last]).filter_map(Description::stack_name).collect::<Vec<_>>();
            Err(CliError::failed("several_stacks", "this region has several stacks of this product")
                .hint(format!("choose one with --stack: {}", names.join(", "))))
        }
        (None, _) => Err(CliError::not_found("no_stack", "this region has no stack of this product")
            .hint("check --region and --profile, or deploy one: docs/deploying.md")),
    }
}

/// Describes all stacks of this product in the region.
async fn own(client: &Client) -> Result<Vec<Description>, CliError> {
    let mut pages = client.describe_stacks().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(stack) = pages.next().await {
        let stack = stack.map_err(|error| CliError::aws("DescribeStacks", &error))?;
        let names = stack.outputs().iter().filter_map(|output| output.output_key()).collect::<Vec<_>>();
        if OWN_OUTPUTS.iter().all(|name| names.contains(name)) {
            found.push(stack);
        }
    }
    Ok(found)
}
