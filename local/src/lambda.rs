//! Lambda: runs the real function binaries as child processes, over the Runtime API that they know.
//!
//! One process serves one invocation at a time. A process is started when an invocation finds none idle, and kept
//! for the next one. It can be killed at any moment, as it can in AWS.

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

pub use event_source::{EventSource, EventSourceConfig};
pub use function_url::FunctionUrl;
pub use log::LogSink;
pub use schedule::Schedule;
use worker::Worker;

use crate::wire::{Wire, lock};

/// What a function needs to run.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    pub name: String,
    /// The built binary; it speaks the Runtime API.
    pub binary: PathBuf,
    /// Added to what Lambda itself sets; nothing else of our own environment is passed on.
    pub env: Vec<(String, String)>,
    /// Of one invocation; the process is killed then.
    pub timeout: Duration,
    /// How many processes may run at once.
    pub concurrency: usize,
    pub log: LogSink,
}

/// Why an invocation has no result.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function answered with an error: `{"errorType": …, "errorMessage": …}`. Its process lives on.
    #[error("the function failed: {}", String::from_utf8_lossy(.0))]
    Function(Bytes),
    /// The process could not be started, or ended before it asked for an invocation. With its last lines.
    #[error("the function did not start: {reason}\n{}", .log.join("\n"))]
    Init { reason: String, log: Vec<String> },
    /// The process ended during the invocation.
    #[error("the function's process ended: {0}")]
    Died(String),
    /// The process was killed because its time was over.
    #[error("the function took longer than {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// As many invocations as may be are under way already.
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
    /// Invocations that are not answered yet.
    unanswered: AtomicUsize,
    started: AtomicUsize,
    pids: watch::Sender<BTreeSet<u32>>,
    /// Counts the kills; every worker watches it.
    kills: watch::Sender<usize>,
}

impl Function {
    /// Makes the function known. No process is started before the first invocation.
    pub fn start(wire: &Wire, config: FunctionConfig) -> Result<Function> {
        ensure!(config.binary.is_file(), "{} is not there; build it first", config.binary.display());
        ensure!(config.concurrency > 0, "{} may not run at all: its concurrency is 0", config.name);
        Ok(Function(Arc::new(Inner {
            wire: wire.clone(),
            slots: Semaphore::new(config.concurrency),
            config,
            idle: Mutex::default(),
            unanswered: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            pids: watch::Sender::default(),
            kills: watch::Sender::default(),
        })))
    }

    /// Runs one invocation. It goes on to its end even when the caller goes away.
    pub async fn invoke(&self, payload: Vec<u8>) -> Result<Vec<u8>, InvokeError> {
        let room = |busy: usize| (busy < self.0.config.concurrency).then_some(busy + 1);
        if self.0.unanswered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_err() {
            return Err(InvokeError::Throttled);
        }
        let (answer, answered) = oneshot::channel();
        tokio::spawn(self.0.clone().run(payload.into(), Unanswered(self.0.clone()), answer));
        answered.await.unwrap_or(Err(InvokeError::Stopped))
    }

    /// Kills all processes of the function (SIGKILL) and waits until they are gone. Invocations under way end with
    /// [`InvokeError::Died`]; the next one gets a new process.
    pub async fn kill(&self) {
        let doomed = self.0.pids.borrow().clone();
        self.0.kills.send_modify(|kills| *kills += 1);
        let idle = std::mem::take(&mut *lock(&self.0.idle));
        for worker in idle {
            worker.kill().await;
        }
        // The sender lives as long as we do, so this cannot fail.
        let _ = self.0.pids.subscribe().wait_for(|pids| pids.is_disjoint(&doomed)).await;
    }

    /// Kills all processes and refuses further invocations.
    pub async fn stop(&self) {
        self.0.slots.close();
        self.kill().await;
    }

    /// The processes that run, idle ones too.
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.0.idle).retain_mut(Worker::is_alive);
        self.0.pids.borrow().iter().copied().collect()
    }

    /// Invocations that have no answer yet.
    pub fn under_way(&self) -> usize {
        self.0.unanswered.load(Ordering::SeqCst)
    }

    /// How many processes were started so far: the number of cold starts.
    pub fn processes_started(&self) -> usize {
        self.0.started.load(Ordering::SeqCst)
    }

    /// What the processes wrote to stdout and stderr, line by line, oldest first.
    pub fn logs(&self) -> Vec<String> {
        self.0.config.log.lines()
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.0.config.name
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
        // There is a slot, or a process that has answered is just about to ask for more.
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
            // A kill that came just now has already looked for idle ones.
            if !worker.is_doomed() {
                idle.push(worker);
            }
        }
    }

    /// An idle process, or a new one.
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

/// Counts an invocation as unanswered until it is dropped.
struct Unanswered(Arc<Inner>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
