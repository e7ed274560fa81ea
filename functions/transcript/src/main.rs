//! Lambda function: copies finished transcripts from Recall into S3. Wiring only.

use pipeline::logs;
use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use pipeline::{env::Env, telemetry};
use transcript::{Settings, Transcripts};

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
    let transcripts = Transcripts::new(Settings::read(env)?)?;
    transcripts.warm_up().await;
    let transcripts = &transcripts;
    run(service_fn(move |event: LambdaEvent<_>| async move {
        Ok::<_, Error>(transcripts.handle(event.payload, event.context.deadline).await)
    }))
    .await
}
