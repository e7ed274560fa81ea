//! `cargo chaos`: hundreds of recordings through the real functions while everything fails. See `tests/src/chaos.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

use std::process::ExitCode;

use clap::Parser;
use tests::chaos::{self, Config};

/// Plays recordings through the pipeline while processes are killed and every service fails at random; then all is
/// calm, and everything must come right.
#[derive(Parser)]
#[command(name = "cargo chaos")]
struct Args {
    /// Where everything random comes from; another one every time without this.
    #[arg(long)]
    seed: Option<u64>,
    /// How many recordings.
    #[arg(long, default_value_t = 300)]
    recordings: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { seed, recordings } = Args::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("chaos with --seed {seed} --recordings {recordings}");
    match chaos::run(Config { seed, recordings }).await {
        Ok(summary) => {
            println!("{summary}\nevery promise was kept");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
