//! One transcript of a recording, and where it is.

use serde::{Deserialize, Serialize};

use crate::{ids::TranscriptId, time::Timestamp};

/// One transcript of the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The number of our attempt; `None` if somebody else asked for this transcript.
    pub attempt: Option<u32>,
    /// The provider our attempt named.
    pub provider: Option<String>,
    #[serde(flatten)]
    pub state: State,
    /// Recall has deleted it since; it no longer counts towards the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Its copy could not be verified, so it stays at Recall.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

/// Where one transcript is. `until` is the moment before which nobody else may act: the end of a worker's lease,
/// or of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// create_transcript was called, or is about to be; whether it took effect is not known.
    Creating(Creating),
    /// Recall is working on it. `checks` counts how often we asked and it was not done.
    Transcribing { transcript_id: TranscriptId, check_at: Timestamp, checks: u32 },
    /// It is being copied to S3, or waits to be tried again.
    Copying(Copying),
    /// Terminal: complete in S3, manifest included.
    Stored { transcript_id: TranscriptId, receipt: Receipt },
    /// Recall could not make it. Should Recall say later that it is done after all, it is copied.
    Failed { transcript_id: TranscriptId, sub_code: Option<String> },
    /// Recall would not make it. Should it exist after all, that counts.
    Refused { status: u16, code: Option<String> },
    /// Deleted or expired before it was copied, or not to be had for a month. If Recall merely did not know it any more, a later `transcript.done`
    /// takes it up again.
    Lost { transcript_id: TranscriptId },
    /// Somebody else's, and the operator wants it left alone. It counts towards the limit.
    Left { transcript_id: TranscriptId },
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
    pub until: Timestamp,
    pub claim: Claim,
    /// The code of a 400. The list of transcripts tells whether the limit was meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// A 400 that is not understood yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: Option<String>,
}

/// A copy that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub transcript_id: TranscriptId,
    pub until: Timestamp,
    /// The worker that is at it; `None` while it waits.
    pub claim: Option<Claim>,
    /// When it was first tried.
    pub since: Timestamp,
    /// Copies that did not come about so far.
    pub tries: u32,
    /// Workers that never said how it went: they died over it.
    pub deaths: u32,
    /// How many of the last of them found that Recall does not know the transcript.
    pub missing: u32,
}

/// Names one claim of a lease: the version of the save that took it. An answer that comes with another claim is
/// from a worker whose lease had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(pub u64);

/// What stands in S3.
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

impl Transcript {
    /// Recall has it no longer.
    pub(super) fn delete(&mut self) {
        match self.state {
            State::Transcribing { transcript_id, .. } | State::Copying(Copying { transcript_id, .. }) => {
                self.state = State::Lost { transcript_id };
                self.deleted = true;
            }
            State::Stored { .. } | State::Failed { .. } | State::Lost { .. } | State::Left { .. } => {
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

    /// Whether Recall has it, or may have it.
    pub(super) fn exists(&self) -> bool {
        !self.deleted && self.state.exists()
    }

    /// Ours, and nobody needs another one: it is on its way, or it has ended in a way that another try does not mend.
    pub(super) fn stands(&self) -> bool {
        self.attempt.is_some()
            && match self.state {
                State::Creating(_)
                | State::Transcribing { .. }
                | State::Copying(_)
                | State::Stored { .. }
                | State::Lost { .. } => true,
                State::Failed { .. } | State::Refused { .. } | State::Left { .. } => false,
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
            | Self::Left { transcript_id } => Some(*transcript_id),
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
            | Self::Left { .. } => None,
        }
    }

    /// What stands in S3, if it is stored.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Stored { receipt, .. } => Some(receipt),
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Left { .. } => None,
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
            | Self::Left { .. } => None,
        }
    }

    /// When somebody must look at it again.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { until, .. }) | Self::Copying(Copying { until, .. }) => Some(*until),
            Self::Transcribing { check_at, .. } => Some(*check_at),
            Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Left { .. } => None,
        }
    }

    /// Until when a worker holds it.
    pub(super) fn busy(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Creating(Creating { until, .. }) | Self::Copying(Copying { until, claim: Some(_), .. }) => {
                Some(*until).filter(|until| now < *until)
            }
            Self::Copying(Copying { claim: None, .. })
            | Self::Transcribing { .. }
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Refused { .. }
            | Self::Lost { .. }
            | Self::Left { .. } => None,
        }
    }

    fn exists(&self) -> bool {
        match self {
            Self::Creating(_)
            | Self::Transcribing { .. }
            | Self::Copying(_)
            | Self::Stored { .. }
            | Self::Failed { .. }
            | Self::Left { .. } => true,
            Self::Refused { .. } | Self::Lost { .. } => false,
        }
    }
}
