//! The exact JSON of Recall's resources.

use serde_json::{Value, json};

use super::{
    clock::api_time,
    model::Model,
    state::{Bot, Metadata, Progress, Recording, State, Status, Transcript},
    urls::Urls,
};

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

/// A Recording.
pub(super) fn recording(model: &Model, state: &State, recording: &Recording) -> Value {
    let mut artifact = without_bot(model, state, recording);
    artifact["bot"] =
        state.bot_of(recording).map_or(Value::Null, |bot| json!({"id": bot.id, "metadata": bot.metadata}));
    artifact["bot_id"] = json!(recording.bot);
    artifact
}

/// A bot with its recordings. Our documents say no more about its format.
pub(super) fn bot(model: &Model, state: &State, bot: &Bot) -> Value {
    let mut recordings: Vec<&Recording> = state
        .recordings
        .values()
        .filter(|recording| recording.bot == Some(bot.id) && recording.progress.status != Status::Deleted)
        .collect();
    recordings.sort_by_key(|recording| recording.order);
    let recordings: Vec<Value> = recordings.into_iter().map(|recording| without_bot(model, state, recording)).collect();
    json!({"id": bot.id, "metadata": bot.metadata, "recordings": recordings})
}

fn without_bot(model: &Model, state: &State, recording: &Recording) -> Value {
    json!({
        "id": recording.id,
        "created_at": api_time(recording.created_at),
        "started_at": api_time(recording.started_at),
        "completed_at": recording.completed_at.map(api_time),
        "status": status(&recording.progress),
        "media_shortcuts": shortcuts(model, state, recording),
        "realtime_endpoints": [],
        "desktop_sdk_upload": null,
        "expires_at": recording.expires_at.map(api_time),
        "metadata": recording.metadata,
    })
}

/// Shows the newest transcript if there are several. The documents do not say which one Recall shows.
fn shortcuts(model: &Model, state: &State, recording: &Recording) -> Value {
    let newest = state.transcripts_of(recording).filter(|one| one.progress.status != Status::Deleted).last();
    let transcript = newest.map(|newest| without_recording(newest, model.urls(newest)));
    let media = |name: &str, urls: &[(&str, &str)]| {
        let there = recording.has_media && recording.progress.status == Status::Done;
        there.then(|| {
            let data: Metadata = urls
                .iter()
                .map(|(field, file)| ((*field).to_owned(), model.media_url(recording.id, name, file).into()))
                .collect();
            json!({
                "id": model.media_id(recording.id, name),
                "created_at": api_time(recording.created_at),
                "status": status(&recording.progress),
                "metadata": {},
                "data": data,
            })
        })
    };
    let events = [
        ("participant_events_download_url", "participant_events.json"),
        ("speaker_timeline_download_url", "speaker_timeline.json"),
        ("participants_download_url", "participants.json"),
    ];
    json!({
        "video_mixed": media("video_mixed", &[("download_url", "video.mp4")]),
        "transcript": transcript,
        "participant_events": media("participant_events", &events),
        "meeting_metadata": media("meeting_metadata", &[("download_url", "meeting_metadata.json")]),
        "audio_mixed": null,
    })
}
