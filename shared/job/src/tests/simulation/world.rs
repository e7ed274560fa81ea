//! One recording's world, and how its time passes.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;

use super::{HOUR, MINUTE, SECOND, mail::Mail, recall::Recall, worker::Worker};
use crate::{
    DeleteAfterStore, Event, Hold, Job, OnLimit, Overrides, Policy, RecordingInfo, Status,
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};

/// Steps with faults; afterwards everything works, and the job must come to an end.
const FAULTY_STEPS: usize = 60;
const STEPS: usize = 20_000;

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
    /// The requested retries, by the newest attempt that the person knew of.
    pub(super) retried: BTreeSet<u32>,
    /// Since everything works, the last step of a parked job was to look for room at Recall in its present state.
    pub(super) looked_for_room: bool,
    /// Our endpoint does not answer before this.
    pub(super) deaf_until: Timestamp,
    /// Recall has no webhook endpoint at all: only the sweep finds the recording.
    pub(super) no_webhooks: bool,
    pub(super) mail: Vec<Mail>,
    pub(super) workers: Vec<Worker>,
    pub(super) swept_at: Timestamp,
    pub(super) overrides: Overrides,
    done_at: Timestamp,
    /// When Recall deletes the recording, if it ever does.
    expires_at: Option<Timestamp>,
    /// An event said that the recording has failed, and the row was saved.
    pub(super) told_failed: bool,
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
            has_knowledge: rng.bool(),
            expiry_alarm: 24 * HOUR,
        };
        let overrides = Overrides { skip: rng.u8(0..20) == 0, ..Overrides::default() };
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
            retried: BTreeSet::new(),
            looked_for_room: false,
            deaf_until: now,
            no_webhooks: false,
            mail: Vec::new(),
            workers: Vec::new(),
            swept_at: now,
            overrides,
            done_at: now,
            expires_at,
            told_failed: false,
        };
        world.no_webhooks = world.rng.u8(0..20) == 0;
        // A little more than the sender's whole retry schedule.
        if world.rng.u8(0..20) == 0 {
            world.deaf_until = now.plus(28 * HOUR);
        }
        if world.rng.u8(0..20) == 0 {
            world.recall.is_example = true;
            world.send_example();
            return world;
        }
        for _ in 0..[0, 0, 0, 1, 2, 10][world.rng.usize(0..6)] {
            world.make(None, Duration::ZERO);
        }
        match world.rng.u8(0..20) {
            0 => {
                world.recall.has_failed = true;
                world.webhook(Event::RecordingFailed { sub_code: None }, now);
            }
            _ => {
                let done = world.done();
                world.webhook(done, now);
            }
        }
        world
    }

    /// What Recall says about the recording when it is retrieved or listed.
    pub(super) fn recording_info(&self) -> RecordingInfo {
        let (overrides, done_at) = (Some(self.overrides.clone()), Some(self.done_at));
        RecordingInfo { overrides, done_at, expires_at: self.expires_at, ..RecordingInfo::default() }
    }

    /// A webhook carries no expiry, and some carry no bot and so not all of the metadata.
    pub(super) fn done(&mut self) -> Event {
        let overrides = (self.rng.u8(0..4) > 0).then(|| self.overrides.clone());
        Event::RecordingDone(RecordingInfo { overrides, ..RecordingInfo::default() })
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

    /// Returns whether nothing is due or in flight, and the sweep would find nothing new.
    fn nothing_to_come(&self) -> bool {
        let waits = self.row.due_at().is_some() && !self.only_waits();
        !waits && self.mail.is_empty() && self.swept_at > self.recall_settled_at() && self.sweep_finds().is_empty()
    }

    /// Returns whether only the alarm about the expiry is pending, or the daily look for room after one that found
    /// none.
    fn only_waits(&self) -> bool {
        let mut without = self.row.clone();
        let mut left: Vec<Timestamp> = without.outbox.expiry_alarm_at.take().into_iter().collect();
        if let Some(Hold::LimitReached { retry_at: Some(retry_at) }) = without.hold
            && self.looked_for_room
        {
            without.hold = None;
            left.push(retry_at);
        }
        without.due_at().is_none() && left.iter().all(|at| self.now < *at)
    }

    fn recall_settled_at(&self) -> Timestamp {
        let last = self.recall.made.iter().map(|made| made.recovered_at.unwrap_or(made.done_at)).max();
        last.unwrap_or_default().plus(2 * MINUTE).max(self.recall.down_until).max(self.recall.foreign_until)
    }

    fn pass_time(&mut self) {
        let waits = self.mail.iter().map(|mail| mail.at).chain(self.row.due_at()).min();
        let jump = match (self.rng.u8(0..4), waits) {
            (0, Some(at)) | (_, Some(at)) if self.calm && self.workers.is_empty() => at.since(self.now).max(MINUTE),
            (0, Some(at)) => at.since(self.now),
            (1, _) => MINUTE * self.rng.u32(1..90),
            // Work that has stalled for this long does not stop the clock.
            (2, _) if !self.calm && self.rng.u8(0..8) == 0 => HOUR * self.rng.u32(1..40),
            (_, _) => SECOND * self.rng.u32(0..20),
        };
        self.now = self.now.plus(jump);
        if self.expires_at.is_some_and(|at| at <= self.now) {
            self.delete_all();
        }
    }
}
