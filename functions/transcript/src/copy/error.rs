//! Why a copy did not come about.

use std::time::Duration;

use job::CopyAnswer;
use pipeline::{
    bucket::{ReadError, S3Error},
    recall::Problem,
};
use reqwest::StatusCode;

use super::MAX_TRANSCRIPT_BYTES;
use crate::url_guard::Forbidden;

/// Why a copy did not come about, by what to do next.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("Recall is still at work on it, or has no URL yet")]
    NotReady,
    #[error("Recall says that it failed")]
    Failed { sub_code: Option<String> },
    #[error("Recall says that it was deleted")]
    Deleted,
    #[error("Recall does not know it (its recording is known: {recording_known})")]
    Missing { recording_known: bool },
    #[error("the transcript belongs to another recording")]
    OtherRecording,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the URL is refused (status {0})")]
    Refused(StatusCode),
    #[error("the download did not arrive whole")]
    Download(#[source] reqwest::Error),
    #[error("the download cannot be decompressed, or did not arrive whole")]
    Gzip(#[source] std::io::Error),
    #[error("the download states no length and ends in the middle of the file")]
    Unframed,
    #[error("the download is empty")]
    Empty,
    #[error("the download is over {MAX_TRANSCRIPT_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Recall(#[from] Problem),
    #[error("what an earlier copy left cannot be read")]
    Earlier(#[from] ReadError),
    #[error(transparent)]
    Upload(#[from] S3Error),
    #[error("S3 did not take the renditions")]
    RenditionsRefused(#[source] S3Error),
    #[error("the time was up before all renditions were written")]
    RenditionsLate,
    #[error("the invocation's time is up")]
    OutOfTime,
}

impl CopyError {
    pub(super) fn answer(self) -> CopyAnswer {
        match self {
            Self::NotReady => CopyAnswer::NotReady,
            Self::Failed { sub_code } => CopyAnswer::Failed { sub_code },
            Self::Deleted => CopyAnswer::Deleted,
            Self::Missing { recording_known } => CopyAnswer::Missing { recording_known },
            Self::Recall(Problem::Operator { .. }) => CopyAnswer::Operator,
            Self::OtherRecording | Self::Forbidden(_) | Self::TooLarge | Self::Recall(Problem::Unexpected { .. }) => {
                CopyAnswer::Rejected
            }
            Self::Recall(problem) => CopyAnswer::Later { after: problem.retry_after() },
            Self::RenditionsRefused(_) => CopyAnswer::RenditionsRefused,
            Self::RenditionsLate => CopyAnswer::RenditionsLate,
            Self::Empty => CopyAnswer::EmptyBody,
            Self::Refused(_)
            | Self::Download(_)
            | Self::Gzip(_)
            | Self::Unframed
            | Self::Earlier(_)
            | Self::Upload(_)
            | Self::OutOfTime => CopyAnswer::Later { after: Duration::ZERO },
        }
    }

    /// The word for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "not_ready",
            Self::Failed { .. } => "failed_at_recall",
            Self::Deleted => "deleted",
            Self::Missing { .. } => "missing",
            Self::OtherRecording => "other_recording",
            Self::Forbidden(_) => "forbidden_host",
            Self::Refused(_) => "url_refused",
            Self::Download(_) | Self::Gzip(_) | Self::Unframed => "download",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Recall(_) => "recall",
            Self::Earlier(_) | Self::Upload(_) => "upload",
            Self::RenditionsRefused(_) => "renditions_refused",
            Self::RenditionsLate => "renditions_late",
            Self::OutOfTime => "out_of_time",
        }
    }
}
