//! The output of `cargo dev`: addresses, each hop with its time, and what went wrong.

mod credentials;
mod folder;
mod hops;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    fs::File,
    io::{self, Write as _},
    net::TcpListener,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::hops::Hops;
pub use self::{credentials::Credentials, folder::DataFolder};
use crate::{
    lambda::LogSink,
    page::Page,
    recall::Meeting,
    stack::{BUCKET, JOBS_TABLE, Stack, WORK_QUEUE},
    wire::lock,
};

/// A meeting that is not stored within this time has failed.
const PLAY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the display is updated.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long queued messages may take after the request to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// The speed of the simulator's clock: an hour-long meeting is transcribed in about two seconds.
const SPEED: f64 = 30.0;

/// Prints a line. A closed output (`| head`) is no reason to stop.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line about an error to standard error.
pub fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Reserves the webhook's port before the build, which can take minutes. Port 0 is chosen later.
pub fn reserve_port(port: u16) -> Result<Option<TcpListener>> {
    if port == 0 {
        return Ok(None);
    }
    let listener = TcpListener::bind(("127.0.0.1", port))
        .with_context(|| format!("port {port} on 127.0.0.1 cannot be used; choose another with --port"))?;
    Ok(Some(listener))
}

/// Asks Recall whether it accepts the key, before anything depends on it.
pub async fn check_key(base_url: &str, api_key: &str) -> Result<()> {
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_root_certificates(roots).with_no_client_auth())
        .timeout(Duration::from_secs(10))
        .build()?;
    let url = format!("{base_url}/api/v1/transcript/?recording_id=00000000-0000-0000-0000-000000000000");
    let response = client.get(url).header("authorization", format!("Token {api_key}")).send().await;
    let response = response.with_context(|| format!("cannot reach {base_url}; try again, or without --recall"))?;
    match response.status().as_u16() {
        401 => bail!("{base_url} does not accept this RECALL_API_KEY; a key belongs to one region"),
        status @ (402 | 403) => {
            bail!("{base_url} refuses requests (status {status}); check the account in the dashboard")
        }
        _ => Ok(()),
    }
}

/// Shows the warnings of the stand-ins, such as a function that does not start. No function's log contains those.
pub fn show_warnings() {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .log_internal_errors(false);
    let ours = Targets::new().with_target("local", LevelFilter::WARN);
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
}

/// Returns a log that is written to a file, and whose warnings and errors are also printed.
pub fn log_file(path: &Path) -> Result<LogSink> {
    let file = File::options().create(true).append(true).open(path);
    let file = Mutex::new(file.with_context(|| format!("{} cannot be written", path.display()))?);
    Ok(LogSink::forward_to(move |line| {
        // The log is also kept in memory, so a full disk is no reason to stop.
        let _ = writeln!(lock(&file), "{line}");
        let entry: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(level @ ("WARN" | "ERROR")) = entry["level"].as_str() {
            let message = entry["message"].as_str().unwrap_or_default();
            let why = entry["error"].as_str().or(entry["reason"].as_str()).unwrap_or_default();
            complain(format_args!("            {level:<5} {message} {why}"));
        }
    }))
}

/// Prints all addresses and paths.
pub fn introduce(stack: &Stack, data: &DataFolder, credentials: &Credentials, page: Option<&Page>) {
    say("");
    if let Some(page) = page {
        say(format_args!("  page      {}", page.url()));
    }
    say(format_args!("  webhook   {}", stack.function_url.url()));
    match &stack.simulator {
        Some(simulator) => say(format_args!("  Recall    {} (simulator)", simulator.base_url())),
        None => say("  Recall    the real one; enter a public URL for the webhook in its dashboard"),
    }
    say(format_args!("  AWS       {}", stack.aws.url()));
    say(format_args!("  results   {}", stack.s3.root().join(BUCKET).display()));
    say(format_args!("  logs      {}", data.logs().display()));
    for (what, shown) in credentials.shown() {
        say(format_args!("  {what:<9} {shown}"));
    }
}

/// Returns the line that shows this pipeline with the operator's command. For an endpoint on this machine, the command
/// brings credentials that the stand-ins accept.
pub fn command_line(stack: &Stack) -> String {
    format!("cargo run --quiet --package cli -- --endpoint-url {} status", stack.aws.url())
}

/// Plays an hour-long meeting and follows it to its end, while the sweep is paused.
pub async fn play_one(stack: &Stack) -> Result<()> {
    stack.schedule.pause();
    let result = play_and_follow(stack).await;
    stack.schedule.resume();
    result
}

async fn play_and_follow(stack: &Stack) -> Result<()> {
    let simulator = stack.simulator.as_ref().context("only the simulator can play a meeting")?;
    say("\nan hour-long meeting has ended\n");
    let meeting = Meeting::hour(fastrand::u64(..)).metadata("title", "Weekly product meeting");
    let mut hops = Hops::new(stack);
    let recording_id = simulator.play(meeting).to_string();
    let deadline = Instant::now() + PLAY_TIMEOUT;
    let end = loop {
        hops.show();
        let job = stack.dynamodb.item(JOBS_TABLE, &recording_id)?.unwrap_or_default();
        match job["status"].as_str() {
            // The job is due until its end is announced.
            Some("stored") if job.get("due_at").is_none() => break Ok(()),
            Some(status @ ("failed" | "lost" | "limit_reached")) => {
                break Err(anyhow!(
                    "the job of recording {recording_id} ended as {status}; see the warnings above or the logs"
                ));
            }
            _ if Instant::now() > deadline => {
                let status = job["status"].as_str().unwrap_or("not started");
                break Err(anyhow!(
                    "the job is still {status} after {} s; see the warnings above or the logs",
                    PLAY_TIMEOUT.as_secs()
                ));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    hops.show_all().await;
    end?;
    show_result(stack, &recording_id)
}

fn show_result(stack: &Stack, recording_id: &str) -> Result<()> {
    let prefix = format!("recordings/{recording_id}/");
    let keys = stack.s3.keys()?;
    let is_manifest = |key: &&String| key.starts_with(&prefix) && key.ends_with("/manifest.json");
    let key = keys.iter().find(is_manifest).context("there is no manifest")?;
    let text = stack.s3.object(key)?.context("the manifest is gone")?;
    let manifest: Value = serde_json::from_slice(&text)?;
    let folder = stack.s3.root().join(BUCKET);
    let tell = |bytes: u64, key: &str| say(format_args!("  {bytes:>9} bytes  {}", folder.join(key).display()));
    say("\nstored\n");
    for file in manifest["files"].as_array().into_iter().flatten() {
        tell(file["bytes"].as_u64().unwrap_or_default(), file["key"].as_str().unwrap_or_default());
    }
    tell(text.len() as u64, key);
    let counts = &manifest["counts"];
    say(format_args!(
        "\n  {} words in {} turns by {} speakers, {:.0} minutes, transcribed by {}",
        counts["words"],
        counts["turns"],
        counts["speakers"],
        counts["duration_s"].as_f64().unwrap_or_default() / 60.0,
        manifest["provider"].as_str().unwrap_or("an unknown provider"),
    ));
    Ok(())
}

/// Prints every change of a job's status, forever.
pub async fn report(stack: &Stack) -> Result<Infallible> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut first = true;
    loop {
        for job in stack.dynamodb.items(JOBS_TABLE)? {
            let (Some(id), Some(status)) = (job["recording_id"].as_str(), job["status"].as_str()) else { continue };
            let before = known.insert(id.to_owned(), status.to_owned());
            if !first && before.as_deref() != Some(status) {
                say(format_args!("  recording {id} {status}"));
            }
        }
        first = false;
        tokio::time::sleep(10 * LOOK_EVERY).await;
    }
}

/// Waits for Ctrl-C, or for SIGTERM on Unix. After the first call, these signals no longer end the process themselves.
pub async fn asked_to_stop() -> Result<()> {
    #[cfg(unix)]
    let terminate = async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
        Ok(())
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending();
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        result = terminate => result,
    }
    .context("cannot wait for Ctrl-C")
}

/// Finishes the messages on the queue, which only lives in memory, unless the user asks to stop again.
pub async fn drain(stack: &Stack) {
    let mut empty = pin!(async {
        while stack.queues.depth(WORK_QUEUE).await.is_ok_and(|depth| depth > 0) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    if timeout(LOOK_EVERY, &mut empty).await.is_ok() {
        return;
    }
    say("finishing the queued messages; press Ctrl-C again to stop now");
    tokio::select! {
        () = empty => return,
        () = tokio::time::sleep(DRAIN) => {}
        _ = asked_to_stop() => {}
    }
    complain("queued messages were dropped; resend their events from Recall's dashboard");
}
