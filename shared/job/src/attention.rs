//! Jobs that ended without a transcript need a person's attention, until a person dismisses them.

use super::{Context, Decision, Job, Next, Reason};
use crate::time::Timestamp;

impl Job {
    /// Returns whether the job ended without a transcript, and no one has dismissed this end.
    pub fn needs_attention(&self) -> bool {
        self.ended_at.is_some() && self.dismissed_at.is_none() && self.status().is_bad_end()
    }

    /// A person has dealt with the end at this time. A later end is news.
    pub(crate) fn on_dismiss(mut self, ended_at: Timestamp, context: Context<'_>) -> Decision {
        match self.ended_at {
            _ if self.version == 0 => Decision::Ignore(Reason::UnknownRecording),
            Some(end) if end != ended_at => Decision::Ignore(Reason::Overtaken),
            Some(_) if self.needs_attention() => {
                self.dismissed_at = Some(context.now);
                self.apply(Next::Nothing)
            }
            Some(_) if self.dismissed_at.is_some() => Decision::Ignore(Reason::AlreadyKnown),
            Some(_) | None => Decision::Ignore(Reason::NotEnded),
        }
    }
}
