//! Schedules of duplicates, reorderings, lost answers and crashes, each from a seed.
//!
//! One recording, any number of workers that load, decide, save, act and record as `advance.rs` does, and a model of
//! Recall. A worker can die before or after each of these steps, and certainly dies at its deadline. Every event is
//! delivered again until somebody is done with it, and a timer wakes the job when it is due.
//!
//! Assumptions about Recall: a call that nobody waits for ends within a minute, a new transcript is listed within
//! another, and a key is remembered for an hour after its call has ended.

use std::{collections::HashMap, time::Duration};

use fastrand::Rng;

use crate::{
    ids::{RecordingId, TranscriptId},
    job::{
        Answer, Command, Context, CopyAnswer, CreateAnswer, Decision, Event, Heard, Job, LookUpAnswer, Next, Policy,
        Receipt, State, Status,
    },
    time::Timestamp,
};

const SCHEDULES: u64 = 100_000;
/// Steps with faults; afterwards everything works, and the job must come to an end.
const FAULTY_STEPS: usize = 40;
const STEPS: usize = 4_000;
const INVOCATION: Duration = Duration::from_secs(15);
const LEASE: Duration = Duration::from_secs(17);
const KEY_LIFE: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn no_schedule_pays_twice_or_gets_stuck() {
    // `SEED=… cargo test -p shared no_schedule` replays one.
    let only = crate::env::Env::of_process().get("SEED").and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SCHEDULES, |seed: u64| seed..seed + 1);
    let mut endings: HashMap<Status, u32> = HashMap::new();
    for seed in seeds {
        let status = World::new(seed).run();
        *endings.entry(status).or_default() += 1;
    }
    if only.is_none() {
        for status in [Status::Stored, Status::Failed, Status::Lost, Status::LimitReached] {
            assert!(
                endings.get(&status).is_some_and(|count| *count > 100),
                "{status:?} is hardly reached: {endings:?}"
            );
        }
    }
}

/// A transcript at Recall.
struct Made {
    id: TranscriptId,
    attempt: Option<u32>,
    exists_at: Timestamp,
    listed_at: Timestamp,
    done_at: Timestamp,
    fails: bool,
    deleted: bool,
}

/// What Recall remembers of an idempotency key.
struct Key {
    ended_at: Timestamp,
    answer: CreateAnswer,
}

/// One invocation: what it was called for, and how far it is.
struct Worker {
    event: usize,
    deadline: Timestamp,
    at: Step,
}

enum Step {
    Decide(Job, Input),
    Act(Job, Command),
}

#[derive(Clone)]
enum Input {
    Event,
    Answer(Answer),
}

/// An event that somebody delivers until it is taken.
struct Delivery {
    event: Event,
    next_at: Option<Timestamp>,
}

struct World {
    seed: u64,
    rng: Rng,
    policy: Policy,
    now: Timestamp,
    calm: bool,
    row: Job,
    made: Vec<Made>,
    /// The recording is deleted at Recall.
    gone: bool,
    keys: HashMap<u32, Key>,
    workers: Vec<Worker>,
    deliveries: Vec<Delivery>,
    next_id: u128,
    paid: HashMap<u32, u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let policy = Policy {
            provider: "recallai_async".to_owned(),
            max_transcripts: rng.u32(1..=3),
            copy_unrequested: rng.u8(0..4) > 0,
        };
        let now = Timestamp::from_secs(1_000_000);
        let mut world = Self {
            seed,
            rng,
            policy,
            now,
            calm: false,
            row: Job::new(RecordingId::from_u128(1)),
            made: Vec::new(),
            gone: false,
            keys: HashMap::new(),
            workers: Vec::new(),
            deliveries: Vec::new(),
            next_id: 1,
            paid: HashMap::new(),
        };
        if world.rng.u8(0..5) == 0 {
            world.make(None, Duration::ZERO);
        }
        match world.rng.u8(0..20) {
            0 => world.send(Event::RecordingFailed { sub_code: None }),
            _ => world.send(Event::RecordingDone { bot_id: None }),
        }
        world
    }

    fn run(mut self) -> Status {
        for step in 0..STEPS {
            self.calm = step >= FAULTY_STEPS;
            self.end_overdue_workers();
            if self.calm && self.workers.is_empty() && self.nothing_to_come() {
                return self.check_the_end();
            }
            match self.rng.u8(0..10) {
                0..=3 if !self.workers.is_empty() => self.work(),
                4 if !self.calm && !self.workers.is_empty() => self.crash(),
                5 if !self.calm => self.disturb(),
                6..=7 => self.pass_time(),
                _ => self.deliver(),
            }
        }
        panic!("seed {}: no end after {STEPS} steps: {:#?}", self.seed, self.row);
    }

    fn nothing_to_come(&self) -> bool {
        self.row.due_at().is_none() && self.deliveries.iter().all(|delivery| delivery.next_at.is_none())
    }

    fn send(&mut self, event: Event) {
        self.deliveries.push(Delivery { event, next_at: Some(self.now) });
    }

    /// Somebody delivers what is due: a sender's event, or the timer's wake-up.
    fn deliver(&mut self) {
        let due: Vec<usize> = (0..self.deliveries.len())
            .filter(|index| self.deliveries[*index].next_at.is_some_and(|at| at <= self.now))
            .collect();
        if let Some(index) = self.rng.choice(due) {
            self.deliveries[index].next_at = None;
            self.start(index);
        } else if self.row.due_at().is_some_and(|at| at <= self.now) && self.workers.is_empty() {
            self.deliveries.push(Delivery { event: Event::Wake, next_at: None });
            self.start(self.deliveries.len() - 1);
        }
    }

    fn start(&mut self, event: usize) {
        let at = Step::Decide(self.row.clone(), Input::Event);
        self.workers.push(Worker { event, deadline: self.now.plus(INVOCATION), at });
    }

    fn pass_time(&mut self) {
        let waits = self.deliveries.iter().filter_map(|delivery| delivery.next_at).chain(self.row.due_at()).min();
        let jump = match (self.rng.u8(0..4), waits) {
            (0, Some(at)) | (_, Some(at)) if self.calm && self.workers.is_empty() => at.since(self.now),
            (0, Some(at)) => at.since(self.now),
            (1, _) => MINUTE * self.rng.u32(1..90),
            (_, _) => SECOND * self.rng.u32(0..20),
        };
        self.now = self.now.plus(jump);
    }

    /// The workers that are past their deadline are gone; the sender comes again.
    fn end_overdue_workers(&mut self) {
        let now = self.now;
        let (over, alive) = std::mem::take(&mut self.workers).into_iter().partition(|worker| worker.deadline <= now);
        self.workers = alive;
        let over: Vec<Worker> = over;
        for worker in over {
            self.come_again(worker.event, self.now.plus(5 * SECOND));
        }
    }

    fn crash(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let worker = self.workers.swap_remove(index);
        self.come_again(worker.event, self.now.plus(5 * SECOND));
    }

    fn come_again(&mut self, event: usize, at: Timestamp) {
        // A wake-up is not delivered again: the timer comes back by itself.
        if self.deliveries[event].event != Event::Wake {
            self.deliveries[event].next_at = Some(at);
        }
    }

    /// Duplicates, deletions, transcripts that others make.
    fn disturb(&mut self) {
        match self.rng.u8(0..16) {
            0 => drop(self.make(None, Duration::ZERO)),
            1 => {
                self.gone = true;
                self.made.iter_mut().for_each(|made| made.deleted = true);
                self.send(Event::RecordingDeleted);
            }
            2 if !self.made.is_empty() => {
                let index = self.rng.usize(0..self.made.len());
                if self.made[index].exists_at <= self.now {
                    self.made[index].deleted = true;
                    let heard = self.heard(index);
                    self.send(Event::TranscriptDeleted(heard));
                }
            }
            _ => {
                let index = self.rng.usize(0..self.deliveries.len());
                let event = self.deliveries[index].event.clone();
                self.send(event);
            }
        }
    }

    fn heard(&self, made: usize) -> Heard {
        Heard { transcript_id: self.made[made].id, attempt: self.made[made].attempt }
    }

    /// A transcript comes into being at Recall, and its webhooks are under way.
    fn make(&mut self, attempt: Option<u32>, delay: Duration) -> TranscriptId {
        let id = TranscriptId::from_u128(self.next_id);
        self.next_id += 1;
        let exists_at = self.now.plus(delay);
        let listed_at = exists_at.plus(SECOND * self.rng.u32(0..60));
        let done_at = exists_at.plus(SECOND * self.rng.u32(1..600));
        let fails = self.rng.u8(0..6) == 0;
        self.made.push(Made { id, attempt, exists_at, listed_at, done_at, fails, deleted: false });
        let heard = Heard { transcript_id: id, attempt };
        let end = match fails {
            true => Event::TranscriptFailed { heard, sub_code: None },
            false => Event::TranscriptDone(heard),
        };
        // Webhooks can get lost altogether.
        for (event, at) in [(Event::TranscriptProcessing(heard), exists_at), (end, done_at)] {
            if self.rng.u8(0..4) > 0 {
                self.deliveries.push(Delivery { event, next_at: Some(at) });
            }
        }
        id
    }

    /// One step of one worker.
    fn work(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let Worker { event, deadline, at } = self.workers.swap_remove(index);
        let next = match at {
            Step::Act(job, command) => {
                let answer = self.act(&command);
                Step::Decide(job, Input::Answer(answer))
            }
            Step::Decide(job, input) => match self.decide(event, job, input) {
                Some(next) => next,
                None => return,
            },
        };
        self.workers.push(Worker { event, deadline, at: next });
    }

    /// Decides and saves, as `Advance::step` does. `None`: the worker is done.
    fn decide(&mut self, event: usize, job: Job, input: Input) -> Option<Step> {
        let context = Context { now: self.now, lease_until: self.now.plus(LEASE), policy: &self.policy };
        let decision = match &input {
            Input::Event => job.on_event(&self.deliveries[event].event, context),
            Input::Answer(answer) => job.on_answer(answer, context),
        };
        let (job, next) = match decision {
            Decision::Ignore(_) => return None,
            Decision::Busy { until } => {
                self.come_again(event, until);
                return None;
            }
            Decision::Apply { job, next } => (*job, next),
        };
        if self.row.version + 1 != job.version {
            return Some(Step::Decide(self.row.clone(), input));
        }
        self.check_the_save(&job);
        self.row = job.clone();
        match next {
            Next::Nothing => None,
            Next::Act(command) => Some(Step::Act(job, command)),
            Next::Again { at } => {
                self.come_again(event, at);
                None
            }
        }
    }

    fn act(&mut self, command: &Command) -> Answer {
        match command {
            Command::Create { attempt, claim, .. } => {
                Answer::Create { attempt: *attempt, claim: *claim, answer: self.create(*attempt) }
            }
            Command::LookUp { attempt, claim } => {
                Answer::LookUp { attempt: *attempt, claim: *claim, answer: self.look_up(*attempt) }
            }
            Command::Copy { transcript_id, claim, .. } => {
                Answer::Copy { transcript_id: *transcript_id, claim: *claim, answer: self.copy(*transcript_id) }
            }
            Command::Wake => {
                let sent = self.calm || self.rng.u8(0..4) > 0;
                if sent {
                    self.send(Event::Wake);
                }
                Answer::Wake { sent }
            }
        }
    }

    fn create(&mut self, attempt: u32) -> CreateAnswer {
        let fault = if self.calm { 99 } else { self.rng.u8(0..24) };
        if fault == 0 {
            // The request never arrived.
            return CreateAnswer::Lost;
        }
        // Throttling, credit and odd refusals may strike before Recall looks at the key.
        match fault {
            5 => return CreateAnswer::Throttled { after: SECOND * self.rng.u32(0..5000) },
            6 => return CreateAnswer::Operator { status: 402 },
            7 => return CreateAnswer::Refused { status: 404, code: None },
            _ => {}
        }
        let now = self.now;
        if let Some(key) = self.keys.get(&attempt)
            && now < key.ended_at.plus(KEY_LIFE)
        {
            return if now < key.ended_at { CreateAnswer::InProgress } else { key.answer.clone() };
        }
        let exist = self.made.iter().filter(|made| !made.deleted).count();
        let slow = if fault == 1 { SECOND * self.rng.u32(1..60) } else { Duration::ZERO };
        let answer = match fault {
            2..=4 => CreateAnswer::ServerError,
            _ if self.gone => CreateAnswer::Refused { status: 404, code: None },
            _ if exist >= 10 => CreateAnswer::Refused { status: 400, code: None },
            _ => {
                *self.paid.entry(attempt).or_default() += 1;
                CreateAnswer::Created { transcript_id: self.make(Some(attempt), slow) }
            }
        };
        // A server error after the effect: the transcript is there, and the key replays the error.
        let created = matches!(answer, CreateAnswer::Created { .. });
        let answer = if created && fault == 8 { CreateAnswer::ServerError } else { answer };
        self.keys.insert(attempt, Key { ended_at: now.plus(slow), answer: answer.clone() });
        if matches!(fault, 1 | 9) { CreateAnswer::Lost } else { answer }
    }

    fn look_up(&mut self, attempt: u32) -> LookUpAnswer {
        if !self.calm && self.rng.u8(0..4) == 0 {
            return LookUpAnswer::Later { after: SECOND * self.rng.u32(0..60) };
        }
        let listed = self.made.iter().filter(|made| made.listed_at <= self.now && !made.deleted);
        match listed.into_iter().find(|made| made.attempt == Some(attempt)) {
            Some(made) => LookUpAnswer::Found { transcript_id: made.id, ended: made.done_at <= self.now },
            None => LookUpAnswer::Nothing,
        }
    }

    fn copy(&mut self, id: TranscriptId) -> CopyAnswer {
        let after = SECOND * self.rng.u32(0..60);
        let made = self.made.iter().find(|made| made.id == id).expect("a transcript that exists");
        let unknown = if self.calm { self.rng.bool() && made.deleted } else { self.rng.u8(0..20) == 0 };
        if unknown {
            CopyAnswer::Missing
        } else if made.deleted {
            CopyAnswer::Deleted
        } else if self.now < made.done_at {
            CopyAnswer::NotReady { after }
        } else if made.fails {
            CopyAnswer::Failed { sub_code: None }
        } else if !self.calm && self.rng.u8(0..3) == 0 {
            CopyAnswer::Later { after }
        } else {
            let (manifest_key, sha256) = ("m".to_owned(), "s".to_owned());
            CopyAnswer::Stored(Receipt { stored_at: self.now, manifest_key, bytes: 2, sha256, empty: false })
        }
    }

    /// What must hold at every save.
    fn check_the_save(&self, next: &Job) {
        let seed = self.seed;
        for old in &self.row.transcripts {
            let ended = matches!(old.state, State::Stored { .. } | State::Failed { .. })
                || (matches!(old.state, State::Lost { .. }) && old.deleted);
            if ended {
                let same = next.transcripts.iter().any(|new| new.state == old.state);
                assert!(same, "seed {seed}: {old:?} left its terminal state: {next:#?}");
            }
        }
        let limit = self.policy.max_transcripts;
        let starts = next.attempts > self.row.attempts;
        assert!(!starts || next.transcript_count() <= limit, "seed {seed}: over the limit of {limit}: {next:#?}");
        let ids: Vec<_> = next.transcripts.iter().filter_map(|transcript| transcript.state.transcript_id()).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), distinct.len(), "seed {seed}: one transcript twice: {next:#?}");
    }

    /// What must hold when nothing is to come any more.
    fn check_the_end(&self) -> Status {
        let (seed, job) = (self.seed, &self.row);
        for (attempt, paid) in &self.paid {
            assert_eq!(*paid, 1, "seed {seed}: attempt {attempt} was paid {paid} times: {job:#?}");
        }
        // One is enough, unless somebody deleted it at Recall before we knew of it.
        let kept = self.made.iter().filter(|made| made.attempt.is_some() && !made.deleted).count();
        assert!(kept <= 1, "seed {seed}: paid attempts {:?}: {job:#?}", self.paid.keys());
        let status = job.status();
        let ended = matches!(status, Status::Stored | Status::Failed | Status::Lost | Status::LimitReached);
        assert!(ended, "seed {seed}: it ends as {status:?}: {job:#?}");
        for made in self.made.iter().filter(|made| made.attempt.is_some() && !made.fails && !made.deleted) {
            let deleted = self.gone;
            let entry = job.transcripts.iter().find(|entry| entry.state.transcript_id() == Some(made.id));
            let stored = entry.is_some_and(|entry| matches!(entry.state, State::Stored { .. }));
            assert!(stored || deleted, "seed {seed}: {:?} was paid for and is not stored: {job:#?}", made.id);
        }
        status
    }
}
