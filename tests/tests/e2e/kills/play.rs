//! Plays one recording through the pipeline with one function at work at a time, so that the n-th call of an
//! operation is the same one in every run; and kills at a boundary.

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

/// Rounds of work and deliveries that a recording may need, and how long each half of one may take.
const ROUNDS: usize = 25;
const HALF: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// On which side of a call the function dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// The call had no effect.
    Before,
    /// It took effect, and the answer is lost.
    AnswerLost,
    /// The answer has arrived, and nothing was asked for since.
    Answered,
}

impl Side {
    /// What happens to the call, and how many hits of it tell that the moment has come.
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

/// A recording on its way.
pub(super) struct Play<'a> {
    pipeline: &'a Pipeline,
    recording: Option<Uuid>,
    trap: Option<Trap>,
    seen: usize,
    /// Every call so far, with the function that was at work.
    pub(super) calls: Vec<(Of, Call)>,
}

impl<'a> Play<'a> {
    /// The event source is paused, and the simulator holds every webhook.
    pub(super) fn new(pipeline: &'a Pipeline, recording: Option<Uuid>) -> Self {
        Self { pipeline, recording, trap: None, seen: pipeline.stack.wire.calls().len(), calls: Vec::new() }
    }

    /// Kills the function when it comes to the boundary.
    pub(super) fn kill_at(&mut self, boundary: &Boundary, side: Side) {
        let Boundary { of, service, operation, nth } = *boundary;
        let (when, fault, moment) = side.fault();
        let wire = &self.pipeline.stack.wire;
        // The calls before it go their way.
        drop(wire.inject(service, operation, when, Fault::Delay(Duration::ZERO), nth - 1));
        self.trap = Some(Trap { of, hits: wire.inject(service, operation, when, fault, 1), moment });
    }

    /// Lets the functions work in turn until nothing is left to do.
    pub(super) async fn finish(&mut self) -> Result<()> {
        let (simulator, queues) = (self.pipeline.simulator(), &self.pipeline.stack.queues);
        for round in 0..ROUNDS {
            if round > 0 {
                // Time passes only for those on whom nobody works, and a host may learn late that an invocation is over.
                self.pipeline.wait_until("nobody works", || Ok(self.pipeline.is_idle())).await?;
                self.pipeline.let_time_pass().await?;
                // What neither the sender nor the queue brings again, the schedule does.
                if simulator.under_way() == 0 && queues.depth(WORK_QUEUE).await? == 0 {
                    self.sweep().await.context("the sweep's turn")?;
                }
            }
            self.work().await.context("the transcript function's turn")?;
            self.deliver().await.context("the webhook function's turn")?;
            let due = self.pipeline.stack.dynamodb.items(JOBS_TABLE)?.iter().any(|row| row.get("due_at").is_some());
            let known = self.recording.is_none_or(|id| self.pipeline.job(id).is_ok_and(|job| job.is_some()));
            if known && !due && simulator.under_way() == 0 && queues.depth(WORK_QUEUE).await? == 0 {
                ensure!(self.trap.is_none(), "nobody ever came there");
                return Ok(());
            }
        }
        bail!("it comes to no end")
    }

    /// The transcript function takes what is visible on the queue.
    async fn work(&mut self) -> Result<()> {
        let (queues, source) = (&self.pipeline.stack.queues, &self.pipeline.stack.event_source);
        source.resume();
        let work = async {
            // In this order: whoever takes the last message is under way before it is gone. And twice, because the last
            // thing that somebody does may be to send another one.
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

    /// The sweep runs once.
    async fn sweep(&mut self) -> Result<()> {
        let (pipeline, armed) = (self.pipeline, self.trap.is_some());
        let ended = self.or_kill(async { pipeline.sweep().await.map(drop) }).await;
        self.note(Of::Sweep);
        let killed = armed && self.trap.is_none();
        if killed { Ok(()) } else { ended }
    }

    /// The webhook function is told what it has not taken yet, and what happens at Recall meanwhile.
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
            // What was taken does not come again.
            simulator.wait_for(|_| (simulator.under_way() == refused(simulator)).then_some(())).await;
            Ok(())
        };
        self.or_kill(deliver).await?;
        self.note(Of::Webhook);
        Ok(())
    }

    /// Lets it go on to its end, and kills on the way if the moment comes.
    async fn or_kill(&mut self, work: impl Future<Output = Result<()>>) -> Result<()> {
        let mut work = pin!(timeout(HALF, work));
        if let Some(trap) = &mut self.trap {
            tokio::select! {
                done = &mut work => return done.context("it takes too long")?,
                reached = trap.hits.reach(trap.moment) => reached?,
            }
            let stack = &self.pipeline.stack;
            // Nothing new begins while everything hangs.
            stack.event_source.pause();
            match trap.of {
                Of::Webhook => stack.webhook.kill().await,
                Of::Transcript => stack.transcript.kill().await,
                Of::Sweep => stack.sweep.kill().await,
            }
            stack.wire.go_on();
            self.trap = None;
            self.pipeline.check_bucket().context("as the dead function left it")?;
        }
        work.await.context("it takes too long")?
    }

    fn note(&mut self, of: Of) {
        let calls = self.pipeline.stack.wire.calls();
        self.calls.extend(calls[self.seen..].iter().map(|call| (of, call.clone())));
        self.seen = calls.len();
    }
}

/// How many messages were not taken when they were last delivered.
fn refused(simulator: &Simulator) -> usize {
    let deliveries = simulator.deliveries();
    let last: HashMap<_, _> = deliveries.iter().map(|delivery| (&delivery.message_id, delivery)).collect();
    last.values().filter(|delivery| !delivery.succeeded()).count()
}
