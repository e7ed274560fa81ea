//! The Lambda function that wakes due jobs and finds at Recall what no webhook has reported. This file only wires the
//! parts together.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use sweep::{Settings, Sweep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pipeline::function::run(async |env| {
        let sweep = Sweep::new(Settings::read(env)?)?;
        sweep.warm_up().await;
        let sweep = &sweep;
        // The function ignores the event: every invocation does the same.
        lambda_runtime::run(service_fn(move |event: LambdaEvent<IgnoredAny>| async move {
            Ok::<_, Error>(sweep.run(event.context.deadline).await?)
        }))
        .await
    })
    .await
}
