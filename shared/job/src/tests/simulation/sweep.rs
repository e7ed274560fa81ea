//! The sweep: the core says what to wake, and what Recall's lists say that the row does not know.

use std::time::Duration;

use super::{MINUTE, world::World};
use crate::{Context, Event, RecordingEntry, Role};

const SWEEP_EVERY: Duration = MINUTE.saturating_mul(5);

impl World {
    /// Wakes the job if it is due, and sends what Recall's lists say and the row does not know.
    pub(super) fn sweep(&mut self) {
        if self.now.since(self.swept_at) < SWEEP_EVERY {
            return;
        }
        self.swept_at = self.now;
        let is_due = self.row.due_at().is_some_and(|at| at <= self.now);
        if is_due && self.row.can_be_woken(self.sweeps()) {
            self.message(Event::WAKE, self.now);
        }
        if self.recall.answers(self.now) {
            for event in self.sweep_finds() {
                self.message(event, self.now);
            }
        }
    }

    pub(super) fn sweep_finds(&self) -> Vec<Event> {
        let (context, info) = (self.sweeps(), self.recording_info());
        let listed = self.recall.seen(self.now);
        let mut finds = Vec::new();
        if !self.recall.gone && !self.recall.has_failed && !self.recall.is_example {
            // Which of its transcripts Recall shows with a recording is not documented.
            let shown = usize::try_from(self.seed).unwrap_or_default().checked_rem(listed.len());
            let seen = RecordingEntry {
                is_done: true,
                done_at: info.done_at,
                expires_at: info.expires_at,
                transcript: shown.map(|index| listed[index].clone()),
            };
            finds.extend(self.row.missed_recording(&seen, || info, context));
        }
        finds.extend(listed.iter().filter_map(|seen| self.row.missed_transcript(seen, context)));
        finds
    }

    fn sweeps(&self) -> Context<'_> {
        Context { now: self.now, lease_until: self.now, role: Role::Worker, policy: &self.policy }
    }
}
