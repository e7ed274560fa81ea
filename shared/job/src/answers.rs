//! What comes back from our own commands.
//!
//! `after` always is Recall's own Retry-After, and zero if Recall names no time. The waits that we choose are in
//! `waits.rs`.

use super::{
    Claim, CopyAnswer, CreateAnswer, DeleteAnswer, DeletionTarget, FollowUpAnswer, LookUpAnswer, Notice,
    RecordingAnswer, RenderAnswer,
};
use crate::ids::TranscriptId;

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
    FollowUp {
        claim: Claim,
        answer: FollowUpAnswer,
    },
    Delete {
        target: DeletionTarget,
        claim: Claim,
        answer: DeleteAnswer,
    },
    /// These notices were announced.
    Announce {
        sent: Vec<Notice>,
    },
    /// `sent`: the wake-up is on the queue.
    Wake {
        sent: bool,
    },
}
