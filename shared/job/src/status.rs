//! What a job has come to, derived from the states of its transcripts.

use serde::{Deserialize, Serialize};

use super::{Hold, Job, Recording, State};

/// What the job comes to, for people and programs that read the table. Derived, never stored by itself.
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
    /// The word in the table's `status` attribute.
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

    /// Nothing more is tried, and an operator has to know.
    pub fn is_bad_end(self) -> bool {
        match self {
            Self::LimitReached | Self::Failed | Self::Lost => true,
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting | Self::Stored | Self::Skipped => false,
        }
    }

    /// Nothing of it is in S3 yet, and it could be.
    pub fn is_at_stake(self) -> bool {
        match self {
            Self::Stored | Self::Lost | Self::Skipped => false,
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting | Self::LimitReached | Self::Failed => {
                true
            }
        }
    }

    /// Something is still to be tried.
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Creating | Self::Transcribing | Self::Copying | Self::Waiting => true,
            Self::Stored | Self::LimitReached | Self::Skipped | Self::Failed | Self::Lost => false,
        }
    }
}

impl Job {
    /// Work under way comes before any result; among results the best one counts.
    pub fn status(&self) -> Status {
        let any = |test: fn(&State) -> bool| self.transcripts.iter().any(|transcript| test(&transcript.state));
        let all_left = self.transcripts.iter().all(|transcript| matches!(transcript.state, State::Foreign { .. }));
        let left_alone = all_left && !self.transcripts.is_empty() && !self.has_begun();
        if self.is_creating() {
            Status::Creating
        } else if any(|state| matches!(state, State::Copying(_))) {
            Status::Copying
        } else if any(|state| matches!(state, State::Transcribing { .. })) {
            Status::Transcribing
        } else if self.waits_for_next() {
            Status::Waiting
        } else if self.is_parked() {
            Status::LimitReached
        } else if any(|state| matches!(state, State::Stored { .. })) {
            Status::Stored
        } else if self.hold == Some(Hold::Skipped) || self.is_nobodys() {
            Status::Skipped
        } else if any(|state| matches!(state, State::Failed { .. } | State::Refused { .. }))
            || matches!(self.recording, Recording::Failed { .. })
        {
            Status::Failed
        } else if left_alone {
            Status::Skipped
        } else {
            Status::Lost
        }
    }

    /// Recall has told what became of the recording, or we have asked for a transcript of it.
    pub(super) fn has_begun(&self) -> bool {
        self.recording != Recording::Unknown || self.attempts > 0
    }
}
