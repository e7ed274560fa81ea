//! `cargo dev`: runs the whole pipeline on this machine, and plays one meeting through it.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, bail, ensure};
use clap::Parser;
use local::{
    aws_endpoint,
    build::Binaries,
    dev::{self, Credentials, DataFolder, complain, say},
    page::{self, Page},
    stack::{Stack, StackConfig},
};
use tokio::net::TcpListener;

/// In AWS, the sweep runs every minute.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// The settings that the functions get from our environment.
const SETTINGS: [&str; 5] = ["DEPLOYMENT", "MEETING_FILES", "METADATA_KEYS", "PROVIDER_DATA", "RENDITIONS"];

const ENVIRONMENT: &str = "\
Environment:
  RECALL_API_KEY          The API key for Recall or the simulator
  RECALL_WEBHOOK_SECRETS  The whsec_… secrets that sign webhooks, separated by commas

  The simulator generates and prints what is not set. With --recall, both are required.

  The functions also get these settings, if they are set: DEPLOYMENT, MEETING_FILES, METADATA_KEYS, PROVIDER_DATA,
  RENDITIONS. docs/settings.md explains them.";

/// Runs the whole pipeline on loopback and plays one meeting through it.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version, after_help = ENVIRONMENT)]
struct Args {
    /// Exit once the meeting is stored, or with an error if it is not stored within a minute after the build.
    #[arg(long)]
    once: bool,
    /// The folder for the table, the bucket, and the logs.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// The port of the webhook URL on 127.0.0.1. 0 takes any free port.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The port of the page on 127.0.0.1. Without it, 8765 or the next free port.
    #[arg(long, value_name = "N")]
    page_port: Option<u16>,
    /// The port of the AWS endpoint on 127.0.0.1, for the operator's command. Without it, 8775 or the next free port.
    #[arg(long, value_name = "N")]
    aws_port: Option<u16>,
    /// Use the real Recall in this region instead of the simulator, and run until Ctrl-C.
    #[arg(long, value_name = "REGION", value_parser = ["us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1"])]
    recall: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    dev::show_warnings();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    ensure!(!args.once || args.recall.is_none(), "--once plays a simulated meeting; do not combine it with --recall");
    // The folder stays locked until the end.
    let (_data, stack, page) = tokio::select! {
        ready = prepare(&args) => ready?,
        asked = dev::asked_to_stop() => {
            asked?;
            bail!("stopped during the start-up");
        }
    };
    if args.once {
        return Ok(());
    }
    if let Some(page) = &page {
        say(format_args!("\nOpen {} to watch the pipeline and play more meetings", page.url()));
    }
    say(format_args!("\nInspect it with:\n  {}", dev::command_line(&stack)));
    say("\nrunning; press Ctrl-C to stop");
    tokio::select! {
        asked = dev::asked_to_stop() => asked?,
        never = dev::report(&stack) => match never? {},
    }
    dev::drain(&stack).await;
    Ok(())
}

/// Starts everything. With the simulator, the meeting is stored when this returns.
async fn prepare(args: &Args) -> Result<(DataFolder, Arc<Stack>, Option<Page>)> {
    // Invalid arguments are reported before the build, which can take minutes.
    let credentials = Credentials::from_env(args.recall.is_some())?;
    let data = DataFolder::open(&args.data)?;
    let webhook_log = dev::log_file(&data.logs().join("webhook.log"))?;
    let transcript_log = dev::log_file(&data.logs().join("transcript.log"))?;
    let sweep_log = dev::log_file(&data.logs().join("sweep.log"))?;
    let port = dev::reserve_port(args.port)?;
    let page_port = match args.once {
        true => None,
        false => Some(page::listen(args.page_port).await?),
    };
    // With --once there is no time to use the endpoint, so it takes any port.
    let aws = match (args.once, args.aws_port) {
        (true, None) => None,
        (_, port) => Some(aws_endpoint::reserve(port).await?),
    };
    let aws_port = aws.as_ref().map(TcpListener::local_addr).transpose()?.map_or(0, |address| address.port());
    if let Some(region) = &args.recall {
        dev::check_key(&format!("https://{region}.recall.ai"), credentials.api_key()).await?;
    }
    say("building the functions …");
    let binaries = Binaries::build().await?;
    // Pay only for recordings that end while this runs, not for older ones in the workspace.
    let window = args.recall.is_some().then(|| ("SWEEP_WINDOW_HOURS".to_owned(), "0".to_owned()));
    let env = pipeline::env::Env::of_process();
    let chosen = SETTINGS.into_iter().filter_map(|name| Some((name.to_owned(), env.get(name)?.to_owned())));
    let config = StackConfig {
        recall: credentials.target(args.recall.clone()),
        webhook_port: args.port,
        aws_port,
        webhook_log,
        transcript_log,
        sweep_log,
        sweep_every: Some(SWEEP_EVERY),
        env: window.into_iter().chain(chosen).collect(),
        ..StackConfig::default()
    };
    // The stack takes over the ports.
    drop((port, aws));
    let stack = Arc::new(Stack::start(data.path(), &binaries, config).await?);
    let page = page_port.map(|listener| Page::start(stack.clone(), listener)).transpose()?;
    dev::introduce(&stack, &data, &credentials, page.as_ref());
    if stack.simulator.is_some() {
        dev::play_one(&stack).await?;
    }
    Ok((data, stack, page))
}
