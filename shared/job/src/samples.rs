//! Samples of every variant, for the tests and the fuzz targets of all crates.
//!
//! A new variant does not compile until it has samples here, so no list of variants can silently miss one.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    Answer, Claim, Contradiction, CopyAnswer, Copying, Counts, CreateAnswer, Creating, DeleteAnswer, Deletion,
    DeletionReason, DeletionTarget, Event, Failures, FollowUp, FollowUpAnswer, Hold, HoldCause, Job, KeepReason,
    ListedTranscript, LookUpAnswer, Notice, Outbox, Overrides, Receipt, Recording, RecordingAnswer, RecordingInfo,
    Refusals, RenderAnswer, Rendering, Retry, State, Status, Transcript, TranscriptRef, UnexplainedRefusal,
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

pub const NOW: Timestamp = Timestamp::from_secs(1_000_000);
/// The transcript of our first attempt.
pub const OURS: TranscriptId = TranscriptId::from_u128(1);
/// A transcript that someone else requested.
pub const OTHER: TranscriptId = TranscriptId::from_u128(2);
/// The claim that is held, and one that is outdated.
pub const CLAIM: Claim = Claim(3);
pub const OUTDATED_CLAIM: Claim = Claim(2);
/// A Retry-After.
const AFTER: Duration = Duration::from_secs(30);

/// Defines `samples()` from a list of all variants, each with its samples.
macro_rules! samples {
    ($type:ident { $($pattern:pat => $samples:expr),* $(,)? }) => {
        impl $type {
            #[doc(hidden)]
            pub fn samples() -> Vec<Self> {
                // Exhaustive: a variant that is missing above is a compile error here.
                let _: fn(&Self) = |sample| match sample { $($pattern => {})* };
                let samples: Vec<Vec<Self>> = vec![$($samples.into()),*];
                samples.concat()
            }
        }
    };
}

samples!(Event {
    Self::RecordingDone(_) => [Self::RecordingDone(info()), Self::RecordingDone(RecordingInfo::default())],
    Self::RecordingFailed { .. } => [Self::RecordingFailed { sub_code: None }],
    Self::RecordingDeleted => [Self::RecordingDeleted],
    Self::TranscriptProcessing(_) => [Self::TranscriptProcessing(ours()), Self::TranscriptProcessing(other())],
    Self::TranscriptDone(_) => [
        Self::TranscriptDone(ours()),
        Self::TranscriptDone(other()),
        Self::TranscriptDone(TranscriptRef { attempt: Some(1), ..other() }),
    ],
    Self::TranscriptFailed { .. } => [
        Self::TranscriptFailed { reference: ours(), sub_code: None },
        Self::TranscriptFailed { reference: other(), sub_code: None },
    ],
    Self::TranscriptDeleted(_) => [Self::TranscriptDeleted(ours()), Self::TranscriptDeleted(other())],
    Self::Wake { .. } => [Self::WAKE, Self::Wake { now: true }],
    Self::Retry { .. } => [
        Self::Retry { provider: None, after_attempt: 1 },
        Self::Retry { provider: None, after_attempt: 0 },
    ],
    Self::Render { .. } => [Self::Render { transcript_id: None }],
    Self::Dismiss { .. } => [Self::Dismiss { ended_at: NOW }],
});

impl Event {
    /// The names of the events that Recall sends, for the lists in tests and documents.
    #[doc(hidden)]
    pub fn names_from_recall() -> BTreeSet<&'static str> {
        Self::samples().iter().filter(|event| event.is_from_recall()).map(Self::name).collect()
    }

    /// What "send example" in Recall's dashboard sends: each event, about a recording and a transcript that no one has.
    #[doc(hidden)]
    pub fn example_samples() -> Vec<Self> {
        let is_example = |event: &Self| {
            event.is_from_recall() && event.transcript().is_none_or(|reference| reference.attempt.is_none())
        };
        Self::samples().into_iter().filter(is_example).collect()
    }
}

samples!(Answer {
    Self::Create { .. } => {
        let answers = CreateAnswer::samples().into_iter();
        let answers = answers.map(|answer| Self::Create { attempt: 1, claim: CLAIM, answer });
        let answer = CreateAnswer::Throttled { after: AFTER };
        answers.chain([Self::Create { attempt: 1, claim: OUTDATED_CLAIM, answer }]).collect::<Vec<_>>()
    },
    Self::LookUp { .. } => {
        let answers = LookUpAnswer::samples().into_iter();
        answers.map(|answer| Self::LookUp { attempt: 1, claim: CLAIM, answer }).collect::<Vec<_>>()
    },
    Self::ReadRecording { .. } => {
        let answers = RecordingAnswer::samples().into_iter();
        answers.map(|answer| Self::ReadRecording { claim: CLAIM, answer }).collect::<Vec<_>>()
    },
    Self::List(_) => {
        let ended = listed(OURS, Some(1), true);
        [
            Self::List(LookUpAnswer::Complete(vec![ended])),
            Self::List(LookUpAnswer::Complete(Vec::new())),
            Self::List(LookUpAnswer::Incomplete(vec![ended])),
            Self::List(LookUpAnswer::Later { after: AFTER }),
        ]
    },
    Self::Copy { .. } => {
        let answers = CopyAnswer::samples().into_iter();
        let answers = answers.map(|answer| Self::Copy { transcript_id: OURS, claim: CLAIM, answer });
        let answer = CopyAnswer::Deleted;
        answers.chain([Self::Copy { transcript_id: OURS, claim: OUTDATED_CLAIM, answer }]).collect::<Vec<_>>()
    },
    Self::Delete { .. } => {
        let (answers, target) = (DeleteAnswer::samples().into_iter(), DeletionTarget::Transcript(OURS));
        answers.map(|answer| Self::Delete { target, claim: CLAIM, answer }).collect::<Vec<_>>()
    },
    Self::Render { .. } => {
        let answers = RenderAnswer::samples().into_iter();
        answers.map(|answer| Self::Render { claim: CLAIM, answer }).collect::<Vec<_>>()
    },
    Self::FollowUp { .. } => {
        let answers = FollowUpAnswer::samples().into_iter();
        answers.map(|answer| Self::FollowUp { claim: CLAIM, answer }).collect::<Vec<_>>()
    },
    Self::Announce { .. } => [
        Self::Announce { sent: vec![Notice::Stored { transcript_id: OURS }] },
        Self::Announce { sent: Vec::new() },
    ],
    Self::Wake { .. } => [Self::Wake { sent: true }, Self::Wake { sent: false }],
});

samples!(CreateAnswer {
    Self::Created { .. } => [Self::Created { transcript_id: OURS }, Self::Created { transcript_id: OTHER }],
    Self::InProgress => [Self::InProgress],
    Self::Lost => [Self::Lost],
    Self::ServerError { .. } => [Self::ServerError { after: AFTER }],
    Self::Throttled { .. } => [Self::Throttled { after: AFTER }],
    Self::Operator { .. } => [Self::Operator { status: 402 }],
    Self::Refused { .. } => [Self::Refused { status: 400, code: None }, Self::Refused { status: 404, code: None }],
});

samples!(LookUpAnswer {
    Self::Complete(_) => [
        Self::Complete(vec![listed(OURS, Some(1), false)]),
        Self::Complete(vec![listed(OURS, Some(1), true)]),
        Self::Complete(vec![listed(OURS, Some(1), true), listed(OTHER, Some(1), true)]),
        Self::Complete(vec![listed(OTHER, None, true)]),
        Self::Complete(Vec::new()),
    ],
    Self::Incomplete(_) => [Self::Incomplete(vec![listed(OTHER, None, true)])],
    Self::Later { .. } => [Self::Later { after: AFTER }],
    Self::Operator => [Self::Operator],
});

samples!(RecordingAnswer {
    Self::Read(_) => [Self::Read(info())],
    Self::Failed { .. } => [Self::Failed { sub_code: None }],
    Self::Deleted => [Self::Deleted],
    Self::Unknown => [Self::Unknown],
    Self::Operator => [Self::Operator],
    Self::Later { .. } => [Self::Later { after: AFTER }],
});

samples!(CopyAnswer {
    Self::Stored(_) => [Self::Stored(receipt())],
    Self::NotReady => [Self::NotReady],
    Self::Failed { .. } => [Self::Failed { sub_code: None }],
    Self::Deleted => [Self::Deleted],
    Self::Missing { .. } => [Self::Missing { recording_known: false }, Self::Missing { recording_known: true }],
    Self::Later { .. } => [Self::Later { after: AFTER }],
    Self::Operator => [Self::Operator],
    Self::Rejected => [Self::Rejected],
    Self::RenditionsRefused => [Self::RenditionsRefused],
    Self::RenditionsLate => [Self::RenditionsLate],
    Self::EmptyBody => [Self::EmptyBody],
});

samples!(DeleteAnswer {
    Self::Deleted => [Self::Deleted],
    Self::Unverified => [Self::Unverified],
    Self::Others(_) => {
        [Self::Others(vec![listed(OTHER, None, true)]), Self::Others(vec![listed(OURS, Some(1), true)])]
    },
    Self::Later { .. } => [Self::Later { after: AFTER }],
});

samples!(FollowUpAnswer {
    Self::Done => [Self::Done],
    Self::NotReady => [Self::NotReady],
    Self::Later { .. } => [Self::Later { after: AFTER }],
});

samples!(RenderAnswer {
    Self::Rendered => [Self::Rendered],
    Self::NotAsStored => [Self::NotAsStored],
    Self::Later { .. } => [Self::Later { after: AFTER }],
});

samples!(State {
    Self::Creating(_) => {
        let creating = Creating {
            first_call_at: NOW,
            last_call_at: NOW,
            calls: 3,
            errors: 2,
            conflicts: 1,
            retry_at: NOW,
            claim: Some(CLAIM),
            refusal: Some(UnexplainedRefusal { code: None }),
            inconclusive_since: Some(NOW),
            retry: Some(Retry { provider: Some("p".to_owned()) }),
        };
        [Self::Creating(creating)]
    },
    Self::Transcribing { .. } => {
        [Self::Transcribing { transcript_id: OURS, check_at: NOW, checks: 4, reported_done: true }]
    },
    Self::Copying(_) => {
        let copying = Copying {
            transcript_id: OURS,
            retry_at: NOW,
            claim: None,
            since: NOW,
            failures: Failures { transient: 5, missing: 6, ..Failures::default() },
            missing_since: Some(NOW),
            checks: 1,
            reported_done: true,
        };
        [Self::Copying(copying)]
    },
    Self::Stored { .. } => [Self::Stored { transcript_id: OURS, receipt: receipt() }],
    Self::Failed { .. } => [Self::Failed { transcript_id: OURS, sub_code: None }],
    Self::Refused { .. } => [Self::Refused { status: 400, code: None }],
    Self::Lost { .. } => [Self::Lost { transcript_id: OURS }],
    Self::Foreign { .. } => [Self::Foreign { transcript_id: OTHER }],
});

samples!(Hold {
    Self::Wait { .. } => [
        Self::Wait { retry_at: NOW, status: Some(429), times: 1, since: NOW },
        Self::Wait { retry_at: NOW, status: None, times: 0, since: NOW },
    ],
    Self::Unread { .. } => {
        let cause = HoldCause::Operator;
        [Self::Unread { retry_at: NOW, claim: Some(CLAIM), cause, times: 1, since: NOW }]
    },
    Self::AllRefused { .. } => [Self::AllRefused { retry_at: NOW }],
    Self::LimitReached { .. } => [Self::LimitReached { retry_at: Some(NOW) }, Self::LimitReached { retry_at: None }],
    Self::Skipped => [Self::Skipped],
});

samples!(Recording {
    Self::Unknown => [Self::Unknown],
    Self::Done => [Self::Done],
    Self::Failed { .. } => [Self::Failed { sub_code: Some("internal_error".to_owned()) }],
    Self::Deleted => [Self::Deleted],
});

samples!(Status {
    Self::Creating => [Self::Creating],
    Self::Transcribing => [Self::Transcribing],
    Self::Copying => [Self::Copying],
    Self::Waiting => [Self::Waiting],
    Self::Stored => [Self::Stored],
    Self::LimitReached => [Self::LimitReached],
    Self::Skipped => [Self::Skipped],
    Self::Failed => [Self::Failed],
    Self::Lost => [Self::Lost],
});

impl Job {
    /// One job with every field set, and that job with each state, hold, and recording instead of its own.
    #[doc(hidden)]
    pub fn samples() -> Vec<Self> {
        let full = full();
        let transcript = |state| Transcript { state, ..full.transcripts[0].clone() };
        let states =
            State::samples().into_iter().map(|state| Self { transcripts: vec![transcript(state)], ..full.clone() });
        let holds = Hold::samples().into_iter().map(|hold| Self { hold: Some(hold), ..full.clone() });
        let recordings = Recording::samples().into_iter().map(|recording| Self { recording, ..full.clone() });
        [full.clone()].into_iter().chain(states).chain(holds).chain(recordings).collect()
    }
}

/// A job with every field set. It names each field, so a new one does not compile until it is here.
fn full() -> Job {
    let target = DeletionTarget::Transcript(OURS);
    let receipt =
        Receipt { created_at: Some(NOW), title: Some("t".to_owned()), awaits_meeting_data: true, ..receipt() };
    let transcript = Transcript {
        attempt: Some(1),
        provider: Some("p".to_owned()),
        state: State::Stored { transcript_id: OURS, receipt },
        deleted: true,
        relisted: true,
        contradiction: Some(Contradiction { retry_at: NOW, times: 1 }),
        keep_reason: Some(KeepReason::NotDeleted),
        other_deployment: true,
    };
    Job {
        recording_id: RecordingId::from_u128(7),
        bot_id: Some(BotId::from_u128(9)),
        recording: Recording::Done,
        done_at: Some(NOW),
        expires_at: Some(NOW),
        overrides: Some(Overrides { skip: true, provider: Some("p".to_owned()), language: Some("l".to_owned()) }),
        unknown_since: Some(NOW),
        refusals: Some(Refusals { since: NOW, rounds: 1 }),
        retry: Some(Retry { provider: Some("p".to_owned()) }),
        rendering: Some(Rendering { transcript_id: Some(OURS), retry_at: NOW, claim: Some(CLAIM), tries: 1 }),
        rendering_stopped_at: Some(NOW),
        follow_up: Some(FollowUp { retry_at: NOW, claim: Some(CLAIM), tries: 1, repeat: true }),
        requested_language: Some("l".to_owned()),
        refused_languages: vec!["m".to_owned()],
        failed_at: Some(NOW),
        attempts: 3,
        transcripts: vec![transcript],
        hold: Some(Hold::Skipped),
        deletion: Some(Deletion { target, reason: DeletionReason::Room, retry_at: NOW, claim: None, tries: 1 }),
        ended_at: Some(NOW),
        dismissed_at: Some(NOW),
        outbox: Outbox {
            notices: vec![
                Notice::Stored { transcript_id: OURS },
                Notice::Failed { status: Status::Lost, end: 1 },
                Notice::Expiring,
            ],
            retry_at: NOW,
            sending: true,
            tries: 1,
            last_announced_end: Some(Status::Lost),
            announced_ends: 1,
            expiry_alarm_at: Some(NOW),
            expiry_announced: true,
        },
        version: 12,
    }
}

/// The metadata was read, and overrides nothing.
fn info() -> RecordingInfo {
    RecordingInfo { overrides: Some(Overrides::default()), ..RecordingInfo::default() }
}

fn ours() -> TranscriptRef {
    TranscriptRef { transcript_id: OURS, attempt: Some(1), other_deployment: false }
}

fn other() -> TranscriptRef {
    TranscriptRef { transcript_id: OTHER, attempt: None, other_deployment: false }
}

fn listed(transcript_id: TranscriptId, attempt: Option<u32>, ended: bool) -> ListedTranscript {
    ListedTranscript { transcript_id, attempt, ended, failed: false, other_deployment: false }
}

/// An empty transcript, complete in S3.
pub fn receipt() -> Receipt {
    Receipt {
        stored_at: NOW,
        manifest_key: "m".to_owned(),
        key: "k".to_owned(),
        bytes: 2,
        sha256: "s".to_owned(),
        crc64nvme: "c".to_owned(),
        empty: true,
        unreadable: false,
        provider: None,
        counts: Counts::default(),
        created_at: None,
        title: None,
        awaits_meeting_data: false,
    }
}
