//! One recording's world: who delivers what to whom, and when.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;

use super::recall::{Made, Recall};
use crate::{
    ids::{RecordingId, TranscriptId},
    job::{
        Answer, Command, Context, CopyAnswer, Decision, Deletable, DeleteAfterStore, DeleteAnswer, Event, Finished,
        Heard, Hold, Job, LookUpAnswer, Next, OnLimit, Policy, Receipt, Recording, RenderAnswer, State, Status, Target,
        Wishes, tests::receipt,
    },
    time::Timestamp,
};

/// Steps with faults; afterwards everything works, and the job must come to an end.
const FAULTY_STEPS: usize = 60;
const STEPS: usize = 6_000;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const INVOCATION: Duration = Duration::from_secs(15);
/// Two seconds longer than the invocation, of which clocks may eat one.
const LEASE: Duration = Duration::from_secs(17);
/// The longest delay of a message.
const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
const SWEEP_EVERY: Duration = Duration::from_secs(5 * 60);
/// When the sender tries again, counted from the failure before.
const SCHEDULE: [Duration; 7] = [
    SECOND.saturating_mul(5),
    MINUTE.saturating_mul(5),
    MINUTE.saturating_mul(30),
    HOUR.saturating_mul(2),
    HOUR.saturating_mul(5),
    HOUR.saturating_mul(10),
    HOUR.saturating_mul(10),
];

/// Something that will be handed to a function.
struct Mail {
    event: Event,
    at: Timestamp,
    to: To,
}

#[derive(Clone, Copy, PartialEq)]
enum To {
    /// The sender's tries so far.
    Webhook {
        tries: usize,
    },
    Transcript,
}

struct Worker {
    event: Event,
    to: To,
    deadline: Timestamp,
    /// How far its clock is off, in milliseconds.
    skew_ms: i64,
    at: Step,
}

enum Step {
    /// It has loaded this row, and decides about its event or its answer.
    Decide(Job, Input),
    /// It has saved, and is about to act.
    Act(Job, Command),
}

enum Input {
    Event,
    Answer(Answer),
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) rng: Rng,
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
    pub(super) calm: bool,
    pub(super) row: Job,
    pub(super) recall: Recall,
    /// Complete copies in S3.
    pub(super) stored: BTreeSet<TranscriptId>,
    /// Announcements, by their id.
    pub(super) announced: BTreeSet<String>,
    /// A parked job has looked for room since everything works.
    looked_for_room: bool,
    /// Our endpoint does not answer before this.
    deaf_until: Timestamp,
    /// Recall has no webhook endpoint at all: only the sweep finds out.
    no_webhooks: bool,
    mail: Vec<Mail>,
    workers: Vec<Worker>,
    swept_at: Timestamp,
    pub(super) wishes: Wishes,
    /// When Recall deletes the recording, if it ever does.
    expires_at: Option<Timestamp>,
    /// The meeting could be recorded.
    pub(super) captured: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let policy = Policy {
            providers: ["recallai_async", "rev_async"][..rng.usize(1..=2)]
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            tries_per_provider: rng.u32(1..=2),
            max_transcripts: if rng.bool() { 10 } else { rng.u32(1..=3) },
            on_limit: [OnLimit::Stop, OnLimit::DeleteFailed, OnLimit::DeleteStored][rng.usize(0..3)],
            copy_unrequested: rng.u8(0..4) > 0,
            delete_after_store: [DeleteAfterStore::Nothing, DeleteAfterStore::Transcript, DeleteAfterStore::Recording]
                [rng.usize(0..5).saturating_sub(2)],
            announces: rng.u8(0..4) > 0,
            expiry_alarm: 24 * HOUR,
        };
        let wishes = Wishes { skip: rng.u8(0..20) == 0, ..Wishes::default() };
        let now = Timestamp::from_secs(1_000_000);
        let expires_at = rng.bool().then(|| now.plus(48 * HOUR));
        let mut recall = Recall::default();
        recall.provider_down = rng.u8(0..12) == 0;
        if rng.u8(0..12) == 0 {
            recall.down_until = now.plus(MINUTE * rng.u32(1..3000));
        }
        let mut world = Self {
            seed,
            rng,
            policy,
            now,
            calm: false,
            row: Job::new(RecordingId::from_u128(1)),
            recall,
            stored: BTreeSet::new(),
            announced: BTreeSet::new(),
            looked_for_room: false,
            deaf_until: now,
            no_webhooks: false,
            mail: Vec::new(),
            workers: Vec::new(),
            swept_at: now,
            wishes,
            expires_at,
            captured: true,
        };
        world.no_webhooks = world.rng.u8(0..20) == 0;
        // The longest run of the sender's tries, and a little more.
        if world.rng.u8(0..20) == 0 {
            world.deaf_until = now.plus(28 * HOUR);
        }
        for _ in 0..[0, 0, 0, 1, 2, 10][world.rng.usize(0..6)] {
            world.make(None, Duration::ZERO);
        }
        match world.rng.u8(0..20) {
            0 => {
                world.captured = false;
                world.webhook(Event::RecordingFailed { sub_code: None }, now);
            }
            _ => {
                let done = world.done();
                world.webhook(done, now);
            }
        }
        world
    }

    /// What Recall says of the recording when it is retrieved or listed.
    fn finished(&self) -> Finished {
        Finished { wishes: Some(self.wishes.clone()), expires_at: self.expires_at, ..Finished::default() }
    }

    /// A webhook carries no expiry, and some carry no bot and so not all of the metadata.
    fn done(&mut self) -> Event {
        let wishes = (self.rng.u8(0..4) > 0).then(|| self.wishes.clone());
        Event::RecordingDone(Finished { wishes, ..Finished::default() })
    }

    pub(super) fn run(mut self) -> Status {
        for step in 0..STEPS {
            self.calm = step >= FAULTY_STEPS;
            self.end_overdue_workers();
            if self.calm && self.workers.is_empty() && self.nothing_to_come() {
                return self.check_the_end();
            }
            match self.rng.u8(0..11) {
                0..=3 if !self.workers.is_empty() => self.work(),
                4 if !self.calm && !self.workers.is_empty() => self.crash(),
                5 if !self.calm => self.disturb(),
                6..=7 => self.pass_time(),
                8 => self.sweep(),
                _ => self.deliver(),
            }
        }
        panic!("seed {}: no end after {STEPS} steps: {:#?}", self.seed, self.row);
    }

    /// Nothing is due, nothing is under way, and the sweep would find nothing new.
    fn nothing_to_come(&self) -> bool {
        let waits = self.row.due_at().is_some() && !self.only_waits();
        !waits && self.mail.is_empty() && self.swept_at > self.recall_settled_at() && self.sweep_finds().is_empty()
    }

    /// All that is left to come is the alarm about an expiry, or the daily look for room after one that found none.
    fn only_waits(&self) -> bool {
        let mut without = self.row.clone();
        let mut left: Vec<Timestamp> = without.outbox.expiry_at.take().into_iter().collect();
        if let Some(Hold::LimitReached { until: Some(until) }) = without.hold
            && self.looked_for_room
        {
            without.hold = None;
            left.push(until);
        }
        without.due_at().is_none() && left.iter().all(|at| self.now < *at)
    }

    fn recall_settled_at(&self) -> Timestamp {
        let last = self.recall.made.iter().map(|made| made.mended_at.unwrap_or(made.done_at)).max();
        last.unwrap_or_default().plus(2 * MINUTE).max(self.recall.down_until)
    }

    fn webhook(&mut self, event: Event, at: Timestamp) {
        if !self.no_webhooks {
            self.mail.push(Mail { event, at, to: To::Webhook { tries: 0 } });
        }
    }

    fn message(&mut self, event: Event, at: Timestamp) {
        self.mail.push(Mail { event, at, to: To::Transcript });
    }

    /// Hands over what is due.
    fn deliver(&mut self) {
        let due: Vec<usize> = (0..self.mail.len()).filter(|index| self.mail[*index].at <= self.now).collect();
        let Some(index) = self.rng.choice(due) else { return };
        let Mail { event, to, .. } = self.mail.swap_remove(index);
        match to {
            To::Webhook { .. } if self.now < self.deaf_until => self.come_again(event, to, self.now),
            // The webhook function hands over everything but this, and answers once that is on the queue.
            To::Webhook { .. } if !matches!(event, Event::RecordingDone(_)) => self.message(event, self.now),
            To::Webhook { .. } | To::Transcript => {
                let skew_ms = self.rng.i64(-500..=500);
                let at = Step::Decide(self.row.clone(), Input::Event);
                self.workers.push(Worker { event, to, deadline: self.now.plus(INVOCATION), skew_ms, at });
            }
        }
    }

    /// The sender tries again on its own schedule, and gives up in the end; a message comes again when it is visible.
    fn come_again(&mut self, event: Event, to: To, at: Timestamp) {
        match to {
            To::Webhook { tries } => {
                if let Some(wait) = SCHEDULE.get(tries) {
                    self.mail.push(Mail { event, at: self.now.plus(*wait), to: To::Webhook { tries: tries + 1 } });
                }
            }
            To::Transcript => self.message(event, at.max(self.now)),
        }
    }

    /// Wakes what is due, and feeds what Recall's lists say and the row does not.
    fn sweep(&mut self) {
        if self.now.since(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = self.now;
        if self.row.due_at().is_some_and(|at| at <= self.now) {
            self.message(Event::WAKE, self.now);
        }
        if self.now >= self.recall.down_until {
            for event in self.sweep_finds() {
                self.message(event, self.now);
            }
        }
    }

    fn sweep_finds(&self) -> Vec<Event> {
        let mut finds = Vec::new();
        if self.row.recording == Recording::Unknown && !self.recall.gone && self.captured {
            finds.push(Event::RecordingDone(self.finished()));
        }
        for listed in self.recall.listed(self.now).into_iter().filter(|listed| listed.ended) {
            let state =
                self.row.transcripts.iter().find(|known| known.state.transcript_id() == Some(listed.transcript_id));
            let fails = self.recall.made.iter().any(|made| made.id == listed.transcript_id && made.fails(self.now));
            let known = state.is_some_and(|known| match known.state {
                State::Stored { .. } | State::Left { .. } | State::Refused { .. } => true,
                State::Failed { .. } => fails || known.deleted,
                State::Lost { .. } => known.deleted,
                State::Copying(_) | State::Creating(_) => true,
                State::Transcribing { .. } => false,
            });
            let heard = Heard { transcript_id: listed.transcript_id, attempt: listed.attempt, foreign: false };
            if !known && self.row.recording != Recording::Deleted {
                finds.push(if fails {
                    Event::TranscriptFailed { heard, sub_code: None }
                } else {
                    Event::TranscriptDone(heard)
                });
            }
        }
        finds
    }

    fn pass_time(&mut self) {
        let waits = self.mail.iter().map(|mail| mail.at).chain(self.row.due_at()).min();
        let jump = match (self.rng.u8(0..4), waits) {
            (0, Some(at)) | (_, Some(at)) if self.calm && self.workers.is_empty() => at.since(self.now).max(MINUTE),
            (0, Some(at)) => at.since(self.now),
            (1, _) => MINUTE * self.rng.u32(1..90),
            // Whatever stood still for so long, the clock goes on without it.
            (2, _) if !self.calm && self.rng.u8(0..8) == 0 => HOUR * self.rng.u32(1..40),
            (_, _) => SECOND * self.rng.u32(0..20),
        };
        self.now = self.now.plus(jump);
        if self.expires_at.is_some_and(|at| at <= self.now) {
            self.delete_all();
        }
    }

    /// The recording goes at Recall, with all its transcripts.
    fn delete_all(&mut self) {
        if !self.recall.gone {
            self.recall.gone = true;
            self.recall.made.iter_mut().filter(|made| !made.deleted).for_each(|made| made.delete(self.now, false));
            self.webhook(Event::RecordingDeleted, self.now);
        }
    }

    /// The workers that are past their deadline are gone; what they worked on comes again.
    fn end_overdue_workers(&mut self) {
        let now = self.now;
        let (over, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.workers).into_iter().partition(|worker| worker.deadline <= now);
        self.workers = alive;
        for Worker { event, to, .. } in over {
            self.come_again(event, to, self.now.plus(5 * SECOND));
        }
    }

    fn crash(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let Worker { event, to, .. } = self.workers.swap_remove(index);
        self.come_again(event, to, self.now.plus(30 * SECOND));
    }

    /// Duplicates, old messages, deletions, transcripts that others make, outages.
    fn disturb(&mut self) {
        match self.rng.u8(0..18) {
            0 => drop(self.make(None, Duration::ZERO)),
            1 => self.delete_all(),
            2 if !self.recall.made.is_empty() => {
                let index = self.rng.usize(0..self.recall.made.len());
                let made = &mut self.recall.made[index];
                if made.exists_at <= self.now && !made.deleted {
                    made.delete(self.now, false);
                    let heard = Heard { transcript_id: made.id, attempt: made.attempt, foreign: false };
                    self.webhook(Event::TranscriptDeleted(heard), self.now);
                }
            }
            3 => self.recall.down_until = self.now.plus(MINUTE * self.rng.u32(1..200)),
            4 => self.deaf_until = self.now.plus(MINUTE * self.rng.u32(1..200)),
            // Somebody redrives what is a week old.
            5 if !self.mail.is_empty() => {
                let index = self.rng.usize(0..self.mail.len());
                let event = self.mail[index].event.clone();
                self.message(event, self.now.plus(7 * 24 * HOUR));
            }
            6 if !self.mail.is_empty() => {
                let index = self.rng.usize(0..self.mail.len());
                self.mail.swap_remove(index);
            }
            _ if !self.mail.is_empty() => {
                let index = self.rng.usize(0..self.mail.len());
                let Mail { event, at, to } = &self.mail[index];
                let copy = Mail { event: event.clone(), at: *at, to: *to };
                self.mail.push(copy);
            }
            _ if self.captured => {
                let event = self.done();
                self.webhook(event, self.now);
            }
            _ => {}
        }
    }

    /// A transcript comes into being at Recall, and its webhooks are under way; they can get lost altogether.
    fn make(&mut self, attempt: Option<u32>, delay: Duration) -> TranscriptId {
        let made = self.recall.make(&mut self.rng, self.now, attempt, delay);
        self.tell_of(&made);
        made.id
    }

    fn tell_of(&mut self, made: &Made) {
        let heard = Heard { transcript_id: made.id, attempt: made.attempt, foreign: false };
        let end = match made.is_good() {
            true => Event::TranscriptDone(heard),
            false => Event::TranscriptFailed { heard, sub_code: None },
        };
        let mended = made.mended_at.map(|at| (Event::TranscriptDone(heard), at));
        let told = [(Event::TranscriptProcessing(heard), made.exists_at), (end, made.done_at)];
        for (event, at) in told.into_iter().chain(mended) {
            if self.rng.u8(0..4) > 0 {
                self.webhook(event, at);
            }
        }
    }

    /// One step of one worker.
    fn work(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let mut worker = self.workers.swap_remove(index);
        worker.at = match worker.at {
            Step::Act(job, command) => {
                let answer = self.act(&command);
                Step::Decide(job, Input::Answer(answer))
            }
            Step::Decide(job, input) => match self.decide(&worker.event, worker.to, worker.skew_ms, job, input) {
                Some(next) => next,
                None => return,
            },
        };
        self.workers.push(worker);
    }

    /// Decides and saves, as `Advance::step` does, and ends as the functions do. `None`: the worker is done.
    fn decide(&mut self, event: &Event, to: To, skew_ms: i64, job: Job, input: Input) -> Option<Step> {
        let now = Timestamp::from_millis(self.now.as_millis() + skew_ms);
        let worker = to == To::Transcript;
        let context = Context { now, lease_until: now.plus(LEASE), worker, policy: &self.policy };
        let decision = match &input {
            Input::Event => job.on_event(event, context),
            Input::Answer(answer) => job.on_answer(answer, context),
        };
        let (job, next) = match decision {
            Decision::Ignore(_) => return None,
            Decision::Busy { until } => {
                self.come_again(event.clone(), to, until);
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
                // The wake-up can fail to be sent; then the row is due, and the sweep finds it.
                if at.since(self.now) <= MAX_DELAY && (self.calm || self.rng.u8(0..4) > 0) {
                    self.message(Event::WAKE, at.plus(SECOND));
                }
                if !worker {
                    self.come_again(event.clone(), to, at);
                }
                None
            }
        }
    }

    fn act(&mut self, command: &Command) -> Answer {
        let (now, calm) = (self.now, self.calm);
        match command {
            Command::Create { attempt, claim, .. } => {
                let (answer, made) = self.recall.create(&mut self.rng, now, calm, *attempt);
                if let Some(made) = made {
                    self.tell_of(&made);
                }
                Answer::Create { attempt: *attempt, claim: *claim, answer }
            }
            Command::LookUp { attempt, claim } => {
                let answer = self.recall.list(&mut self.rng, now, calm);
                Answer::LookUp { attempt: *attempt, claim: *claim, answer }
            }
            Command::Copy { transcript_id, claim, .. } => {
                let answer = self.copy(*transcript_id);
                Answer::Copy { transcript_id: *transcript_id, claim: *claim, answer }
            }
            Command::ReadRecording { claim } => {
                let finished = self.finished();
                let answer = self.recall.read(&mut self.rng, now, calm, finished);
                Answer::ReadRecording { claim: *claim, answer }
            }
            Command::List => {
                self.looked_for_room = calm;
                Answer::List(self.recall.look_for_room(&mut self.rng, now, calm))
            }
            Command::Render { claim, .. } => {
                let answer = if calm || self.rng.bool() {
                    RenderAnswer::Rendered
                } else {
                    RenderAnswer::Later { after: Duration::ZERO }
                };
                Answer::Render { claim: *claim, answer }
            }
            Command::Delete { target, verify, deletable, claim } => {
                let answer = self.delete(*target, verify, deletable);
                Answer::Delete { target: *target, claim: *claim, answer }
            }
            Command::Announce { announcements } => {
                let mut sent = Vec::new();
                for announcement in announcements {
                    self.check_the_announcement(announcement);
                    // The bus may be away, or its answer lost.
                    match if calm { 9 } else { self.rng.u8(0..10) } {
                        0 => {}
                        1 => drop(self.announced.insert(announcement.id.clone())),
                        _ => {
                            self.announced.insert(announcement.id.clone());
                            sent.push(announcement.notice);
                        }
                    }
                }
                Answer::Announce { sent }
            }
            Command::Wake => {
                let sent = calm || self.rng.u8(0..4) > 0;
                if sent {
                    self.message(Event::WAKE, now);
                }
                Answer::Wake { sent }
            }
        }
    }

    fn copy(&mut self, id: TranscriptId) -> CopyAnswer {
        if let Some(answer) = self.recall.retrieve(&mut self.rng, self.now, self.calm, id) {
            return answer;
        }
        match if self.calm { 9 } else { self.rng.u8(0..10) } {
            0 | 1 => CopyAnswer::Later { after: SECOND },
            // The manifest stands, and nobody knows.
            2 => {
                self.stored.insert(id);
                CopyAnswer::Later { after: SECOND }
            }
            _ => {
                self.stored.insert(id);
                CopyAnswer::Stored(Receipt { key: id.to_string(), stored_at: self.now, ..receipt() })
            }
        }
    }

    fn delete(&mut self, target: Target, verify: &[Receipt], deletable: &Deletable) -> DeleteAnswer {
        let there = |receipt: &Receipt| self.stored.iter().any(|id| id.to_string() == receipt.key);
        if !verify.iter().all(there) {
            return DeleteAnswer::Unverified;
        }
        let answer = match target {
            Target::Recording => self.recall.list(&mut self.rng, self.now, self.calm),
            Target::Transcript(id) if deletable.failed.contains(&id) => {
                self.recall.look_up_one(&mut self.rng, self.now, id)
            }
            Target::Transcript(_) => LookUpAnswer::Listed(Vec::new()),
        };
        let LookUpAnswer::Listed(listed) = answer else { return DeleteAnswer::Later { after: SECOND } };
        let others = deletable.in_the_way(listed);
        if !others.is_empty() {
            return DeleteAnswer::Others(others);
        }
        self.check_the_deletion(target);
        let id = match target {
            Target::Transcript(id) => Some(id),
            Target::Recording => None,
        };
        let (answer, gone) = self.recall.delete(&mut self.rng, self.now, self.calm, id);
        for id in gone {
            // What is gone is not done any more, and no webhook says so.
            let now = self.now;
            self.mail.retain(|mail| {
                mail.at <= now || !matches!(mail.event, Event::TranscriptDone(heard) if heard.transcript_id == id)
            });
            let attempt = self.recall.made.iter().find(|made| made.id == id).and_then(|made| made.attempt);
            self.webhook(Event::TranscriptDeleted(Heard { transcript_id: id, attempt, foreign: false }), self.now);
        }
        if self.recall.gone {
            self.webhook(Event::RecordingDeleted, self.now);
        }
        answer
    }
}
