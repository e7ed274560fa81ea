//! Everything that the simulator's servers and background tasks share.

use std::{
    future::Future,
    sync::{Mutex, atomic::AtomicUsize},
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    clock::Clock, config::Limits, faults::Faults, idempotency::Answers, outbox::Outbox, signer::Signer, state::State,
    throttle::Throttle,
};
use crate::wire::lock;

/// The shared state of the simulator's servers and background tasks.
pub(super) struct Model {
    pub(super) base_url: String,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) state: Mutex<State>,
    pub(super) outbox: Outbox,
    pub(super) answers: Answers,
    pub(super) throttle: Throttle,
    pub(super) signer: Signer,
    /// The number of downloads with an Authorization header.
    pub(super) keys_leaked: AtomicUsize,
    /// Counts every change, so that waiting callers check again.
    pub(super) changes: watch::Sender<u64>,
    pub(super) tasks: Mutex<JoinSet<()>>,
}

impl Model {
    /// Runs a task in the background until the task or the simulator ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
