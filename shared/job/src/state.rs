//! The states of one transcript.

use serde::{Deserialize, Serialize};

use super::Retry;
use crate::{ids::TranscriptId, time::Timestamp};

/// The `status` of [`State::Refused`] for an attempt that nobody refused: its outcome could never be determined, so it
/// may have been paid for.
pub(crate) const OUTCOME_UNKNOWN: u16 = 0;

/// The state of one transcript. `retry_at` is the time before which no one else may act: the end of a worker's lease,
/// or of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// create_transcript was called, or is about to be called. Whether it took effect is unknown.
    Creating(Creating),
    /// Recall is working on the transcript. `checks` counts how many times we asked and it was not ready.
    /// `reported_done`: an event said that it is done, but it was not ready; another such event does not shorten the
    /// wait.
    Transcribing {
        transcript_id: TranscriptId,
        check_at: Timestamp,
        checks: u32,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reported_done: bool,
    },
    /// The transcript is being copied to S3, or waits for the next try.
    Copying(Copying),
    /// Terminal: complete in S3, including the manifest.
    Stored { transcript_id: TranscriptId, receipt: Receipt },
    /// Recall could not make the transcript. If Recall says later that it is done after all, it is copied.
    Failed { transcript_id: TranscriptId, sub_code: Option<String> },
    /// Recall refused the create. If an event or a list shows a transcript of this attempt after all, the transcript
    /// replaces this state. With the status `OUTCOME_UNKNOWN` nobody refused it, but its outcome could never be
    /// determined: it takes a slot under the limit until a complete list shows that it does not exist.
    Refused { status: u16, code: Option<String> },
    /// Deleted or expired before it was copied, or given up after many failures. Unless Recall has said that it is
    /// deleted, it still counts towards the limit, and a later `transcript.done` starts a copy again.
    Lost { transcript_id: TranscriptId },
    /// Someone else requested this transcript, and the operator does not want it copied. It counts towards the limit.
    Foreign { transcript_id: TranscriptId },
}

/// A create whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creating {
    pub first_call_at: Timestamp,
    /// No call under this key left later than this: the end of the lease under which one may leave, or the time at
    /// which the last call was answered.
    pub last_call_at: Timestamp,
    /// Calls made under this key so far.
    pub calls: u32,
    /// Calls under this key that were answered with a server error so far.
    pub errors: u32,
    /// Calls under this key that were answered with 409 so far.
    #[serde(default)]
    pub conflicts: u32,
    pub retry_at: Timestamp,
    /// The worker that calls; `None` while the attempt waits.
    pub claim: Option<Claim>,
    /// The call was answered with 400. The list of transcripts shows whether the limit was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<UnexplainedRefusal>,
    /// Since when look-ups have not determined the outcome, for another reason than a refused key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_since: Option<Timestamp>,
    /// A person requested this attempt. If it has no effect, the request is served by the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// A 400 whose meaning is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexplainedRefusal {
    pub code: Option<String>,
}

/// A copy that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub transcript_id: TranscriptId,
    pub retry_at: Timestamp,
    /// The worker that copies; `None` while the copy waits.
    pub claim: Option<Claim>,
    /// When the copy was first tried, or tried again after Recall had refused the key.
    pub since: Timestamp,
    #[serde(default)]
    pub failures: Failures,
    /// Since when Recall has answered only 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
    /// As in [`State::Transcribing`].
    #[serde(default)]
    pub checks: u32,
    /// As in [`State::Transcribing`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported_done: bool,
}

/// What has kept one transcript from being copied. Each kind is counted separately, and a count affects decisions about
/// its own kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// The network, S3, or Recall failed.
    pub transient: u32,
    /// Recall refused the key or the account, in a row.
    pub operator: u32,
    /// We rejected what Recall offered: the host is not allowed, or the file is too large.
    pub rejected: u32,
    /// Recall answered 404 and did not know the recording either. Any answer but a 404 starts this count again.
    pub missing: u32,
    /// Recall answered 404 although it knows the recording, in a row: any other answer starts this count again.
    pub gone: u32,
    /// The file was stored, and S3 refused one of its renditions.
    pub renditions_refused: u32,
    /// The file was stored, and the time was up before its renditions were.
    pub renditions_late: u32,
    /// The download had no bytes.
    pub empty_bodies: u32,
    /// The worker died: its lease ended without an answer.
    pub crashes: u32,
}

/// Identifies one holder of a lease: the version of the save that took the lease. An answer with another claim comes
/// from a worker whose lease had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(pub u64);

/// What is in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub stored_at: Timestamp,
    pub manifest_key: String,
    /// Key of the verbatim file.
    pub key: String,
    /// Size of the verbatim file in bytes.
    pub bytes: u64,
    /// SHA-256 of the verbatim file, in lower-case hexadecimal.
    pub sha256: String,
    /// CRC-64/NVME of the verbatim file, in S3's notation.
    pub crc64nvme: String,
    /// The transcript holds no speech.
    pub empty: bool,
    /// The file is not a transcript, so its original stays at Recall.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// The provider that Recall states on the transcript.
    pub provider: Option<String>,
    pub counts: Counts,
    /// When Recall created the transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// The title of the meeting, shortened for the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Recall had not made everything about the meeting ready when the transcript was stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_meeting_data: bool,
}

/// What the transcript holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub turns: u64,
    /// Entries of `words[]`.
    pub words: u64,
    pub speakers: u64,
    pub duration_ms: u64,
}

impl Failures {
    /// Returns the sum over all kinds.
    pub fn total(&self) -> u32 {
        let kinds = [
            self.transient,
            self.operator,
            self.rejected,
            self.missing,
            self.gone,
            self.renditions_refused,
            self.renditions_late,
            self.empty_bodies,
            self.crashes,
        ];
        kinds.into_iter().fold(0, u32::saturating_add)
    }
}

impl State {
    /// Returns Recall's id, once it is known.
    pub fn transcript_id(&self) -> Option<TranscriptId> {
        match self {
            Self::Creating(_) | Self::Refused { .. } => None,
            Self::Transcribing { transcript_id, .. }
            | Self::Copying(Copying { transcript_id, .. })
            | Self::Stored { transcript_id, .. }
            | Self::Failed { transcript_id, .. }
            | Self::Lost { transcript_id }
            | Self::Foreign { transcript_id } => Some(*transcript_id),
        }
    }

    /// Returns why there is no transcript, in Recall's words.
    pub fn sub_code(&self) -> Option<String> {
        match self {
            Self::Failed { sub_code: code, .. } | Self::Refused { code, .. } => code.clone(),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// Returns what is in S3, if the transcript is stored.
    pub fn receipt(&self) -> Option<&Receipt> {
        if let Self::Stored { receipt, .. } = self { Some(receipt) } else { None }
    }

    /// Returns the copy in progress.
    pub(crate) fn copying(&self) -> Option<Copying> {
        if let Self::Copying(copying) = self { Some(*copying) } else { None }
    }

    /// Returns when the transcript must be looked at again.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { retry_at, .. }) | Self::Copying(Copying { retry_at, .. }) => Some(*retry_at),
            Self::Transcribing { check_at, .. } => Some(*check_at),
            Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// Returns the end of the lease that a worker holds.
    pub(crate) fn leased_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { retry_at, claim: Some(_), .. })
            | Self::Copying(Copying { retry_at, claim: Some(_), .. }) => Some(*retry_at).filter(|until| now < *until),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// Ends a wait, but not a lease.
    pub(crate) fn end_wait(&mut self, now: Timestamp) {
        match self {
            Self::Creating(Creating { retry_at: at, claim: None, .. })
            | Self::Copying(Copying { retry_at: at, claim: None, .. })
            | Self::Transcribing { check_at: at, .. } => *at = now.min(*at),
            Self::Creating(_)
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => {}
        }
    }

    /// Returns whether Recall or a worker is still working on the transcript.
    pub(crate) fn is_in_progress(&self) -> bool {
        match self {
            Self::Creating(_) | Self::Transcribing { .. } | Self::Copying(_) => true,
            Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => false,
        }
    }

    /// Returns whether Recall has, or may have, a transcript in this state.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. }
            | Self::Refused { status: OUTCOME_UNKNOWN, .. } => true,
            Self::Refused { .. } => false,
        }
    }
}
