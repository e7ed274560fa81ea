//! Raises the alarm about recordings that Recall deletes soon and that are not stored.
//!
//! A job raises the alarm once, when a function works on it. The sweep raises it in every run, because the job may not
//! be worked on: the transcript function may be broken, or the queue full.

use job::{Context, Job, Recording, Status, ids::RecordingId, time::Timestamp};
use pipeline::{logs, metrics};

/// How many recordings one run names in the log. It names those that expire first, and counts all of them.
const MAX_NAMED: usize = 20;

/// A recording that expires soon and of which nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiring {
    recording_id: RecordingId,
    status: Status,
    expires_at: Timestamp,
}

impl Expiring {
    /// Returns the alarm for this job, if it needs one.
    pub(crate) fn of(job: &Job, context: Context<'_>) -> Option<Self> {
        let soon = context.now.plus(context.policy.expiry_alarm);
        let expires_at = job.expires_at.filter(|expires_at| *expires_at <= soon)?;
        let status = job.status();
        let at_stake = status.is_at_stake() && job.recording != Recording::Deleted;
        at_stake.then_some(Self { recording_id: job.recording_id, status, expires_at })
    }
}

/// Logs and counts the recordings.
pub(crate) fn raise_alarm(mut all: Vec<Expiring>) {
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|expiring| expiring.expires_at);
    for Expiring { recording_id, status, expires_at } in all.iter().take(MAX_NAMED) {
        let (status, expires_at) = (status.as_str(), expires_at.rfc3339());
        tracing::error!(message = logs::EXPIRY_NOTICED, recording.id = %recording_id, job.status = status, expires_at);
    }
    metrics::RECORDINGS_EXPIRING.record(u64::try_from(all.len()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use job::{Hold, Policy, State, Transcript};

    use super::*;
    use crate::wake::tests::{NOW, policy, transcribing};

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn expiring(job: &Job) -> bool {
        // This policy raises the alarm an hour before the expiry.
        let policy: Policy = policy();
        Expiring::of(job, Context { now: NOW, lease_until: NOW, role: job::Role::Worker, policy: &policy }).is_some()
    }

    #[test]
    fn alarm_is_raised_for_recordings_that_expire_soon_and_are_not_stored() {
        let ends = |expires_at| Job { expires_at, ..transcribing(NOW) };
        let second = Duration::from_secs(1);
        assert!(expiring(&ends(Some(NOW.plus(HOUR)))));
        assert!(expiring(&ends(Some(NOW.minus(HOUR)))), "the recording may still exist");
        assert!(!expiring(&ends(Some(NOW.plus(HOUR).plus(second)))));
        assert!(!expiring(&ends(None)));
        // The sweep raises the alarm in every run, even if the job has announced the expiry.
        let mut announced = ends(Some(NOW));
        announced.outbox.expiry_announced = true;
        assert!(expiring(&announced));
        // These jobs have nothing left to lose.
        let skipped = Job { transcripts: Vec::new(), hold: Some(Hold::Skipped), ..ends(Some(NOW)) };
        assert!(!expiring(&skipped));
        let lost = |transcript: Transcript| Transcript {
            state: State::Lost { transcript_id: transcript.state.transcript_id().expect("a transcript id") },
            ..transcript
        };
        let lost = Job {
            transcripts: ends(None).transcripts.into_iter().map(lost).collect(),
            recording: Recording::Deleted,
            ..ends(Some(NOW))
        };
        assert!(!expiring(&lost), "{lost:?}");
        let failed = State::Refused { status: 400, code: None };
        let failed = Transcript::new(Some(1), None, failed);
        let gone = Job { transcripts: vec![failed], recording: Recording::Deleted, ..ends(Some(NOW)) };
        assert_eq!((gone.status(), expiring(&gone)), (Status::Failed, false));
    }
}
