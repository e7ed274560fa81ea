//! The job of one recording: everything the pipeline knows about the recording, and what to do next.
//!
//! This crate is pure: it has no clock, no I/O, and no AWS or HTTP type. An [`Event`] or an [`Answer`] goes in, a
//! [`Decision`] comes out, and a decision cannot fail. The loop in `shared/pipeline/src/advance.rs` saves the decided
//! job before it carries out the command.
//!
//! # Map
//!
//! | Module | Subject |
//! |---|---|
//! | `job`, `state`, `status` | the row: the job, the states of its transcripts, and the status derived from them |
//! | `decide` | the entry points `on_event` and `on_answer`, and the steps of every save |
//! | `events`, `answers`, `decision` | what goes in (events, answers to commands), and what comes out |
//! | `recording` | what Recall says about the recording itself |
//! | `transcripts` | the transcripts of the row: how one is found, added, merged from a list |
//! | `attempts`, `retries`, `hold`, `limit` | our own paid attempts: start, repeat, look up, hold back, park |
//! | `copies`, `renderings` | copying a transcript to S3, and rendering the readable files again |
//! | `follow_ups` | what is left to do after a transcript was stored |
//! | `deletions`, `deletion_steps` | what is deleted at Recall, and the steps of one deletion |
//! | `outbox` | what is announced |
//! | `wake`, `waits`, `leases` | what is due, every wait with its reason, and which leases exclude each other |
//! | `policy` | what the operator and the metadata choose, and the context of a decision |
//! | `reconcile` | what Recall's lists tell that a job does not know |
//!
//! # States of one transcript
//!
//! | From | To | When |
//! |---|---|---|
//! | – | `Creating` | an attempt starts: after `recording.done`, as the next try, or because a person requests it |
//! | – | `Transcribing`, `Copying`, `Failed` | an event or a list shows a transcript that the row does not have |
//! | – | `Foreign` | the same, if someone else requested it, and it is deleted already or such ones are not copied |
//! | `Creating` | `Creating` | the outcome is unknown: the same key again, or a look-up |
//! | `Creating` | no entry | it certainly had no effect: 401, 402, 403, 404, 429, or not found by a look-up |
//! | `Creating` | no entry | a 400 because of the limit, or perhaps of a language; or the recording is deleted |
//! | `Creating` | `Refused` | another definite refusal, or its outcome could never be determined |
//! | `Creating` | `Transcribing` | the answer, a look-up, or `transcript.processing` with our attempt |
//! | `Creating`, `Transcribing` | `Copying` | `transcript.done`; for `Transcribing` also when a check is due |
//! | `Copying` | `Transcribing` | Recall says that the transcript is not ready |
//! | any with an id | `Stored` | a worker says that the manifest is in S3 |
//! | `Creating`, `Transcribing`, `Copying`, `Lost` | `Failed` | Recall could not make it |
//! | `Transcribing`, `Copying` | `Failed` | we deleted it, because another transcript of its attempt is stored |
//! | `Creating`, `Transcribing`, `Copying` | `Lost` | Recall deleted it, or the copy was given up |
//! | `Failed`, `Lost` | `Copying` | `transcript.done` after all, unless Recall said that it is deleted |
//! | `Failed`, `Lost` | `Transcribing`, `Foreign` | a list before a deletion shows that it exists and has not failed |
//! | `Refused` | `Transcribing`, `Copying`, `Failed` | an event or a list shows a transcript of the attempt after all |
//! | `Refused` | `Creating` | the outcome was unknown, and a person's request needs its slot: it is looked up again |
//! | `Refused` | no entry | the chain starts again; or the outcome was unknown, and a list shows no transcript |
//! | `Foreign` | `Transcribing` | the answer to our create, or a look-up, shows that it is ours |
//!
//! A create that certainly had no effect is removed from the row. The next attempt has a new number and therefore a new
//! idempotency key. That Recall has deleted a transcript is not a state: [`Transcript::deleted`] says it.

mod answers;
mod attempts;
mod attention;
mod copies;
mod decide;
mod decision;
mod deletion_steps;
mod deletions;
mod events;
mod follow_ups;
mod hold;
pub mod ids;
mod job;
mod leases;
mod limit;
mod outbox;
mod policy;
mod reconcile;
mod recording;
mod renderings;
mod retries;
#[doc(hidden)]
pub mod samples;
mod state;
mod status;
#[cfg(test)]
mod tests;
pub mod time;
mod transcripts;
mod waits;
mod wake;

pub use self::{
    answers::Answer,
    attempts::{CreateAnswer, LookUpAnswer},
    copies::CopyAnswer,
    decision::{Command, Decision, Next, Reason},
    deletion_steps::{Deletable, DeleteAnswer, DeleteStep, DeleteStepAnswer, DeletionSteps, RecordingPresence},
    deletions::{Deletion, DeletionReason, DeletionTarget},
    events::Event,
    follow_ups::{FollowUp, FollowUpAnswer},
    hold::{Hold, HoldCause, Refusals},
    job::Job,
    limit::RECALL_MAX_TRANSCRIPTS,
    outbox::{Announcement, Notice, Outbox},
    policy::{Context, DeleteAfterStore, OnLimit, Overrides, Policy, Role},
    reconcile::{EntryStatus, HEAD_START, RecordingEntry, TranscriptEntry},
    recording::{Recording, RecordingAnswer, RecordingInfo},
    renderings::{RenderAnswer, Rendering},
    retries::Retry,
    state::{Claim, Copying, Counts, Creating, Failures, Receipt, State, UnexplainedRefusal},
    status::Status,
    transcripts::{Contradiction, KeepReason, ListedTranscript, Transcript, TranscriptRef, Version},
    waits::{JITTER_PART, KEY_REUSE, LIST_SETTLE, TRANSCRIBING_CHECK, capped_wait},
};
