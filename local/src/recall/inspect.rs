//! Queries about what happened, and waits for it.

use std::collections::HashSet;

use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    meeting::MeetingFile,
    outbox::{Delivery, Message},
    simulator::Simulator,
    state::{Metadata, Status, Transcript},
};
use crate::wire::lock;

/// The current state of a recording, even of a deleted one.
#[derive(Clone, Debug)]
pub struct RecordingView {
    pub id: Uuid,
    pub bot_id: Option<Uuid>,
    pub status: Status,
    pub created_at: OffsetDateTime,
    pub started_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub metadata: Metadata,
}

/// The current state of a transcript, even of a deleted one.
#[derive(Clone, Debug)]
pub struct TranscriptView {
    pub id: Uuid,
    pub status: Status,
    pub sub_code: Option<String>,
    pub metadata: Metadata,
    /// Only the requested provider, with its options.
    pub provider: Metadata,
    pub created_at: OffsetDateTime,
    pub idempotency_key: Option<String>,
}

impl From<&Transcript> for TranscriptView {
    fn from(transcript: &Transcript) -> Self {
        Self {
            id: transcript.id,
            status: transcript.progress.status,
            sub_code: transcript.progress.sub_code.clone(),
            metadata: transcript.metadata.clone(),
            provider: transcript.provider.clone(),
            created_at: transcript.created_at,
            idempotency_key: transcript.idempotency_key.clone(),
        }
    }
}

impl Simulator {
    pub fn recording(&self, id: Uuid) -> Option<RecordingView> {
        let state = lock(&self.model().state);
        state.recordings.get(&id).map(|recording| RecordingView {
            id,
            bot_id: recording.bot,
            status: recording.progress.status,
            created_at: recording.created_at,
            started_at: recording.started_at,
            expires_at: recording.expires_at,
            metadata: recording.metadata.clone(),
        })
    }

    /// Returns the transcripts of a recording, oldest first.
    pub fn transcripts(&self, recording: Uuid) -> Vec<TranscriptView> {
        let state = lock(&self.model().state);
        let found = state.recordings.get(&recording);
        found.map(|recording| state.transcripts_of(recording).map(Into::into).collect()).unwrap_or_default()
    }

    pub fn transcript(&self, id: Uuid) -> Option<TranscriptView> {
        lock(&self.model().state).transcripts.get(&id).map(Into::into)
    }

    /// Returns how many transcripts of this recording were created through the API, and so paid. Replays do not count.
    pub fn creates(&self, recording: Uuid) -> usize {
        lock(&self.model().state).recordings.get(&recording).map_or(0, |recording| recording.creates)
    }

    /// Returns every recording with its [`Simulator::creates`].
    pub fn all_recordings(&self) -> Vec<(Uuid, usize)> {
        lock(&self.model().state).recordings.values().map(|recording| (recording.id, recording.creates)).collect()
    }

    /// Returns the number of all paid creates.
    pub fn all_creates(&self) -> usize {
        lock(&self.model().state).recordings.values().map(|recording| recording.creates).sum()
    }

    /// Returns the exact bytes that a download of this transcript returns.
    pub fn transcript_bytes(&self, transcript: Uuid) -> Option<Bytes> {
        let state = lock(&self.model().state);
        let recording = state.transcripts.get(&transcript)?.recording;
        state.recordings.get(&recording).map(|recording| recording.content.clone())
    }

    /// Returns the exact bytes that an undisturbed download of this file of the recording returns, even after it was
    /// deleted.
    pub fn file_bytes(&self, recording: Uuid, file: MeetingFile) -> Option<Bytes> {
        let files = lock(&self.model().state).recordings.get(&recording)?.files.clone();
        Some(files.content(file).whole())
    }

    /// Returns every event so far, delivered or not, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.model().outbox.messages).clone()
    }

    /// Returns the ids of the lost events: those that were not delivered, and never will be. Held events are not lost.
    pub fn undelivered(&self) -> Vec<String> {
        let outbox = &self.model().outbox;
        let mut ids: Vec<String> = lock(&outbox.messages).iter().map(|message| message.id.clone()).collect();
        let held: HashSet<String> = lock(&outbox.held).iter().map(|message| message.id.clone()).collect();
        let under_way: HashSet<String> = lock(&outbox.under_way).keys().cloned().collect();
        let delivered: HashSet<String> =
            lock(&outbox.log).iter().filter(|one| one.succeeded()).map(|one| one.message_id.clone()).collect();
        ids.retain(|id| !held.contains(id) && !under_way.contains(id) && !delivered.contains(id));
        ids
    }

    /// Returns every finished attempt to deliver, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.model().outbox.log).clone()
    }

    /// Returns how many events are held.
    pub fn held(&self) -> usize {
        lock(&self.model().outbox.held).len()
    }

    /// Returns how many deliveries are still to be tried.
    pub fn under_way(&self) -> usize {
        lock(&self.model().outbox.under_way).values().sum()
    }

    /// Waits until `look` finds something. Calls it again after every change. The caller should set a timeout.
    pub async fn wait_for<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.model().changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = look(self) {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the recording has `count` transcripts, including deleted ones.
    pub async fn wait_for_transcripts(&self, recording: Uuid, count: usize) -> Vec<TranscriptView> {
        self.wait_for(|this| Some(this.transcripts(recording)).filter(|found| found.len() >= count)).await
    }

    /// Waits until the transcript has this status.
    pub async fn wait_for_status(&self, transcript: Uuid, status: Status) -> TranscriptView {
        self.wait_for(|this| this.transcript(transcript).filter(|found| found.status == status)).await
    }

    /// Waits until a delivery of this event of this recording was answered with 2xx.
    pub async fn wait_for_delivery(&self, recording: Uuid, event: &str) -> Delivery {
        let wanted = |one: &Delivery| one.recording_id == Some(recording) && one.event == event && one.succeeded();
        self.wait_for(|this| this.deliveries().into_iter().find(wanted)).await
    }

    /// Waits until `count` attempts to deliver have ended, successful or not.
    pub async fn wait_for_deliveries(&self, count: usize) -> Vec<Delivery> {
        self.wait_for(|this| Some(this.deliveries()).filter(|found| found.len() >= count)).await
    }

    /// Waits until this many events are held.
    pub async fn wait_for_held(&self, count: usize) {
        self.wait_for(|this| (this.held() >= count).then_some(())).await;
    }

    /// Waits until no delivery is in progress or will be retried.
    pub async fn wait_until_delivered(&self) {
        self.wait_for(|this| (this.under_way() == 0).then_some(())).await;
    }
}
