//! What is stored about a meeting apart from its words.

mod broken;
mod kept;
mod knowledge;
mod labels;
mod large;
mod late;
mod people;
mod rendered_again;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use local::{
    recall::MeetingFile,
    stack::WORK_QUEUE,
    wire::{Call, Service},
};
use serde_json::{Value, json};
use tests::{Pipeline, sha256};
use uuid::Uuid;

/// Recall's files, with the names under which they are kept.
const KEPT: [(MeetingFile, &str); 4] = [
    (MeetingFile::Participants, "participants.json"),
    (MeetingFile::Events, "events.json"),
    (MeetingFile::Timeline, "timeline.json"),
    (MeetingFile::ProviderData, "provider.json"),
];

/// Returns `sources` with these words for participants, events, the title and the bot.
fn sources(participants: &str, events: &str, title: &str, bot: &str) -> Value {
    json!({"participants": participants, "events": events, "meeting_metadata": title, "bot": bot})
}

/// The same where the settings ask for the timeline and the provider's data as well.
fn all_sources(participants: &str, events: &str, timeline: &str, provider_data: &str) -> Value {
    let mut sources = sources(participants, events, "read", "read");
    sources["timeline"] = json!(timeline);
    sources["provider_data"] = json!(provider_data);
    sources
}

fn transcript_of(manifest: &Value) -> Result<&str> {
    manifest["transcript_id"].as_str().context("no transcript")
}

fn names(manifest: &Value) -> Vec<&str> {
    manifest["files"].as_array().into_iter().flatten().filter_map(|file| file["name"].as_str()).collect()
}

/// Returns the manifest's entry for this file, if there is one.
fn entry<'a>(manifest: &'a Value, name: &str) -> Option<&'a Value> {
    manifest["files"].as_array()?.iter().find(|file| file["name"] == name)
}

/// Returns the bytes of a file that the manifest names.
fn bytes(pipeline: &Pipeline, manifest: &Value, name: &str) -> Result<Bytes> {
    let file = entry(manifest, name).with_context(|| format!("no {name}"))?;
    pipeline.stack.s3.object(file["key"].as_str().context("no key")?)?.context("no object")
}

fn text(pipeline: &Pipeline, manifest: &Value, name: &str) -> Result<String> {
    Ok(String::from_utf8(bytes(pipeline, manifest, name)?.to_vec())?)
}

/// Returns the lines of a JSON Lines file that the manifest names.
fn lines(pipeline: &Pipeline, manifest: &Value, name: &str) -> Result<Vec<Value>> {
    text(pipeline, manifest, name)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Returns the one line about the meeting.
fn meeting_line(pipeline: &Pipeline, manifest: &Value) -> Result<Value> {
    let mut lines = lines(pipeline, manifest, "meetings.jsonl")?;
    ensure!(lines.len() == 1, "{} lines", lines.len());
    Ok(lines.remove(0))
}

/// Checks that the file is Recall's own, and that its entry says so.
fn check_verbatim(pipeline: &Pipeline, recording: Uuid, manifest: &Value, file: MeetingFile, name: &str) -> Result<()> {
    let original = pipeline.simulator().file_bytes(recording, file).context("Recall has no file")?;
    let stated = entry(manifest, name).with_context(|| format!("{name} is not in the manifest"))?;
    ensure!(bytes(pipeline, manifest, name)? == original, "{name} is not Recall's");
    ensure!(stated["key"] == format!("recordings/{recording}/{}/{name}", transcript_of(manifest)?), "{stated}");
    ensure!(stated["sha256"] == sha256(&original) && stated["bytes"] == original.len(), "{stated}");
    ensure!(stated["content_type"] == "application/json", "{stated}");
    Ok(())
}

/// Returns the keys of all objects that contain this text.
fn objects_with(pipeline: &Pipeline, text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for key in pipeline.stack.s3.keys()? {
        let object = pipeline.stack.s3.object(&key)?.context("the object has disappeared")?;
        if String::from_utf8_lossy(&object).contains(text) {
            found.push(key);
        }
    }
    Ok(found)
}

/// Returns the calls to a service, oldest first.
fn calls(pipeline: &Pipeline, service: Service) -> Vec<Call> {
    pipeline.stack.wire.calls().into_iter().filter(|call| call.service == service).collect()
}

/// Returns how many calls to Recall have this in their name.
fn count(pipeline: &Pipeline, operation: &str) -> usize {
    pipeline.stack.wire.count(Service::Recall, operation)
}

/// Returns the log lines with this message.
fn logged(pipeline: &Pipeline, message: &str) -> Vec<Value> {
    let lines = pipeline.stack.logs().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// Lets time pass until nothing is left to do for the recording, and returns its manifest.
async fn followed_up(pipeline: &Pipeline, recording: Uuid) -> Result<Value> {
    pipeline.reaches(recording, "stored").await?;
    while pipeline.job(recording)?.context("no job")?.get("due_at").is_some() {
        pass_time(pipeline).await?;
    }
    pipeline.ends_stored(recording).await
}

/// Lets time pass until the next event that the jobs wait for, and has the sweep continue them.
async fn pass_time(pipeline: &Pipeline) -> Result<()> {
    pipeline.wait_until("all functions to be idle", || Ok(pipeline.is_idle())).await?;
    pipeline.let_time_pass().await?;
    pipeline.sweep().await.map(drop)
}

/// Sends a message about the recording, and waits until it is handled.
async fn send(pipeline: &Pipeline, event: &str, recording: Uuid) -> Result<()> {
    let message = json!({"event": event, "recording_id": recording});
    pipeline.stack.queues.send(WORK_QUEUE, &message.to_string(), &[]).await?;
    pipeline.settles().await
}
