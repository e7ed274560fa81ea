//! What may happen in each state, and what must hold in all of them.

use std::{fmt, sync::Arc, time::Duration};

use stateright::{Model, Property};

use super::{
    Bounds, Budget,
    recall::{Call, End, Recall, WRONG},
    worker::{Act, Input, Mutant, Step},
    world::World,
};
use crate::{
    Answer, Command, CreateAnswer, Event, Hold, Job, LookUpAnswer, Policy,
    ids::RecordingId,
    tests::{NOW, done, policy},
};

/// How long the webhook function lives, and the longest time that any function lives.
const WEBHOOK: Duration = Duration::from_secs(14);
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

pub(super) const ONCE: &str = "no attempt takes effect twice";
pub(super) const ALONE: &str = "no attempt takes effect beside one that has not failed";
const WITHIN: &str = "no more are made than the limit allows";
const MOVING: &str = "nothing is stuck, and what was paid for is known";

#[derive(Debug)]
pub(super) struct Protocol {
    pub(super) mutant: Option<Mutant>,
    pub(super) bounds: Bounds,
    pub(super) policy: Policy,
}

/// One step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// An event is delivered to a function, which loads the row and decides.
    RecordingDone,
    Wake,
    TranscriptDone(usize),
    TranscriptFailed(usize),
    /// A worker's conditional write, its act, or its crash.
    Save(usize),
    Act(usize, Act),
    Crash(usize),
    /// A call whose caller is gone takes effect.
    Land(usize),
    /// Recall cannot make a transcript.
    Fail(usize),
    /// Time jumps to the next moment at which anything can change.
    Wait,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |worker: usize| ["A", "B"][worker];
        match *self {
            Self::RecordingDone => f.write_str("recording.done comes"),
            Self::Wake => f.write_str("a wake-up comes"),
            Self::TranscriptDone(index) => write!(f, "transcript.done comes, of {index}"),
            Self::TranscriptFailed(index) => write!(f, "transcript.failed comes, of {index}"),
            Self::Save(worker) => write!(f, "{} saves", name(worker)),
            Self::Act(worker, act) => write!(f, "{} acts: {act:?}", name(worker)),
            Self::Crash(worker) => write!(f, "{} dies", name(worker)),
            Self::Land(_) => f.write_str("a call takes effect"),
            Self::Fail(index) => write!(f, "transcript {index} fails"),
            Self::Wait => f.write_str("time passes"),
        }
    }
}

impl Protocol {
    pub(super) fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        let providers = vec!["recallai_async".to_owned()];
        let policy = Policy { providers, tries_per_provider: 3, max_transcripts: 2, announces: false, ..policy() };
        Self { mutant, bounds, policy }
    }

    /// Hands an event to a free worker. `None`: it has no effect, as if it had not been delivered.
    fn start(&self, mut world: World, event: Event) -> Option<World> {
        let again = matches!(event, Event::RecordingDone(_)) && world.row.version > 0;
        let beside = world.busy().next().is_some();
        world.left.repeats = world.left.repeats.checked_sub(u8::from(again || beside))?;
        let life = if matches!(event, Event::RecordingDone(_)) { WEBHOOK } else { LONGEST };
        let free = world.workers.iter().position(Option::is_none)?;
        let deadline = world.now.plus(life);
        let worker = self.decide(world.now, deadline, &world.row, Input::Event(event))?;
        world.workers[free] = Some(Arc::new(worker));
        Some(world)
    }

    fn acts(&self, world: &World, command: &Command, act: &mut dyn FnMut(Act)) {
        let (recall, faults) = (&world.recall, world.left.faults > 0);
        match command {
            Command::Create { attempt, .. } => {
                act(Act::Create(Call::Fine));
                let known = recall.knows(world.now, *attempt);
                let slow = (!self.bounds.flight.is_zero()).then_some([Call::Late, Call::Slow]);
                let wrong = WRONG.into_iter().chain(slow.into_iter().flatten());
                wrong.filter(|call| faults && !(known && call.needs_new_key())).map(Act::Create).for_each(act);
            }
            Command::LookUp { .. } => {
                act(Act::List);
                if recall.listed(world.now, true).len() < recall.made.len() {
                    act(Act::OldList);
                }
                if faults {
                    act(Act::NoList);
                }
            }
            Command::Copy { .. } => act(Act::Copy),
            Command::ReadRecording { .. }
            | Command::List
            | Command::Render { .. }
            | Command::FollowUp { .. }
            | Command::Delete { .. }
            | Command::Announce { .. }
            | Command::Wake => {}
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let row = Arc::new(Job::new(RecordingId::from_u128(7)));
        let recall = Recall::new(self.bounds, self.mutant != Some(Mutant::ListOnly));
        vec![World { now: NOW, row, workers: [None, None], recall, left: self.bounds.budget }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let left = world.left;
        actions.push(Action::RecordingDone);
        if world.is_in_progress() {
            actions.push(Action::Wake);
        }
        for (index, made) in world.recall.made.iter().enumerate() {
            match made.end {
                End::Open => actions.extend([Action::TranscriptDone(index), Action::Fail(index)]),
                End::Done => actions.push(Action::TranscriptDone(index)),
                End::Failed => actions.push(Action::TranscriptFailed(index)),
            }
        }
        for (index, worker) in world.workers.iter().enumerate() {
            let Some(worker) = worker else { continue };
            if left.crashes > 0 && !worker.is_fresh() {
                actions.push(Action::Crash(index));
            }
            match (&worker.step, worker.command()) {
                (Step::Save(_), _) => actions.push(Action::Save(index)),
                (Step::Act { .. } | Step::ActUnsaved(_), Some(command)) => {
                    self.acts(world, command, &mut |act| actions.push(Action::Act(index, act)));
                }
                (Step::Act { .. } | Step::ActUnsaved(_), None) => {}
            }
        }
        if self.may_land(world) {
            actions.extend((0..world.recall.flights.len()).map(Action::Land));
        }
        if self.may_pass(world) {
            actions.push(Action::Wait);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let left = &mut world.left;
        match action {
            Action::RecordingDone => return self.start(world, done()),
            Action::Wake => return self.start(world, Event::WAKE),
            Action::TranscriptDone(index) => {
                left.dones = left.dones.checked_sub(1)?;
                world.recall.made[index].end = End::Done;
                let reference = world.reference(index);
                return self.start(world, Event::TranscriptDone(reference));
            }
            Action::TranscriptFailed(index) => {
                let reference = world.reference(index);
                return self.start(world, Event::TranscriptFailed { reference, sub_code: None });
            }
            Action::Save(index) => {
                let worker = world.workers[index].take()?;
                let Step::Save(decided) = &worker.step else { return None };
                world.workers[index] = self.save(&mut world, worker.deadline, decided).map(Arc::new);
            }
            Action::Act(index, act) => {
                left.faults = left.faults.checked_sub(u8::from(act.is_fault()))?;
                let worker = world.workers[index].take()?;
                world.workers[index] = self.act(&mut world, &worker, act).map(Arc::new);
            }
            Action::Crash(index) => {
                left.crashes = left.crashes.checked_sub(1)?;
                world.workers[index] = None;
            }
            Action::Land(index) => world.recall.land(world.now, index),
            Action::Fail(index) => {
                left.failures = left.failures.checked_sub(1)?;
                world.recall.made[index].end = End::Failed;
            }
            Action::Wait => world.now = self.next_moment(&world)?,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONCE, |_, world: &World| !world.is_paid_twice()),
            Property::always(ALONE, |_, world: &World| world.unfailed() <= 1),
            Property::always(WITHIN, |protocol: &Self, world: &World| {
                world.recall.made.len() <= protocol.policy.max_transcripts as usize
            }),
            Property::always(MOVING, |protocol: &Self, world: &World| !protocol.is_stuck(world)),
            Property::sometimes("a key replays its answer", |_, world: &World| {
                let old = |id| world.recall.made.iter().any(|made| made.id == id && made.at < world.now);
                answered(world, |answer| {
                    matches!(answer, Answer::Create { answer: CreateAnswer::Created { transcript_id }, .. }
                        if old(*transcript_id))
                })
            }),
            Property::sometimes("a look-up finds what was paid for", |_, world: &World| {
                answered(world, |answer| {
                    matches!(answer, Answer::LookUp { attempt, answer: LookUpAnswer::Complete(listed), .. }
                        if listed.iter().any(|one| one.attempt == Some(*attempt)))
                })
            }),
        ];
        let Budget { dones, failures, .. } = self.bounds.budget;
        if !self.bounds.flight.is_zero() {
            properties.push(Property::sometimes("a key is still at work", |_, world: &World| {
                answered(world, |answer| matches!(answer, Answer::Create { answer: CreateAnswer::InProgress, .. }))
            }));
        }
        if dones > 0 {
            properties.push(Property::sometimes("what is done overtakes its answer", |_, world: &World| {
                let stored = world.row.transcripts.iter().any(|one| one.state.transcript_id().is_some());
                stored && answered(world, |answer| matches!(answer, Answer::Create { .. }))
            }));
        }
        if failures > 1 {
            properties.push(Property::sometimes("the limit is reached", |_, world: &World| {
                matches!(world.row.hold, Some(Hold::LimitReached { .. }))
            }));
        }
        properties
    }
}

/// Returns whether a worker has such an answer and is about to save it.
fn answered(world: &World, such: impl Fn(&Answer) -> bool) -> bool {
    world.busy().any(|worker| match &worker.step {
        Step::Save(decided) => match &decided.input {
            Input::Answer(answer) => such(answer),
            Input::Event(_) => false,
        },
        Step::Act { .. } | Step::ActUnsaved(_) => false,
    })
}
