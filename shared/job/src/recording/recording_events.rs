//! Events about the recording.

use crate::{Context, Decision, Hold, Job, Next, Reason, Recording, RecordingInfo, State};

impl Job {
    /// The recording is finished: starts our own attempt, unless there is one.
    pub(crate) fn on_recording_done(mut self, info: &RecordingInfo, context: Context<'_>) -> Decision {
        match self.recording {
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Unknown | Recording::Failed { .. } | Recording::Done => {}
        }
        let facts =
            |job: &Self| (job.recording.clone(), job.bot_id, job.overrides.clone(), job.expires_at, job.unknown_since);
        let before = facts(&self);
        self.update_recording(info);
        // The event has brought the metadata that the job was waiting to read.
        if info.overrides.is_some() && matches!(self.hold, Some(Hold::Unread { claim: None, .. })) {
            self.hold = None;
        }
        if !self.is_skip_requested() && self.hold == Some(Hold::Skipped) {
            self.extend_unknown_wait(context.now);
            self.hold = None;
        }
        if self.is_parked() {
            self.extend_unknown_wait(context.now);
        }
        let changed = before != facts(&self);
        match self.clone().pursue_attempt(context) {
            Decision::Ignore(_) if changed => self.apply(Next::Nothing),
            Decision::Busy { retry_at } if changed => self.apply(Next::Wait { retry_at }),
            decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => decision,
        }
    }

    /// An event says that the recording could not be captured. Unless we have requested a transcript of it, Recall is
    /// asked first: the event may be about a recording that Recall does not know.
    pub(crate) fn on_recording_failed(mut self, sub_code: Option<String>, context: Context<'_>) -> Decision {
        match self.recording {
            Recording::Unknown if self.is_failure_unconfirmed() => Decision::Ignore(Reason::AlreadyKnown),
            Recording::Unknown if self.attempts == 0 => {
                // The event starts the day again for which the job waits for an unknown recording. The hold needs no
                // change, because reading the recording replaces it.
                self.unknown_since = self.unknown_since.map(|_| context.now);
                self.read_recording(context)
            }
            Recording::Unknown => {
                self.recording = Recording::Failed { sub_code };
                self.apply(Next::Nothing)
            }
            Recording::Failed { .. } => Decision::Ignore(Reason::AlreadyKnown),
            Recording::Done => Decision::Ignore(Reason::RecordingDone),
            Recording::Deleted => Decision::Ignore(Reason::RecordingDeleted),
        }
    }

    /// Recall has deleted the recording with everything on it. If a worker holds a lease on a transcript, the event
    /// comes again after it: a copy may still succeed, and the answer to a create must find its attempt.
    pub(crate) fn on_recording_deleted(mut self, context: Context<'_>) -> Decision {
        if self.version == 0 {
            return Decision::Ignore(Reason::UnknownRecording);
        }
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::AlreadyKnown);
        }
        // Recall's own answer counts, and Recall is being asked.
        if self.is_failure_unconfirmed() {
            return Decision::Ignore(Reason::UnknownRecording);
        }
        let leases = self.transcripts.iter().filter_map(|transcript| transcript.state.leased_until(context.now));
        if let Some(retry_at) = leases.max() {
            return Decision::Busy { retry_at };
        }
        let before = self.clone();
        let never_done = self.recording == Recording::Unknown && self.attempts == 0;
        // A recording that could not be captured has nothing to lose.
        if !matches!(self.recording, Recording::Failed { .. }) {
            self.recording = Recording::Deleted;
        }
        // Nothing is lost if the recording was skipped, never done, or never known to Recall.
        let never_known = never_done || (self.is_unknown_to_recall() && !self.had_transcript_of_ours());
        self.hold = if never_known { Some(Hold::Skipped) } else { self.hold.filter(|hold| *hold == Hold::Skipped) };
        self.retry = None;
        self.deletion = None;
        self.transcripts.retain(|transcript| !matches!(transcript.state, State::Creating(_)));
        for transcript in &mut self.transcripts {
            transcript.mark_deleted();
        }
        // If the job had ended already, the deletion is not another end: the status that it has now counts as
        // announced.
        self.outbox.last_announced_end = self.outbox.last_announced_end.map(|_| self.status());
        if self == before { Decision::Ignore(Reason::AlreadyKnown) } else { self.apply(Next::Nothing) }
    }
}
