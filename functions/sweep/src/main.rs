//! Lambda function: wakes what is due, and finds at Recall what no webhook has told. Wiring only.

use pipeline::logs;
use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use pipeline::{env::Env, telemetry};
use serde::de::IgnoredAny;
use sweep::{Settings, Sweep};

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
    let sweep = Sweep::new(Settings::read(env)?)?;
    sweep.warm_up().await;
    let sweep = &sweep;
    // Whoever invokes it, and with whatever: there is one thing to do.
    run(service_fn(move |event: LambdaEvent<IgnoredAny>| async move {
        Ok::<_, Error>(sweep.run(event.context.deadline).await?)
    }))
    .await
}
