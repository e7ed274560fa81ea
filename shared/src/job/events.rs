//! What a webhook or a wake-up does to a job.

use serde::{Deserialize, Serialize};

use super::{
    Command, Context, Copying, Creating, Decision, Hold, Job, Next, Reason, Recording, State, TRANSCRIBING_CHECK,
    Transcript,
};
use crate::{
    ids::{BotId, TranscriptId},
    time::Timestamp,
};

/// What a delivery or a message says about one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    #[serde(rename = "recording.done")]
    RecordingDone { bot_id: Option<BotId> },
    #[serde(rename = "recording.failed")]
    RecordingFailed { sub_code: Option<String> },
    #[serde(rename = "recording.deleted")]
    RecordingDeleted,
    #[serde(rename = "transcript.processing")]
    TranscriptProcessing(Heard),
    #[serde(rename = "transcript.done")]
    TranscriptDone(Heard),
    #[serde(rename = "transcript.failed")]
    TranscriptFailed {
        #[serde(flatten)]
        heard: Heard,
        sub_code: Option<String>,
    },
    #[serde(rename = "transcript.deleted")]
    TranscriptDeleted(Heard),
    /// Somebody thinks that the job is due.
    #[serde(rename = "wake")]
    Wake,
}

/// The transcript that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    pub transcript_id: TranscriptId,
    /// From our own metadata, where the transcript carries it for this very recording.
    pub attempt: Option<u32>,
}

/// No recording has that many attempts: a number above it is not one of ours, whoever wrote it.
const MAX_ATTEMPT: u32 = 1_000;

impl Heard {
    fn ours(self) -> Option<u32> {
        self.attempt.filter(|attempt| (1..=MAX_ATTEMPT).contains(attempt))
    }
}

impl Event {
    /// The name for logs and metrics, which is Recall's.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RecordingDone { .. } => "recording.done",
            Self::RecordingFailed { .. } => "recording.failed",
            Self::RecordingDeleted => "recording.deleted",
            Self::TranscriptProcessing(_) => "transcript.processing",
            Self::TranscriptDone(_) => "transcript.done",
            Self::TranscriptFailed { .. } => "transcript.failed",
            Self::TranscriptDeleted(_) => "transcript.deleted",
            Self::Wake => "wake",
        }
    }
}

/// What the job has of a transcript that an event names.
enum Found {
    /// The entry at this index.
    Known(usize),
    /// Nothing yet: this new state is the whole of it.
    New,
    /// It is not ours, and the operator does not want others'.
    Unwanted,
}

impl Job {
    /// Decides what an event means.
    pub fn on_event(self, event: &Event, context: Context<'_>) -> Decision {
        match event {
            Event::RecordingDone { bot_id } => self.on_recording_done(*bot_id, context),
            Event::RecordingFailed { sub_code } => self.on_recording_failed(sub_code.clone()),
            Event::RecordingDeleted => self.on_recording_deleted(context),
            Event::TranscriptProcessing(heard) => self.on_processing(*heard, context),
            Event::TranscriptDone(heard) => self.on_done(*heard, context),
            Event::TranscriptFailed { heard, sub_code } => self.on_failed(*heard, sub_code.clone(), context),
            Event::TranscriptDeleted(heard) => self.on_deleted(*heard, context),
            Event::Wake => self.on_wake(context),
        }
    }

    fn on_recording_done(mut self, bot_id: Option<BotId>, context: Context<'_>) -> Decision {
        match self.recording {
            Recording::Deleted => return Decision::Ignore(Reason::RecordingDeleted),
            Recording::Unknown | Recording::Failed { .. } | Recording::Done => {}
        }
        self.recording = Recording::Done;
        self.bot_id = self.bot_id.or(bot_id);
        self.pursue(context)
    }

    fn on_recording_failed(mut self, sub_code: Option<String>) -> Decision {
        match self.recording {
            Recording::Unknown => {
                self.recording = Recording::Failed { sub_code };
                self.advanced(Next::Nothing)
            }
            Recording::Failed { .. } => Decision::Ignore(Reason::AlreadyKnown),
            Recording::Done => Decision::Ignore(Reason::RecordingDone),
            Recording::Deleted => Decision::Ignore(Reason::RecordingDeleted),
        }
    }

    /// Everything of the recording is gone at Recall. What is being worked on is let finish first: a copy may
    /// still succeed, and a create's answer must not find its attempt gone.
    fn on_recording_deleted(mut self, context: Context<'_>) -> Decision {
        if self.version == 0 {
            return Decision::Ignore(Reason::UnknownRecording);
        }
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::AlreadyKnown);
        }
        if let Some(until) = self.transcripts.iter().filter_map(|transcript| transcript.state.busy(context.now)).max() {
            return Decision::Busy { until };
        }
        self.recording = Recording::Deleted;
        self.hold = None;
        self.transcripts.retain(|transcript| !matches!(transcript.state, State::Creating(_)));
        for transcript in &mut self.transcripts {
            transcript.delete();
        }
        self.advanced(Next::Nothing)
    }

    fn on_processing(mut self, heard: Heard, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let check_at = context.now.plus(TRANSCRIBING_CHECK);
        let state = State::Transcribing { transcript_id: heard.transcript_id, check_at, checks: 0 };
        match self.find(heard, context) {
            Found::Unwanted => return Decision::Ignore(Reason::Unrequested),
            Found::New => drop(self.learn(heard, state)),
            Found::Known(index) => match self.transcripts[index].state {
                State::Creating(_) => self.transcripts[index].state = state,
                State::Transcribing { .. } | State::Copying(_) => return Decision::Ignore(Reason::AlreadyKnown),
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        }
        self.settled();
        self.advanced(Next::Nothing)
    }

    fn on_done(mut self, heard: Heard, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let index = match self.find(heard, context) {
            Found::Unwanted => return Decision::Ignore(Reason::Unrequested),
            Found::New => {
                let (transcript_id, check_at) = (heard.transcript_id, context.now);
                self.learn(heard, State::Transcribing { transcript_id, check_at, checks: 0 })
            }
            Found::Known(index) => match self.transcripts[index].state {
                State::Copying(Copying { until, .. }) if context.now < until => return Decision::Busy { until },
                State::Creating(_) | State::Transcribing { .. } | State::Copying(_) => index,
                // Recall did not know it any more, and now says that it is there.
                State::Lost { .. } if !self.transcripts[index].deleted => index,
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        };
        self.settled();
        self.copy(index, heard.transcript_id, context)
    }

    /// Claims the copy of a transcript to S3.
    pub(super) fn copy(mut self, index: usize, transcript_id: TranscriptId, context: Context<'_>) -> Decision {
        let (claim, bot_id) = (self.next_claim(), self.bot_id);
        let transcript = &mut self.transcripts[index];
        let attempt = transcript.attempt;
        let (tries, missing) = match transcript.state {
            State::Copying(Copying { tries, missing, .. }) => (tries, missing),
            // What Recall is asked about again counts as one try after the other.
            State::Transcribing { checks, .. } => (checks, 0),
            State::Creating(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Refused { .. }
            | State::Lost { .. } => (0, 0),
        };
        let until = context.lease_until;
        transcript.state = State::Copying(Copying { transcript_id, until, claim: Some(claim), tries, missing });
        self.advanced(Next::Act(Command::Copy { transcript_id, attempt, bot_id, claim }))
    }

    fn on_failed(mut self, heard: Heard, sub_code: Option<String>, context: Context<'_>) -> Decision {
        if self.recording == Recording::Deleted {
            return Decision::Ignore(Reason::RecordingDeleted);
        }
        let state = State::Failed { transcript_id: heard.transcript_id, sub_code };
        match self.find(heard, context) {
            Found::Unwanted => return Decision::Ignore(Reason::Unrequested),
            Found::New => drop(self.learn(heard, state)),
            Found::Known(index) => match self.transcripts[index].state {
                State::Copying(Copying { until, claim: Some(_), .. }) if context.now < until => {
                    return Decision::Busy { until };
                }
                State::Creating(_) | State::Transcribing { .. } | State::Copying(_) => {
                    self.transcripts[index].state = state;
                }
                State::Stored { .. } => return Decision::Ignore(Reason::AlreadyStored),
                State::Failed { .. } | State::Refused { .. } | State::Lost { .. } => {
                    return Decision::Ignore(Reason::AlreadyEnded);
                }
            },
        }
        self.settled();
        self.advanced(Next::Nothing)
    }

    fn on_deleted(mut self, heard: Heard, context: Context<'_>) -> Decision {
        let index = match self.find(heard, context) {
            // A transcript that came and went without us is nothing to keep.
            Found::New | Found::Unwanted => return Decision::Ignore(Reason::UnknownTranscript),
            Found::Known(index) => index,
        };
        let transcript = &mut self.transcripts[index];
        match transcript.state {
            State::Copying(Copying { until, claim: Some(_), .. }) if context.now < until => {
                return Decision::Busy { until };
            }
            State::Creating(_) => {
                transcript.state = State::Lost { transcript_id: heard.transcript_id };
                transcript.deleted = true;
            }
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } if transcript.deleted => {
                return Decision::Ignore(Reason::AlreadyKnown);
            }
            State::Transcribing { .. }
            | State::Copying(_)
            | State::Stored { .. }
            | State::Failed { .. }
            | State::Lost { .. } => transcript.delete(),
            State::Refused { .. } => return Decision::Ignore(Reason::AlreadyEnded),
        }
        self.settled();
        self.advanced(Next::Nothing)
    }

    /// Takes up the first thing whose time has come.
    fn on_wake(self, context: Context<'_>) -> Decision {
        for (index, transcript) in self.transcripts.iter().enumerate() {
            match transcript.state {
                State::Creating(Creating { until, .. }) if until <= context.now => return self.repeat(index, context),
                State::Transcribing { transcript_id, check_at, .. } if check_at <= context.now => {
                    return self.copy(index, transcript_id, context);
                }
                State::Copying(Copying { transcript_id, until, .. }) if until <= context.now => {
                    return self.copy(index, transcript_id, context);
                }
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Failed { .. }
                | State::Refused { .. }
                | State::Lost { .. } => {}
            }
        }
        match self.hold {
            Some(Hold::Wait { until, .. }) if until <= context.now && !self.is_creating() => self.pursue(context),
            Some(Hold::Wait { .. } | Hold::LimitReached) | None => Decision::Ignore(Reason::NotDue),
        }
    }

    /// By Recall's id; else by the attempt that our metadata names, if that create still waits for its answer.
    fn find(&self, heard: Heard, context: Context<'_>) -> Found {
        let by_id = self
            .transcripts
            .iter()
            .position(|transcript| transcript.state.transcript_id() == Some(heard.transcript_id));
        if let Some(index) = by_id {
            return Found::Known(index);
        }
        let ours = heard.ours();
        let waiting = self
            .transcripts
            .iter()
            .position(|transcript| matches!(transcript.state, State::Creating(_)) && transcript.attempt == ours);
        match waiting {
            Some(index) => Found::Known(index),
            None if ours.is_some() || context.policy.copy_unrequested => Found::New,
            None => Found::Unwanted,
        }
    }

    /// Adds a transcript that we hear of for the first time, and says where. If it is an attempt that the row does not
    /// know, the row is older than the attempt (a restored table), and the attempt counts all the same. If the row
    /// says that the attempt was refused, it was not.
    pub(super) fn learn(&mut self, heard: Heard, state: State) -> usize {
        let attempt = heard.ours();
        self.attempts = self.attempts.max(attempt.unwrap_or(0));
        let refused = self.transcripts.iter().position(|transcript| {
            matches!(transcript.state, State::Refused { .. })
                && transcript.attempt.is_some_and(|of| Some(of) == attempt)
        });
        if let Some(index) = refused {
            self.transcripts[index].state = state;
            return index;
        }
        self.transcripts.push(Transcript { attempt, provider: None, state, deleted: false });
        self.transcripts.len() - 1
    }

    /// An attempt of ours exists, so nothing holds back the next one any more.
    pub(super) fn settled(&mut self) {
        if self.transcripts.iter().any(|transcript| transcript.attempt.is_some()) {
            self.hold = None;
        }
    }
}

impl Transcript {
    /// Recall has it no longer.
    fn delete(&mut self) {
        match self.state {
            State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                self.state = State::Lost { transcript_id };
                self.deleted = true;
            }
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } => self.deleted = true,
            State::Creating(_) | State::Refused { .. } => {}
        }
    }
}

impl State {
    /// Until when a worker holds it.
    fn busy(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { until, .. }) | Self::Copying(Copying { until, claim: Some(_), .. }) => {
                Some(*until).filter(|until| now < *until)
            }
            Self::Copying(Copying { claim: None, .. })
            | Self::Transcribing { .. }
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. } => None,
        }
    }
}
