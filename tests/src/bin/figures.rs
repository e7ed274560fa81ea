//! `cargo figures`: what the functions cost, measured on the binaries that ship, each figure with its limit.
//! `cargo figures --write` writes them into docs/development.md.
//!
//! The figures are the kernel's own account of whole processes, so they include everything that a function does. They
//! are read from `/proc`, so this runs on Linux only.
#![allow(clippy::disallowed_methods, reason = "it measures time, so it reads the clock itself")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints for a person")]

use std::{
    fs,
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use ::tests::large_transcripts::{by_participant, by_utterance};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use local::{
    build::Binaries,
    recall::{Meeting, SimulatorConfig},
    stack::{JOBS_TABLE, RecallTarget, Stack, StackConfig},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/development.md");
/// The document has the figures between these two lines.
const BEGIN: &str = "<!-- cargo figures --write -->\n";
const END: &str = "<!-- end of the figures -->\n";

/// With a cold page cache, a megabyte costs about a millisecond of a cold start.
const MAX_BINARY_BYTES: u64 = 8_500_000;
/// The time from the start to the first poll of the Runtime API.
const MAX_INIT_MS: f64 = 5.0;
/// The limit for every length and shape of a transcript, including its renditions.
const MAX_PEAK_MIB: f64 = 32.0;

/// How many runs a median is taken of. The start-up figures have one more run, which only loads the binary into memory.
const RUNS: usize = 9;
const RUNS_OF_LARGE: usize = 3;
/// The number of words in a day of speech, which is about 40 MB.
const WORDS_OF_A_DAY: usize = 270_000;
/// The number of speakers up to which a transcript is rendered.
const MAX_SPEAKERS: usize = 1_000;
/// The longest possible recording, so that no timestamp is after its end.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The limit for one copy, by a stack that is not optimized.
const PATIENCE: Duration = Duration::from_secs(240);
/// The time in which a connected function sends its first request.
const START: Duration = Duration::from_secs(5);
/// The time after which an idle process uses no more CPU.
const REST: Duration = Duration::from_millis(30);

/// A transcript to copy, and the CPU time that the copy may take, including the start of the process.
struct Case {
    name: &'static str,
    content: fn() -> Bytes,
    runs: usize,
    max_cpu_ms: f64,
}

/// A talkative meeting of one hour, of ten hours, and of a day in several shapes; and a file that is too long to
/// render, which is only copied.
const CASES: [Case; 7] = [
    Case { name: "1.6 MB: an hour", content: || large(1_600_000), runs: RUNS, max_cpu_ms: 22.0 },
    Case { name: "16 MB: ten hours", content: || large(16_000_000), runs: RUNS, max_cpu_ms: 120.0 },
    Case { name: "40 MB: a day", content: || large(40_000_000), runs: RUNS_OF_LARGE, max_cpu_ms: 300.0 },
    Case {
        name: "One turn of 100,000 words",
        content: || by_participant(100_000, 1),
        runs: RUNS_OF_LARGE,
        max_cpu_ms: 90.0,
    },
    Case {
        name: "A day, one entry a participant",
        content: || by_participant(WORDS_OF_A_DAY, 8),
        runs: RUNS_OF_LARGE,
        max_cpu_ms: 300.0,
    },
    Case {
        name: "A day of 1,000 speakers",
        content: || by_utterance(WORDS_OF_A_DAY, MAX_SPEAKERS),
        runs: RUNS_OF_LARGE,
        max_cpu_ms: 300.0,
    },
    Case {
        name: "200 MB: too long to be rendered",
        content: || large(200_000_000),
        runs: RUNS_OF_LARGE,
        max_cpu_ms: 700.0,
    },
];

fn large(bytes: usize) -> Bytes {
    Meeting::large(bytes).content().clone()
}

#[tokio::main]
async fn main() -> ExitCode {
    let write = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [one] if one == "--write" => true,
        _ => {
            eprintln!("error: the only option is --write, which writes the figures into docs/development.md");
            return ExitCode::FAILURE;
        }
    };
    match run(write).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: a limit is exceeded");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every figure is within its limit.
async fn run(write: bool) -> Result<bool> {
    println!("building the functions in release mode …");
    let binaries = Binaries::build_release().await?;
    let functions = [("webhook", &binaries.webhook), ("transcript", &binaries.transcript), ("sweep", &binaries.sweep)];
    println!("\n{:<44}{:>14}{:>14}", "figure", "median", "limit");
    let mut good = true;
    let (mut sizes, mut starts) = (Vec::new(), Vec::new());
    for (name, binary) in functions {
        let bytes = fs::metadata(binary).with_context(|| format!("{} is not there", binary.display()))?.len();
        good &= line(&format!("{name}: binary"), bytes as f64 / 1e6, Some(MAX_BINARY_BYTES as f64 / 1e6), "MB");
        sizes.push(format!("{:.1} MB", bytes as f64 / 1e6));
    }
    for (name, binary) in functions {
        let inits = (0..=RUNS).map(|_| init(binary)).skip(1).collect::<Result<Vec<_>>>()?;
        let init = median(inits);
        good &= line(&format!("{name}: CPU to the first poll"), init, Some(MAX_INIT_MS), "ms");
        starts.push(format!("{init:.1} ms"));
    }
    let mut rows = Vec::new();
    for case in CASES {
        let copies = copies(&binaries, &case).await?;
        let of = |figure: fn(&Copy) -> f64| median(copies.iter().map(figure).collect());
        let (name, peak, cpu) = (case.name, of(|copy| copy.peak_mib), of(|copy| copy.cpu_ms));
        good &= line(&format!("{name}: peak memory"), peak, Some(MAX_PEAK_MIB), "MiB");
        good &= line(&format!("{name}: CPU with init"), cpu, Some(case.max_cpu_ms), "ms");
        good &= line(&format!("{name}: time"), of(|copy| copy.wall_ms), None, "ms");
        rows.push(copy_row(&case, &format!("{peak:.1} MiB"), &format!("{cpu:.0} ms")));
    }
    println!(
        "\nThe time depends on the local stack, which is not optimized. The other figures are the function's own."
    );
    if write {
        let document = fs::read_to_string(DOCUMENT).context("docs/development.md cannot be read")?;
        fs::write(DOCUMENT, with_tables(&document, &tables(&sizes, &starts, &rows))?)
            .context("docs/development.md cannot be written")?;
    }
    Ok(good)
}

/// The tables of docs/development.md.
fn tables(sizes: &[String], starts: &[String], rows: &[String]) -> String {
    format!(
        "| Figure | `webhook` | `transcript` | `sweep` | Limit |\n|---|---|---|---|---|\n\
         | Binary | {} | {:.1} MB |\n| CPU time from the start to the first poll | {} | {MAX_INIT_MS:.0} ms |\n\n\
         One copy, with every rendition:\n\n\
         | Transcript | Peak memory | Limit | CPU time with init | Limit |\n|---|---|---|---|---|\n{}",
        sizes.join(" | "),
        MAX_BINARY_BYTES as f64 / 1e6,
        starts.join(" | "),
        rows.concat(),
    )
}

fn copy_row(case: &Case, peak: &str, cpu: &str) -> String {
    format!("| {} | {peak} | {MAX_PEAK_MIB:.0} MiB | {cpu} | {:.0} ms |\n", case.name, case.max_cpu_ms)
}

/// Returns the text with its tables replaced by these.
fn with_tables(text: &str, tables: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("docs/development.md has no place for the figures")?;
    let (_, after) = rest.split_once(END).context("docs/development.md has no end of the figures")?;
    Ok(format!("{before}{BEGIN}{tables}{END}{after}"))
}

/// Prints one figure and returns whether it is within its limit.
fn line(name: &str, value: f64, limit: Option<f64>, unit: &str) -> bool {
    let good = limit.is_none_or(|limit| value <= limit);
    let limit = limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.2} {unit}"));
    let verdict = if good { "" } else { "  EXCEEDED" };
    println!("{name:<44}{:>14}{limit:>14}{verdict}", format!("{value:.2} {unit}"));
    good
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the milliseconds of CPU time, user and system, until the function asks for its first invocation. The
/// credentials come from its environment, so the function has nothing to wait for.
fn init(binary: &Path) -> Result<f64> {
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
struct Copy {
    peak_mib: f64,
    cpu_ms: f64,
    wall_ms: f64,
}

async fn copies(binaries: &Binaries, case: &Case) -> Result<Vec<Copy>> {
    let data = tempfile::tempdir().context("cannot create a folder for the stack's data")?;
    let config = StackConfig {
        // The meeting is transcribed at once, and its URLs still live long enough.
        recall: RecallTarget::Simulator(SimulatorConfig { speed: 20.0, ..SimulatorConfig::default() }),
        transcript_timeout: PATIENCE,
        // One process makes all copies, so there is only one process to measure.
        concurrency: 1,
        ..StackConfig::default()
    };
    let stack = Stack::start(data.path(), binaries, config).await?;
    let content = (case.content)();
    let mut copies = Vec::new();
    for _ in 0..case.runs {
        stack.transcript.kill().await;
        let meeting = Meeting::with_content(content.clone()).lasting(LONGEST).transcribed_like(Duration::from_secs(20));
        copies.push(copy(&stack, meeting).await?);
    }
    Ok(copies)
}

async fn copy(stack: &Stack, meeting: Meeting) -> Result<Copy> {
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
    Ok(Copy { peak_mib: peak_mib(pid)?, cpu_ms: cpu_ms(pid)?, wall_ms })
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
fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|peak| {
        let kib = peak.trim().strip_suffix(" kB")?;
        kib.trim().parse::<f64>().ok()
    });
    Ok(peak.context("the process has no VmHWM")? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measured values in the README may be older, so the test only checks the limits.
    #[test]
    fn the_document_has_every_figure_with_its_limit() {
        let document = fs::read_to_string(DOCUMENT).expect("the document");
        let (_, rest) = document.split_once(BEGIN).expect("the figures");
        let written = rest.split_once(END).expect("their end").0;
        let cells = |line: &str| line.split(" | ").map(str::to_owned).collect::<Vec<_>>();
        let measured = |prefix: &str, from: usize| {
            let line = written.lines().find(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("no {prefix}"));
            cells(line).get(from..from + 3).map(<[String]>::to_vec).unwrap_or_default()
        };
        let row = |case: &Case| {
            let of_case = measured(&format!("| {} |", case.name), 1);
            copy_row(case, &of_case[0], &of_case[2])
        };
        let rows: Vec<String> = CASES.iter().map(row).collect();
        let (sizes, starts) = (measured("| Binary |", 1), measured("| CPU time from", 1));
        assert_eq!(written, tables(&sizes, &starts, &rows));
        assert_eq!(with_tables(&document, written).expect("the place"), document);
        assert!(with_tables(&document, "other").expect("the place").contains(&format!("{BEGIN}other{END}")));
    }
}
