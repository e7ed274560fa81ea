//! Lambda: runs the real function binaries as child processes, over the Runtime API.
//!
//! One process serves one invocation at a time. An invocation that finds no idle process starts one, which is kept for
//! the next invocation. A process can be killed at any moment, as it can in AWS.

mod event_source;
mod function_url;
mod log;
mod schedule;
mod worker;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::body::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

pub use event_source::{EventSource, EventSourceConfig, Flow};
pub use function_url::FunctionUrl;
pub use log::LogSink;
pub use schedule::Schedule;
use worker::Worker;

use crate::{
    ACCOUNT_ID, REGION,
    wire::{Wire, lock},
};

/// The memory that each function is told it has.
pub const MEMORY_MB: u32 = 256;

/// What a function needs to run.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    pub name: String,
    /// The built binary, which speaks the Runtime API.
    pub binary: PathBuf,
    /// Environment variables in addition to Lambda's own. Nothing else of our environment is passed on.
    pub env: Vec<(String, String)>,
    /// The limit for one invocation. The process is killed after it.
    pub timeout: Duration,
    /// How many processes may run at once.
    pub concurrency: usize,
    pub log: LogSink,
}

/// Why an invocation has no result.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function answered with an error: `{"errorType": …, "errorMessage": …}`. Its process keeps running.
    #[error("the function failed: {}", String::from_utf8_lossy(.0))]
    Function(Bytes),
    /// The process could not be started, or ended before it asked for an invocation. Contains its last log lines.
    #[error("the function did not start: {reason}\n{}", .log.join("\n"))]
    Init { reason: String, log: Vec<String> },
    /// The process ended during the invocation.
    #[error("the function's process ended: {0}")]
    Died(String),
    /// The process was killed after its time limit.
    #[error("the function took longer than {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The function already has as many invocations as its concurrency allows.
    #[error("the function is busy; its concurrency is used up")]
    Throttled,
    /// The function was stopped.
    #[error("the function is stopped")]
    Stopped,
}

/// A function that can be invoked. Its processes end when the last clone is dropped.
#[derive(Clone)]
pub struct Function(Arc<Inner>);

struct Inner {
    wire: Wire,
    config: FunctionConfig,
    idle: Mutex<Vec<Worker>>,
    /// One permit for each process that may run.
    slots: Semaphore,
    /// How many invocations may run at once, if an operator has limited them. With 0 the function is paused.
    reserved: Mutex<Option<usize>>,
    /// The number of invocations without an answer.
    unanswered: AtomicUsize,
    started: AtomicUsize,
    pids: watch::Sender<BTreeSet<u32>>,
    /// The number of kills, which every worker watches.
    kills: watch::Sender<usize>,
}

impl Function {
    /// Creates the function. No process is started before the first invocation.
    pub fn start(wire: &Wire, config: FunctionConfig) -> Result<Function> {
        ensure!(config.binary.is_file(), "{} does not exist; build it first", config.binary.display());
        ensure!(config.concurrency > 0, "{} can never run, because its concurrency is 0", config.name);
        Ok(Function(Arc::new(Inner {
            wire: wire.clone(),
            slots: Semaphore::new(config.concurrency),
            config,
            idle: Mutex::default(),
            reserved: Mutex::default(),
            unanswered: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            pids: watch::Sender::default(),
            kills: watch::Sender::default(),
        })))
    }

    /// Runs one invocation, which continues to its end even if the caller is dropped.
    pub async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        let most = self.reserved().unwrap_or(usize::MAX).min(self.0.config.concurrency);
        let room = |busy: usize| (busy < most).then_some(busy + 1);
        if self.0.unanswered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_err() {
            return Err(InvokeError::Throttled);
        }
        let (answer, answered) = oneshot::channel();
        tokio::spawn(self.0.clone().run(payload.into(), Unanswered(self.0.clone()), answer));
        answered.await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Limits the number of concurrent invocations, as Lambda's reserved concurrency does. With `Some(0)`, every
    /// invocation is throttled, and those that run continue to their end. `None` lifts the limit.
    pub fn reserve(&self, concurrency: Option<usize>) {
        *lock(&self.0.reserved) = concurrency;
    }

    /// Returns the reserved concurrency, if there is one.
    pub fn reserved(&self) -> Option<usize> {
        *lock(&self.0.reserved)
    }

    /// Kills all processes of the function (SIGKILL) and waits until they are gone. Running invocations end with
    /// [`InvokeError::Died`], and the next one gets a new process.
    pub async fn kill(&self) {
        let doomed = self.0.pids.borrow().clone();
        self.0.kills.send_modify(|kills| *kills += 1);
        let idle = std::mem::take(&mut *lock(&self.0.idle));
        for worker in idle {
            worker.kill().await;
        }
        // The sender lives as long as this function, so this cannot fail.
        let _ = self.0.pids.subscribe().wait_for(|pids| pids.is_disjoint(&doomed)).await;
    }

    /// Kills all processes and refuses further invocations.
    pub async fn stop(&self) {
        self.0.slots.close();
        self.kill().await;
    }

    /// Returns the running processes, including idle ones.
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.0.idle).retain_mut(Worker::is_alive);
        self.0.pids.borrow().iter().copied().collect()
    }

    /// Returns the number of invocations without an answer.
    pub fn under_way(&self) -> usize {
        self.0.unanswered.load(Ordering::SeqCst)
    }

    /// Returns the number of processes that were started, which is the number of cold starts.
    pub fn processes_started(&self) -> usize {
        self.0.started.load(Ordering::SeqCst)
    }

    /// Returns the lines that the processes wrote to stdout and stderr, oldest first.
    pub fn logs(&self) -> Vec<String> {
        self.0.config.log.lines()
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// The function's ARN.
    pub fn arn(&self) -> String {
        arn(self.name())
    }

    /// What the function was started with.
    pub fn config(&self) -> &FunctionConfig {
        &self.0.config
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("config", &self.0.config).finish_non_exhaustive()
    }
}

type Answer = oneshot::Sender<Result<Vec<u8>, InvokeError>>;

impl Inner {
    async fn run(self: Arc<Self>, payload: Bytes, unanswered: Unanswered, answer: Answer) {
        // Either there is a free slot, or a process that has answered is about to become idle.
        let Ok(_slot) = self.slots.acquire().await else { return };
        let mut worker = match self.worker().await {
            Ok(worker) => worker,
            Err(error) => {
                drop(unanswered);
                let _ = answer.send(Err(error));
                return;
            }
        };
        let result = worker.invoke(payload, self.config.timeout).await;
        let lives = matches!(result, Ok(_) | Err(InvokeError::Function(_)));
        drop(unanswered);
        if !lives {
            drop(worker);
            let _ = answer.send(result);
            return;
        }
        let _ = answer.send(result);
        if worker.wait_until_idle(self.config.timeout).await {
            let mut idle = lock(&self.idle);
            // A kill that came just now has already taken the idle processes.
            if !worker.is_doomed() {
                idle.push(worker);
            }
        }
    }

    /// Returns an idle process, or a new one.
    async fn worker(&self) -> Result<Worker, InvokeError> {
        {
            let mut idle = lock(&self.idle);
            while let Some(mut worker) = idle.pop() {
                if worker.is_alive() {
                    return Ok(worker);
                }
            }
        }
        let number = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let worker = Worker::start(&self.wire, &self.config, number, &self.pids, self.kills.subscribe()).await?;
        match self.slots.is_closed() {
            true => Err(InvokeError::Stopped),
            false => Ok(worker),
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}")
}

/// Counts an invocation as unanswered until it is dropped.
struct Unanswered(Arc<Inner>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
