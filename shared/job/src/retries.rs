//! Retries that a person requests: one more attempt, whatever state the job has ended in.

use serde::{Deserialize, Serialize};

use super::{Context, Decision, Deletion, Hold, Job, Next, Reason, Recording};
use crate::time::Timestamp;

/// Another attempt that a person requested, whatever state the job had ended in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// This provider of the chain comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl Job {
    /// A person requests one new attempt. `after_attempt` is the newest attempt that the sender knew of, so a message
    /// that is delivered twice pays once.
    pub(crate) fn on_retry(mut self, provider: Option<&str>, after_attempt: u32, context: Context<'_>) -> Decision {
        match self.recording {
            _ if self.version == 0 => return Decision::Ignore(Reason::UnknownRecording),
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Failed { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            // Recall has to say first whether the recording has failed.
            Recording::Unknown if self.is_failure_unconfirmed() => return Decision::Ignore(Reason::AlreadyRequested),
            Recording::Unknown | Recording::Done => {}
        }
        if after_attempt < self.attempts {
            return Decision::Ignore(Reason::Overtaken);
        }
        let in_progress = self.transcripts.iter().any(|one| one.attempt.is_some() && one.state.is_in_progress());
        if in_progress || self.retry.is_some() {
            return Decision::Ignore(Reason::AlreadyRequested);
        }
        if provider.is_some_and(|name| !context.policy.providers.iter().any(|known| known == name)) {
            return Decision::Ignore(Reason::UnknownProvider);
        }
        if let Some(Hold::Unread { retry_at, claim: Some(_), .. }) = self.hold
            && context.now < retry_at
        {
            return Decision::Busy { retry_at };
        }
        // The recording may be what is being deleted, and then another transcript would be paid for in vain.
        if let Some(retry_at) =
            self.deletion.as_ref().and_then(|deletion| Deletion::leased_until(deletion, context.now))
        {
            return Decision::Busy { retry_at };
        }
        self.retry = Some(Retry { provider: provider.map(str::to_owned) });
        self.hold = None;
        self.pursue_attempt(context)
    }

    /// Resumes a requested retry when nothing is left that it waits for.
    pub(crate) fn resume_retry(&mut self, now: Timestamp) -> Option<Next> {
        let is_gone = matches!(self.recording, Recording::Deleted | Recording::Failed { .. });
        let waits = self.hold.is_some() || self.is_creating() || self.deletion.is_some();
        (self.retry.is_some() && !is_gone && !waits).then(|| self.schedule_attempt(now))
    }
}
