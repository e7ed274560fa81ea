//! One process of a function, and the Runtime API that it uses.

mod api;

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Bytes;
use time::OffsetDateTime;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use self::api::{Invocation, Signal};
use super::{FunctionConfig, InvokeError, LogSink, MEMORY_MB, arn};
use crate::{
    ACCESS_KEY, REGION, SECRET_KEY, SESSION_TOKEN,
    wire::{Server, Service, Wire, listen, lock, serve},
};

/// Lambda's own limit for the init phase.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of last log lines in an error.
const LAST_LINES: usize = 20;

pub(super) struct Worker {
    // Fields are dropped from top to bottom: the process ends before the server, and so logs no error about it.
    child: Child,
    _running: Running,
    invocations: mpsc::Sender<Invocation>,
    signals: mpsc::UnboundedReceiver<Signal>,
    kills: watch::Receiver<usize>,
    arn: String,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    readers: JoinSet<()>,
    _server: Server,
}

/// The next event of a process.
enum Event {
    Signal(Signal),
    Exited(String),
    Killed,
    Late,
}

impl Worker {
    /// Starts the process, and waits until it asks for its first invocation.
    pub(super) async fn start(
        wire: &Wire,
        config: &FunctionConfig,
        number: usize,
        pids: &watch::Sender<BTreeSet<u32>>,
        kills: watch::Receiver<usize>,
    ) -> Result<Worker, InvokeError> {
        let failed = |reason: String| InvokeError::Init { reason, log: Vec::new() };
        let (listener, port) = listen(0).await.map_err(|error| failed(format!("{error:#}")))?;
        let (router, invocations, signals) = api::router();
        let server = serve(wire, Service::Lambda, listener, router);
        let mut child = command(config, number, port)
            .spawn()
            .map_err(|error| failed(format!("{} cannot be run: {error}", config.binary.display())))?;
        let pid = child.id().ok_or_else(|| failed("it ended at once".to_owned()))?;

        let last_lines = Arc::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(read_lines(stdout, config.log.clone(), Arc::clone(&last_lines)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(read_lines(stderr, config.log.clone(), Arc::clone(&last_lines)));
        }
        let worker = Worker {
            child,
            _running: Running::new(pid, pids),
            invocations,
            signals,
            kills,
            arn: arn(&config.name),
            last_lines,
            readers,
            _server: server,
        };
        worker.init().await
    }

    async fn init(mut self) -> Result<Worker, InvokeError> {
        let late = Instant::now() + INIT_TIMEOUT;
        let reason = loop {
            match self.next(late).await {
                Event::Signal(Signal::Next) => return Ok(self),
                Event::Signal(Signal::InitError(error)) => break String::from_utf8_lossy(&error).into_owned(),
                Event::Signal(Signal::Response { .. } | Signal::Error { .. }) => {}
                Event::Exited(status) => break format!("its process ended: {status}"),
                Event::Killed => {
                    let status = self.reap().await;
                    return Err(InvokeError::Died(status));
                }
                Event::Late => break format!("it was not ready within {} s", INIT_TIMEOUT.as_secs()),
            }
        };
        let _ = self.child.kill().await;
        Err(InvokeError::Init { reason, log: self.last_lines().await })
    }

    /// Runs one invocation. After any error other than [`InvokeError::Function`], the process is gone.
    pub(super) async fn invoke(&mut self, payload: Bytes, limit: Duration) -> Result<Vec<u8>, InvokeError> {
        let id = Uuid::new_v4().to_string();
        let deadline = OffsetDateTime::now_utc() + limit;
        let late = Instant::now() + limit;
        let invocation = Invocation { id: id.clone(), deadline, arn: self.arn.clone(), payload };
        if self.invocations.send(invocation).await.is_err() {
            return Err(InvokeError::Died("its Runtime API is gone".to_owned()));
        }
        loop {
            match self.next(late).await {
                Event::Signal(Signal::Response { id: of, body }) if of == id => return Ok(body.into()),
                Event::Signal(Signal::Error { id: of, body }) if of == id => return Err(InvokeError::Function(body)),
                Event::Signal(Signal::Next | Signal::Response { .. } | Signal::Error { .. } | Signal::InitError(_)) => {
                }
                Event::Exited(status) => return Err(InvokeError::Died(status)),
                Event::Killed => {
                    let status = self.reap().await;
                    return Err(InvokeError::Died(status));
                }
                Event::Late => {
                    self.reap().await;
                    return Err(InvokeError::TimedOut(limit));
                }
            }
        }
    }

    /// Waits after an answer until the process asks for more. Returns false if it ended instead.
    pub(super) async fn wait_until_idle(&mut self, limit: Duration) -> bool {
        let late = Instant::now() + limit;
        loop {
            match self.next(late).await {
                Event::Signal(Signal::Next) => return true,
                Event::Signal(Signal::Response { .. } | Signal::Error { .. } | Signal::InitError(_)) => {}
                Event::Exited(_) => return false,
                Event::Killed | Event::Late => {
                    self.reap().await;
                    return false;
                }
            }
        }
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns whether there is a kill that this worker has not obeyed yet.
    pub(super) fn is_doomed(&self) -> bool {
        self.kills.has_changed().unwrap_or(true)
    }

    pub(super) async fn kill(mut self) {
        self.reap().await;
    }

    async fn reap(&mut self) -> String {
        let _ = self.child.start_kill();
        self.child.wait().await.map(describe).unwrap_or_default()
    }

    async fn next(&mut self, late: Instant) -> Event {
        tokio::select! {
            // An answer that the process sent before its end counts.
            biased;
            Some(signal) = self.signals.recv() => Event::Signal(signal),
            status = self.child.wait() => Event::Exited(status.map(describe).unwrap_or_default()),
            _ = self.kills.changed() => Event::Killed,
            () = sleep_until(late) => Event::Late,
        }
    }

    async fn last_lines(&mut self) -> Vec<String> {
        // The pipes end with the process, unless it left a child behind.
        let _ = timeout(Duration::from_millis(500), async { while self.readers.join_next().await.is_some() {} }).await;
        lock(&self.last_lines).iter().cloned().collect()
    }
}

/// Keeps the process in the list of running processes.
struct Running {
    pid: u32,
    pids: watch::Sender<BTreeSet<u32>>,
}

impl Running {
    fn new(pid: u32, pids: &watch::Sender<BTreeSet<u32>>) -> Running {
        pids.send_modify(|pids| {
            pids.insert(pid);
        });
        Running { pid, pids: pids.clone() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pids.send_modify(|pids| {
            pids.remove(&self.pid);
        });
    }
}

/// Returns the process with the environment that Lambda gives it, and nothing of ours.
fn command(config: &FunctionConfig, number: usize, port: u16) -> Command {
    let folder = config.binary.parent().unwrap_or(Path::new("/"));
    let mut command = Command::new(&config.binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
        .env("AWS_LAMBDA_FUNCTION_NAME", &config.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY_MB.to_string())
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", config.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{number:032x}"))
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", SESSION_TOKEN)
        .env("LAMBDA_TASK_ROOT", folder)
        .env("_HANDLER", "bootstrap")
        .env("TZ", ":UTC")
        .env("LANG", "en_US.UTF-8")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(config.env.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Ctrl-C goes to all processes of the terminal's group. Only we react to it, so the function runs until we end it.
    #[cfg(unix)]
    command.process_group(0);
    command
}

async fn read_lines(pipe: impl AsyncRead + Unpin, log: LogSink, last_lines: Arc<Mutex<VecDeque<String>>>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        line.clear();
        log.push(&text);
        let mut last_lines = lock(&last_lines);
        if last_lines.len() == LAST_LINES {
            last_lines.pop_front();
        }
        last_lines.push_back(text);
    }
}

/// `exit status: 1` or `signal: 9 (SIGKILL)`.
fn describe(status: ExitStatus) -> String {
    status.to_string()
}
