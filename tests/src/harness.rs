//! The only way to start a pipeline: the harness starts it, runs the test, and then checks every promise.
//!
//! A test cannot forget the checks, because it has no other way to get a [`Pipeline`]. A test that breaks a promise on
//! purpose says which one, with an [`Exception`].

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use local::{
    recall::SimulatorConfig,
    stack::{RecallTarget, Stack, StackConfig},
};
use tempfile::TempDir;

use crate::{Pipeline, binaries, simulator_config};

/// A promise that a test does not keep, on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exception {
    /// The test changes a stored file, so the file no longer matches its manifest. The harness checks that this is so.
    StoredFileChanged,
    /// The test prepares faults at random, so some of them may never strike.
    FaultsMayNotStrike,
}

/// Runs a test on a pipeline with the usual settings, and then checks every promise.
///
/// # Errors
/// The pipeline does not start, the test fails, or a promise is broken.
pub async fn pipeline_test<T>(test: impl AsyncFnOnce(Arc<Pipeline>) -> Result<T>) -> Result<T> {
    PipelineTest::default().run(test).await
}

/// A test of a pipeline that needs other settings than the usual ones.
#[derive(Debug)]
#[must_use = "a test checks nothing until it runs"]
pub struct PipelineTest {
    config: StackConfig,
    simulator: SimulatorConfig,
    exceptions: Vec<Exception>,
    is_paused: bool,
    sends_webhooks: bool,
}

impl Default for PipelineTest {
    fn default() -> Self {
        // A message that meets another worker's lease waits until the lease ends, so leases are not much longer than
        // the work takes.
        let config = StackConfig {
            transcript_timeout: Duration::from_secs(15),
            visibility_s: 20,
            concurrency: 30,
            ..StackConfig::default()
        };
        let simulator = simulator_config();
        Self { config, simulator, exceptions: Vec::new(), is_paused: false, sends_webhooks: true }
    }
}

impl PipelineTest {
    /// Changes the settings of the stack and of the simulator.
    pub fn with(change: impl FnOnce(&mut StackConfig, &mut SimulatorConfig)) -> Self {
        let mut test = Self::default();
        change(&mut test.config, &mut test.simulator);
        test
    }

    /// Gives the functions these environment variables.
    pub fn with_env(env: &[(&str, &str)]) -> Self {
        Self::with(|config, _| {
            config.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        })
    }

    /// Gives the functions so little time that a test can wait for a lease to end.
    pub fn hasty() -> Self {
        Self::with(|config, _| {
            config.webhook_timeout = Duration::from_secs(3);
            config.transcript_timeout = Duration::from_secs(8);
            config.visibility_s = 9;
        })
    }

    /// Pauses the event source before the test: the transcript function takes no message until the test resumes it.
    pub fn paused(mut self) -> Self {
        self.is_paused = true;
        self
    }

    /// Lets Recall send no webhook.
    pub fn without_webhooks(mut self) -> Self {
        self.sends_webhooks = false;
        self
    }

    /// Allows the test to break one promise.
    pub fn allow(mut self, exception: Exception) -> Self {
        self.exceptions.push(exception);
        self
    }

    /// Runs the test, and then checks every promise.
    ///
    /// # Errors
    /// The pipeline does not start, the test fails, or a promise is broken.
    pub async fn run<T>(self, test: impl AsyncFnOnce(Arc<Pipeline>) -> Result<T>) -> Result<T> {
        let exceptions = self.exceptions.clone();
        let pipeline = Arc::new(self.start().await?);
        let result = test(Arc::clone(&pipeline)).await?;
        pipeline.check_all(&exceptions).context("the test has passed, but a promise is broken")?;
        Ok(result)
    }

    async fn start(self) -> Result<Pipeline> {
        let Self { mut config, simulator, is_paused, sends_webhooks, .. } = self;
        let data = TempDir::new().context("there is no temporary folder")?;
        let (api_key, webhook_secrets) = (simulator.api_key.clone(), simulator.webhook_secrets.clone());
        config.recall = RecallTarget::Simulator(simulator);
        let stack = Arc::new(Stack::start(data.path(), binaries().await?, config).await?);
        if is_paused {
            stack.event_source.pause();
        }
        let pipeline = Pipeline { stack, api_key, webhook_secrets, data };
        if !sends_webhooks {
            pipeline.simulator().set_webhook_url(None);
        }
        Ok(pipeline)
    }
}

impl Pipeline {
    /// Checks what must hold after every test: the promises, and that every prepared fault has struck.
    ///
    /// The harness calls this at the end; a test calls it only to check a moment before its end.
    ///
    /// # Errors
    /// A promise is broken.
    pub fn check_promises(&self) -> Result<()> {
        self.check_all(&[])
    }

    fn check_all(&self, exceptions: &[Exception]) -> Result<()> {
        ensure!(self.simulator().keys_leaked() == 0, "a download came with the API's key");
        let open = self.stack.s3.open_uploads()?;
        ensure!(open.is_empty(), "open uploads: {open:?}");
        let bucket = self.check_bucket();
        if exceptions.contains(&Exception::StoredFileChanged) {
            ensure!(bucket.is_err(), "no stored file is changed, so the test needs no exception");
        } else {
            bucket?;
        }
        self.check_logs()?;
        if !exceptions.contains(&Exception::FaultsMayNotStrike) {
            let unstruck = [self.stack.wire.unstruck(), self.simulator().faults().unstruck()].concat();
            ensure!(unstruck.is_empty(), "these faults never struck, so the test did not test them: {unstruck:#?}");
        }
        Ok(())
    }
}
