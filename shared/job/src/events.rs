//! What a webhook or a wake-up does to a job.

use serde::{Deserialize, Serialize};

use super::{Context, Copying, Decision, Hold, Job, Next, Overrides, Reason, Recording, State, TRANSCRIBING_CHECK};
use crate::{
    ids::{BotId, TranscriptId},
    time::Timestamp,
};

/// What a delivery or a message says about one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    #[serde(rename = "recording.done")]
    RecordingDone(RecordingInfo),
    #[serde(rename = "recording.failed")]
    RecordingFailed { sub_code: Option<String> },
    #[serde(rename = "recording.deleted")]
    RecordingDeleted,
    #[serde(rename = "transcript.processing")]
    TranscriptProcessing(TranscriptRef),
    #[serde(rename = "transcript.done")]
    TranscriptDone(TranscriptRef),
    #[serde(rename = "transcript.failed")]
    TranscriptFailed {
        #[serde(flatten)]
        reference: TranscriptRef,
        sub_code: Option<String>,
    },
    #[serde(rename = "transcript.deleted")]
    TranscriptDeleted(TranscriptRef),
    /// The job is due, as far as the sender knows. `now`: what waits is due as well; leases stand.
    #[serde(rename = "wake")]
    Wake {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        now: bool,
    },
    /// A person asks for one more attempt, after this newest one that they knew of.
    #[serde(rename = "retry")]
    Retry {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        after_attempt: u32,
    },
    /// The readable files are to be made again from what is in S3; without a transcript, those of all that are stored.
    #[serde(rename = "render")]
    Render {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript_id: Option<TranscriptId>,
    },
}

/// What is known of a recording that is done. What is missing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingInfo {
    #[serde(default)]
    pub bot_id: Option<BotId>,
    /// `None`: the metadata was not, or not wholly, read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// The transcript that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptRef {
    pub transcript_id: TranscriptId,
    /// From our own metadata, where the transcript carries it for this very recording.
    pub attempt: Option<u32>,
    /// Another deployment of this product asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_deployment: bool,
}

/// No recording has that many attempts: a number above it is not one of ours.
const MAX_ATTEMPT: u32 = 1_000_000;

impl TranscriptRef {
    pub(super) fn ours(self) -> Option<u32> {
        self.attempt.filter(|attempt| (1..=MAX_ATTEMPT).contains(attempt))
    }
}

impl Event {
    /// A wake-up that ends no wait.
    pub const WAKE: Self = Self::Wake { now: false };

    /// The transcript that it is about.
    fn reference(&self) -> Option<TranscriptRef> {
        match self {
            Self::TranscriptProcessing(reference)
            | Self::TranscriptDone(reference)
            | Self::TranscriptFailed { reference, .. }
            | Self::TranscriptDeleted(reference) => Some(*reference),
            Self::RecordingDone(_)
            | Self::RecordingFailed { .. }
            | Self::RecordingDeleted
            | Self::Wake { .. }
            | Self::Retry { .. }
            | Self::Render { .. } => None,
        }
    }

    /// The name for logs and metrics, which is Recall's.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RecordingDone(_) => "recording.done",
            Self::RecordingFailed { .. } => "recording.failed",
            Self::RecordingDeleted => "recording.deleted",
            Self::TranscriptProcessing(_) => "transcript.processing",
            Self::TranscriptDone(_) => "transcript.done",
            Self::TranscriptFailed { .. } => "transcript.failed",
            Self::TranscriptDeleted(_) => "transcript.deleted",
            Self::Wake { .. } => "wake",
            Self::Retry { .. } => "retry",
            Self::Render { .. } => "render",
        }
    }
}

impl Job {
    /// Decides what an event means.
    pub fn on_event(mut self, event: &Event, context: Context<'_>) -> Decision {
        let learned = event
            .reference()
            .is_some_and(|reference| self.learn_whose(reference.transcript_id, reference.other_deployment));
        let before = learned.then(|| self.clone());
        match (self.decide(event, context), before) {
            (Decision::Ignore(_), Some(job)) => job.advanced(Next::Nothing, context),
            (decision, _) => decision,
        }
    }

    fn decide(self, event: &Event, context: Context<'_>) -> Decision {
        match event {
            Event::RecordingDone(info) => self.on_recording_done(info, context),
            Event::RecordingFailed { sub_code } => self.on_recording_failed(sub_code.clone(), context),
            Event::RecordingDeleted => self.on_recording_deleted(context),
            Event::TranscriptProcessing(reference) => self.on_processing(*reference, context),
            Event::TranscriptDone(reference) => self.on_done(*reference, context),
            Event::TranscriptFailed { reference, sub_code } => self.on_failed(*reference, sub_code.clone(), context),
            Event::TranscriptDeleted(reference) => self.on_deleted(*reference, context),
            Event::Wake { now } => self.on_wake(*now, context),
            Event::Retry { provider, after_attempt } => self.on_retry(provider.as_deref(), *after_attempt, context),
            Event::Render { transcript_id } => self.on_render(*transcript_id, context),
        }
    }

    fn on_recording_done(mut self, info: &RecordingInfo, context: Context<'_>) -> Decision {
        match self.recording {
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Unknown | Recording::Failed { .. } | Recording::Done => {}
        }
        let known =
            |job: &Self| (job.recording.clone(), job.bot_id, job.overrides.clone(), job.expires_at, job.unknown_since);
        let before = known(&self);
        self.learn_recording(info);
        // What the job waits to read, this event has brought.
        if info.overrides.is_some() && matches!(self.hold, Some(Hold::Unread { claim: None, .. })) {
            self.hold = None;
        }
        if !self.skips() && self.hold == Some(Hold::Skipped) {
            self.may_be_known(context);
            self.hold = None;
        }
        if self.is_parked() {
            self.may_be_known(context);
        }
        let news = before != known(&self);
        match self.clone().pursue(context) {
            Decision::Ignore(_) if news => self.advanced(Next::Nothing, context),
            Decision::Busy { retry_at } if news => self.advanced(Next::Wait { retry_at: retry_at }, context),
            decision @ (Decision::Apply { .. } | Decision::Ignore(_) | Decision::Busy { .. }) => decision,
        }
    }

    fn on_recording_failed(mut self, sub_code: Option<String>, context: Context<'_>) -> Decision {
        match self.recording {
            Recording::Unknown if self.is_said_to_have_failed() => Decision::Ignore(Reason::AlreadyKnown),
            // The event may be about a recording that Recall does not know: it is asked first.
            Recording::Unknown if self.attempts == 0 => {
                self.unknown_since = self.unknown_since.map(|_| context.now);
                self.read(context)
            }
            Recording::Unknown => {
                self.recording = Recording::Failed { sub_code };
                self.advanced(Next::Nothing, context)
            }
            Recording::Failed { .. } => Decision::Ignore(Reason::AlreadyKnown),
            Recording::Done => Decision::Ignore(Reason::RecordingDone),
            Recording::Deleted => Decision::Ignore(Reason::RecordingDeleted),
        }
    }

    /// Everything of the recording is gone at Recall. What is being worked on is let finish first: a copy may
    /// still succeed, and a create's answer must not find its attempt gone.
    pub(super) fn on_recording_deleted(mut self, context: Context<'_>) -> Decision {
        if self.version == 0 {
            return Decision::Ignore(Reason::UnknownRecording);
        }
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::AlreadyKnown);
        }
        // What Recall says counts, and it is being asked.
        if self.is_said_to_have_failed() {
            return Decision::Ignore(Reason::UnknownRecording);
        }
        if let Some(retry_at) =
            self.transcripts.iter().filter_map(|transcript| transcript.state.busy(context.now)).max()
        {
            return Decision::Busy { retry_at };
        }
        let before = self.clone();
        let never_told = self.recording == Recording::Unknown && self.attempts == 0;
        // What could not be recorded was never there to be lost.
        if !matches!(self.recording, Recording::Failed { .. }) {
            self.recording = Recording::Deleted;
        }
        // Nobody wanted anything of what was skipped, so nothing is lost; nor of what was never done, or never known.
        let never_known = never_told || (self.is_unknown_to_recall() && !self.has_seen_ours());
        self.hold = if never_known { Some(Hold::Skipped) } else { self.hold.filter(|hold| *hold == Hold::Skipped) };
        self.retry = None;
        self.deletion = None;
        self.transcripts.retain(|transcript| !matches!(transcript.state, State::Creating(_)));
        for transcript in &mut self.transcripts {
            transcript.delete();
        }
        // Where nothing was to come any more, that it goes is no other end.
        self.outbox.last_announced_end = self.outbox.last_announced_end.map(|_| self.status());
        if self == before { Decision::Ignore(Reason::AlreadyKnown) } else { self.advanced(Next::Nothing, context) }
    }

    fn on_processing(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let (transcript_id, check_at) = (reference.transcript_id, self.chosen(TRANSCRIBING_CHECK, context.now));
        let state = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: false };
        match self.find(reference) {
            None if self.unwanted(reference, context) => return self.leave(reference, context),
            None => drop(self.learn(reference, state)),
            Some(index) => match self.transcripts[index].state {
                State::Creating(_) => self.transcripts[index].state = state,
                State::Transcribing { .. } | State::Copying(_) | State::Foreign { .. } => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        }
        self.may_be_known(context);
        self.settled();
        self.advanced(Next::Nothing, context)
    }

    fn on_done(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let (transcript_id, check_at) = (reference.transcript_id, context.now);
        let told = State::Transcribing { transcript_id, check_at, checks: 0, reported_done: true };
        let index = match self.find(reference) {
            None if self.unwanted(reference, context) => return self.leave(reference, context),
            None => self.learn(reference, told.clone()),
            Some(index) => match self.transcripts[index].state {
                State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                    return Decision::Busy { retry_at };
                }
                // It waits to be tried again, and its time comes without another delivery.
                State::Copying(Copying { retry_at, .. }) if context.now < retry_at => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                // It was said to be done before, and was not ready: its time comes without another event.
                State::Transcribing { reported_done: true, check_at, .. } if context.now < check_at => {
                    return Decision::Ignore(Reason::AlreadyKnown);
                }
                State::Creating(_) | State::Transcribing { .. } | State::Copying(_) => index,
                // It was said to be done before, and had failed: what comes next is not put off by the same again.
                State::Failed { .. } if self.is_in_doubt(index, context) => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
                // Recall did not know it any more, or said that it failed, and now says that it is there.
                State::Lost { .. } | State::Failed { .. } if !self.transcripts[index].deleted => index,
                State::Foreign { .. } => return Decision::Ignore(Reason::AlreadyKnown),
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        };
        match self.transcripts[index].state {
            State::Copying(_) | State::Transcribing { reported_done: true, .. } => {}
            State::Creating(_)
            | State::Transcribing { .. }
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => self.transcripts[index].state = told,
        }
        self.may_be_known(context);
        self.settled();
        self.copy(index, reference.transcript_id, context)
    }

    /// Whether it is too early to ask again what has become of it. The next attempt, if its time is to come, comes first.
    fn is_in_doubt(&self, index: usize, context: Context<'_>) -> bool {
        let next_waits = matches!(self.hold, Some(Hold::Wait { status: None, .. }));
        self.transcripts[index]
            .contradiction
            .is_some_and(|contradiction| next_waits || context.now < contradiction.retry_at)
    }

    fn on_failed(mut self, reference: TranscriptRef, sub_code: Option<String>, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let state = State::Failed { transcript_id: reference.transcript_id, sub_code };
        let index = match self.find(reference) {
            None if self.unwanted(reference, context) => return self.leave(reference, context),
            None => self.learn(reference, state),
            Some(index) => match self.transcripts[index].state {
                State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                    return Decision::Busy { retry_at };
                }
                // It was said to be done: the next try asks Recall which is true.
                State::Copying(_) | State::Foreign { .. } => return Decision::Ignore(Reason::AlreadyKnown),
                State::Creating(_) | State::Transcribing { .. } => {
                    self.transcripts[index].state = state;
                    index
                }
                // It was given up on, and now it is known what became of it: another one may be had.
                State::Lost { .. } if !self.transcripts[index].deleted => {
                    self.transcripts[index].state = state;
                    index
                }
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        };
        self.may_be_known(context);
        self.settled();
        let ours = self.transcripts[index].attempt.is_some();
        let next = if ours { self.after_failure(context) } else { Next::Nothing };
        self.advanced(next, context)
    }

    fn on_deleted(mut self, reference: TranscriptRef, context: Context<'_>) -> Decision {
        let Some(index) = self.find(reference) else { return self.came_and_went(reference, context) };
        let transcript = &mut self.transcripts[index];
        match transcript.state {
            State::Copying(Copying { retry_at, claim: Some(_), .. }) if context.now < retry_at => {
                return Decision::Busy { retry_at };
            }
            State::Creating(_) => {
                transcript.state = State::Lost { transcript_id: reference.transcript_id };
                transcript.deleted = true;
            }
            State::Refused { .. } => return Decision::Ignore(Reason::AlreadyEnded),
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } | State::Foreign { .. }
                if transcript.deleted =>
            {
                return Decision::Ignore(Reason::AlreadyKnown);
            }
            State::Transcribing { .. }
            | State::Copying(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Lost { .. }
            | State::Foreign { .. } => transcript.delete(),
        }
        self.settled();
        self.advanced(Next::Nothing, context)
    }
}
