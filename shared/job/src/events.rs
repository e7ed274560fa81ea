//! What a webhook delivery or a message says.

use serde::{Deserialize, Serialize};

use super::{RecordingInfo, TranscriptRef};
use crate::{ids::TranscriptId, time::Timestamp};

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
    /// Something of the job may be due. With `now`, its waits end first, but no leases.
    #[serde(rename = "wake")]
    Wake {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        now: bool,
    },
    /// A person requests one more attempt. `after_attempt` is the newest attempt that the person knew of.
    #[serde(rename = "retry")]
    Retry {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        after_attempt: u32,
    },
    /// Render the readable files again from what is in S3: those of one transcript, or of all stored transcripts.
    #[serde(rename = "render")]
    Render {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript_id: Option<TranscriptId>,
    },
    /// A person has dealt with a job that ended without a transcript. `ended_at` is the end that the person knew of.
    #[serde(rename = "dismiss")]
    Dismiss { ended_at: Timestamp },
}

impl Event {
    /// A wake-up that does only what is due.
    pub const WAKE: Self = Self::Wake { now: false };

    /// Returns the transcript that the event is about.
    pub fn transcript(&self) -> Option<TranscriptRef> {
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
            | Self::Render { .. }
            | Self::Dismiss { .. } => None,
        }
    }

    /// Returns whether Recall sends this event as a webhook. The others are messages of ours, or of an operator.
    pub fn is_from_recall(&self) -> bool {
        match self {
            Self::RecordingDone(_)
            | Self::RecordingFailed { .. }
            | Self::RecordingDeleted
            | Self::TranscriptProcessing(_)
            | Self::TranscriptDone(_)
            | Self::TranscriptFailed { .. }
            | Self::TranscriptDeleted(_) => true,
            Self::Wake { .. } | Self::Retry { .. } | Self::Render { .. } | Self::Dismiss { .. } => false,
        }
    }

    /// Returns the name for logs and metrics: for a webhook, the name that Recall gives it.
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
            Self::Dismiss { .. } => "dismiss",
        }
    }
}
