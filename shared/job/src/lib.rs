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
//! | `decide`, `decision` | the entry points `on_event` and `on_answer`, what each save does, what the core says |
//! | `recording` | what Recall says about the recording itself |
//! | `transcripts` | the transcripts of the row: how one is found, added, merged from a list |
//! | `attempts`, `retries`, `hold`, `limit` | our own paid attempts: start, repeat, look up, hold back, park at the limit |
//! | `copies`, `renderings` | copying a transcript to S3, and rendering the readable files again |
//! | `deletions`, `deletion_steps` | what is deleted at Recall, and the steps of one deletion |
//! | `outbox` | what is announced |
//! | `wake`, `waits` | what is due, and every wait with its reason |
//! | `reconcile` | what Recall's lists tell that a job does not know |
//!
//! # States of one transcript
//!
//! ```text
//!   recording.done                    answer, or any transcript.* with our attempt
//!  ────────────────► Creating ───────────────────────► Transcribing ◄───────┐
//!    ▲                │  ▲ │ same key, or look-up            │              │ not ready yet
//!    │ next attempt   │  └─┘                 transcript.done │              │
//!    ├────────────────┤ 400, 404                             ▼              │
//!    │                ▼                                   Copying ──────────┘
//!    │             Refused                                   │  ▲ ▲
//!    │                            ┌──────────────┬───────────┴──┐ │ transcript.done after all
//!    │                            ▼              ▼          │   ▼ │
//!    │                         Stored         Failed ───────┘  Lost
//!    └───────────────────────────────────────────┘
//! ```
//!
//! A transcript that someone else requested, and that the operator does not want copied, is `Foreign`.
//!
//! A create that certainly had no effect (throttled, key refused, not found by the look-up) leaves the list. The next
//! attempt has a new number and therefore a new idempotency key.

mod answers;
mod attempts;
mod copies;
mod decide;
mod decision;
mod deletion_steps;
mod deletions;
mod events;
mod hold;
pub mod ids;
mod job;
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
    transcripts::{Contradiction, KeepReason, ListedTranscript, Transcript, TranscriptRef},
    waits::{JITTER_PART, KEY_REUSE, LIST_SETTLE, TRANSCRIBING_CHECK, capped_wait},
};
