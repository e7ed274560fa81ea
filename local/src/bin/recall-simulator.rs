//! `cargo simulator`: runs only the simulator of Recall, for a pipeline that runs elsewhere.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use local::{
    control::Control,
    dev::{self, Credentials, complain, say},
    recall::{DOWNLOAD_HOST, Simulator, SimulatorConfig},
    wire::Wire,
};

const ENVIRONMENT: &str = "\
Environment:
  RECALL_API_KEY          The API key that the simulator accepts
  RECALL_WEBHOOK_SECRETS  The whsec_… secrets that sign webhooks, separated by commas

  The simulator generates and prints what is not set.";

/// Runs only the simulator of Recall: its API, its downloads, and signed webhooks to a URL of yours.
#[derive(Debug, Parser)]
#[command(name = "cargo simulator", bin_name = "cargo simulator", version, after_help = ENVIRONMENT)]
struct Args {
    /// Where webhooks are sent. Without a URL, from here or from the control, they are lost.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The port of Recall's API on 127.0.0.1. 0 takes any free port. Downloads use another free port.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The port of the control on 127.0.0.1. 0 takes any free port.
    #[arg(long, value_name = "N", default_value_t = 0)]
    control_port: u16,
    /// How much faster than real time the simulator runs.
    #[arg(long, value_name = "X", default_value_t = 30.0)]
    speed: f64,
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
    let credentials = Credentials::from_env(false)?;
    let wire = Wire::default();
    let config = SimulatorConfig { port: args.port, speed: args.speed, ..credentials.simulator() };
    let simulator = Simulator::start(&wire, config).await?;
    simulator.set_webhook_url(args.webhook.clone());
    let control = Control::start(&wire, simulator.clone(), args.control_port).await?;
    say(format_args!("  Recall    {}", simulator.base_url()));
    say(format_args!("  downloads {DOWNLOAD_HOST} (set DOWNLOAD_HOSTS to it)"));
    say(format_args!("  webhooks  {}", args.webhook.as_deref().unwrap_or("not sent yet")));
    say(format_args!("  control   {}", control.url()));
    for (what, shown) in credentials.shown() {
        say(format_args!("  {what:<9} {shown}"));
    }
    say(format_args!("\nPlay a meeting with: curl -X POST {}play/hour", control.url()));
    say("running; press Ctrl-C to stop");
    dev::asked_to_stop().await
}
