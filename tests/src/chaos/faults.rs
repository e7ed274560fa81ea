//! Everything that goes wrong in a chaos run, derived from the seed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use local::{
    lambda::Function,
    recall::{DownloadFault, Order, Target, WebhookFault},
    wire::{Fault, Service, When},
};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::Pipeline;

const fn answer(status: u16) -> Fault {
    Fault::Answer { status, retry_after: None }
}

const THROTTLED: Fault = Fault::Answer { status: 429, retry_after: Some(1) };

/// How many of ten thousand calls to a service, with this text in the operation's name, meet the fault.
///
/// Recall misbehaves only as its documents allow. A refusal (4xx) means that nothing has happened, so refusals only
/// come before the effect, and only where they do not deny what exists.
const ODDS: [(Service, &str, When, u32, Fault); 45] = [
    (Service::DynamoDb, "", When::Before, 200, answer(500)),
    (Service::DynamoDb, "", When::Before, 200, Fault::Drop),
    (Service::DynamoDb, "", When::Before, 5, Fault::Hold),
    (Service::DynamoDb, "", When::After, 200, answer(500)),
    (Service::DynamoDb, "", When::After, 300, Fault::Drop),
    (Service::S3, "", When::Before, 300, answer(503)),
    (Service::S3, "", When::Before, 200, Fault::Drop),
    (Service::S3, "", When::Before, 10, Fault::Hold),
    (Service::S3, "", When::After, 200, answer(500)),
    (Service::S3, "", When::After, 300, Fault::Drop),
    (Service::Sqs, "", When::Before, 300, answer(500)),
    (Service::Sqs, "", When::Before, 200, Fault::Drop),
    (Service::Sqs, "", When::Before, 5, Fault::Hold),
    (Service::Sqs, "", When::After, 200, answer(500)),
    (Service::Sqs, "", When::After, 300, Fault::Drop),
    (Service::EventBridge, "", When::Before, 400, answer(500)),
    (Service::EventBridge, "", When::Before, 200, Fault::Drop),
    (Service::EventBridge, "", When::After, 200, answer(500)),
    (Service::EventBridge, "", When::After, 300, Fault::Drop),
    (Service::Secrets, "", When::Before, 200, answer(500)),
    (Service::Secrets, "", When::After, 200, Fault::Drop),
    (Service::Recall, "/create_transcript/", When::Before, 500, THROTTLED),
    (Service::Recall, "/create_transcript/", When::Before, 300, answer(503)),
    (Service::Recall, "/create_transcript/", When::After, 700, answer(500)),
    (Service::Recall, "/create_transcript/", When::After, 900, Fault::Drop),
    (Service::Recall, "", When::Before, 300, answer(503)),
    (Service::Recall, "", When::Before, 300, Fault::Drop),
    (Service::Recall, "", When::Before, 200, THROTTLED),
    (Service::Recall, "", When::Before, 60, answer(402)),
    (Service::Recall, "", When::Before, 60, answer(401)),
    (Service::Recall, "", When::Before, 40, Fault::Html { status: 404 }),
    (Service::Recall, "", When::Before, 10, Fault::Hold),
    (Service::Recall, "GET /api/v1/transcript/", When::Before, 200, answer(404)),
    (Service::Recall, "", When::After, 300, answer(500)),
    (Service::Recall, "", When::After, 500, Fault::Drop),
    (Service::Recall, "", When::After, 10, Fault::Hold),
    (Service::Recall, "", When::After, 200, Fault::Delay(Duration::from_millis(700))),
    (Service::Download, "", When::Before, 300, answer(403)),
    (Service::Download, "", When::Before, 200, answer(503)),
    (Service::Download, "", When::Before, 200, Fault::Drop),
    (Service::Webhook, "", When::Before, 200, Fault::Drop),
    (Service::Webhook, "", When::Before, 200, answer(502)),
    (Service::Webhook, "", When::Before, 300, Fault::Delay(Duration::from_millis(300))),
    (Service::Webhook, "", When::After, 200, answer(502)),
    (Service::Webhook, "", When::After, 300, Fault::Drop),
];

/// The longest time between two tricks.
const TRICK_EVERY_MS: u64 = 60;
/// How many moments work in progress gets to finish before time passes.
const MOMENTS: u32 = 100;
const MOMENT: Duration = Duration::from_millis(5);

/// Counts of what was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tricks {
    pub(super) kills: usize,
    /// The kills that interrupted an invocation.
    pub(super) killed_at_work: usize,
    /// The faults of Recall and of its webhooks.
    pub(super) at_recall: usize,
    /// The calls that met a fault.
    pub(super) faults: usize,
}

/// The running faults and kills.
pub(super) struct Troubles {
    pipeline: Arc<Pipeline>,
    over: watch::Sender<bool>,
    tricks: JoinHandle<Result<Tricks>>,
    faults: Arc<AtomicUsize>,
}

impl Troubles {
    pub(super) fn begin(pipeline: &Arc<Pipeline>, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let faults = Arc::<AtomicUsize>::default();
        roll(pipeline, &mut random, &faults);
        let over = watch::Sender::new(false);
        let tricks = tokio::spawn(play_tricks(Arc::clone(pipeline), random, over.subscribe()));
        Self { pipeline: Arc::clone(pipeline), over, tricks, faults }
    }

    /// Ends the trouble. Calls that hang keep hanging until their callers give up.
    pub(super) async fn end(self) -> Result<Tricks> {
        self.over.send_replace(true);
        let tricks = self.tricks.await.context("the tricks ended early")??;
        self.pipeline.stack.wire.calm();
        self.pipeline.simulator().faults().list_lag(Duration::ZERO);
        Ok(Tricks { faults: self.faults.load(Ordering::SeqCst), ..tricks })
    }
}

/// Rolls the dice for each call. Every service has its own dice, so that the services do not depend on each other's
/// speed.
fn roll(pipeline: &Pipeline, random: &mut Rng, faults: &Arc<AtomicUsize>) {
    let mut dice: Vec<(Service, Rng)> = Vec::new();
    for (service, ..) in ODDS {
        if dice.iter().all(|(of, _)| *of != service) {
            dice.push((service, random.fork()));
        }
    }
    let faults = Arc::clone(faults);
    pipeline.stack.wire.disturb_by(move |service, operation, when| {
        let (_, dice) = dice.iter_mut().find(|(of, _)| *of == service)?;
        let mut rolled = dice.u32(..10_000);
        let fits = |(of, part, at, ..): &&(Service, &str, When, u32, Fault)| {
            *of == service && *at == when && operation.contains(part)
        };
        for (.., odds, fault) in ODDS.iter().filter(fits) {
            if rolled < *odds {
                faults.fetch_add(1, Ordering::SeqCst);
                return Some(*fault);
            }
            rolled -= odds;
        }
        None
    });
}

/// Kills processes, and causes the faults that concern more than one call.
async fn play_tricks(pipeline: Arc<Pipeline>, mut random: Rng, over: watch::Receiver<bool>) -> Result<Tricks> {
    let (simulator, stack) = (pipeline.simulator(), &pipeline.stack);
    let faults = simulator.faults();
    let mut tricks = Tricks::default();
    while !*over.borrow() {
        sleep(Duration::from_millis(random.u64(..TRICK_EVERY_MS))).await;
        let (trick, once) = (random.u32(..100), Target::next(1));
        tricks.at_recall += usize::from(trick >= 33);
        match trick {
            0..10 => tricks.kill(&stack.webhook).await,
            10..20 => tricks.kill(&stack.transcript).await,
            20..27 => tricks.kill(&stack.sweep).await,
            27..33 => let_time_pass(&pipeline).await?,
            33..38 => faults.webhook("", 1, WebhookFault::Dropped),
            // No webhook about transcripts arrives for a while.
            38..43 => faults.webhook("transcript.", random.usize(2..30), WebhookFault::Dropped),
            43..53 => faults.webhook("", 1, WebhookFault::Copies(random.usize(2..=4))),
            53..63 => faults.webhook("", 1, WebhookFault::Held),
            // This is a time on the simulator's clock, which is faster.
            63..70 => faults.webhook("", 1, WebhookFault::Delayed(Duration::from_secs(random.u64(1..60)))),
            70..80 => release(&pipeline),
            80..84 => faults.download(once, DownloadFault::Truncated { after: random.usize(..20_000) }),
            84..88 => faults.download(once, DownloadFault::CutChunked { after: random.usize(..20_000) }),
            88..90 => faults.download(once, DownloadFault::Gzip),
            90..92 => faults.null_download_url(once),
            92..94 => faults.done_before_answer(once),
            94..96 => faults.slow_create(once, Duration::from_secs(random.u64(1..60))),
            96..98 => faults.list_lag(Duration::from_secs(random.u64(..60))),
            _ => simulator.expire_urls(),
        }
    }
    Ok(tricks)
}

/// Ends the waits of jobs that no function is working on. New work is held back for a moment, so that there are such
/// jobs.
async fn let_time_pass(pipeline: &Pipeline) -> Result<()> {
    let stack = &pipeline.stack;
    stack.event_source.pause();
    stack.schedule.pause();
    for _ in 0..MOMENTS {
        if pipeline.is_idle() {
            break;
        }
        sleep(MOMENT).await;
    }
    pipeline.let_time_pass().await?;
    stack.event_source.resume();
    stack.schedule.resume();
    Ok(())
}

/// Releases the held webhooks in another order, in parallel with everything else.
fn release(pipeline: &Arc<Pipeline>) {
    let simulator = pipeline.simulator().clone();
    drop(tokio::spawn(async move { simulator.release_webhooks(Order::Shuffled).await }));
}

impl Tricks {
    async fn kill(&mut self, function: &Function) {
        if function.pids().is_empty() {
            return;
        }
        self.kills += 1;
        self.killed_at_work += usize::from(function.under_way() > 0);
        function.kill().await;
    }
}
