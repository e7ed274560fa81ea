//! The Lambda function that receives Recall's webhooks. This file only wires the parts together.

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
