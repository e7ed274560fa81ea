//! Measures the functions as whole processes: their start, and a copy.
//!
//! The figures are the kernel's own account of processes, so they include everything that a function does. They are
//! read from `/proc`, so this runs on Linux only.
#![allow(clippy::disallowed_methods, reason = "it measures time, so it reads the clock itself")]

use std::{
    fs,
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use local::{
    build::Binaries,
    recall::{Meeting, SimulatorConfig},
    stack::{JOBS_TABLE, RecallTarget, Stack, StackConfig},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The limit for one copy, by a stack that is not optimized.
const PATIENCE: Duration = Duration::from_secs(240);
/// The time in which a connected function sends its first request.
const START: Duration = Duration::from_secs(5);
/// The time after which an idle process uses no more CPU.
const REST: Duration = Duration::from_millis(30);

/// Returns the median of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the milliseconds of CPU time, user and system, until the function asks for its first invocation. The
/// credentials come from its environment, so the function has nothing to wait for.
pub fn init(binary: &Path) -> Result<f64> {
    let runtime = TcpListener::bind("127.0.0.1:0").context("cannot listen for the Runtime API")?;
    let nowhere = "http://127.0.0.1:9";
    let child = Command::new(binary)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "figures")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "figures")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "figures")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "figures")
        .env("AWS_SECRET_ACCESS_KEY", "figures")
        .env("RECALL_REGION", "us-east-1")
        .env("RECALL_API_KEY", "figures")
        .env("RECALL_WEBHOOK_SECRETS", "whsec_ZmlndXJlcw==")
        .env("JOBS_TABLE", "jobs")
        .env("TRANSCRIPTS_BUCKET", "transcripts")
        .env("WORK_QUEUE_URL", nowhere)
        .env("DEAD_LETTER_QUEUE_URL", nowhere)
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .spawn()
        .with_context(|| format!("{} cannot be run", binary.display()))?;
    let mut child = Killed(child);
    let mut connection = accept(&runtime, &mut child.0)?;
    let mut request = [0; 256];
    let length = connection.read(&mut request)?;
    ensure!(
        request[..length].starts_with(b"GET /2018-06-01/runtime/invocation/next "),
        "the function asked the Runtime API for something else first"
    );
    thread::sleep(REST);
    let cpu_ms = cpu_ms(child.0.id());
    // The process must end before the connection does, because it would log an error otherwise.
    drop(child);
    cpu_ms
}

/// Waits for the function to connect, and fails if the function ends first.
fn accept(runtime: &TcpListener, child: &mut Child) -> Result<TcpStream> {
    runtime.set_nonblocking(true)?;
    loop {
        match runtime.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(false)?;
                connection.set_read_timeout(Some(START))?;
                return Ok(connection);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if let Some(status) = child.try_wait()? {
                    bail!("the function did not start ({status}); its log is above");
                }
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error).context("the function did not connect to the Runtime API"),
        }
    }
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One copy, by one process that did nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub peak_mib: f64,
    pub cpu_ms: f64,
    pub wall_ms: f64,
}

/// A local stack in which one process at a time copies transcripts.
#[derive(Debug)]
pub struct Copier {
    stack: Stack,
    // The stack's data.
    _data: TempDir,
}

impl Copier {
    pub async fn start(binaries: &Binaries) -> Result<Self> {
        let data = tempfile::tempdir().context("cannot create a folder for the stack's data")?;
        let config = StackConfig {
            // The meeting is transcribed at once, and its URLs still live long enough.
            recall: RecallTarget::Simulator(SimulatorConfig { speed: 20.0, ..SimulatorConfig::default() }),
            transcript_timeout: PATIENCE,
            // One process makes all copies, so there is only one process to measure.
            concurrency: 1,
            ..StackConfig::default()
        };
        Ok(Self { stack: Stack::start(data.path(), binaries, config).await?, _data: data })
    }

    /// Has a new process copy the transcript of this meeting.
    pub async fn copy(&self, meeting: &Meeting) -> Result<Copied> {
        self.stack.transcript.kill().await;
        copy(&self.stack, meeting.clone()).await
    }
}

async fn copy(stack: &Stack, meeting: Meeting) -> Result<Copied> {
    let simulator = stack.simulator.as_ref().context("there is no simulator")?;
    let bytes = meeting.content().len();
    let recording_id = simulator.play(meeting).to_string();
    let end = Instant::now() + PATIENCE;
    loop {
        let job = stack.dynamodb.item(JOBS_TABLE, &recording_id)?.unwrap_or_default();
        match job["status"].as_str() {
            Some("stored") => break,
            status if Instant::now() > end => bail!("the copy of {bytes} bytes is still {status:?}"),
            _ => sleep(REST).await,
        }
    }
    sleep(REST).await;
    let pids = stack.transcript.pids();
    let [pid] = pids[..] else { bail!("{} processes, not one, copied {bytes} bytes", pids.len()) };
    let wall_ms = stack
        .transcript
        .logs()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|entry| entry["message"] == "transcript.stored" && entry["recording.id"] == recording_id.as_str())
        .and_then(|entry| (entry["bytes"] == bytes).then(|| entry["duration_ms"].as_f64()).flatten())
        .with_context(|| format!("the log has no line of a copy of {bytes} bytes"))?;
    Ok(Copied { peak_mib: peak_mib(pid)?, cpu_ms: cpu_ms(pid)?, wall_ms })
}

/// Returns the user and system time of all threads in milliseconds. `stat` has it too, but only in steps of 10 ms.
fn cpu_ms(pid: u32) -> Result<f64> {
    let mut ns = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone, or this is not Linux")? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let first = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
        ns += first.with_context(|| format!("{} has an unknown format", path.display()))?;
    }
    Ok(ns as f64 / 1e6)
}

/// Returns the peak memory of the process. Unlike the figure of rusage, this one starts at zero with the program: a
/// child does not inherit the memory of its parent.
pub fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|peak| {
        let kib = peak.trim().strip_suffix(" kB")?;
        kib.trim().parse::<f64>().ok()
    });
    Ok(peak.context("the process has no VmHWM")? / 1024.0)
}
