//! The endpoint of a whole stack, called by the SDK's clients. The functions are short scripts.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use axum::body::{Body, Bytes, to_bytes};
use http::Request;
use hyper_util::{client::legacy, rt::TokioExecutor};
use pipeline::{
    aws::Aws,
    env::{Env, Reader},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    ACCESS_KEY, ACCOUNT_ID, REGION, SECRET_KEY,
    build::Binaries,
    stack::{BUCKET, EVENT_BUS, JOBS_TABLE, Stack, StackConfig, WORK_QUEUE},
};

mod routing;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// A stack, and clients that know nothing but its endpoint.
struct Lab {
    _folder: tempfile::TempDir,
    stack: Stack,
    aws: Aws,
}

impl Lab {
    async fn start() -> Result<Lab> {
        let config = StackConfig {
            visibility_s: 1,
            env: vec![
                ("KEY_PREFIX".to_owned(), "a&b/".to_owned()),
                ("RECALL_API_KEY".to_owned(), "not for display".to_owned()),
            ],
            ..StackConfig::default()
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lambda/tests/function.sh");
        let binaries = Binaries { webhook: script.clone(), transcript: script.clone(), sweep: script };
        let folder = tempfile::tempdir()?;
        let stack = Stack::start(folder.path(), &binaries, config).await?;
        let env = Env::from_pairs([
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL", stack.aws.url()),
        ]);
        let mut reader = Reader::new(&env);
        let aws = Aws::read(&env, &mut reader);
        Ok(reader.finish(Lab { _folder: folder, stack, aws })?)
    }

    fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.aws.service("CLOUDFORMATION").0)
    }

    fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.aws.service("LAMBDA").0)
    }

    /// Returns the outputs of the stack by name.
    async fn outputs(&self) -> Result<Vec<(String, String)>> {
        let described = self.cloudformation().describe_stacks().stack_name(STACK_NAME).send().await?;
        let outputs = described.stacks.unwrap_or_default().pop().context("no stack")?.outputs.unwrap_or_default();
        let pair = |output: aws_sdk_cloudformation::types::Output| Some((output.output_key?, output.output_value?));
        Ok(outputs.into_iter().filter_map(pair).collect())
    }

    async fn output(&self, name: &str) -> Result<String> {
        let found = self.outputs().await?.into_iter().find(|(known, _)| known == name);
        Ok(found.with_context(|| format!("no output {name}"))?.1)
    }
}

/// Sends a request without an SDK, and returns the status and the body.
async fn send(request: http::request::Builder, body: &'static str) -> Result<(u16, Bytes)> {
    let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client.request(request.body(Body::from(body))?).await?;
    let status = response.status().as_u16();
    Ok((status, to_bytes(Body::new(response.into_body()), 10_000).await?))
}

/// Returns the code of the error.
fn code<T, E: ProvideErrorMetadata>(result: Result<T, E>) -> String {
    result.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_default()
}

/// Waits until this is so, for at most ten seconds.
async fn reach(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..1000 {
        if is_so().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("{what}: never")
}

/// Returns the names in a section of the template, with the rest of their first lines.
fn section(name: &str) -> Vec<&'static str> {
    let lines = TEMPLATE.lines().skip_while(move |line| *line != format!("{name}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' ') || line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':')).filter(|name| !name.starts_with(' ')).collect()
}

#[tokio::test]
async fn the_stack_is_described_as_cloudformation_does() -> Result<()> {
    let lab = Lab::start().await?;
    let client = lab.cloudformation();
    let all = client.describe_stacks().send().await?.stacks.unwrap_or_default();
    let [stack] = all.as_slice() else { anyhow::bail!("there is one stack") };
    assert_eq!(stack.stack_name(), Some("recall-transcripts"));
    assert_eq!(stack.stack_status().map(|status| status.as_str()), Some("CREATE_COMPLETE"));
    assert_eq!(stack.tags(), []);
    ensure!(stack.creation_time().is_some_and(|created| created.secs() > 1_700_000_000));

    let outputs = lab.outputs().await?;
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    let mut expected = section("Outputs");
    expected.retain(|name| !["DashboardUrl", "Version"].contains(name));
    expected.push("Version");
    assert_eq!(names, expected);
    assert_eq!(lab.output("WebhookUrl").await?, lab.stack.function_url.url());

    let parameters = stack.parameters().iter();
    let parameters: Vec<_> = parameters.map(|one| (one.parameter_key(), one.parameter_value())).collect();
    ensure!(parameters.contains(&(Some("KeyPrefix"), Some("a&b/"))), "{parameters:?}");
    ensure!(parameters.contains(&(Some("TranscriptProviders"), Some(r#"[{"recallai_async": {}}]"#))));

    // By its id as well.
    let id = stack.stack_id().context("no id")?;
    assert_eq!(client.describe_stacks().stack_name(id).send().await?.stacks().len(), 1);
    let unknown = client.describe_stacks().stack_name("other").send().await.err().context("it exists")?;
    assert_eq!(
        (unknown.code(), unknown.message()),
        (Some("ValidationError"), Some("Stack with id other does not exist"))
    );
    assert_eq!(unknown.raw_response().map(|raw| raw.status().as_u16()), Some(400));
    assert_eq!(code(client.describe_stack_events().stack_name(STACK_NAME).send().await), "NotAvailableLocally");
    Ok(())
}

#[test]
fn the_parameters_are_those_of_the_template() {
    let known = section("Parameters");
    for (name, _, default) in cloudformation::PARAMETERS {
        assert!(known.contains(&name), "{name}");
        let mut lines = TEMPLATE.lines().skip_while(|line| *line != format!("  {name}:")).skip(1);
        let lines = lines.by_ref().take_while(|line| line.starts_with("    "));
        let found = lines.filter_map(|line| line.strip_prefix("    Default: ")).next();
        // The region of Recall is the only one without a default.
        let found = found.map_or(REGION, |text| text.trim_matches(['"', '\'']));
        assert_eq!(found, default, "{name}");
    }
}

#[tokio::test]
async fn sts_says_whose_account_this_is() -> Result<()> {
    let lab = Lab::start().await?;
    let client = aws_sdk_sts::Client::new(&lab.aws.service("STS").0);
    let identity = client.get_caller_identity().send().await?;
    assert_eq!(identity.account(), Some(ACCOUNT_ID));
    assert_eq!(identity.arn(), Some("arn:aws:iam::000000000000:user/local"));
    assert_eq!(identity.user_id(), Some("local"));
    assert_eq!(code(client.get_session_token().send().await), "NotAvailableLocally");
    assert_eq!(lab.stack.wire.count(Service::Sts, ""), 2);
    Ok(())
}

#[tokio::test]
async fn a_function_with_no_concurrency_is_paused_until_it_is_lifted() -> Result<()> {
    let lab = Lab::start().await?;
    let (client, webhook) = (lab.lambda(), lab.output("WebhookFunction").await?);
    let reserved = async || -> Result<Option<i32>> {
        let answer = client.get_function_concurrency().function_name(&webhook).send().await?;
        Ok(answer.reserved_concurrent_executions())
    };
    let post = async || -> Result<u16> { Ok(send(Request::post(lab.stack.function_url.url()), "{}").await?.0) };
    assert_eq!((reserved().await?, post().await?), (None, 200));

    let put = client.put_function_concurrency().function_name(&webhook).reserved_concurrent_executions(0);
    assert_eq!(put.send().await?.reserved_concurrent_executions(), Some(0));
    assert_eq!((reserved().await?, post().await?), (Some(0), 429));
    let put =
        client.put_function_concurrency().function_name(lab.stack.webhook.arn()).reserved_concurrent_executions(2);
    put.send().await?;
    assert_eq!((reserved().await?, post().await?), (Some(2), 200));

    client.delete_function_concurrency().function_name(&webhook).send().await?;
    assert_eq!((reserved().await?, post().await?), (None, 200));

    // A scheduled invocation is dropped.
    let sweep = lab.output("SweepFunction").await?;
    client.put_function_concurrency().function_name(sweep).reserved_concurrent_executions(0).send().await?;
    ensure!(lab.stack.schedule.fire().await.is_err(), "it ran");

    let unknown =
        client.delete_function_concurrency().function_name("other").send().await.err().context("it exists")?;
    assert_eq!(unknown.raw_response().map(|raw| raw.status().as_u16()), Some(404));
    ensure!(unknown.into_service_error().is_resource_not_found_exception());
    Ok(())
}

#[tokio::test]
async fn messages_for_a_paused_function_come_back() -> Result<()> {
    let lab = Lab::start().await?;
    let (client, name) = (lab.lambda(), lab.output("TranscriptFunction").await?);
    let (queues, source) = (&lab.stack.queues, &lab.stack.event_source);
    client.put_function_concurrency().function_name(&name).reserved_concurrent_executions(0).send().await?;
    queues.send(WORK_QUEUE, "batch", &[]).await?;
    reach("the message is received", async || Ok(queues.visible(WORK_QUEUE).await? == 0)).await?;
    source.pause();
    // Its visibility timeout is a second.
    reach("it comes back", async || Ok(queues.visible(WORK_QUEUE).await? == 1)).await?;
    reach("the batch is given up", async || Ok(source.under_way() == 0)).await?;
    assert_eq!(lab.stack.transcript.processes_started(), 0);

    client.delete_function_concurrency().function_name(&name).send().await?;
    source.resume();
    reach("it is done", async || Ok(queues.depth(WORK_QUEUE).await? == 0)).await
}

#[tokio::test]
async fn a_message_waits_while_the_event_source_is_disabled() -> Result<()> {
    let lab = Lab::start().await?;
    let (client, id) = (lab.lambda(), lab.output("WorkSourceId").await?);
    let state = async || -> Result<String> {
        let mapping = client.get_event_source_mapping().uuid(&id).send().await?;
        assert_eq!(mapping.event_source_arn(), Some("arn:aws:sqs:us-east-1:000000000000:work"));
        Ok(mapping.state.unwrap_or_default())
    };
    let set = async |enabled| -> Result<String> {
        let mapping = client.update_event_source_mapping().uuid(&id).enabled(enabled).send().await?;
        Ok(mapping.state.unwrap_or_default())
    };
    assert_eq!(state().await?, "Enabled");
    assert_eq!((set(false).await?, state().await?), ("Disabled".to_owned(), "Disabled".to_owned()));

    let sqs = lab.aws.sqs();
    sqs.send_message().queue_url(lab.output("WorkQueueUrl").await?).message_body("batch").send().await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(lab.stack.queues.visible(WORK_QUEUE).await?, 1);

    assert_eq!((set(true).await?, state().await?), ("Enabled".to_owned(), "Enabled".to_owned()));
    reach("it is done", async || Ok(lab.stack.queues.depth(WORK_QUEUE).await? == 0)).await?;

    let unknown = client.get_event_source_mapping().uuid("other").send().await;
    assert_eq!(code(unknown), "ResourceNotFoundException");
    assert_eq!(code(client.list_functions().send().await), "NotAvailableLocally");
    Ok(())
}

#[tokio::test]
async fn the_configuration_of_a_function_shows_no_secret() -> Result<()> {
    let lab = Lab::start().await?;
    let config = lab.lambda().get_function_configuration().function_name("transcript").send().await?;
    assert_eq!((config.timeout(), config.memory_size()), (Some(60), Some(256)));
    ensure!(config.last_modified().is_some_and(|at| at.ends_with("+0000")));
    let variables = config.environment().and_then(|environment| environment.variables());
    let variables = variables.context("no variables")?;
    assert_eq!(variables.get("JOBS_TABLE").map(String::as_str), Some(JOBS_TABLE));
    assert_eq!(variables.get("RECALL_API_KEY"), None);
    Ok(())
}
