//! Runs the program as an operator does, and reads what it prints.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::Pipeline;

/// What the program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) data: String,
    pub(crate) messages: String,
}

impl Ran {
    /// Returns the one line of JSON on standard output.
    pub(crate) fn json(&self) -> Result<Value> {
        let lines = self.lines()?;
        ensure!(lines.len() == 1, "{self:?}");
        Ok(lines[0].clone())
    }

    /// Returns the lines of JSON on standard output.
    pub(crate) fn lines(&self) -> Result<Vec<Value>> {
        ensure!(self.status == Some(0), "{self:?}");
        self.data.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{self:?}"))).collect()
    }

    /// Returns the code of the error on standard error, after checking the exit code.
    pub(crate) fn error(&self, status: i32) -> Result<String> {
        ensure!(self.status == Some(status) && self.data.is_empty(), "{self:?}");
        let last = self.messages.lines().last().context("no error")?;
        let error: Value = serde_json::from_str(last).with_context(|| format!("{self:?}"))?;
        ensure!(error["error"]["message"].is_string(), "{error}");
        error["error"]["code"].as_str().map(str::to_owned).context("no code")
    }
}

/// Runs the program with these arguments, without a deployment.
pub(crate) async fn run_alone(arguments: &[&str]) -> Result<Ran> {
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_recall-transcripts"));
    // Neither the machine's AWS configuration nor its terminal may change the result.
    let program = program.env_clear().env("AWS_CONFIG_FILE", "/nowhere").env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    let program = program.env("AWS_EC2_METADATA_DISABLED", "true").args(arguments).stdin(std::process::Stdio::null());
    let Output { status, stdout, stderr } = program.output().await.context("the program does not start")?;
    Ok(Ran { status: status.code(), data: String::from_utf8(stdout)?, messages: String::from_utf8(stderr)? })
}

/// Runs the program against the pipeline.
pub(crate) async fn run(pipeline: &Pipeline, arguments: &[&str]) -> Result<Ran> {
    run_alone(&[&["--endpoint-url", pipeline.stack.aws.url()], arguments].concat()).await
}

/// Runs the program against the pipeline, and has it print JSON.
pub(crate) async fn run_json(pipeline: &Pipeline, arguments: &[&str]) -> Result<Ran> {
    run(pipeline, &[&["--json"], arguments].concat()).await
}
