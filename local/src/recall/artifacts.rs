//! The exact JSON of Recall's resources.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{
    clock::api_time,
    faults::{Artifact, ArtifactFault},
    meeting::{MeetingFile, Platform},
    model::Model,
    state::{Bot, Metadata, Progress, Recording, State, Status, Transcript},
    urls::{PARTICIPANT_EVENTS, Urls},
};

/// How long before its first recording a bot joins, and is let in.
const JOINING: Duration = Duration::seconds(20);
const WAITING: Duration = Duration::seconds(10);

/// The providers that the API accepts for an async transcript.
pub(super) const PROVIDERS: [&str; 9] = [
    "recallai_async",
    "elevenlabs_async",
    "assembly_ai_async",
    "deepgram_async",
    "aws_transcribe_async",
    "rev_async",
    "speechmatics_async",
    "gladia_v2_async",
    "google_speech_v2_async",
];

/// A TranscriptArtifact.
pub(super) fn transcript(state: &State, transcript: &Transcript, urls: Option<Urls>) -> Value {
    let mut artifact = without_recording(transcript, urls);
    let metadata = state.recordings.get(&transcript.recording).map(|recording| &recording.metadata);
    artifact["recording"] = json!({"id": transcript.recording, "metadata": metadata});
    artifact
}

fn without_recording(transcript: &Transcript, urls: Option<Urls>) -> Value {
    let urls = urls.unwrap_or(Urls { transcript: None, provider_data: None });
    json!({
        "id": transcript.id,
        "created_at": api_time(transcript.created_at),
        "status": status(&transcript.progress),
        "metadata": transcript.metadata,
        "data": {"download_url": urls.transcript, "provider_data_download_url": urls.provider_data},
        "diarization": transcript.diarization,
        "provider": provider(&transcript.provider),
    })
}

/// Returns the requested provider. The API may also contain the others as null, so they are included.
fn provider(chosen: &Metadata) -> Metadata {
    let mut provider: Metadata = PROVIDERS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    provider.extend(chosen.clone());
    provider
}

fn status(progress: &Progress) -> Value {
    json!({
        "code": progress.status.as_str(),
        "sub_code": progress.sub_code,
        "updated_at": api_time(progress.updated_at),
    })
}

/// Whether an answer counts as a retrieval of the recording for its faults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    Retrieval,
    InPassing,
}

/// A Recording.
pub(super) fn recording(model: &Model, state: &State, recording: &Recording, look: Look) -> Value {
    let mut artifact = without_bot(model, state, recording, look);
    artifact["bot"] =
        state.bot_of(recording).map_or(Value::Null, |bot| json!({"id": bot.id, "metadata": bot.metadata}));
    artifact["bot_id"] = json!(recording.bot);
    artifact
}

/// A bot with its recordings. `join_at` is null once a bot has joined.
pub(super) fn bot(model: &Model, state: &State, bot: &Bot) -> Value {
    let mut recordings: Vec<&Recording> =
        state.recordings.values().filter(|recording| recording.bot == Some(bot.id)).collect();
    recordings.sort_by_key(|recording| recording.order);
    let status_changes = status_changes(&recordings);
    let shown = recordings.into_iter().filter(|recording| recording.progress.status != Status::Deleted);
    let recordings: Vec<Value> = shown.map(|recording| without_bot(model, state, recording, Look::InPassing)).collect();
    json!({
        "id": bot.id,
        "meeting_url": bot.meeting_url,
        "bot_name": "Meeting Notetaker",
        "join_at": null,
        "metadata": bot.metadata,
        "status_changes": status_changes,
        "recordings": recordings,
    })
}

/// Returns how the bot joined before the first of its recordings, and left after the last one.
fn status_changes(recordings: &[&Recording]) -> Vec<Value> {
    let mut changes = Vec::new();
    if let Some(begun) = recordings.iter().map(|recording| recording.started_at).min() {
        changes.push(change("joining_call", begun - JOINING));
        changes.push(change("in_call_not_recording", begun - WAITING));
        changes.push(change("in_call_recording", begun));
    }
    let ends: Option<Vec<OffsetDateTime>> = recordings.iter().map(|recording| recording.completed_at).collect();
    if let Some(end) = ends.and_then(|ends| ends.into_iter().max()) {
        changes.extend(["call_ended", "done"].map(|code| change(code, end)));
    }
    changes
}

fn change(code: &str, at: OffsetDateTime) -> Value {
    json!({"code": code, "message": null, "created_at": api_time(at), "sub_code": null})
}

fn without_bot(model: &Model, state: &State, recording: &Recording, look: Look) -> Value {
    json!({
        "id": recording.id,
        "created_at": api_time(recording.created_at),
        "started_at": api_time(recording.started_at),
        "completed_at": recording.completed_at.map(api_time),
        "status": status(&recording.progress),
        "media_shortcuts": shortcuts(model, state, recording, look),
        "realtime_endpoints": [],
        "desktop_sdk_upload": null,
        "expires_at": recording.expires_at.map(api_time),
        "metadata": recording.metadata,
    })
}

/// Shows the newest transcript if there are several. The documents do not say which one Recall shows.
fn shortcuts(model: &Model, state: &State, recording: &Recording, look: Look) -> Value {
    let newest = state.transcripts_of(recording).filter(|one| one.progress.status != Status::Deleted).last();
    let transcript = newest.map(|newest| without_recording(newest, model.urls(newest)));
    let video = recording.has_files().then(|| {
        let url = model.media_url(recording.id, "video_mixed", "video.mp4");
        media(model, recording, "video_mixed", recording.progress.status, json!({"download_url": url}))
    });
    json!({
        "video_mixed": video,
        "transcript": transcript,
        "participant_events": about_meeting(model, recording, Artifact::ParticipantEvents, look),
        "meeting_metadata": about_meeting(model, recording, Artifact::MeetingMetadata, look),
        "audio_mixed": null,
    })
}

/// The people of a meeting, or its title.
fn about_meeting(model: &Model, recording: &Recording, artifact: Artifact, look: Look) -> Value {
    if !recording.has_files() {
        return Value::Null;
    }
    let age = recording.progress.updated.elapsed().mul_f64(model.clock.speed);
    let counted = look == Look::Retrieval;
    let status = match model.faults.artifact_shown(recording.id, artifact, age, counted) {
        None => Status::Done,
        Some(ArtifactFault::Null) => return Value::Null,
        Some(ArtifactFault::Processing | ArtifactFault::Late(_)) => Status::Processing,
        Some(ArtifactFault::Failed) => Status::Failed,
    };
    let done = status == Status::Done;
    let (name, data) = match artifact {
        Artifact::ParticipantEvents => {
            let urls = MeetingFile::OF_RECORDING.map(|file| {
                let url = done.then(|| model.shown_file_url(recording.id, file, counted)).flatten();
                (format!("{}_download_url", file.name()), json!(url))
            });
            (PARTICIPANT_EVENTS, Value::Object(urls.into_iter().collect()))
        }
        Artifact::MeetingMetadata => {
            let zoom = (recording.platform == Platform::Zoom).then(|| {
                let uuid = model.media_id(recording.id, "zoom_meeting");
                json!({"meeting_uuid": BASE64_STANDARD.encode(uuid.as_bytes())})
            });
            let title = recording.title.as_ref().filter(|_| done);
            ("meeting_metadata", json!({"title": title, "zoom": zoom.filter(|_| done)}))
        }
    };
    media(model, recording, name, status, data)
}

/// An artifact of the recording that is as old as the recording.
fn media(model: &Model, recording: &Recording, name: &str, status: Status, data: Value) -> Value {
    json!({
        "id": model.media_id(recording.id, name),
        "created_at": api_time(recording.created_at),
        "status": self::status(&Progress { status, sub_code: None, ..recording.progress.clone() }),
        "metadata": {},
        "data": data,
    })
}
