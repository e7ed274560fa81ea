//! One invocation around the real decision functions: what `advance.rs` does, in the steps between which anything
//! else may happen.

use std::{sync::Arc, time::Duration};

use super::{protocol::Protocol, recall::Call, world::World};
use crate::{
    Answer, Command, Context, CopyAnswer, CreateAnswer, Decision, Event, Job, LookUpAnswer, Next, Role, tests::receipt,
    time::Timestamp,
};

/// A lease lasts this much longer than its invocation.
const SKEW: Duration = Duration::from_secs(2);

/// What the harness does differently from the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Leases end at once.
    NoLease,
    /// The call is made before its claim is saved.
    CallFirst,
    /// A look-up does not call Recall, and finds nothing.
    KeyOnly,
    /// No key reaches Recall.
    ListOnly,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worker {
    /// The worker acts before this time, or never.
    pub(super) deadline: Timestamp,
    pub(super) step: Step,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The worker has decided, and is about to save.
    Save(Decided),
    /// The worker has saved this job, and is about to act.
    Act { job: Arc<Job>, command: Command },
    /// Only for a mutant: it has decided, is about to act, and saves afterwards.
    ActUnsaved(Decided),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) job: Arc<Job>,
    pub(super) next: Next,
    /// What the decision is about, in case another worker has written first.
    pub(super) input: Input,
    /// The answer that a mutant got before it saved.
    pub(super) answer: Option<Answer>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    Event(Event),
    Answer(Answer),
}

/// How an act ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Create(Call),
    List,
    /// The list lags.
    OldList,
    NoList,
    Copy,
}

impl Act {
    pub(super) fn is_fault(self) -> bool {
        match self {
            Self::NoList => true,
            Self::Create(call) => call != Call::Fine,
            Self::List | Self::OldList | Self::Copy => false,
        }
    }
}

impl Worker {
    /// What the worker is about to do, now or after its save.
    pub(super) fn command(&self) -> Option<&Command> {
        match &self.step {
            Step::Act { command, .. } => Some(command),
            Step::Save(decided) | Step::ActUnsaved(decided) => match &decided.next {
                Next::Act(command) => Some(command),
                Next::Nothing | Next::Wait { .. } => None,
            },
        }
    }

    /// Nothing that the worker has done so far has a visible effect.
    pub(super) fn is_fresh(&self) -> bool {
        match &self.step {
            Step::Save(decided) => matches!(decided.input, Input::Event(_)) && decided.answer.is_none(),
            Step::ActUnsaved(_) => true,
            Step::Act { .. } => false,
        }
    }
}

impl Protocol {
    /// The worker's next step for this row; `None` if it is finished.
    pub(super) fn decide(&self, now: Timestamp, deadline: Timestamp, job: &Job, input: Input) -> Option<Worker> {
        let lease_until = if self.mutant == Some(Mutant::NoLease) { now } else { deadline.plus(SKEW) };
        let context = Context { now, lease_until, role: Role::Worker, policy: &self.policy };
        let decision = match &input {
            Input::Event(event) => job.clone().on_event(event, context),
            Input::Answer(answer) => job.clone().on_answer(answer, context),
        };
        let (job, next) = match decision {
            Decision::Ignore(_) | Decision::Busy { .. } => return None,
            Decision::Apply { job, next } => (Arc::from(job), next),
        };
        let unsaved = self.mutant == Some(Mutant::CallFirst) && matches!(next, Next::Act(Command::Create { .. }));
        let decided = Decided { job, next, input, answer: None };
        let step = if unsaved { Step::ActUnsaved(decided) } else { Step::Save(decided) };
        Some(Worker { deadline, step })
    }

    /// The conditional write, and what follows from it.
    pub(super) fn save(&self, world: &mut World, deadline: Timestamp, decided: &Decided) -> Option<Worker> {
        let Decided { job, next, input, answer } = decided;
        if world.row.version + 1 != job.version {
            return self.decide(world.now, deadline, &world.row, input.clone());
        }
        world.row = Arc::clone(job);
        match (next, answer) {
            (Next::Act(_), Some(answer)) => self.decide(world.now, deadline, job, Input::Answer(answer.clone())),
            // That wake-up is delivered like every other: when the row is due.
            (Next::Nothing | Next::Wait { .. } | Next::Act(Command::Wake), _) => None,
            (Next::Act(command), None) => {
                let step = Step::Act { job: Arc::clone(job), command: command.clone() };
                Some(Worker { deadline, step })
            }
        }
    }

    /// The act, and the worker's decision about the answer.
    pub(super) fn act(&self, world: &mut World, worker: &Worker, act: Act) -> Option<Worker> {
        let (deadline, command) = (worker.deadline, worker.command()?);
        match &worker.step {
            Step::Save(_) => None,
            Step::Act { job, .. } => {
                let answer = self.answer(world, command, act);
                self.decide(world.now, deadline, job, Input::Answer(answer))
            }
            Step::ActUnsaved(decided) => {
                let answer = Some(self.answer(world, command, act));
                Some(Worker { deadline, step: Step::Save(Decided { answer, ..decided.clone() }) })
            }
        }
    }

    fn answer(&self, world: &mut World, command: &Command, act: Act) -> Answer {
        let now = world.now;
        match command {
            Command::Create { attempt, claim, .. } => {
                let answer = match act {
                    Act::Create(call) => world.recall.create(now, *attempt, call),
                    Act::List | Act::OldList | Act::NoList | Act::Copy => CreateAnswer::Lost,
                };
                Answer::Create { attempt: *attempt, claim: *claim, answer }
            }
            Command::LookUp { attempt, claim } => {
                let answer = match act {
                    _ if self.mutant == Some(Mutant::KeyOnly) => LookUpAnswer::Complete(Vec::new()),
                    Act::List => LookUpAnswer::Complete(world.recall.listed(now, false)),
                    Act::OldList => LookUpAnswer::Complete(world.recall.listed(now, true)),
                    Act::NoList | Act::Create(_) | Act::Copy => LookUpAnswer::Later { after: Duration::from_secs(30) },
                };
                Answer::LookUp { attempt: *attempt, claim: *claim, answer }
            }
            Command::Copy { transcript_id, claim, .. } => {
                let answer = CopyAnswer::Stored(receipt());
                Answer::Copy { transcript_id: *transcript_id, claim: *claim, answer }
            }
            Command::ReadRecording { .. }
            | Command::List
            | Command::Render { .. }
            | Command::FollowUp { .. }
            | Command::Delete { .. }
            | Command::Announce { .. }
            | Command::Wake => {
                unreachable!("this model has no {}", command.name())
            }
        }
    }
}
