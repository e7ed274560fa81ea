//! Carries out the commands that the core gives for one message.

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

use crate::{Transcripts, chat, copy::CopyRequest, follow_up::FollowUpRequest};

/// How much of the invocation a command leaves, so that its answer can be recorded.
const ANSWER_RESERVE: Duration = Duration::from_secs(1);

/// Carries out the core's commands for one message.
pub(crate) struct MessageActor<'a> {
    pub(crate) transcripts: &'a Transcripts,
    pub(crate) recording_id: RecordingId,
    pub(crate) delivery_id: &'a str,
    pub(crate) deadline: Deadline,
}

impl Act for MessageActor<'_> {
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
            Command::Render { transcripts: stored, newest, claim } => {
                Answer::Render { claim, answer: transcripts.rerenderer.render(&stored, newest, deadline).await }
            }
            Command::Copy { transcript_id, attempt, bot_id, failures, newest_stored, claim } => {
                let request = CopyRequest { recording_id, transcript_id, bot_id, attempt, failures, newest_stored };
                let answer = transcripts.copier.copy(request, deadline).await;
                Answer::Copy { transcript_id, claim, answer }
            }
            Command::FollowUp { transcripts: stored, newest, is_last_try, claim } => {
                let request = FollowUpRequest { transcripts: stored, newest, is_last_try };
                Answer::FollowUp { claim, answer: transcripts.follow_ups.follow_up(request, deadline).await }
            }
            Command::Delete { target, verify, deletable, claim } => {
                let deletion = transcripts.deleter.delete(recording_id, target, verify, deletable);
                let answer = timeout(time_to_act(deadline), deletion).await;
                let timed_out = |_| DeleteAnswer::Later { after: Duration::ZERO };
                Answer::Delete { target, claim, answer: answer.unwrap_or_else(timed_out) }
            }
            Command::Announce { announcements } => {
                let sent = timeout(time_to_act(deadline), transcripts.announcer.announce(&announcements)).await;
                Answer::Announce { sent: sent.unwrap_or_default() }
            }
            Command::Wake => {
                let sent = clients.work.send(&Message::new(recording_id, Event::WAKE, delivery_id)).await;
                if let Err(error) = &sent {
                    tracing::error!(
                        message = logs::MESSAGE_NOT_SENT,
                        recording.id = %recording_id,
                        error = %Chain(error)
                    );
                }
                Answer::Wake { sent: sent.is_ok() }
            }
        }
    }
}

/// How much time a command may take: the rest of the invocation, without the time for recording the answer.
pub(crate) fn time_to_act(deadline: Deadline) -> Duration {
    deadline.left(time::now()).saturating_sub(ANSWER_RESERVE)
}

/// Announces on the event bus how recordings ended.
#[derive(Debug)]
pub(crate) struct Announcer {
    bus: Option<Bus>,
    bucket: String,
}

/// The `detail` of an event on the bus.
#[derive(Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    announcement: &'a Announcement,
    bucket: &'a str,
    headline: String,
    summary: String,
}

impl Announcer {
    pub(crate) fn new(bus: Option<Bus>, bucket: String) -> Self {
        Self { bus, bucket }
    }

    /// Sends the announcements one after the other. Returns the notices that need not be sent again.
    async fn announce(&self, announcements: &[Announcement]) -> Vec<Notice> {
        let mut sent = Vec::new();
        for announcement in announcements {
            let Announcement { id, detail_type, notice, recording_id, .. } = announcement;
            let (headline, summary) = (chat::headline(announcement), chat::summary(announcement));
            let detail = Detail { announcement, bucket: &self.bucket, headline, summary };
            let result = match &self.bus {
                Some(bus) => bus.put(detail_type, &detail).await,
                // The operator has removed the bus since the announcement was saved.
                None => Ok(()),
            };
            match result {
                Ok(()) => {
                    tracing::info!(
                        message = logs::ANNOUNCEMENT_SENT,
                        recording.id = %recording_id,
                        detail.id = id,
                        detail_type
                    );
                    sent.push(*notice);
                }
                Err(error) => {
                    tracing::error!(
                        message = logs::ANNOUNCEMENT_NOT_SENT,
                        recording.id = %recording_id,
                        detail.id = id,
                        detail_type,
                        error = %Chain(&error)
                    );
                    metrics::ANNOUNCEMENTS_FAILED.count();
                    match error {
                        // Every other try would fail in the same way.
                        BusError::TooLarge { .. } | BusError::Unwritable(_) => sent.push(*notice),
                        BusError::Unavailable(_) | BusError::Refused { .. } => {}
                    }
                }
            }
        }
        sent
    }
}
