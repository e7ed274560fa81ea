//! Plays one recording through the pipeline with only one function at work at a time, so that the n-th call of an
//! operation is the same in every run. Kills the function at a boundary.

use std::{collections::HashMap, pin::pin, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use local::{
    recall::{Order, Simulator, Status},
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::{Call, Fault, Hits, When},
};
use tests::Pipeline;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::table::{Boundary, Of};

/// The most rounds of work and deliveries that a recording needs, and the limit for each half of a round.
const ROUNDS: usize = 25;
const HALF: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// The side of a call on which the function dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// The call had no effect.
    Before,
    /// The call took effect, and its answer is lost.
    AnswerLost,
    /// The answer has arrived, and the function has made no call since.
    Answered,
}

impl Side {
    /// Returns the fault for the call, and the number of hits after which the function is killed.
    fn fault(self) -> (When, Fault, usize) {
        match self {
            Self::Before => (When::Before, Fault::Hold, 1),
            Self::AnswerLost => (When::After, Fault::Hold, 1),
            Self::Answered => (When::After, Fault::Last, 2),
        }
    }
}

/// A kill that waits for its moment.
struct Trap {
    of: Of,
    hits: Hits,
    moment: usize,
}

/// A recording on its way through the pipeline.
pub(super) struct Play<'a> {
    pipeline: &'a Pipeline,
    recording: Option<Uuid>,
    trap: Option<Trap>,
    seen: usize,
    /// Every call so far, with the function that made it.
    pub(super) calls: Vec<(Of, Call)>,
}

impl<'a> Play<'a> {
    /// The event source must be paused, and the simulator must hold every webhook.
    pub(super) fn new(pipeline: &'a Pipeline, recording: Option<Uuid>) -> Self {
        Self { pipeline, recording, trap: None, seen: pipeline.stack.wire.calls().len(), calls: Vec::new() }
    }

    /// Kills the function when it reaches the boundary.
    pub(super) fn kill_at(&mut self, boundary: &Boundary, side: Side) {
        let Boundary { of, service, operation, nth } = *boundary;
        let (when, fault, moment) = side.fault();
        let wire = &self.pipeline.stack.wire;
        // The calls before the boundary are left alone.
        drop(wire.inject(service, operation, when, Fault::Delay(Duration::ZERO), nth - 1));
        self.trap = Some(Trap { of, hits: wire.inject(service, operation, when, fault, 1), moment });
    }

    /// Lets the functions work in turn until nothing is left to do.
    pub(super) async fn finish(&mut self) -> Result<()> {
        let (simulator, queues) = (self.pipeline.simulator(), &self.pipeline.stack.queues);
        for round in 0..ROUNDS {
            if round > 0 {
                // Time passes only for jobs without a worker, and the host may learn late that an invocation has ended.
                self.pipeline.wait_until("all functions to be idle", || Ok(self.pipeline.is_idle())).await?;
                self.pipeline.let_time_pass().await?;
                // The schedule continues what neither the sender nor the queue brings back.
                if simulator.under_way() == 0 && queues.depth(WORK_QUEUE).await? == 0 {
                    self.sweep().await.context("the sweep's turn")?;
                }
            }
            self.work().await.context("the transcript function's turn")?;
            self.deliver().await.context("the webhook function's turn")?;
            let due = self.pipeline.stack.dynamodb.items(JOBS_TABLE)?.iter().any(|row| row.get("due_at").is_some());
            let known = self.recording.is_none_or(|id| self.pipeline.job(id).is_ok_and(|job| job.is_some()));
            if known && !due && simulator.under_way() == 0 && queues.depth(WORK_QUEUE).await? == 0 {
                ensure!(self.trap.is_none(), "no function reached the boundary");
                return Ok(());
            }
        }
        bail!("the recording does not end")
    }

    /// Lets the transcript function take the visible messages on the queue.
    async fn work(&mut self) -> Result<()> {
        let (queues, source) = (&self.pipeline.stack.queues, &self.pipeline.stack.event_source);
        source.resume();
        let work = async {
            // The order matters: a batch counts as in progress before its messages leave the queue. The state is
            // checked twice, because an invocation may send another message at its end.
            let mut quiet = 0;
            while quiet < 2 {
                let waiting = !source.is_paused() && queues.visible(WORK_QUEUE).await? > 0;
                quiet = if waiting || source.under_way() > 0 { 0 } else { quiet + 1 };
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        self.or_kill(work).await?;
        source.pause();
        self.note(Of::Transcript);
        Ok(())
    }

    /// Runs the sweep once.
    async fn sweep(&mut self) -> Result<()> {
        let (pipeline, armed) = (self.pipeline, self.trap.is_some());
        let ended = self.or_kill(async { pipeline.sweep().await.map(drop) }).await;
        self.note(Of::Sweep);
        let killed = armed && self.trap.is_none();
        if killed { Ok(()) } else { ended }
    }

    /// Delivers to the webhook function what it has not accepted yet, and what happens at Recall in the meantime.
    async fn deliver(&mut self) -> Result<()> {
        let (simulator, recording) = (self.pipeline.simulator(), self.recording);
        let deliver = async {
            let tried = simulator.deliveries().len();
            simulator.retry_now();
            simulator.wait_for_deliveries(tried + refused(simulator)).await;
            let is_over = |id| simulator.transcripts(id).iter().all(|one| one.status != Status::Processing);
            loop {
                simulator.wait_for(|_| recording.is_none_or(is_over).then_some(())).await;
                if simulator.held() == 0 {
                    break;
                }
                simulator.release_webhooks(Order::Sent).await;
            }
            // A delivery that was accepted does not come again.
            simulator.wait_for(|_| (simulator.under_way() == refused(simulator)).then_some(())).await;
            Ok(())
        };
        self.or_kill(deliver).await?;
        self.note(Of::Webhook);
        Ok(())
    }

    /// Runs the work to its end, and kills the function on the way if the moment comes.
    async fn or_kill(&mut self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let mut work = pin!(timeout(HALF, work));
        if let Some(trap) = &mut self.trap {
            tokio::select! {
                done = &mut work => return done.context("it takes too long")?,
                reached = trap.hits.reach(trap.moment) => reached?,
            }
            let stack = &self.pipeline.stack;
            // No new work begins while the call hangs.
            stack.event_source.pause();
            match trap.of {
                Of::Webhook => stack.webhook.kill().await,
                Of::Transcript => stack.transcript.kill().await,
                Of::Sweep => stack.sweep.kill().await,
            }
            stack.wire.go_on();
            self.trap = None;
            self.pipeline.check_bucket().context("the bucket after the kill")?;
        }
        work.await.context("it takes too long")?
    }

    fn note(&mut self, of: Of) {
        let calls = self.pipeline.stack.wire.calls();
        self.calls.extend(calls[self.seen..].iter().map(|call| (of, call.clone())));
        self.seen = calls.len();
    }
}

/// Returns how many messages were refused at their last delivery.
fn refused(simulator: &Simulator) -> usize {
    let deliveries = simulator.deliveries();
    let last: HashMap<_, _> = deliveries.iter().map(|delivery| (&delivery.message_id, delivery)).collect();
    last.values().filter(|delivery| !delivery.succeeded()).count()
}
