//! The whole pipeline in one process: the stand-ins, the functions as child processes, and their connections.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use pipeline::secret::Secret;
use serde_json::json;

use crate::{
    aws_endpoint::{AwsEndpoint, Description, LambdaApi, StandIns},
    build::Binaries,
    bus::Bus,
    dynamodb::DynamoDb,
    lambda::{EventSource, EventSourceConfig, Function, FunctionConfig, FunctionUrl, LogSink, Schedule},
    queue::Queues,
    recall::{DOWNLOAD_HOST, Simulator, SimulatorConfig},
    s3::S3,
    secrets::Secrets,
    wire::Wire,
};

pub const JOBS_TABLE: &str = "jobs";
pub const BUCKET: &str = "transcripts";
pub const WORK_QUEUE: &str = "work";
pub const DEAD_LETTER_QUEUE: &str = "dead-letters";
pub const EVENT_BUS: &str = "transcripts";
/// The name of the secret that the functions read.
pub const SECRET: &str = "recall";

/// As in `template.yaml`: a message that was received this many times goes to the dead-letter queue.
pub const MAX_RECEIVES: u32 = 20;

/// The Recall that the functions call.
#[derive(Clone, Debug)]
pub enum RecallTarget {
    Simulator(SimulatorConfig),
    Real { region: String, api_key: Secret<String>, webhook_secrets: Secret<Vec<String>> },
}

/// An interval that never ends in the life of a stack.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The settings of a stack.
#[derive(Clone, Debug)]
pub struct StackConfig {
    pub recall: RecallTarget,
    /// The port of the functions' public URL. 0 takes any free port.
    pub webhook_port: u16,
    /// The port of the endpoint for all AWS services. 0 takes any free port.
    pub aws_port: u16,
    pub webhook_timeout: Duration,
    pub transcript_timeout: Duration,
    pub sweep_timeout: Duration,
    /// How often the sweep runs by itself. With `None`, it runs only when [`Stack::schedule`] is fired.
    pub sweep_every: Option<Duration>,
    /// How long SQS hides a message that is being processed.
    pub visibility_s: u32,
    /// The number of concurrent processes of each function.
    pub concurrency: usize,
    /// More environment variables for all functions.
    pub env: Vec<(String, String)>,
    pub webhook_log: LogSink,
    pub transcript_log: LogSink,
    pub sweep_log: LogSink,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            recall: RecallTarget::Simulator(SimulatorConfig::default()),
            webhook_port: 0,
            aws_port: 0,
            webhook_timeout: Duration::from_secs(14),
            transcript_timeout: Duration::from_secs(60),
            sweep_timeout: Duration::from_secs(60),
            sweep_every: None,
            visibility_s: 120,
            concurrency: 4,
            env: Vec::new(),
            webhook_log: LogSink::default(),
            transcript_log: LogSink::default(),
            sweep_log: LogSink::default(),
        }
    }
}

/// A running pipeline. Dropping it ends everything, including the functions' processes.
#[derive(Debug)]
pub struct Stack {
    pub wire: Wire,
    pub dynamodb: DynamoDb,
    pub s3: S3,
    pub queues: Queues,
    pub secrets: Secrets,
    pub bus: Bus,
    /// `None` with the real Recall.
    pub simulator: Option<Simulator>,
    pub webhook: Function,
    pub transcript: Function,
    pub sweep: Function,
    pub function_url: FunctionUrl,
    pub event_source: EventSource,
    pub schedule: Schedule,
    /// All AWS services under one URL, for the operator's command.
    pub aws: AwsEndpoint,
}

impl Stack {
    /// Starts everything on the folder `data`, which contains the table and the bucket.
    pub async fn start(data: &Path, binaries: &Binaries, config: StackConfig) -> Result<Self> {
        std::fs::create_dir_all(data).with_context(|| format!("cannot create the folder {}", data.display()))?;
        let wire = Wire::default();
        let dynamodb = DynamoDb::start(&wire, Some(&data.join("dynamodb.sqlite"))).await?;
        dynamodb.create_jobs_table(JOBS_TABLE)?;
        let s3 = S3::start(&wire, &data.join("s3"), BUCKET).await?;
        let queues = Queues::start(&wire).await?;
        queues.create(DEAD_LETTER_QUEUE, config.visibility_s, None).await?;
        queues.create(WORK_QUEUE, config.visibility_s, Some((DEAD_LETTER_QUEUE, MAX_RECEIVES))).await?;
        let secrets = Secrets::start(&wire).await?;
        let bus = Bus::start(&wire, EVENT_BUS).await?;
        let (simulator, recall) = match config.recall {
            RecallTarget::Simulator(simulator) => {
                secrets
                    .put(SECRET, &json!({"api_key": simulator.api_key, "webhook_secrets": simulator.webhook_secrets}));
                let simulator = Simulator::start(&wire, simulator).await?;
                let env = vec![
                    ("RECALL_BASE_URL".to_owned(), simulator.base_url().to_owned()),
                    ("DOWNLOAD_HOSTS".to_owned(), DOWNLOAD_HOST.to_owned()),
                ];
                (Some(simulator), env)
            }
            RecallTarget::Real { region, api_key, webhook_secrets } => {
                let (api_key, webhook_secrets) = (api_key.expose(), webhook_secrets.expose());
                secrets.put(SECRET, &json!({"api_key": api_key, "webhook_secrets": webhook_secrets}));
                (None, vec![("RECALL_REGION".to_owned(), region)])
            }
        };
        let mut env = vec![
            ("RECALL_SECRET_ID".to_owned(), SECRET.to_owned()),
            ("JOBS_TABLE".to_owned(), JOBS_TABLE.to_owned()),
            ("WORK_QUEUE_URL".to_owned(), queues.url(WORK_QUEUE)),
            ("DEAD_LETTER_QUEUE_URL".to_owned(), queues.url(DEAD_LETTER_QUEUE)),
            ("TRANSCRIPTS_BUCKET".to_owned(), BUCKET.to_owned()),
            ("EVENT_BUS".to_owned(), EVENT_BUS.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_S3".to_owned(), s3.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_SQS".to_owned(), queues.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), secrets.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE".to_owned(), bus.endpoint().to_owned()),
        ];
        env.extend(recall);
        env.extend(config.env);
        let function = |name: &str, binary: &Path, timeout, log| FunctionConfig {
            name: name.to_owned(),
            binary: binary.to_owned(),
            env: env.clone(),
            timeout,
            concurrency: config.concurrency,
            log,
        };
        let webhook = function("webhook", &binaries.webhook, config.webhook_timeout, config.webhook_log);
        let webhook = Function::start(&wire, webhook)?;
        let transcript = function("transcript", &binaries.transcript, config.transcript_timeout, config.transcript_log);
        let transcript = Function::start(&wire, transcript)?;
        let sweep = function("sweep", &binaries.sweep, config.sweep_timeout, config.sweep_log);
        let sweep = Function::start(&wire, sweep)?;
        let function_url = FunctionUrl::start(&wire, config.webhook_port, webhook.clone()).await?;
        let source = EventSourceConfig { batch_size: 5, maximum_concurrency: config.concurrency };
        let event_source = EventSource::start(&queues, WORK_QUEUE, transcript.clone(), source)?;
        let functions = vec![webhook.clone(), transcript.clone(), sweep.clone()];
        let lambda = LambdaApi::new(functions, &transcript, &event_source, source, queues.arn(WORK_QUEUE));
        // The names are those of the outputs of `template.yaml`. There is no dashboard.
        let outputs = vec![
            ("WebhookUrl", function_url.url().to_owned()),
            ("SecretArn", secrets.arn(SECRET)),
            ("BucketName", BUCKET.to_owned()),
            ("TableName", JOBS_TABLE.to_owned()),
            ("WebhookFunction", webhook.name().to_owned()),
            ("TranscriptFunction", transcript.name().to_owned()),
            ("SweepFunction", sweep.name().to_owned()),
            ("WorkSourceId", event_source.id().to_string()),
            ("WorkQueueUrl", queues.url(WORK_QUEUE)),
            ("DeadLetterQueueUrl", queues.url(DEAD_LETTER_QUEUE)),
            ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let stand_ins = StandIns { dynamodb: &dynamodb, s3: &s3, queues: &queues, secrets: &secrets, bus: &bus };
        let description = Description::new(&env, outputs);
        let aws = AwsEndpoint::start(&wire, config.aws_port, stand_ins, description, lambda).await?;
        let schedule = Schedule::start(sweep.clone(), config.sweep_every.unwrap_or(NEVER));
        if let Some(simulator) = &simulator {
            simulator.set_webhook_url(Some(function_url.url().to_owned()));
        }
        Ok(Self {
            wire,
            dynamodb,
            s3,
            queues,
            secrets,
            bus,
            simulator,
            webhook,
            transcript,
            sweep,
            function_url,
            event_source,
            schedule,
            aws,
        })
    }

    /// Returns everything that the functions have logged.
    pub fn logs(&self) -> Vec<String> {
        let mut lines = self.webhook.logs();
        lines.extend(self.transcript.logs());
        lines.extend(self.sweep.logs());
        lines
    }
}
