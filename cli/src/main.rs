//! `recall-transcripts`: shows and repairs the jobs of a deployment.
//!
//! Data goes to standard output, and messages go to standard error. The command changes jobs only by messages to the
//! work queue, so every change takes the same path as an event of Recall.

mod args;
mod commands;
mod confirm;
mod error;
mod output;
mod prices;
mod runbook;
mod session;
mod stack;
mod story;
mod times;

use std::process::ExitCode;

use clap::Parser as _;

use self::{args::Args, error::CliError, output::Output};

fn main() -> ExitCode {
    let args = Args::parse();
    let output = Output::new(&args.global);
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async {
            tokio::select! {
                result = commands::run(args, &output) => result,
                _ = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
            }
        }),
        Err(error) => Err(CliError::failed("no_runtime", format!("the command could not start: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit)
        }
    }
}
