//! Webhooks, delivered as Svix does: signed, at least once, and retried for more than a day.

use std::{sync::Arc, time::Duration};

use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use pipeline::signature;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    clock::{now, webhook_time},
    faults::WebhookFault,
    model::Model,
    outbox::{Delivery, Message},
    state::{Bot, Progress, Recording, Status},
};
use crate::wire::lock;

/// The wait before each attempt, from the failure of the previous one.
const SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(10 * 3600),
];

impl Model {
    /// Sends `transcript.*` for the transcript's current state, and returns the message id.
    pub(super) fn announce_transcript(self: &Arc<Self>, id: Uuid) -> Option<String> {
        let (event, body, recording) = {
            let state = lock(&self.state);
            let transcript = state.transcripts.get(&id)?;
            let recording = state.recordings.get(&transcript.recording)?;
            let mut data = facts(&transcript.progress, recording, state.bot_of(recording));
            data["transcript"] = json!({"id": id, "metadata": transcript.metadata});
            (format!("transcript.{}", transcript.progress.status), data, recording.id)
        };
        Some(self.post(event, body, Some(recording), Some(id)))
    }

    /// Sends `recording.*` for the recording's current state, and returns the message id.
    pub(super) fn announce_recording(self: &Arc<Self>, id: Uuid) -> Option<String> {
        let (event, body) = {
            let state = lock(&self.state);
            let recording = state.recordings.get(&id)?;
            let mut data = facts(&recording.progress, recording, state.bot_of(recording));
            if recording.progress.status == Status::Failed {
                let code = recording.progress.sub_code.as_deref().unwrap_or("internal_error");
                data["data"]["error"] = json!({"code": code, "message": "The recording failed."});
            }
            (format!("recording.{}", recording.progress.status), data)
        };
        Some(self.post(event, body, Some(id), None))
    }

    fn post(
        self: &Arc<Self>,
        event: String,
        data: Value,
        recording_id: Option<Uuid>,
        transcript_id: Option<Uuid>,
    ) -> String {
        let body = json!({"event": event, "data": data}).to_string().into();
        self.send(Message { id: self.message_id(), event, recording_id, transcript_id, body })
    }

    /// Returns a new id in Svix's format.
    pub(super) fn message_id(&self) -> String {
        let mut state = lock(&self.state);
        let random = &mut state.random;
        format!("msg_{}", std::iter::repeat_with(|| random.alphanumeric()).take(27).collect::<String>())
    }

    /// Records the message and delivers it, unless a fault prevents that.
    pub(super) fn send(self: &Arc<Self>, message: Message) -> String {
        let id = message.id.clone();
        lock(&self.outbox.messages).push(message.clone());
        match self.faults.strike_webhook(&message) {
            None => self.dispatch(message, Duration::ZERO),
            Some(WebhookFault::Dropped) => {}
            Some(WebhookFault::Copies(copies)) => {
                for _ in 0..copies {
                    self.dispatch(message.clone(), Duration::ZERO);
                }
            }
            Some(WebhookFault::Held) => lock(&self.outbox.held).push(message),
            Some(WebhookFault::Delayed(time)) => self.dispatch(message, time),
        }
        self.changed();
        id
    }

    /// Delivers the message in the background, in parallel with all others.
    pub(super) fn dispatch(self: &Arc<Self>, message: Message, delay: Duration) {
        *lock(&self.outbox.under_way).entry(message.id.clone()).or_default() += 1;
        let model = self.clone();
        self.spawn(async move {
            model.clock.sleep(delay).await;
            model.deliver(&message).await;
            model.arrived(&message.id);
        });
    }

    fn arrived(&self, message: &str) {
        let mut under_way = lock(&self.outbox.under_way);
        if let Some(left) = under_way.get_mut(message) {
            *left -= 1;
        }
        under_way.retain(|_, left| *left > 0);
        drop(under_way);
        self.changed();
    }

    async fn deliver(&self, message: &Message) {
        let mut hurries = self.outbox.hurries.subscribe();
        for (before, wait) in SCHEDULE.into_iter().enumerate() {
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                _ = hurries.changed() => {}
            }
            hurries.mark_unchanged();
            // An endpoint that is switched off loses its pending attempts.
            let Some(request) = self.request(message) else { return };
            let (at, started) = (now(), Instant::now());
            let answer = tokio::time::timeout(self.limits.webhook_timeout, self.outbox.client.request(request)).await;
            let status = answer.ok().and_then(Result::ok).map(|answer| answer.status());
            lock(&self.outbox.log).push(Delivery {
                message_id: message.id.clone(),
                event: message.event.clone(),
                recording_id: message.recording_id,
                transcript_id: message.transcript_id,
                attempt: before + 1,
                at,
                latency: started.elapsed(),
                status: status.map(|status| status.as_u16()),
            });
            self.changed();
            if status.is_some_and(|status: StatusCode| status.is_success()) {
                return;
            }
        }
    }

    fn request(&self, message: &Message) -> Option<Request<Full<Bytes>>> {
        let settings = lock(&self.outbox.settings);
        let mut request = Request::post(settings.url.as_deref()?)
            .header("content-type", "application/json")
            .header("user-agent", "Svix-Webhooks/1.84 (sender-9YMgn; +https://www.svix.com/http-sender/)");
        let at = now().unix_timestamp();
        for (name, value) in signature::headers(&settings.keys, settings.family, &message.id, at, &message.body) {
            request = request.header(name, value);
        }
        request.body(Full::new(message.body.clone())).ok()
    }

    /// Waits until an attempt of the message has ended, or until none is left.
    pub(super) async fn answered(&self, message: &str) {
        let mut changes = self.changes.subscribe();
        let enough = async {
            loop {
                changes.borrow_and_update();
                let tried = lock(&self.outbox.log).iter().any(|delivery| delivery.message_id == message);
                let to_come = lock(&self.outbox.under_way).contains_key(message);
                if tried || !to_come || changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(self.limits.webhook_timeout, enough).await;
    }
}

/// Returns the contents of every event: the new state, the recording, and the bot or null.
fn facts(progress: &Progress, recording: &Recording, bot: Option<&Bot>) -> Value {
    json!({
        "data": {
            "code": progress.status.as_str(),
            "sub_code": progress.sub_code,
            "updated_at": webhook_time(progress.updated_at),
        },
        "recording": {"id": recording.id, "metadata": recording.metadata},
        "bot": bot.map(|bot| json!({"id": bot.id, "metadata": bot.metadata})),
    })
}
