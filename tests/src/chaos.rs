//! Chaos: many recordings at once while every service fails at random. Then the faults stop, and every recording must
//! end as it should.
//!
//! The seed determines everything random: the operator's settings, the kind of each recording, which process is killed
//! when, and which call meets which fault. The processes run in real time, so the same seed gives the same plan, but
//! not the same run.

mod faults;
mod stories;
mod verdict;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use local::{
    recall::Order,
    stack::{JOBS_TABLE, WORK_QUEUE},
    wire::Service,
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use self::{
    faults::{Tricks, Troubles},
    stories::{Story, World},
};
use crate::{Exception, Pipeline, PipelineTest, SWEEP};

/// The average time between the ends of two recordings.
const PACE: Duration = Duration::from_millis(90);
/// How long the trouble continues after the last recording.
const AFTERMATH: Duration = Duration::from_secs(3);
/// The time limit of the calm phase: an allowance for each recording, and a minimum.
const CALM_FOR_EACH: Duration = Duration::from_millis(500);
const CALM_AT_LEAST: Duration = Duration::from_secs(90);
/// The pipeline is idle when no function was seen at work for this long.
const QUIET: Duration = Duration::from_millis(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often the sweep runs while there is trouble.
const SWEEP_EVERY: Duration = Duration::from_millis(400);
/// The number of processes of each function: enough for them to compete, and few enough for a small machine.
const CONCURRENCY: usize = 8;

/// The options of a chaos run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub seed: u64,
    pub recordings: usize,
}

/// The result of a chaos run.
#[derive(Debug)]
pub struct Summary {
    settings: String,
    recordings: usize,
    statuses: BTreeMap<String, usize>,
    kills: usize,
    killed_at_work: usize,
    faults: usize,
    tricks: usize,
    calls: usize,
    creates: usize,
    sweeps: usize,
    found: usize,
    rounds: usize,
    trouble: Duration,
    calm: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> = self.statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        writeln!(f, "settings    {}", self.settings)?;
        writeln!(f, "recordings  {}: {}", self.recordings, statuses.join(", "))?;
        writeln!(f, "kills       {}, {} of them during an invocation", self.kills, self.killed_at_work)?;
        writeln!(f, "faults      {} in {} calls, and {} at Recall", self.faults, self.calls, self.tricks)?;
        writeln!(f, "sweeps      {} completed, with {} finds", self.sweeps, self.found)?;
        writeln!(f, "creates     {} paid for, all of them intended", self.creates)?;
        write!(f, "time        {:.0?} of trouble, {:.0?} and {} rounds of calm", self.trouble, self.calm, self.rounds)
    }
}

/// Runs the pipeline through trouble and calm.
///
/// # Errors
/// A promise is broken, or not every recording ended in time. The error shows the seed and, for some of the recordings,
/// the row, the state at Recall, and the log lines.
pub async fn run(config: Config) -> Result<Summary> {
    let Config { seed, recordings } = config;
    let mut random = Rng::with_seed(seed);
    let world = World::any(&mut random);
    let test = PipelineTest::with(|config, simulator| {
        config.webhook_timeout = Duration::from_secs(3);
        config.transcript_timeout = Duration::from_secs(8);
        config.sweep_timeout = Duration::from_secs(12);
        config.sweep_every = Some(SWEEP_EVERY);
        config.visibility_s = 9;
        config.concurrency = CONCURRENCY;
        config.env = world.env();
        simulator.seed = random.u64(..);
        // The rows are moved in real time, so this limit must not be scaled.
        simulator.limits.idempotency = Duration::from_secs(60 * 60).mul_f64(simulator.speed);
    });
    let test = test.allow(Exception::FaultsMayNotStrike);
    let run = async |pipeline| Run { pipeline, world, random, recordings, played: Vec::new() }.finish().await;
    test.run(run).await.with_context(|| format!("chaos with --seed {seed} --recordings {recordings}"))
}

struct Run {
    pipeline: Arc<Pipeline>,
    world: World,
    random: Rng,
    recordings: usize,
    /// The recordings that have ended so far, each with its story.
    played: Vec<(Uuid, Story)>,
}

/// The number of calm rounds after which every parked job has certainly looked for a free slot.
const PARKED_LOOKS: usize = 4;

impl Run {
    async fn finish(mut self) -> Result<Summary> {
        let begun = Instant::now();
        let tricks = self.trouble().await?;
        let trouble = begun.elapsed();
        let limit = CALM_AT_LEAST + CALM_FOR_EACH * u32::try_from(self.recordings).unwrap_or(u32::MAX);
        let rounds = match timeout(limit, self.calm()).await {
            Ok(rounds) => rounds?,
            Err(_) => bail!("the run did not finish in time\n{}", self.unfinished()?),
        };
        let calm = begun.elapsed() - trouble;
        self.judge().await?;

        let wire = &self.pipeline.stack.wire;
        let rows = self.pipeline.stack.dynamodb.items(JOBS_TABLE)?;
        let mut statuses = BTreeMap::new();
        for row in rows.iter().filter(|row| row["recording_id"] != SWEEP) {
            *statuses.entry(row["status"].as_str().unwrap_or("without a status").to_owned()).or_default() += 1;
        }
        let of_functions = wire.calls().iter().filter(|call| call.service != Service::Webhook).count();
        Ok(Summary {
            settings: self.world.to_string(),
            recordings: self.played.len(),
            statuses,
            kills: tricks.kills,
            killed_at_work: tricks.killed_at_work,
            faults: tricks.faults,
            tricks: tricks.at_recall,
            calls: of_functions,
            creates: self.pipeline.simulator().all_creates(),
            sweeps: self.swept("sweep.finished"),
            found: self.swept("event.found"),
            rounds,
            trouble,
            calm,
        })
    }

    /// Plays the recordings one after the other while things go wrong.
    async fn trouble(&mut self) -> Result<Tricks> {
        let troubles = Troubles::begin(&self.pipeline, self.random.u64(..));
        for _ in 0..self.recordings {
            let story = Story::any(&mut self.random);
            let recording = story.play(self.pipeline.simulator(), &mut self.random);
            self.played.push((recording, story));
            sleep(PACE.mul_f64(self.random.f64() * 2.0)).await;
        }
        sleep(AFTERMATH).await;
        troubles.end().await
    }

    /// Returns how many log lines of the sweep contain this text.
    fn swept(&self, line: &str) -> usize {
        self.pipeline.stack.sweep.logs().iter().filter(|logged| logged.contains(line)).count()
    }

    /// Stops all faults and lets time pass until nothing is left to do. Returns the number of rounds.
    async fn calm(&self) -> Result<usize> {
        let (simulator, stack) = (self.pipeline.simulator(), &self.pipeline.stack);
        stack.schedule.pause();
        for round in 1.. {
            simulator.release_webhooks(Order::Sent).await;
            simulator.faults().release_downloads();
            self.finish_transcriptions();
            simulator.retry_now();
            self.quiet().await?;
            self.let_time_pass().await?;
            let all_told = self.sweep().await?;
            let rows = stack.dynamodb.items(JOBS_TABLE)?;
            let is_due = |row: &&Value| row.get("due_at").is_some();
            // A parked job looks for a free slot every day, so it stays due. Here it has looked more than once.
            let is_parked = |row: &&Value| row["status"] == "limit_reached";
            let due = rows.iter().filter(is_due).any(|row| !is_parked(&row) || round < PARKED_LOOKS);
            let waiting = simulator.under_way() + simulator.held() + stack.queues.depth(WORK_QUEUE).await?;
            if all_told && !due && waiting == 0 {
                return Ok(round);
            }
        }
        bail!("the loop has no end")
    }

    /// Lets time pass for the jobs, and for the recordings that have no job yet.
    async fn let_time_pass(&self) -> Result<()> {
        for (recording, _) in &self.played {
            if self.pipeline.job(*recording)?.is_none() {
                self.pipeline.simulator().age(*recording, stories::HEAD_START);
            }
        }
        self.pipeline.let_time_pass().await
    }

    /// Runs the sweep, which alone replaces lost webhooks and wake-ups. Returns whether it has read both lists from
    /// start to end and found nothing new.
    async fn sweep(&self) -> Result<bool> {
        let at_the_beginning = || {
            let place = self.pipeline.place().unwrap_or_default();
            ["recordings", "transcripts"].iter().all(|list| place[list]["next"].is_null())
        };
        let whole = at_the_beginning();
        let report = self.pipeline.sweep().await?;
        let listed = report["listed"].as_u64().is_some_and(|listed| listed > 0);
        Ok(whole && at_the_beginning() && listed && report["found"] == 0)
    }

    /// Finishes the transcriptions that Recall would never finish.
    fn finish_transcriptions(&self) {
        let simulator = self.pipeline.simulator();
        for (recording, _) in self.played.iter().filter(|(_, story)| *story == Story::Slow) {
            for transcript in simulator.transcripts(*recording) {
                simulator.finish_transcription(transcript.id, Ok(()));
            }
        }
    }

    /// Waits until no function is at work and no visible message is left on the queue.
    async fn quiet(&self) -> Result<()> {
        let mut since = Instant::now();
        while since.elapsed() < QUIET {
            if !self.pipeline.is_idle() || self.pipeline.stack.queues.visible(WORK_QUEUE).await? > 0 {
                since = Instant::now();
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Checks everything that must hold at the end.
    async fn judge(&self) -> Result<()> {
        verdict::of_all(&self.pipeline).await?;
        let judged = self.played.iter().filter_map(|(recording, story)| {
            let judged = verdict::of_one(&self.pipeline, &self.world, *recording, *story);
            Some((*recording, story, judged.err()?))
        });
        let wrong: Vec<_> = judged.collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let reports = wrong.iter().take(verdict::SHOWN).map(|(recording, story, error)| {
            let about = verdict::report(&self.pipeline, *recording);
            format!("recording {recording} ({story}): {error:#}\n{about}")
        });
        bail!("{} recordings did not end as they should\n{}", wrong.len(), reports.collect::<Vec<_>>().join("\n"))
    }

    fn unfinished(&self) -> Result<String> {
        let mut reports = Vec::new();
        for (recording, story) in &self.played {
            let row = self.pipeline.job(*recording)?;
            if row.is_none_or(|row| row.get("due_at").is_some()) && reports.len() < verdict::SHOWN {
                reports
                    .push(format!("recording {recording} ({story})\n{}", verdict::report(&self.pipeline, *recording)));
            }
        }
        Ok(reports.join("\n"))
    }
}
