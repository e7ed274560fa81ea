//! The loop: load → decide → save → act → record the answer.
//!
//! The saved row is the write-ahead log. Nothing with an effect happens before the intent is in the table, so a
//! process may die at any line here and the same event, coming again, picks up where it stopped.

use crate::{
    ids::RecordingId,
    job::{Answer, Command, Context, Decision, Event, Job, Next, Policy, Reason, Status},
    store::{Saved, Store, StoreError},
    telemetry,
    time::{self, Timestamp},
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
        until: Timestamp,
    },
    /// All of it is in the row, and somebody has to look at that again then.
    Waits {
        at: Timestamp,
    },
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
    /// Whether this function copies, deletes and announces.
    pub worker: bool,
}

impl Advance<'_> {
    /// Takes the event through the core.
    ///
    /// # Errors
    /// The table could not be read or written. What was saved until then stands, and the event may come again.
    pub async fn run(self, recording_id: RecordingId, event: &Event, actor: &impl Act) -> Result<Outcome, StoreError> {
        let job = self.store.load(recording_id).await?;
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
                step @ (Step::End(Outcome::Applied(_) | Outcome::Busy { .. } | Outcome::Waits { .. })
                | Step::Act(_, _)) => step,
            };
        }
        Ok(Outcome::Busy { until: self.lease_until })
    }

    async fn step(&self, job: Job, decide: &(dyn Fn(Job, Context<'_>) -> Decision + Sync)) -> Result<Step, StoreError> {
        let mut job = job;
        for _ in 0..MAX_CONFLICTS {
            let before = Alarms::of(&job);
            let context =
                Context { now: time::now(), lease_until: self.lease_until, worker: self.worker, policy: self.policy };
            let (decided, next) = match decide(job, context) {
                Decision::Ignore(reason) => return Ok(Step::End(Outcome::Ignored(reason))),
                Decision::Busy { until } => return Ok(Step::End(Outcome::Busy { until })),
                Decision::Apply { job, next } => (job, next),
            };
            match self.store.save(&decided).await? {
                Saved::Yes => {
                    Alarms::of(&decided).raise(before, &decided);
                    return Ok(match next {
                        Next::Nothing => Step::End(Outcome::Applied(decided.status())),
                        Next::Again { at } => Step::End(Outcome::Waits { at }),
                        Next::Act(command) => Step::Act(decided, command),
                    });
                }
                Saved::Conflict(theirs) => job = *theirs,
            }
        }
        // So many writers at once are working on it already.
        Ok(Step::End(Outcome::Busy { until: time::now() }))
    }
}

/// What somebody has to be told of when it first appears in a row.
#[derive(Clone, Copy, Debug)]
struct Alarms {
    paid_twice: bool,
    expiring: bool,
    /// How many bad ends the job came to.
    ends: u32,
    /// How many wished languages were refused.
    refused_languages: usize,
}

impl Alarms {
    fn of(job: &Job) -> Self {
        Self {
            paid_twice: job.paid_twice(),
            expiring: job.outbox.expiring,
            ends: job.outbox.ends,
            refused_languages: job.refused_languages.len(),
        }
    }

    fn raise(self, before: Self, job: &Job) {
        let (recording_id, status) = (job.recording_id, job.status().as_str());
        if self.paid_twice && !before.paid_twice {
            tracing::error!(recording.id = %recording_id, "attempt.paid_twice");
            telemetry::count("AttemptsPaidTwice", &[]);
        }
        if self.expiring && !before.expiring {
            let expires_at = job.expires_at.map(Timestamp::rfc3339).unwrap_or_default();
            tracing::error!(recording.id = %recording_id, job.status = status, expires_at, "recording.expiring");
            telemetry::count("RecordingsExpiring", &[]);
        }
        if self.refused_languages > before.refused_languages {
            tracing::warn!(recording.id = %recording_id, key = "transcript_language", "wish.ignored");
        }
        if self.ends > before.ends {
            tracing::error!(recording.id = %recording_id, job.status = status, "job.ended_without_transcript");
            telemetry::count("JobsFailed", &[("status", status)]);
        }
    }
}

enum Step {
    Act(Box<Job>, Command),
    End(Outcome),
}
