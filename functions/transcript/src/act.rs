//! Carries out the core's commands for one message.

use std::time::Duration;

use job::{Announcement, Answer, Command, DeleteAnswer, Event, Notice, ids::RecordingId};
use pipeline::{
    advance::Act,
    bus::{Bus, BusError},
    deadline::Deadline,
    logs, metrics,
    recall::AttemptSpec,
    telemetry::Chain,
    time,
    work_queue::Message,
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    Transcripts,
    copy::{Ids, RESERVE},
};

/// One message that is being worked on.
pub(crate) struct Received<'a> {
    pub(crate) transcripts: &'a Transcripts,
    pub(crate) recording_id: RecordingId,
    pub(crate) delivery_id: &'a str,
    pub(crate) deadline: Deadline,
}

impl Act for Received<'_> {
    async fn act(&self, command: Command) -> Answer {
        let Self { transcripts, recording_id, delivery_id, deadline } = *self;
        let clients = &transcripts.clients;
        match command {
            Command::Create { attempt, provider, language, claim } => {
                let spec = AttemptSpec { recording_id, attempt, provider: &provider, language: language.as_deref() };
                let answer = clients.create_transcript(spec, delivery_id, deadline).await;
                Answer::Create { attempt, claim, answer }
            }
            Command::LookUp { attempt, claim } => {
                Answer::LookUp { attempt, claim, answer: clients.look_up(recording_id, deadline).await }
            }
            Command::ReadRecording { claim } => {
                Answer::ReadRecording { claim, answer: clients.read_recording(recording_id, deadline).await }
            }
            Command::List => Answer::List(clients.look_up(recording_id, deadline).await),
            Command::Render { transcripts: stored, claim } => {
                Answer::Render { claim, answer: transcripts.rerenderer.render(&stored, deadline).await }
            }
            Command::Copy { transcript_id, attempt, bot_id, failures, claim } => {
                let ids = Ids { recording_id, transcript_id, bot_id, attempt, failures };
                let answer = transcripts.copier.copy(ids, deadline).await;
                Answer::Copy { transcript_id, claim, answer }
            }
            Command::Delete { target, verify, deletable, claim } => {
                let deletion = transcripts.deleter.delete(recording_id, target, verify, deletable);
                let answer = timeout(time_for_it(deadline), deletion).await;
                let late = |_| DeleteAnswer::Later { after: Duration::ZERO };
                Answer::Delete { target, claim, answer: answer.unwrap_or_else(late) }
            }
            Command::Announce { announcements } => {
                let announced = timeout(time_for_it(deadline), transcripts.announcer.announce(&announcements)).await;
                Answer::Announce { sent: announced.unwrap_or_default() }
            }
            Command::Wake => {
                let sent = clients.work.send(&Message::new(recording_id, Event::WAKE, delivery_id)).await;
                if let Err(error) = &sent {
                    tracing::error!(message = logs::MESSAGE_NOT_SENT, recording.id = %recording_id, error = %Chain(error));
                }
                Answer::Wake { sent: sent.is_ok() }
            }
        }
    }
}

/// What is left of the invocation, less what it takes to record how it went.
pub(crate) fn time_for_it(deadline: Deadline) -> Duration {
    deadline.left(time::now()).saturating_sub(RESERVE)
}

/// Tells the event bus what became of a recording.
#[derive(Debug)]
pub(crate) struct Announcer {
    bus: Option<Bus>,
    bucket: String,
}

/// The `detail` of an event.
#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    announcement: &'a Announcement,
    bucket: &'a str,
}

impl Announcer {
    pub(crate) fn new(bus: Option<Bus>, bucket: String) -> Self {
        Self { bus, bucket }
    }

    /// Announces one after the other. What need not be tried again.
    async fn announce(&self, announcements: &[Announcement]) -> Vec<Notice> {
        let mut sent = Vec::new();
        for announcement in announcements {
            let Announcement { id, detail_type, notice, recording_id, .. } = announcement;
            let detail = Detail { announcement, bucket: &self.bucket };
            let result = match &self.bus {
                Some(bus) => bus.put(detail_type, &detail).await,
                // The operator has removed the bus since it was noted.
                None => Ok(()),
            };
            match result {
                Ok(()) => {
                    tracing::info!(message = logs::ANNOUNCEMENT_SENT, recording.id = %recording_id, detail.id = id, detail_type);
                    sent.push(*notice);
                }
                Err(error) => {
                    tracing::error!(message = logs::ANNOUNCEMENT_NOT_SENT, recording.id = %recording_id, detail.id = id, detail_type, error = %Chain(&error));
                    metrics::ANNOUNCEMENTS_FAILED.count();
                    match error {
                        // It would be refused for ever.
                        BusError::TooLarge { .. } | BusError::Unwritable(_) => sent.push(*notice),
                        BusError::Unavailable(_) | BusError::Refused { .. } => {}
                    }
                }
            }
        }
        sent
    }
}
