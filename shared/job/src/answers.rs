//! What comes back from our own commands.
//!
//! An answer that carries an outdated claim comes from a worker whose lease had ended. It may still bring a fact (a
//! transcript that exists, a copy that is complete), and facts always count; but it may not end a wait or an attempt
//! that somebody else has taken over.
//!
//! `after` is always Recall's own Retry-After, and zero where Recall names no time: what we choose is in `waits.rs`.

use std::time::Duration;

use super::{Claim, Context, Decision, DeleteAnswer, DeletionTarget, Job, Notice, Reason, Receipt, RecordingInfo};
use crate::ids::TranscriptId;

/// When the wake-up could not be sent, the event has to come again after this.
const WAKE_WAIT: Duration = Duration::from_secs(5);

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Create {
        attempt: u32,
        claim: Claim,
        answer: CreateAnswer,
    },
    LookUp {
        attempt: u32,
        claim: Claim,
        answer: LookUpAnswer,
    },
    ReadRecording {
        claim: Claim,
        answer: RecordingAnswer,
    },
    List(LookUpAnswer),
    Copy {
        transcript_id: TranscriptId,
        claim: Claim,
        answer: CopyAnswer,
    },
    Render {
        claim: Claim,
        answer: RenderAnswer,
    },
    Delete {
        target: DeletionTarget,
        claim: Claim,
        answer: DeleteAnswer,
    },
    /// These are announced.
    Announce {
        sent: Vec<Notice>,
    },
    /// Whether the wake-up is on the queue.
    Wake {
        sent: bool,
    },
}

/// How one call of create_transcript ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created {
        transcript_id: TranscriptId,
    },
    /// 409: the same key is still being worked on.
    InProgress,
    /// No answer: whether it took effect is unknown.
    Lost,
    /// 5xx: whether it took effect is unknown, and Recall may replay the error under this key.
    ServerError {
        after: Duration,
    },
    /// 429: nothing happened.
    Throttled {
        after: Duration,
    },
    /// 401, 402, 403: nothing happened, and an operator has to act.
    Operator {
        status: u16,
    },
    /// 400, 404 and other definite refusals.
    Refused {
        status: u16,
        code: Option<String>,
    },
}

impl CreateAnswer {
    /// The word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::InProgress => "in_progress",
            Self::Lost => "lost",
            Self::ServerError { .. } => "server_error",
            Self::Throttled { .. } => "throttled",
            Self::Operator { .. } => "operator",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What the list of the recording's transcripts says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpAnswer {
    /// All that exist at Recall, the oldest first.
    Complete(Vec<ListedTranscript>),
    /// These exist, and others that cannot be read: what is not here may exist all the same.
    Incomplete(Vec<ListedTranscript>),
    /// There is no list yet.
    Later { after: Duration },
    /// 401, 402, 403: an operator has to act.
    Operator,
}

/// One transcript of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedTranscript {
    pub transcript_id: TranscriptId,
    /// From our own metadata, where the transcript carries it for this very recording.
    pub attempt: Option<u32>,
    /// Recall is not working on it any more.
    pub ended: bool,
    /// Recall could not make it.
    pub failed: bool,
    /// Another deployment of this product asked for it.
    pub other_deployment: bool,
}

/// What retrieving the recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingAnswer {
    Read(RecordingInfo),
    /// Recall says that it could not be captured.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that it is deleted.
    Deleted,
    /// 404: Recall does not know it, or not yet.
    Unknown,
    /// 401, 402, 403: an operator has to act.
    Operator,
    Later {
        after: Duration,
    },
}

/// How rendering again went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderAnswer {
    Rendered,
    /// What is in S3 is not what was stored; the log says what. Trying again does not change that.
    NotAsStored,
    Later {
        after: Duration,
    },
}

/// How a copy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyAnswer {
    Stored(Receipt),
    /// Recall is still working on it, or has no URL for it yet.
    NotReady,
    /// Recall says that it failed.
    Failed {
        sub_code: Option<String>,
    },
    /// Recall says that it was deleted.
    Deleted,
    /// 404. `recording_known`: with the same key, Recall knows its recording, so it is this transcript that is gone.
    Missing {
        recording_known: bool,
    },
    /// The network, S3 or Recall failed; nothing is lost.
    Later {
        after: Duration,
    },
    /// 401, 402, 403: an operator has to act.
    Operator,
    /// What Recall offers is not taken: it is on a host that is not allowed, too large, another recording's, or cannot be
    /// understood. Somebody has to fix something first.
    Rejected,
    /// The file is stored, and S3 refused one of its renditions.
    RenditionsRefused,
    /// The file is stored, and the time was up before its renditions were.
    RenditionsLate,
    /// The download had no bytes.
    EmptyBody,
}

impl Job {
    /// Decides what the answer to a command means.
    pub fn on_answer(self, answer: &Answer, context: Context<'_>) -> Decision {
        match answer {
            Answer::Create { attempt, claim, answer } => self.on_create_answer(*attempt, *claim, answer, context),
            Answer::LookUp { attempt, claim, answer } => self.on_look_up_answer(*attempt, *claim, answer, context),
            Answer::ReadRecording { claim, answer } => self.on_recording_answer(*claim, answer, context),
            Answer::List(answer) => self.on_list_answer(answer, context),
            Answer::Render { claim, answer } => self.on_render_answer(*claim, *answer, context),
            Answer::Copy { transcript_id, claim, answer } => {
                self.on_copy_answer(*transcript_id, *claim, answer, context)
            }
            Answer::Delete { target, claim, answer } => self.on_delete_answer(*target, *claim, answer, context),
            Answer::Announce { sent } => self.on_announced(sent, context),
            Answer::Wake { sent: true } => Decision::Ignore(Reason::AlreadyKnown),
            // The row is complete, but nothing looks at it soon: the event has to come again.
            Answer::Wake { sent: false } => Decision::Busy { retry_at: self.chosen(WAKE_WAIT, context.now) },
        }
    }
}
