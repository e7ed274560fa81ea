//! The start of every function.

use std::{error::Error, process::ExitCode};

use crate::{
    env::Env,
    logs,
    telemetry::{self, Chain},
};

/// Runs a function until Lambda ends it. A function that cannot start says why in one log line.
pub async fn run(serve: impl AsyncFnOnce(&Env) -> Result<(), Box<dyn Error + Send + Sync>>) -> ExitCode {
    let env = Env::of_process();
    telemetry::init(&env);
    match serve(&env).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(message = logs::INIT_FAILED, error = %Chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
