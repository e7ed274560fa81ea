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

/// The simulator behind its handle: shared by the servers and by what runs in the background.
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
    /// Downloads that came with an Authorization header.
    pub(super) keys_leaked: AtomicUsize,
    /// Counts every change, so that whoever waits for something looks again.
    pub(super) changes: watch::Sender<u64>,
    pub(super) tasks: Mutex<JoinSet<()>>,
}

impl Model {
    /// Runs in the background until it ends or the simulator does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
