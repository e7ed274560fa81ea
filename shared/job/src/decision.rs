//! What the core says.
//!
//! A time to wait for has three types on its way, each with a `retry_at`: [`Decision::Busy`], made from the row;
//! [`Next::Wait`], which follows a save; and the `Outcome` into which the loop in `shared/pipeline/src/advance.rs`
//! turns either. `Busy` means that this decision saves nothing and the event must be delivered again. `Wait` means that
//! everything is in the row, so a wake-up is enough.

use super::{Announcement, Claim, Deletable, DeletionTarget, Failures, Job, Receipt, Version};
use crate::{
    ids::{BotId, TranscriptId},
    time::Timestamp,
};

/// What to do about an event or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Save this job, then continue with `next`.
    Apply { job: Box<Job>, next: Next },
    /// There is nothing to do, for this reason.
    Ignore(Reason),
    /// The event must be delivered again at `retry_at`: another worker holds a lease until then, or a wake-up could not
    /// be sent. This decision saves nothing.
    Busy { retry_at: Timestamp },
}

/// What follows a save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing; the event is finished.
    Nothing,
    /// Carry out this command and bring back the answer.
    Act(Command),
    /// The work is not finished, and the row says what is missing. The job must be looked at again at `retry_at`.
    Wait { retry_at: Timestamp },
}

/// What the core asks the shell to do: the code around the core, which carries out side effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Call create_transcript with the key of this attempt.
    Create { attempt: u32, provider: String, language: Option<String>, claim: Claim },
    /// List the recording's transcripts: one of them may carry this attempt.
    LookUp { attempt: u32, claim: Claim },
    /// Retrieve the recording: its metadata must be read before anything is paid for.
    ReadRecording { claim: Claim },
    /// List the recording's transcripts. If one that the row counts is no longer there, the parked job has room.
    List,
    /// Retrieve the transcript and copy it to S3. `failures`: what has kept it from being copied so far.
    /// `newest_stored`: the newest transcript of the recording that is stored already.
    Copy {
        transcript_id: TranscriptId,
        attempt: Option<u32>,
        bot_id: Option<BotId>,
        failures: Failures,
        newest_stored: Option<Version>,
        claim: Claim,
    },
    /// Render these transcripts again from what is in S3. `newest`: the newest stored transcript of the recording.
    Render { transcripts: Vec<(TranscriptId, Receipt)>, newest: TranscriptId, claim: Claim },
    /// Fetch what Recall had not made ready when these transcripts were stored, and write their manifests again. Only
    /// the newest transcript keeps a knowledge document. `is_last_try`: what is still missing is given up.
    FollowUp { transcripts: Vec<(TranscriptId, Receipt)>, newest: TranscriptId, is_last_try: bool, claim: Claim },
    /// Read the copies back. If each is what the row says, and Recall lists nothing that [`Deletable`] forbids, delete
    /// the target at Recall.
    Delete { target: DeletionTarget, verify: Vec<Receipt>, deletable: Deletable, claim: Claim },
    /// Announce these on the event bus.
    Announce { announcements: Vec<Announcement> },
    /// Put a wake-up for this recording on the work queue.
    Wake,
}

impl Command {
    /// Returns the name for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::LookUp { .. } => "look_up",
            Self::ReadRecording { .. } => "read_recording",
            Self::List => "list",
            Self::Copy { .. } => "copy",
            Self::Render { .. } => "render",
            Self::FollowUp { .. } => "follow_up",
            Self::Delete { .. } => "delete",
            Self::Announce { .. } => "announce",
            Self::Wake => "wake",
        }
    }
}

/// Why an input changes nothing. It is logged, and it decides whether a person's request for an attempt stays
/// (`leaves_attempt_pending`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The recording already has its attempt, or the next one already has its time.
    AlreadyRequested,
    /// The row says this already.
    AlreadyKnown,
    AlreadyStored,
    /// The transcript, or the whole chain of attempts, has ended in another way.
    AlreadyEnded,
    /// Nothing is known of this recording, and this event alone is no reason to start a job.
    UnknownRecording,
    /// Recall deleted a transcript that the row does not have.
    UnknownTranscript,
    RecordingDeleted,
    /// The recording is done and can no longer fail.
    RecordingDone,
    LimitReached,
    /// The recording's metadata asks for no transcript.
    Skipped,
    /// A wake-up found nothing due.
    NotDue,
    /// The answer, or the request, is older than what has happened since.
    Overtaken,
    /// The request names a provider that is not in TRANSCRIPT_PROVIDERS.
    UnknownProvider,
    /// There is nothing in S3 to render.
    NothingStored,
    /// The job is in progress, is stored, or was skipped, so there is nothing to dismiss.
    NotEnded,
}

impl Reason {
    /// If no attempt was started for this reason: returns whether it is still to come, so that a person's request for
    /// it stays. After any other reason nothing is left that the request could wait for.
    pub(crate) fn leaves_attempt_pending(self) -> bool {
        match self {
            Self::AlreadyRequested => true,
            Self::AlreadyKnown
            | Self::AlreadyStored
            | Self::AlreadyEnded
            | Self::UnknownRecording
            | Self::UnknownTranscript
            | Self::RecordingDeleted
            | Self::RecordingDone
            | Self::LimitReached
            | Self::Skipped
            | Self::NotDue
            | Self::Overtaken
            | Self::UnknownProvider
            | Self::NothingStored
            | Self::NotEnded => false,
        }
    }

    /// Returns the name for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRequested => "already_requested",
            Self::AlreadyKnown => "already_known",
            Self::AlreadyStored => "already_stored",
            Self::AlreadyEnded => "already_ended",
            Self::UnknownRecording => "unknown_recording",
            Self::UnknownTranscript => "unknown_transcript",
            Self::RecordingDeleted => "recording_deleted",
            Self::RecordingDone => "recording_done",
            Self::LimitReached => "limit_reached",
            Self::Skipped => "skipped",
            Self::NotDue => "not_due",
            Self::Overtaken => "overtaken",
            Self::UnknownProvider => "unknown_provider",
            Self::NothingStored => "nothing_stored",
            Self::NotEnded => "not_ended",
        }
    }
}
