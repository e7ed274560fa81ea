//! One state: the row, the workers, Recall, and how much may still go wrong.

use std::{sync::Arc, time::Duration};

use super::{
    Budget,
    protocol::Protocol,
    recall::{End, Recall},
    worker::{Step, Worker},
};
use crate::{
    Command, Context, Creating, Decision, Event, Hold, Job, KEY_REUSE, Role, State, Status, Transcript, TranscriptRef,
    time::Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) row: Arc<Job>,
    pub(super) workers: [Option<Arc<Worker>>; 2],
    pub(super) recall: Recall,
    pub(super) left: Budget,
}

impl World {
    pub(super) fn busy(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().flatten().map(Arc::as_ref)
    }

    /// A create is in flight, or pending.
    pub(super) fn is_in_progress(&self) -> bool {
        self.row.transcripts.iter().any(|transcript| matches!(transcript.state, State::Creating(_)))
            || matches!(self.row.hold, Some(Hold::Wait { .. } | Hold::AllRefused { .. }))
    }

    pub(super) fn reference(&self, index: usize) -> TranscriptRef {
        let made = self.recall.made[index];
        TranscriptRef { transcript_id: made.id, attempt: Some(made.attempt), other_deployment: false }
    }

    /// How many transcripts were paid for and have not failed.
    pub(super) fn unfailed(&self) -> usize {
        self.recall.made.iter().filter(|made| made.end != End::Failed).count()
    }

    pub(super) fn is_paid_twice(&self) -> bool {
        let made = &self.recall.made;
        made.iter().enumerate().any(|(index, one)| made[..index].iter().any(|other| other.attempt == one.attempt))
    }

    /// Returns whether a call may still be made for this attempt, or be in flight.
    pub(super) fn may_be_called(&self, attempt: u32) -> bool {
        let creates = |transcript: &Transcript| {
            transcript.attempt == Some(attempt) && matches!(transcript.state, State::Creating(_))
        };
        let calls = |worker: &Worker| match worker.command() {
            Some(Command::Create { attempt: of, .. }) => *of == attempt,
            Some(_) | None => false,
        };
        attempt > self.row.attempts
            || self.row.transcripts.iter().any(creates)
            || self.busy().any(calls)
            || self.recall.flights.iter().any(|flight| flight.attempt == attempt)
    }

    fn must_land(&self) -> bool {
        self.recall.flights.iter().any(|flight| flight.latest <= self.now)
    }

    fn is_quiet(&self) -> bool {
        self.busy().next().is_none() && self.recall.flights.is_empty()
    }
}

impl Protocol {
    /// The next moment at which anything can change.
    pub(super) fn next_moment(&self, world: &World) -> Option<Timestamp> {
        let (mut moments, recall) = (Vec::with_capacity(16), &world.recall);
        // The core itself says when.
        moments.extend(world.row.due_at());
        if let Decision::Busy { retry_at } = self.wake(world) {
            moments.push(retry_at);
        }
        for transcript in &world.row.transcripts {
            if let State::Creating(Creating { first_call_at, .. }) = transcript.state {
                let over = first_call_at.plus(KEY_REUSE);
                moments.extend([over.minus(SECOND), over]);
            }
        }
        let keys = recall.keys.iter().filter(|key| world.may_be_called(key.attempt));
        moments.extend(keys.filter_map(|key| Some(key.ended.as_ref()?.0.plus(recall.bounds.key_life))));
        moments.extend(world.busy().map(|worker| worker.deadline.minus(SECOND)));
        moments.extend(recall.flights.iter().map(|flight| flight.latest));
        moments.into_iter().filter(|at| world.now < *at).min()
    }

    /// Returns whether time may pass: not past a moment that comes first, and not if nothing is pending.
    pub(super) fn may_pass(&self, world: &World) -> bool {
        let bounds = &world.recall.bounds;
        let acts_now = |worker: &Worker| !bounds.stalls || worker.deadline.minus(SECOND) <= world.now;
        let over = world.is_quiet() && !world.is_in_progress() && world.row.version > 0;
        !over && !world.must_land() && !world.busy().any(acts_now)
    }

    /// A landing is visible to a worker that asks Recall, and to the clock.
    pub(super) fn may_land(&self, world: &World) -> bool {
        let asks = |worker: &Worker| !matches!(worker.step, Step::Save(_));
        world.must_land() || self.may_pass(world) || world.busy().any(asks)
    }

    /// No worker is active, nothing is in flight, and nothing will wake the job; or it reached an end that does not
    /// know of everything paid for.
    pub(super) fn is_stuck(&self, world: &World) -> bool {
        if !world.is_quiet() || world.row.version == 0 {
            return false;
        }
        if world.is_in_progress() {
            return match self.wake(world) {
                Decision::Apply { .. } => false,
                Decision::Busy { retry_at } => retry_at <= world.now,
                Decision::Ignore(_) => world.row.due_at().is_none_or(|at| at <= world.now),
            };
        }
        let known = |id| world.row.transcripts.iter().any(|one| one.state.transcript_id() == Some(id));
        let named = match world.row.status() {
            Status::Transcribing | Status::Copying | Status::Stored | Status::Failed | Status::LimitReached => true,
            Status::Creating | Status::Waiting | Status::Skipped | Status::Lost => false,
        };
        !named || !world.recall.made.iter().all(|made| known(made.id))
    }

    fn wake(&self, world: &World) -> Decision {
        let lease_until = world.now.plus(SECOND);
        let context = Context { now: world.now, lease_until, role: Role::Worker, policy: &self.policy };
        Job::clone(&world.row).on_event(&Event::WAKE, context)
    }
}
