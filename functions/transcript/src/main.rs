//! The Lambda function that copies finished transcripts from Recall into S3. This file only wires the parts together.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use transcript::{Settings, Transcripts};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    pipeline::function::run(async |env| {
        let transcripts = Transcripts::new(Settings::read(env)?)?;
        transcripts.warm_up().await;
        let transcripts = &transcripts;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<_>| async move {
            Ok::<_, Error>(transcripts.handle(event.payload, event.context.deadline).await)
        }))
        .await
    })
    .await
}
