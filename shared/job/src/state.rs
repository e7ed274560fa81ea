//! One transcript of a recording, and where it is.

use serde::{Deserialize, Serialize};

use super::Retry;
use crate::{ids::TranscriptId, time::Timestamp};

/// No answer of Recall's: whether the attempt took effect was never found out.
pub(super) const OUTCOME_UNKNOWN: u16 = 0;

/// One transcript of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The number of our attempt; `None` if somebody else asked for this transcript.
    pub attempt: Option<u32>,
    /// The provider our attempt named.
    pub provider: Option<String>,
    #[serde(flatten)]
    pub state: State,
    /// Recall has said that it is deleted; it no longer counts towards the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Recall listed it after it had counted as deleted, and it was taken up again. That happens once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relisted: bool,
    /// Recall said that it is done, and that it has failed when it was retrieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<Contradiction>,
    /// Why we do not delete it at Recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_reason: Option<KeepReason>,
    /// Another deployment of this product asked for it. We may copy it, and never delete it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_deployment: bool,
}

/// What Recall says of a failed transcript contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Before this, nobody retrieves it because it is said to be done once more.
    pub retry_at: Timestamp,
    /// How many times.
    pub times: u32,
}

/// Why a transcript stays at Recall although it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepReason {
    /// The file is not a transcript, and nobody has read it.
    Unreadable,
    /// Its copy in S3 is not what the row says.
    Unverified,
    /// Recall refused to delete it, or did not confirm that it is gone.
    NotDeleted,
}

/// Where one transcript is. `until` is the moment before which nobody else may act: the end of a worker's lease,
/// or of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// create_transcript was called, or is about to be; whether it took effect is not known.
    Creating(Creating),
    /// Recall is working on it. `checks` counts how many times we asked and it was not ready. `told_done`: an event said
    /// that it is done, and it still was not ready; another such event does not shorten the wait.
    Transcribing {
        transcript_id: TranscriptId,
        check_at: Timestamp,
        checks: u32,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reported_done: bool,
    },
    /// It is being copied to S3, or waits to be tried again.
    Copying(Copying),
    /// Terminal: complete in S3, manifest included.
    Stored { transcript_id: TranscriptId, receipt: Receipt },
    /// Recall could not make it. Should Recall say later that it is done after all, it is copied.
    Failed { transcript_id: TranscriptId, sub_code: Option<String> },
    /// Recall would not make it. Should it exist after all, that counts. With the status [`OUTCOME_UNKNOWN`], nobody could
    /// find out whether it does: it counts towards the limit until a list says that it does not.
    Refused { status: u16, code: Option<String> },
    /// Deleted or expired before it was copied, or given up after many failures. If Recall has not said that it is
    /// deleted, it still counts towards the limit, and a later `transcript.done` takes it up again.
    Lost { transcript_id: TranscriptId },
    /// Somebody else's, and the operator wants it left alone. It counts towards the limit.
    Foreign { transcript_id: TranscriptId },
}

/// A create whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creating {
    pub first_call_at: Timestamp,
    /// No call under this key left later: the end of the lease under which one may leave, or when it was answered.
    pub last_call_at: Timestamp,
    /// Calls made under this key so far.
    pub calls: u32,
    /// Server errors answered under this key so far.
    pub errors: u32,
    /// Calls answered 409 under this key so far.
    #[serde(default)]
    pub conflicts: u32,
    pub retry_at: Timestamp,
    /// The worker that calls; `None` while it waits.
    pub claim: Option<Claim>,
    /// The code of a 400. The list of transcripts tells whether the limit was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<UnexplainedRefusal>,
    /// Since when look-ups have not told what became of it, other than that the key is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_since: Option<Timestamp>,
    /// A person asked for this attempt. Should it have no effect, the next one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// A 400 that is not understood yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexplainedRefusal {
    pub code: Option<String>,
}

/// A copy that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub transcript_id: TranscriptId,
    pub retry_at: Timestamp,
    /// The worker that copies; `None` while it waits.
    pub claim: Option<Claim>,
    /// When it was first tried, or again after the key had been refused.
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

/// What has kept one transcript from being copied, each kind counted by itself: a count decides about its own kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// The network, S3 or Recall failed.
    pub transient: u32,
    /// Recall refused the key or the account, one time after the other.
    pub operator: u32,
    /// What Recall offered was not taken: the host is not allowed, the file is too large.
    pub rejected: u32,
    /// Recall answered 404, and did not know the recording either, one time after the other.
    pub missing: u32,
    /// Recall answered 404 although it knows the recording, one time after the other.
    pub gone: u32,
    /// The file was stored, and S3 refused one of its renditions.
    pub renditions_refused: u32,
    /// The file was stored, and the time was up before its renditions were.
    pub renditions_late: u32,
    /// The download had no bytes.
    pub empty_bodies: u32,
    /// A worker never said how it went: it died.
    pub crashes: u32,
}

/// Names one claim of a lease: the version of the save that took it. An answer that comes with another claim is
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
    /// Of the verbatim file, in lower-case hexadecimal.
    pub sha256: String,
    /// Of the verbatim file, as S3 writes it.
    pub crc64nvme: String,
    /// Nobody spoke.
    pub empty: bool,
    /// The file is not a transcript; its original stays at Recall.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
    /// As Recall states it on the transcript.
    pub provider: Option<String>,
    pub counts: Counts,
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
    /// Of every kind.
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

impl Transcript {
    pub fn new(attempt: Option<u32>, provider: Option<String>, state: State) -> Self {
        Self {
            attempt,
            provider,
            state,
            deleted: false,
            relisted: false,
            contradiction: None,
            keep_reason: None,
            other_deployment: false,
        }
    }

    /// Recall has it no longer.
    pub(super) fn delete(&mut self) {
        self.keep_reason = self.keep_reason.filter(|reason| *reason != KeepReason::NotDeleted);
        match self.state {
            State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                self.state = State::Lost { transcript_id };
                self.deleted = true;
            }
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } | State::Foreign { .. } => {
                self.deleted = true;
            }
            State::Creating(_) | State::Refused { .. } => {}
        }
    }

    /// We have deleted it. If it was not stored, that is no loss that stands: another one is to be had.
    pub(super) fn give_up(&mut self) {
        if let State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) = self.state {
            self.state = State::Failed { transcript_id, sub_code: None };
        }
        self.delete();
    }

    /// Stored, and nothing is known against deleting the original.
    pub(super) fn is_safe(&self) -> bool {
        self.keep_reason.is_none() && self.state.receipt().is_some_and(|receipt| !receipt.unreadable)
    }

    /// Whether Recall has it, or may have it.
    pub(super) fn exists(&self) -> bool {
        !self.deleted && self.state.exists()
    }

    /// Ours, and whether it exists was never found out.
    pub(super) fn is_outcome_unknown(&self) -> bool {
        self.attempt.is_some() && matches!(self.state, State::Refused { status: OUTCOME_UNKNOWN, .. })
    }

    /// Ours, and no other one is needed: it is on its way, or it has ended in a way that another try does not change.
    pub(super) fn stands(&self) -> bool {
        self.attempt.is_some()
            && match self.state {
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Lost { .. }
                // It may exist, so no other one is asked for unless a person says so.
                | State::Refused { status: OUTCOME_UNKNOWN, .. } => true,
                State::Failed { .. } | State::Refused { .. } | State::Foreign { .. } => false,
            }
    }
}

impl State {
    /// Recall's id, once it is known.
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

    /// Why there is no transcript, in Recall's words.
    pub fn sub_code(&self) -> Option<String> {
        match self {
            Self::Failed { sub_code, .. } => sub_code.clone(),
            Self::Refused { code, .. } => code.clone(),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// What is in S3, if it is stored.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Stored { receipt, .. } => Some(receipt),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    pub(super) fn copying(&self) -> Option<Copying> {
        match self {
            Self::Copying(copying) => Some(*copying),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// When it must be looked at again.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
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

    /// Until when a worker holds it.
    pub(super) fn busy(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { retry_at, claim: Some(_), .. })
            | Self::Copying(Copying { retry_at, claim: Some(_), .. }) => {
                Some(*retry_at).filter(|retry_at| now < *retry_at)
            }
            Self::Creating(Creating { claim: None, .. })
            | Self::Copying(Copying { claim: None, .. })
            | Self::Transcribing { .. }
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => None,
        }
    }

    /// Ends a wait of ours; a lease stands.
    pub(super) fn end_wait(&mut self, now: Timestamp) {
        match self {
            Self::Creating(Creating { retry_at, claim: None, .. })
            | Self::Copying(Copying { retry_at, claim: None, .. }) => {
                *retry_at = now.min(*retry_at);
            }
            Self::Transcribing { check_at, .. } => *check_at = now.min(*check_at),
            Self::Creating(_)
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. } => {}
        }
    }

    fn exists(&self) -> bool {
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
