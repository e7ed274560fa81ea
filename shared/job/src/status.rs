//! The status of a job, derived from the states of its transcripts.

use serde::{Deserialize, Serialize};

use super::{DeletionReason, Hold, Job, Recording, State};

/// The status of a job, for people and programs that read the table. It is derived, never stored by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Creating,
    Transcribing,
    Copying,
    Waiting,
    Stored,
    LimitReached,
    Skipped,
    Failed,
    Lost,
}

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::Creating,
        Self::Transcribing,
        Self::Copying,
        Self::Waiting,
        Self::Stored,
        Self::LimitReached,
        Self::Skipped,
        Self::Failed,
        Self::Lost,
    ];

    /// Returns the value of the table's `status` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Transcribing => "transcribing",
            Self::Copying => "copying",
            Self::Waiting => "waiting",
            Self::Stored => "stored",
            Self::LimitReached => "limit_reached",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Returns which status wins if the parts of a job indicate several: work in progress comes before any result, and
    /// the best result comes first.
    fn rank(self) -> u8 {
        match self {
            Self::Creating => 8,
            Self::Copying => 7,
            Self::Transcribing => 6,
            Self::Waiting => 5,
            Self::LimitReached => 4,
            Self::Stored => 3,
            Self::Skipped => 2,
            Self::Failed => 1,
            Self::Lost => 0,
        }
    }

    /// Returns whether nothing more is tried and an operator has to know.
    pub fn is_bad_end(self) -> bool {
        match self {
            Self::LimitReached | Self::Failed | Self::Lost => true,
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting | Self::Stored | Self::Skipped => false,
        }
    }

    /// Returns whether nothing of the recording is in S3 yet, and still could be.
    pub fn is_at_stake(self) -> bool {
        match self {
            Self::Stored | Self::Lost | Self::Skipped => false,
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting | Self::LimitReached | Self::Failed => {
                true
            }
        }
    }

    /// Returns whether something is still to be tried.
    pub fn is_in_progress(self) -> bool {
        match self {
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting => true,
            Self::Stored | Self::LimitReached | Self::Skipped | Self::Failed | Self::Lost => false,
        }
    }
}

impl Job {
    /// Returns the status with the highest rank among those that the parts of the job indicate. A recording that was
    /// done, and of which nothing is left, is lost.
    pub fn status(&self) -> Status {
        let transcripts = self.transcripts.iter().map(|transcript| transcript.state.status());
        let deletion = self.deletion.filter(|deletion| deletion.reason == DeletionReason::Room);
        let others = [
            self.hold.as_ref().map(Hold::status),
            deletion.map(|_| Status::Waiting),
            self.recording.status(),
            (self.ends_silently() || self.is_all_foreign()).then_some(Status::Skipped),
        ];
        transcripts.chain(others).flatten().max_by_key(|status| status.rank()).unwrap_or(Status::Lost)
    }

    /// Returns whether the job is in progress and Recall knows the recording: then it counts as unfinished.
    pub fn is_open(&self) -> bool {
        self.status().is_in_progress() && !self.is_unknown_to_recall()
    }

    /// Returns whether the next attempt waits for its time, or for room.
    pub(crate) fn is_attempt_pending(&self) -> bool {
        matches!(self.hold, Some(Hold::Wait { .. } | Hold::Unread { .. } | Hold::AllRefused { .. }))
            || self.deletion.is_some_and(|deletion| deletion.reason == DeletionReason::Room)
    }

    /// Returns whether the job knows only transcripts that others requested and that are not copied.
    fn is_all_foreign(&self) -> bool {
        let all = self.transcripts.iter().all(|transcript| matches!(transcript.state, State::Foreign { .. }));
        all && !self.transcripts.is_empty() && !self.has_begun()
    }
}

impl State {
    /// Returns the status that a transcript in this state indicates.
    fn status(&self) -> Option<Status> {
        match self {
            Self::Creating(_) => Some(Status::Creating),
            Self::Transcribing { .. } => Some(Status::Transcribing),
            Self::Copying(_) => Some(Status::Copying),
            Self::Stored { .. } => Some(Status::Stored),
            Self::Failed { .. } | Self::Refused { .. } => Some(Status::Failed),
            Self::Lost { .. } => Some(Status::Lost),
            // What others have requested says nothing about our own transcript.
            Self::Foreign { .. } => None,
        }
    }
}

impl Hold {
    fn status(&self) -> Status {
        match self {
            Self::Wait { .. } | Self::Unread { .. } | Self::AllRefused { .. } => Status::Waiting,
            Self::LimitReached { .. } => Status::LimitReached,
            Self::Skipped => Status::Skipped,
        }
    }
}

impl Recording {
    fn status(&self) -> Option<Status> {
        match self {
            Self::Failed { .. } => Some(Status::Failed),
            Self::Deleted => Some(Status::Lost),
            Self::Unknown | Self::Done => None,
        }
    }
}
