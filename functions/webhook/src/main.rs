//! Lambda function: receives Recall's webhooks. Wiring only.

use pipeline::logs;
use std::process::ExitCode;

use lambda_http::{Error, lambda_runtime};
use pipeline::{env::Env, telemetry};
use webhook::{Settings, Webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let env = Env::of_process();
    telemetry::init(&env);
    match serve(&env).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(message = logs::INIT_FAILED, error = %telemetry::Chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn serve(env: &Env) -> Result<(), Error> {
    let webhook = Webhook::new(Settings::read(env)?)?;
    webhook.warm_up().await;
    lambda_runtime::run(webhook.service()).await
}
