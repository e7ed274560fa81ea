//! The loop: load → decide → save → act → record the answer.
//!
//! The saved row is the write-ahead log. No action with an effect starts before its intent is in the table. So a
//! process may die at any line here, and the same event, when it is delivered again, continues where that process
//! stopped.

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

/// How many times a decision is repeated because another writer was first.
const MAX_CONFLICTS: u32 = 8;
/// How many commands one event can lead to: a copy, an announcement, a deletion, a look-up, a create, a wake-up, and a
/// few more to be safe.
const MAX_COMMANDS: u32 = 10;

/// How the handling of an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied(Status),
    Ignored(Reason),
    /// Nothing was recorded, because another invocation works on the job. The event must be delivered again at
    /// `retry_at`.
    Busy {
        retry_at: Timestamp,
    },
    /// The event is recorded in the row, and the job needs a wake-up at `retry_at`.
    Waiting {
        retry_at: Timestamp,
    },
}

/// The table could not be read or written. Earlier saves remain valid, and the event may be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("the job could not be loaded or saved")]
pub struct AdvanceError {
    #[source]
    pub error: StoreError,
    /// When Recall deletes the recording, if that is known without the row.
    pub expires_at: Option<Timestamp>,
}

/// Carries out commands. Each function has its own implementation: the webhook leaves copies to the work queue, and the
/// transcript function makes them.
pub trait Act {
    /// Carries out one command and returns its answer. A failure is an answer as well.
    fn act(&self, command: Command) -> impl Future<Output = Answer> + Send;
}

/// The loop of one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Advance<'a> {
    pub store: &'a Store,
    pub policy: &'a Policy,
    /// Leases that this invocation takes end at this time, which is after the end of the invocation.
    pub lease_until: Timestamp,
    /// Which function this is.
    pub role: Role,
}

impl Advance<'_> {
    /// Applies the event to the job and carries out the commands that follow.
    ///
    /// # Errors
    /// [`AdvanceError`]
    pub async fn run(
        self,
        recording_id: RecordingId,
        event: &Event,
        actor: &impl Act,
    ) -> Result<Outcome, AdvanceError> {
        let expires_at = if let Event::RecordingDone(info) = event { info.expires_at } else { None };
        let loaded = self.store.load(recording_id).await;
        let job = loaded.map_err(|error| AdvanceError { error, expires_at })?;
        let mut step = self.step(job, &|job, context| job.on_event(event, context)).await?;
        for _ in 0..MAX_COMMANDS {
            let (job, command) = match step {
                Step::Act(job, command) => (job, command),
                Step::End(outcome) => return Ok(outcome),
            };
            let status = job.status();
            let answer = actor.act(command).await;
            step = match self.step(*job, &|job, context| job.on_answer(&answer, context)).await? {
                // The event was applied, although its answer changed nothing.
                Step::End(Outcome::Ignored(_)) => Step::End(Outcome::Applied(status)),
                step @ (Step::End(Outcome::Applied(_) | Outcome::Busy { .. } | Outcome::Waiting { .. })
                | Step::Act(_, _)) => step,
            };
        }
        match step {
            Step::End(outcome) => Ok(outcome),
            // The command is saved, and is due when its lease ends.
            Step::Act(_, _) => Ok(Outcome::Busy { retry_at: self.lease_until }),
        }
    }

    async fn step(
        &self,
        mut job: Job,
        decide: &(dyn Fn(Job, Context<'_>) -> Decision + Sync),
    ) -> Result<Step, AdvanceError> {
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
            match saved.map_err(|error| AdvanceError { error, expires_at: decided.expires_at })? {
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
        // Many writers work on this job at once, so this one lets the others finish.
        Ok(Step::End(Outcome::Busy { retry_at: time::now() }))
    }
}

enum Step {
    Act(Box<Job>, Command),
    End(Outcome),
}
