//! The loop: load → decide → save → act → record the answer.
//!
//! The saved row is the write-ahead log. Nothing with an effect happens before the intent is in the table, so a
//! process may die at any line here and the same event, coming again, picks up where it stopped.

mod changes;

use job::{
    Answer, Command, Context, Decision, Event, Job, Next, Policy, Reason, Role, Status, ids::RecordingId,
    time::Timestamp,
};

use self::changes::Snapshot;
use crate::{
    store::{Saved, Store, StoreError},
    time,
};

/// How often a decision is made again because somebody else wrote first.
const MAX_CONFLICTS: u32 = 8;
/// How many commands one event can lead to: a copy, an announcement, a deletion, a look-up, a create, a wake-up, with
/// room to spare.
const MAX_COMMANDS: u32 = 10;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied(Status),
    Ignored(Reason),
    /// Nothing was recorded, because somebody else is at it; the event has to come again then.
    Busy {
        retry_at: Timestamp,
    },
    /// All of it is in the row, and somebody has to look at that again then.
    Waiting {
        retry_at: Timestamp,
    },
}

/// The table could not be read or written. What was saved until then stands, and the event may come again.
#[derive(Debug, thiserror::Error)]
#[error("the job was not loaded or not saved")]
pub struct NotSaved {
    #[source]
    pub error: StoreError,
    /// When Recall deletes the recording, as far as that is known without the row.
    pub expires_at: Option<Timestamp>,
}

/// Carries out commands. Each function does it in its own way: the webhook hands copies over, the transcript function
/// makes them.
pub trait Act {
    /// Carries out one command and brings its answer. It never fails: what went wrong is an answer, too.
    fn act(&self, command: Command) -> impl Future<Output = Answer> + Send;
}

/// What `advance` works with during one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Advance<'a> {
    pub store: &'a Store,
    pub policy: &'a Policy,
    /// Leases taken now end here: later than this invocation can live.
    pub lease_until: Timestamp,
    /// Which function this is.
    pub role: Role,
}

impl Advance<'_> {
    /// Takes the event through the core.
    ///
    /// # Errors
    /// [`NotSaved`]
    pub async fn run(self, recording_id: RecordingId, event: &Event, actor: &impl Act) -> Result<Outcome, NotSaved> {
        let expires_at = if let Event::RecordingDone(info) = event { info.expires_at } else { None };
        let loaded = self.store.load(recording_id).await;
        let job = loaded.map_err(|error| NotSaved { error, expires_at })?;
        let mut step = self.step(job, &|job, context| job.on_event(event, context)).await?;
        for _ in 0..MAX_COMMANDS {
            let (job, command) = match step {
                Step::Act(job, command) => (job, command),
                Step::End(outcome) => return Ok(outcome),
            };
            let status = job.status();
            let answer = actor.act(command).await;
            step = match self.step(*job, &|job, context| job.on_answer(&answer, context)).await? {
                // The event was applied, even though the answer told nothing new.
                Step::End(Outcome::Ignored(_)) => Step::End(Outcome::Applied(status)),
                step @ (Step::End(Outcome::Applied(_) | Outcome::Busy { .. } | Outcome::Waiting { .. })
                | Step::Act(_, _)) => step,
            };
        }
        Ok(Outcome::Busy { retry_at: self.lease_until })
    }

    async fn step(&self, job: Job, decide: &(dyn Fn(Job, Context<'_>) -> Decision + Sync)) -> Result<Step, NotSaved> {
        let mut job = job;
        for _ in 0..MAX_CONFLICTS {
            let before = Snapshot::of(&job);
            let context =
                Context { now: time::now(), lease_until: self.lease_until, role: self.role, policy: self.policy };
            let (decided, next) = match decide(job, context) {
                Decision::Ignore(reason) => return Ok(Step::End(Outcome::Ignored(reason))),
                Decision::Busy { retry_at } => return Ok(Step::End(Outcome::Busy { retry_at })),
                Decision::Apply { job, next } => (job, next),
            };
            let saved = self.store.save(&decided).await;
            match saved.map_err(|error| NotSaved { error, expires_at: decided.expires_at })? {
                Saved::Yes => {
                    changes::record(&before, &decided);
                    return Ok(match next {
                        Next::Nothing => Step::End(Outcome::Applied(decided.status())),
                        Next::Wait { retry_at } => Step::End(Outcome::Waiting { retry_at }),
                        Next::Act(command) => Step::Act(decided, command),
                    });
                }
                Saved::Conflict(theirs) => job = *theirs,
            }
        }
        // So many writers at once are working on it already.
        Ok(Step::End(Outcome::Busy { retry_at: time::now() }))
    }
}

enum Step {
    Act(Box<Job>, Command),
    End(Outcome),
}
