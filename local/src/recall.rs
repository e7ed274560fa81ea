//! A stateful simulator of Recall.ai.
//!
//! It does what the team's notes on Recall say, and nothing more: an API with its refusals and limits, transcriptions
//! that take time, download URLs that expire, and signed webhooks with retries. It plays [`Meeting`]s, and [`Faults`]
//! make it misbehave. Where the notes are silent, the code says what it chose.
//!
//! The files import each other in one direction: `state` and `outbox` hold data, `model` holds what all parts share,
//! the API and the webhooks work on the model, and `simulator` starts everything.

mod access;
mod answers;
mod api;
mod artifacts;
mod body;
mod clock;
mod config;
mod create;
mod download;
mod drive;
mod ends;
mod faults;
mod idempotency;
mod inspect;
mod list;
mod meeting;
mod model;
mod outbox;
mod routes;
mod signer;
mod simulator;
mod state;
mod throttle;
mod urls;
mod webhooks;

#[cfg(test)]
mod tests;

pub use self::{
    config::{Limits, SimulatorConfig, random_api_key, random_webhook_secret},
    drive::Order,
    faults::{Artifact, ArtifactFault, BotFault, DownloadFault, EntryFault, Faults, FileFault, Target, WebhookFault},
    inspect::{RecordingView, TranscriptView},
    meeting::{
        CHAT_MESSAGE, Content, MEETING_PASSWORD, Meeting, MeetingFile, Platform, many_events, many_participants,
    },
    outbox::{Delivery, Message},
    simulator::Simulator,
    state::{Metadata, Status},
    urls::DOWNLOAD_HOST,
};
