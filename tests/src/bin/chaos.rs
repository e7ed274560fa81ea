//! `cargo chaos`: plays hundreds of recordings through the real functions while every service fails. See
//! `tests/src/chaos.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints for a person")]

use std::process::ExitCode;

use clap::Parser;
use tests::chaos::{self, Config};

/// Plays recordings through the pipeline while processes are killed and every service fails at random. Then the faults
/// stop, and every recording must end as it should.
#[derive(Parser)]
#[command(name = "cargo chaos")]
struct Args {
    /// The seed of everything random. Without it, every run has a new seed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many recordings to play.
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
            println!("{summary}\nevery promise is kept");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
