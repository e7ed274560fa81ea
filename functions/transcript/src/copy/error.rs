//! Why a copy failed.

use std::time::Duration;

use job::CopyAnswer;
use pipeline::{
    bucket::{ReadError, S3Error},
    recall::Problem,
};

use super::MAX_TRANSCRIPT_BYTES;
use crate::download::DownloadError;

/// Why a copy failed, by what to do next.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("the transcript is not done at Recall, or has no download URL yet")]
    NotReady,
    #[error("the transcript failed at Recall")]
    Failed { sub_code: Option<String> },
    #[error("the transcript was deleted at Recall")]
    Deleted,
    #[error("Recall does not know the transcript (it knows the recording: {recording_known})")]
    Missing { recording_known: bool },
    #[error("Recall returned a transcript with another id or of another recording")]
    OtherRecording,
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("the download states no length and ends in the middle of the file")]
    Unframed,
    #[error("the download has 0 bytes")]
    Empty,
    #[error("the download is larger than {MAX_TRANSCRIPT_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Recall(#[from] Problem),
    #[error("reading an earlier copy in S3 failed")]
    EarlierCopy(#[from] ReadError),
    #[error(transparent)]
    Upload(#[from] S3Error),
    #[error("uploading the renditions failed")]
    RenditionsRefused(#[source] S3Error),
    #[error("the time was up before all renditions were written")]
    RenditionsLate,
    #[error("the copy took longer than the invocation has; it is tried again")]
    OutOfTime,
}

impl CopyError {
    /// The answer to the core.
    pub(super) fn answer(self) -> CopyAnswer {
        match self {
            Self::NotReady => CopyAnswer::NotReady,
            Self::Failed { sub_code } => CopyAnswer::Failed { sub_code },
            Self::Deleted => CopyAnswer::Deleted,
            Self::Missing { recording_known } => CopyAnswer::Missing { recording_known },
            Self::Recall(Problem::Operator { .. }) => CopyAnswer::Operator,
            Self::OtherRecording
            | Self::Download(DownloadError::Forbidden(_))
            | Self::TooLarge
            | Self::Recall(Problem::Unexpected { .. }) => CopyAnswer::Rejected,
            Self::Recall(problem) => CopyAnswer::Later { after: problem.retry_after() },
            Self::RenditionsRefused(_) => CopyAnswer::RenditionsRefused,
            Self::RenditionsLate => CopyAnswer::RenditionsLate,
            Self::Empty => CopyAnswer::EmptyBody,
            Self::Download(_) | Self::Unframed | Self::EarlierCopy(_) | Self::Upload(_) | Self::OutOfTime => {
                CopyAnswer::Later { after: Duration::ZERO }
            }
        }
    }

    /// The name of the reason for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Failed { .. } => "failed_at_recall",
            Self::Deleted => "deleted",
            Self::Missing { .. } => "missing",
            Self::OtherRecording => "other_recording",
            Self::Download(DownloadError::Forbidden(_)) => "forbidden_host",
            Self::Download(DownloadError::Refused(_)) => "url_refused",
            Self::Download(DownloadError::Interrupted(_) | DownloadError::Gzip(_)) | Self::Unframed => "download",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Recall(_) => "recall",
            Self::EarlierCopy(_) | Self::Upload(_) => "upload",
            Self::RenditionsRefused(_) => "renditions_refused",
            Self::RenditionsLate => "renditions_late",
            Self::OutOfTime => "out_of_time",
        }
    }
}
