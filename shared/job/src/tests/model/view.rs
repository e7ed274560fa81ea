//! Which states are equal: those that nothing can distinguish from now on.
//!
//! States keep real timestamps, versions, and claims. The view compares how far away a time is, and no further back
//! than matters; and which versions and claims are equal or newer, not their numbers. So the space is finite, and a
//! path through it still reads like what happened. Every field is named, so that a new one does not compile until it is
//! here.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use super::{
    Budget,
    recall::{Flight, Key, Made, Recall},
    worker::{Decided, Input, Step, Worker},
    world::World,
};
use crate::{
    Answer, Claim, Command, CopyAnswer, Copying, CreateAnswer, Creating, Event, Hold, Job, KEY_REUSE, LIST_SETTLE,
    ListedTranscript, LookUpAnswer, Next, Recording, State, Transcript, TranscriptRef, ids::TranscriptId,
    time::Timestamp, waits::LAST_TRY_WAIT,
};

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { now: _, row, workers, recall, left } = self;
        let Budget { crashes, faults, repeats, dones, failures } = *left;
        [crashes, faults, repeats, dones, failures].hash(hasher);
        let mut view = View { world: self, numbers: Vec::with_capacity(16), seen: Vec::with_capacity(128) };
        view.job(row);
        view.recall(recall);
        // It does not matter which worker is which.
        let [one, other] = workers.each_ref().map(|worker| {
            let mut view = View { world: self, numbers: Vec::new(), seen: Vec::with_capacity(64) };
            worker.iter().for_each(|worker| view.worker(worker));
            (view.seen, view.numbers)
        });
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        view.seen.extend(first.0.into_iter().chain([-1]).chain(second.0));
        view.numbers.extend(first.1.into_iter().chain(second.1));
        let mut order = view.numbers.clone();
        order.sort_unstable();
        order.dedup();
        view.seen.hash(hasher);
        for number in view.numbers {
            order.binary_search(&number).hash(hasher);
        }
    }
}

struct View<'a> {
    world: &'a World,
    /// Versions and claims.
    numbers: Vec<u64>,
    /// Everything else.
    seen: Vec<i64>,
}

impl View<'_> {
    fn see(&mut self, values: impl IntoIterator<Item = u32>) {
        self.seen.extend(values.into_iter().map(i64::from));
    }

    fn count(&mut self, count: usize) {
        self.seen.push(i64::try_from(count).expect("few"));
    }

    /// A time in the future; all times in the past are equal.
    fn retry_at(&mut self, at: Timestamp) {
        self.seen.push((at.as_millis() - self.world.now.as_millis()).max(0));
    }

    /// A time in the past, no further back than matters.
    fn since(&mut self, at: Timestamp, most: Duration) {
        let ago = self.world.now.as_millis() - at.as_millis();
        self.seen.push(ago.min(i64::try_from(most.as_millis()).expect("hours")));
    }

    fn claim(&mut self, Claim(number): Claim) {
        self.numbers.push(number);
    }

    fn id(&mut self, id: TranscriptId) {
        let made = self.world.recall.made.iter().position(|made| made.id == id);
        self.count(made.expect("Recall made it"));
    }

    fn job(&mut self, job: &Job) {
        // This model has no bots, overrides, or expiry, no deletions or announcements, and no retries.
        let Job {
            recording_id: _,
            bot_id: _,
            recording,
            done_at: _,
            expires_at: _,
            overrides: _,
            unknown_since,
            refusals,
            retry: _,
            rendering: _,
            follow_up: _,
            rendering_stopped_at: _,
            requested_language: _,
            refused_languages: _,
            failed_at,
            attempts,
            transcripts,
            hold,
            deletion: _,
            ended_at: _,
            dismissed_at: _,
            outbox: _,
            version,
        } = job;
        self.numbers.push(*version);
        self.see([u32::from(*recording == Recording::Done), *attempts, u32::from(unknown_since.is_some())]);
        self.see([refusals.map_or(0, |refusals| refusals.rounds)]);
        // Within this time, the failure delays the last try.
        self.see([u32::from(failed_at.is_some())]);
        failed_at.iter().for_each(|at| self.since(*at, LAST_TRY_WAIT));
        match hold {
            None => self.see([0]),
            Some(Hold::Wait { retry_at, status, times, since: _ }) => {
                self.see([1, status.map_or(0, u32::from), *times]);
                self.retry_at(*retry_at);
            }
            Some(Hold::AllRefused { retry_at }) => {
                self.see([4]);
                self.retry_at(*retry_at);
            }
            Some(Hold::Unread { .. }) => unreachable!("the event says what the metadata asks for"),
            Some(Hold::LimitReached { .. }) => self.see([2]),
            Some(Hold::Skipped) => self.see([3]),
        }
        self.count(transcripts.len());
        for Transcript {
            attempt,
            provider: _,
            state,
            deleted: _,
            relisted: _,
            contradiction: _,
            keep_reason: _,
            other_deployment: _,
        } in transcripts
        {
            self.see([attempt.unwrap_or(0)]);
            self.state(state);
        }
    }

    fn state(&mut self, state: &State) {
        match state {
            // The model ends before a look-up is given up.
            State::Creating(Creating {
                first_call_at,
                last_call_at,
                calls,
                errors,
                conflicts,
                retry_at,
                claim,
                refusal,
                inconclusive_since: _,
                retry: _,
            }) => {
                self.see([0, *calls, *errors, *conflicts, u32::from(refusal.is_some()), u32::from(claim.is_some())]);
                self.since(*first_call_at, KEY_REUSE);
                self.since(*last_call_at, LIST_SETTLE);
                self.retry_at(*retry_at);
                claim.iter().for_each(|claim| self.claim(*claim));
            }
            State::Transcribing { transcript_id, check_at, checks, reported_done: _ } => {
                self.see([1, *checks]);
                self.id(*transcript_id);
                self.retry_at(*check_at);
            }
            // The model ends before a copy is given up, so the time of its first try does not matter.
            State::Copying(Copying { transcript_id, retry_at, claim, since: _, failures, .. }) => {
                self.see([2, failures.total(), u32::from(claim.is_some())]);
                self.id(*transcript_id);
                self.retry_at(*retry_at);
                claim.iter().for_each(|claim| self.claim(*claim));
            }
            State::Stored { transcript_id, receipt: _ } => {
                self.see([3]);
                self.id(*transcript_id);
            }
            State::Failed { transcript_id, sub_code: _ } => {
                self.see([4]);
                self.id(*transcript_id);
            }
            State::Refused { status, code: _ } => self.see([5, u32::from(*status)]),
            State::Lost { transcript_id } => {
                self.see([6]);
                self.id(*transcript_id);
            }
            State::Foreign { transcript_id } => {
                self.see([7]);
                self.id(*transcript_id);
            }
        }
    }

    fn recall(&mut self, recall: &Recall) {
        let Recall { bounds, keyed: _, made, keys, flights } = recall;
        self.count(made.len());
        for Made { id: _, attempt, at, end } in made {
            self.see([*attempt, *end as u32]);
            self.since(*at, bounds.lag);
        }
        for Key { attempt, ended } in keys {
            match ended {
                // A key that is forgotten, or no longer used, does not matter.
                Some((at, _)) if at.plus(bounds.key_life) <= self.world.now || !self.world.may_be_called(*attempt) => {}
                Some((at, answer)) => {
                    self.see([1, *attempt]);
                    self.since(*at, bounds.key_life);
                    self.create_answer(answer);
                }
                None => self.see([2, *attempt]),
            }
        }
        self.see([0]);
        self.count(flights.len());
        for Flight { attempt, arrived, latest } in flights {
            self.see([*attempt, u32::from(*arrived)]);
            self.retry_at(*latest);
        }
    }

    fn worker(&mut self, Worker { deadline, step }: &Worker) {
        self.retry_at(*deadline);
        match step {
            Step::Save(decided) => {
                self.see([0]);
                self.decided(decided);
            }
            Step::Act { job, command } => {
                self.see([1]);
                self.job(job);
                self.command(command);
            }
            Step::ActUnsaved(decided) => {
                self.see([2]);
                self.decided(decided);
            }
        }
    }

    fn decided(&mut self, Decided { job, next, input, answer }: &Decided) {
        self.job(job);
        match next {
            Next::Nothing => self.see([0]),
            Next::Act(command) => {
                self.see([1]);
                self.command(command);
            }
            // The row says the same.
            Next::Wait { retry_at: _ } => self.see([2]),
        }
        match input {
            Input::Event(event) => self.event(event),
            Input::Answer(answer) => {
                self.see([20]);
                self.answer(answer);
            }
        }
        answer.iter().for_each(|answer| self.answer(answer));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::RecordingDone(_) => self.see([10]),
            Event::Wake { .. } => self.see([11]),
            Event::TranscriptDone(TranscriptRef { transcript_id, attempt: _, other_deployment: _ }) => {
                self.see([12]);
                self.id(*transcript_id);
            }
            Event::TranscriptFailed {
                reference: TranscriptRef { transcript_id, attempt: _, other_deployment: _ },
                sub_code: _,
            } => {
                self.see([13]);
                self.id(*transcript_id);
            }
            Event::RecordingFailed { .. }
            | Event::RecordingDeleted
            | Event::TranscriptProcessing(_)
            | Event::TranscriptDeleted(_)
            | Event::Retry { .. }
            | Event::Render { .. }
            | Event::Dismiss { .. } => unreachable!("this model has no {}", event.name()),
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Create { attempt, provider: _, language: _, claim } => {
                self.see([0, *attempt]);
                self.claim(*claim);
            }
            Command::LookUp { attempt, claim } => {
                self.see([1, *attempt]);
                self.claim(*claim);
            }
            Command::Copy { transcript_id, attempt: _, bot_id: _, failures: _, newest_stored: _, claim } => {
                self.see([2]);
                self.id(*transcript_id);
                self.claim(*claim);
            }
            Command::Wake => self.see([3]),
            Command::ReadRecording { .. }
            | Command::List
            | Command::Render { .. }
            | Command::FollowUp { .. }
            | Command::Delete { .. }
            | Command::Announce { .. } => {
                unreachable!("this model has no {}", command.name())
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Create { attempt, claim, answer } => {
                self.see([0, *attempt]);
                self.claim(*claim);
                self.create_answer(answer);
            }
            Answer::LookUp { attempt, claim, answer: LookUpAnswer::Complete(listed) } => {
                self.see([1, *attempt]);
                self.claim(*claim);
                self.count(listed.len());
                for ListedTranscript { transcript_id, attempt: _, ended, failed: _, other_deployment: _ } in listed {
                    self.id(*transcript_id);
                    self.see([u32::from(*ended)]);
                }
            }
            Answer::LookUp { attempt, claim, answer: LookUpAnswer::Later { after: _ } } => {
                self.see([2, *attempt]);
                self.claim(*claim);
            }
            Answer::Copy { transcript_id, claim, answer: CopyAnswer::Stored(_) } => {
                self.see([3]);
                self.id(*transcript_id);
                self.claim(*claim);
            }
            Answer::LookUp { answer: LookUpAnswer::Incomplete(_) | LookUpAnswer::Operator, .. }
            | Answer::ReadRecording { .. }
            | Answer::List(_)
            | Answer::Render { .. }
            | Answer::FollowUp { .. }
            | Answer::Copy { .. }
            | Answer::Delete { .. }
            | Answer::Announce { .. }
            | Answer::Wake { .. } => {
                unreachable!("this model has no such answer")
            }
        }
    }

    fn create_answer(&mut self, answer: &CreateAnswer) {
        match answer {
            CreateAnswer::Created { transcript_id } => {
                self.see([0]);
                self.id(*transcript_id);
            }
            CreateAnswer::InProgress => self.see([1]),
            CreateAnswer::Lost => self.see([2]),
            CreateAnswer::ServerError { .. } => self.see([3]),
            CreateAnswer::Throttled { after: _ } => self.see([4]),
            CreateAnswer::Operator { status } => self.see([5, u32::from(*status)]),
            CreateAnswer::Refused { status, code: _ } => self.see([6, u32::from(*status)]),
        }
    }
}
