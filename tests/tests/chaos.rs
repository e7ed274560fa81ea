//! A small `cargo chaos` that runs with the tests. See `tests/src/chaos.rs`.
#![allow(clippy::print_stdout, reason = "a failing seed is printed")]

use anyhow::Result;
use tests::{
    chaos::{self, Config},
    figure,
};

const SEED: u64 = 3;
const RECORDINGS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_chaos_run_keeps_every_promise() -> Result<()> {
    println!("cargo chaos --seed {SEED} --recordings {RECORDINGS}");
    let summary = chaos::run(Config { seed: SEED, recordings: RECORDINGS }).await?;
    println!("{summary}");
    figure("Recordings of the chaos, with the tests", RECORDINGS)
}
