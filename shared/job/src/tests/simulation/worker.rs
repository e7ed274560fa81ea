//! The workers: each decides, saves and acts as `Advance` and the functions do, and can die between any two steps.

use std::time::Duration;

use super::{SECOND, mail::To, world::World};
use crate::{
    Answer, Command, Context, Copying, Creating, Decision, Event, Hold, Job, LookUpAnswer, Next, Role, State,
    time::Timestamp,
};

const INVOCATION: Duration = Duration::from_secs(15);
/// Two seconds longer than the invocation; clock skew may take one of them.
const LEASE: Duration = Duration::from_secs(17);
/// The longest delay of a message.
const MAX_DELAY: Duration = Duration::from_secs(15 * 60);

pub(super) struct Worker {
    event: Event,
    to: To,
    deadline: Timestamp,
    /// How far its clock is off, in milliseconds.
    skew_ms: i64,
    at: Step,
}

enum Step {
    /// The worker has loaded this row, and decides about its event or its answer.
    Decide(Job, Input),
    /// The worker has saved, and is about to act.
    Act(Job, Command),
}

enum Input {
    Event,
    Answer(Box<Answer>),
}

impl Worker {
    pub(super) fn new(event: Event, to: To, now: Timestamp, skew_ms: i64, row: Job) -> Self {
        Self { event, to, deadline: now.plus(INVOCATION), skew_ms, at: Step::Decide(row, Input::Event) }
    }

    /// What the worker is about to do, under a lease.
    pub(super) fn command(&self) -> Option<&Command> {
        match &self.at {
            Step::Act(_, command) => Some(command),
            Step::Decide(_, _) => None,
        }
    }
}

impl World {
    /// Workers that are past their deadline die, and their events are delivered again.
    pub(super) fn end_overdue_workers(&mut self) {
        let now = self.now;
        let (over, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.workers).into_iter().partition(|worker| worker.deadline <= now);
        self.workers = alive;
        for Worker { event, to, .. } in over {
            self.come_again(event, to, self.now.plus(5 * SECOND));
        }
    }

    pub(super) fn crash(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let Worker { event, to, .. } = self.workers.swap_remove(index);
        self.come_again(event, to, self.now.plus(30 * SECOND));
    }

    /// One step of one worker.
    pub(super) fn work(&mut self) {
        let index = self.rng.usize(0..self.workers.len());
        let mut worker = self.workers.swap_remove(index);
        worker.at = match worker.at {
            Step::Act(job, command) => {
                let answer = self.act(&command);
                Step::Decide(job, Input::Answer(Box::new(answer)))
            }
            Step::Decide(job, input) => match self.decide(&worker.event, worker.to, worker.skew_ms, job, input) {
                Some(next) => next,
                None => return,
            },
        };
        self.workers.push(worker);
    }

    /// Decides and saves, as `Advance::step` does, and ends as the functions do. `None`: the worker is finished.
    fn decide(&mut self, event: &Event, to: To, skew_ms: i64, job: Job, input: Input) -> Option<Step> {
        let now = Timestamp::from_millis(self.now.as_millis() + skew_ms);
        let role = if matches!(to, To::Transcript { .. }) { Role::Worker } else { Role::Webhook };
        let context = Context { now, lease_until: now.plus(LEASE), role, policy: &self.policy };
        let leases = leases(&job);
        let decision = match &input {
            Input::Event => job.on_event(event, context),
            Input::Answer(answer) => job.on_answer(answer, context),
        };
        let (job, next) = match decision {
            Decision::Ignore(_) => return None,
            Decision::Busy { retry_at } => {
                let not_sent = matches!(&input, Input::Answer(answer) if **answer == Answer::Wake { sent: false });
                let seed = self.seed;
                // A wait of ours must not count towards the maximum number of receives.
                assert!(not_sent || leases.contains(&retry_at), "seed {seed}: busy without a lease: {:#?}", self.row);
                self.come_again(event.clone(), to, retry_at);
                return None;
            }
            Decision::Apply { job, next } => (*job, next),
        };
        if self.row.version + 1 != job.version {
            return Some(Step::Decide(self.row.clone(), input));
        }
        self.check_the_save(&job);
        self.check_the_retry(&job, matches!((event, &input), (Event::Retry { .. }, Input::Event)));
        if let (Event::Retry { after_attempt, .. }, Input::Event) = (event, &input) {
            self.retried.insert(*after_attempt);
        }
        self.told_failed |= matches!((event, &input), (Event::RecordingFailed { .. }, Input::Event));
        let listed = self.recall.listed(self.now);
        self.looked_for_room = self.calm
            && matches!(&input, Input::Answer(answer) if **answer == Answer::List(LookUpAnswer::Complete(listed)));
        self.row = job.clone();
        match next {
            Next::Nothing => None,
            Next::Act(command) => {
                self.check_the_lease(&command);
                Some(Step::Act(job, command))
            }
            Next::Wait { retry_at: at } => {
                self.wait(event, to, at);
                None
            }
        }
    }

    /// A wake-up replaces the waiting event. If it cannot be sent, the message is delivered again by itself.
    fn wait(&mut self, event: &Event, to: To, at: Timestamp) {
        let is_near = at.since(self.now) <= MAX_DELAY;
        let sent = self.calm || self.rng.u8(0..4) > 0;
        if is_near && sent {
            self.message(Event::WAKE, at.plus(SECOND));
        }
        match to {
            To::Webhook { .. } => self.come_again(event.clone(), to, at),
            To::Transcript { .. } if is_near && !sent => self.come_again(event.clone(), to, at),
            To::Transcript { .. } => {}
        }
    }
}

/// Returns the ends of the leases on this job.
fn leases(job: &Job) -> Vec<Timestamp> {
    let of_transcripts = job.transcripts.iter().filter_map(|one| match &one.state {
        State::Creating(Creating { retry_at, claim: Some(_), .. })
        | State::Copying(Copying { retry_at, claim: Some(_), .. }) => Some(*retry_at),
        State::Creating(_)
        | State::Copying(_)
        | State::Transcribing { .. }
        | State::Stored { .. }
        | State::Failed { .. }
        | State::Refused { .. }
        | State::Lost { .. }
        | State::Foreign { .. } => None,
    });
    let hold = match job.hold {
        Some(Hold::Unread { retry_at, claim: Some(_), .. }) => Some(retry_at),
        Some(
            Hold::Unread { .. }
            | Hold::Wait { .. }
            | Hold::AllRefused { .. }
            | Hold::LimitReached { .. }
            | Hold::Skipped,
        )
        | None => None,
    };
    let deletion = job.deletion.filter(|one| one.claim.is_some()).map(|one| one.retry_at);
    let rendering = job.rendering.filter(|one| one.claim.is_some()).map(|one| one.retry_at);
    let follow_up = job.follow_up.filter(|one| one.claim.is_some()).map(|one| one.retry_at);
    of_transcripts.chain(hold).chain(deletion).chain(rendering).chain(follow_up).collect()
}
