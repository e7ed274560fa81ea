//! Lambda function: receives Recall's webhooks. Wiring only.

use std::process::ExitCode;

use lambda_http::lambda_runtime;
use webhook::{Settings, Webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pipeline::function::run(async |env| {
        let webhook = Webhook::new(Settings::read(env)?)?;
        webhook.warm_up().await;
        lambda_runtime::run(webhook.service()).await
    })
    .await
}
