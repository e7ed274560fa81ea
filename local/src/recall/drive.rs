//! Events at Recall that the pipeline does not cause itself.

use std::time::Duration;

use pipeline::signature;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    clock::{now, webhook_time},
    create,
    meeting::Meeting,
    model::Model,
    outbox::Message,
    simulator::Simulator,
    state::{Bot, Metadata, Progress, Recording, Status},
};
use crate::wire::lock;

/// The order in which held events are released.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    Sent,
    Reversed,
    /// Random, by the simulator's seed.
    Shuffled,
}

impl Simulator {
    /// Ends a meeting: its recording is done, and `recording.done` is sent.
    pub fn play(&self, meeting: Meeting) -> Uuid {
        let id = self.add_recording(meeting);
        self.model().announce_recording(id);
        id
    }

    /// Adds a finished recording without its webhook, which only [`Simulator::announce`] sends.
    pub fn add_recording(&self, meeting: Meeting) -> Uuid {
        self.add(meeting, Status::Done, None)
    }

    /// Sends the webhook for the recording's current state.
    pub fn announce(&self, recording: Uuid) {
        self.model().announce_recording(recording);
    }

    /// Starts a recording and sends `recording.processing`.
    pub fn start_recording(&self, meeting: Meeting) -> Uuid {
        let id = self.add(meeting, Status::Processing, None);
        self.model().announce_recording(id);
        id
    }

    /// Finishes a started recording and sends `recording.done`. Returns `false` if there is no such recording.
    pub fn finish_recording(&self, id: Uuid) -> bool {
        {
            let mut state = lock(&self.model().state);
            let Some(recording) = state.recordings.get_mut(&id) else { return false };
            if recording.progress.status != Status::Processing {
                return false;
            }
            recording.progress = Progress::now(Status::Done, None);
            recording.completed_at = Some(recording.progress.updated_at);
        }
        self.model().changed();
        self.model().announce_recording(id);
        true
    }

    /// Adds a failed recording and sends `recording.failed`.
    pub fn recording_failed(&self, meeting: Meeting, sub_code: Option<&str>) -> Uuid {
        let id = self.add(meeting, Status::Failed, sub_code.map(str::to_owned));
        self.model().announce_recording(id);
        id
    }

    /// Deletes the recording and its transcripts, as another client or the retention would, and sends `*.deleted`.
    pub fn delete_recording(&self, id: Uuid) -> bool {
        self.model().delete_recording(id)
    }

    /// Deletes the transcript, as another client would, and sends `transcript.deleted`.
    pub fn delete_transcript(&self, id: Uuid) -> bool {
        self.model().delete_transcript(id)
    }

    /// Requests a transcript as another client, which does not count in [`Simulator::creates`]. Returns `None` if
    /// Recall refuses.
    pub fn add_transcript(&self, recording: Uuid, provider: &str, metadata: Metadata) -> Option<Uuid> {
        let mut chosen = Metadata::new();
        chosen.insert(provider.to_owned(), Value::Object(Metadata::new()));
        let order = create::Order { provider: chosen, diarization: Value::Null, metadata, idempotency_key: None };
        let (id, plan) = self.model().create(recording, order, false).ok()?;
        if plan.done_before_answer {
            self.model().finish(id, plan.sub_code.map_or(Ok(()), Err));
        }
        Some(id)
    }

    /// Ends a transcription now: done, or failed with this sub_code or without one. Returns `false` if it had already
    /// ended.
    pub fn finish_transcription(&self, transcript: Uuid, outcome: Result<(), Option<&str>>) -> bool {
        self.model().finish(transcript, outcome.map_err(|sub_code| sub_code.map(str::to_owned))).is_some()
    }

    /// Lets this much real time pass for a recording: its keys are forgotten sooner, the lists lag less, and what comes
    /// late comes sooner.
    pub fn age(&self, recording: Uuid, by: Duration) {
        let earlier = |at: Instant| at.checked_sub(by).unwrap_or(at);
        self.model().answers.age(&recording.to_string(), by);
        let mut state = lock(&self.model().state);
        if let Some(recording) = state.recordings.get_mut(&recording) {
            recording.completed_at = recording.completed_at.map(|at| at - by);
            recording.progress.updated = earlier(recording.progress.updated);
        }
        for transcript in state.transcripts.values_mut() {
            if transcript.recording == recording {
                transcript.created = earlier(transcript.created);
                transcript.progress.updated = earlier(transcript.progress.updated);
            }
        }
    }

    /// Ends every download URL that was handed out so far.
    pub fn expire_urls(&self) {
        self.model().signer.expire_all();
    }

    /// Signs and delivers any JSON like one of Recall's own events, and returns the message id.
    pub fn send_event(&self, body: Value) -> String {
        let id_of = |what: &str| body["data"][what]["id"].as_str().and_then(|id| id.parse().ok());
        let message = Message {
            id: self.model().message_id(),
            event: body["event"].as_str().unwrap_or_default().to_owned(),
            recording_id: id_of("recording"),
            transcript_id: id_of("transcript"),
            body: body.to_string().into(),
        };
        self.model().send(message)
    }

    /// Sends the portal's "send example": a correctly signed event about a recording that Recall does not know. Returns
    /// its id.
    pub fn send_example(&self, event: &str) -> Uuid {
        let [recording, bot, transcript] = {
            let mut state = lock(&self.model().state);
            [state.id(), state.id(), state.id()]
        };
        let code = event.rsplit('.').next().unwrap_or_default();
        let updated_at = webhook_time(now());
        let mut data = json!({
            "data": {"code": code, "sub_code": null, "updated_at": updated_at},
            "recording": {"id": recording, "metadata": {}},
            "bot": {"id": bot, "metadata": {}},
        });
        if event.starts_with("transcript.") {
            data["transcript"] = json!({"id": transcript, "metadata": {}});
        }
        self.send_event(json!({"event": event, "data": data}));
        recording
    }

    /// Delivers a message again under its id, as "resend" in the dashboard does. Returns `false` if there is none.
    pub fn redeliver(&self, message_id: &str) -> bool {
        let found = self.messages().into_iter().find(|message| message.id == message_id);
        found.map(|message| self.model().dispatch(message, Duration::ZERO)).is_some()
    }

    /// Delivers every message about a recording again, and returns their number.
    pub fn redeliver_all(&self, recording: Uuid) -> usize {
        let messages = self.messages().into_iter().filter(|message| message.recording_id == Some(recording));
        messages.map(|message| self.model().dispatch(message, Duration::ZERO)).count()
    }

    /// Starts every waiting retry now.
    pub fn retry_now(&self) {
        self.model().outbox.hurries.send_modify(|count| *count += 1);
    }

    /// Delivers the held events, each after the previous one was answered or failed once.
    pub async fn release_webhooks(&self, order: Order) {
        let mut held = std::mem::take(&mut *lock(&self.model().outbox.held));
        match order {
            Order::Sent => {}
            Order::Reversed => held.reverse(),
            Order::Shuffled => lock(&self.model().state).random.shuffle(&mut held),
        }
        for message in held {
            let id = message.id.clone();
            self.model().dispatch(message, Duration::ZERO);
            self.model().answered(&id).await;
        }
    }

    /// Returns the headers of a signed delivery of `body`, under a new message id, at `at` in seconds since the epoch.
    pub fn sign(&self, body: &[u8], at: i64) -> Vec<(&'static str, String)> {
        self.sign_as(&self.model().message_id(), body, at)
    }

    /// Returns the headers of a signed delivery under this message id.
    pub fn sign_as(&self, message_id: &str, body: &[u8], at: i64) -> Vec<(&'static str, String)> {
        let settings = lock(&self.model().outbox.settings);
        signature::headers(&settings.keys, settings.family, message_id, at, body)
    }

    fn add(&self, meeting: Meeting, status: Status, sub_code: Option<String>) -> Uuid {
        let model = self.model();
        let started_at = meeting.started_at.unwrap_or_else(|| now() - meeting.duration);
        let expires_at = meeting.expires_at;
        let files = meeting.files(started_at);
        let id = {
            let mut state = lock(&model.state);
            let (id, order) = (state.id(), state.next());
            let bot = meeting.bot.then(|| meeting.bot_id.unwrap_or_else(|| state.id()));
            if let Some(bot) = bot {
                let (metadata, meeting_url) = (meeting.bot_metadata, meeting.meeting_url);
                state.bots.entry(bot).or_insert(Bot { id: bot, metadata, meeting_url });
            }
            let recording = Recording {
                id,
                order,
                bot,
                created_at: started_at,
                started_at,
                completed_at: (status != Status::Processing).then(|| started_at + meeting.duration),
                progress: Progress::now(status, sub_code),
                metadata: meeting.metadata,
                expires_at,
                has_media: meeting.has_media,
                duration: meeting.worth.unwrap_or(meeting.duration),
                content: meeting.content,
                platform: meeting.platform,
                title: meeting.title,
                files,
                transcripts: Vec::new(),
                creates: 0,
            };
            state.recordings.insert(id, recording);
            id
        };
        model.changed();
        if let Some(expires_at) = expires_at {
            model.expire(id, expires_at);
        }
        id
    }
}

impl Model {
    /// Deletes the recording when its retention ends.
    fn expire(self: &std::sync::Arc<Self>, recording: Uuid, at: OffsetDateTime) {
        let model = self.clone();
        self.spawn(async move {
            tokio::time::sleep((at - now()).try_into().unwrap_or_default()).await;
            model.delete_recording(recording);
        });
    }
}
