//! What must hold at the end of a chaos run.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use local::recall::{Delivery, Status};
use serde_json::Value;
use uuid::Uuid;

use super::stories::{Story, World};
use crate::Pipeline;

/// How many recordings an error shows in full, and how many of their last log lines.
pub(super) const SHOWN: usize = 3;
const LINES_SHOWN: usize = 100;
/// Texts that no function ever logs, whatever happens around it.
const NEVER_LOGGED: [&str; 4] = ["attempt.paid_twice", "copy.mismatched", "message.parked", "panicked at"];

/// Checks what must hold for the whole run. The harness checks the promises.
pub(super) async fn of_all(pipeline: &Pipeline) -> Result<()> {
    let dead = pipeline.dead_letters().await?;
    ensure!(dead.is_empty(), "{} messages are on the dead-letter queue: {dead:?}", dead.len());
    for line in pipeline.stack.logs() {
        ensure!(!NEVER_LOGGED.iter().any(|never| line.contains(never)), "in the log: {line}");
    }
    Ok(())
}

/// Checks what must hold for one recording.
pub(super) fn of_one(pipeline: &Pipeline, world: &World, recording: Uuid, story: Story) -> Result<()> {
    let Some(row) = pipeline.job(recording)? else {
        let of_it = |one: &Delivery| one.recording_id == Some(recording) && one.succeeded();
        let makes_a_job = |event: &str| !event.ends_with(".deleted") && event != "recording.processing";
        let told = pipeline.simulator().deliveries().iter().any(|one| of_it(one) && makes_a_job(&one.event));
        ensure!(story.may_stay_unknown() && !told, "it has no row");
        let paid = pipeline.simulator().creates(recording);
        ensure!(paid == 0, "it has no row, and {paid} transcripts were paid for");
        return Ok(());
    };
    let status = row["status"].as_str().unwrap_or_default();
    let made = pipeline.simulator().creates(recording);
    let ends = story.deserves(world);
    let meant = ends.iter().any(|end| end.status == status && end.creates.contains(&made));
    ensure!(meant, "it is {status} with {made} creates that took effect, and the correct ends are {ends:?}");
    paid_once(pipeline, recording, &row, story)?;
    let stored = stored(pipeline, world, recording, &row, story)?;
    // Another client's transcript may be stored while the job waits for a slot for its own.
    let others_only = story == Story::Shared && status == "limit_reached";
    ensure!((status == "stored" || others_only) != stored.is_empty(), "it is {status} with {} in S3", stored.len());
    announced(pipeline, recording, &row, &stored)
}

/// Checks that no attempt took effect twice, that no attempt began before the previous one failed, and that the row
/// knows every paid transcript.
fn paid_once(pipeline: &Pipeline, recording: Uuid, row: &Value, story: Story) -> Result<()> {
    let known = row["transcripts"].as_array().context("the row has no transcripts")?;
    let at_recall = pipeline.simulator().transcripts(recording);
    let paid: Vec<_> = at_recall.iter().filter(|transcript| transcript.idempotency_key.is_some()).collect();
    let keys: BTreeSet<_> = paid.iter().filter_map(|transcript| transcript.idempotency_key.as_deref()).collect();
    ensure!(keys.len() == paid.len(), "a key was paid for twice: {keys:?}");
    let attempts = row["attempts"].as_u64().context("the row has no attempts")?;
    for (index, transcript) in paid.iter().enumerate() {
        let attempt: u64 = transcript.metadata["attempt"].as_str().context("no attempt")?.parse()?;
        let key = format!("{recording}:{attempt}");
        ensure!(transcript.idempotency_key.as_ref() == Some(&key), "attempt {attempt} has the wrong key");
        ensure!((1..=attempts).contains(&attempt), "the row counts {attempts} attempts, and {attempt} was paid for");
        let entry = known.iter().find(|entry| entry["transcript_id"] == transcript.id.to_string());
        // A transcript that was deleted with its recording before any webhook announced it is not in the row.
        if story == Story::Deleted && entry.is_none() {
            continue;
        }
        let entry = entry.with_context(|| format!("the row does not know {}", transcript.id))?;
        ensure!(entry["attempt"] == attempt, "the row has {} under the wrong attempt", transcript.id);
        let last = index + 1 == paid.len();
        ensure!(last || entry["state"] == "failed", "attempt {attempt} had not failed before the next one began");
    }
    let ours: Vec<_> = known.iter().filter(|entry| entry["transcript_id"].is_string()).collect();
    for entry in ours {
        let id: Uuid = entry["transcript_id"].as_str().unwrap_or_default().parse()?;
        ensure!(at_recall.iter().any(|transcript| transcript.id == id), "Recall never had {id}");
    }
    Ok(())
}

/// Checks that every transcript that is done at Recall is in S3 byte for byte, and deleted at Recall if the operator
/// wants that.
fn stored(pipeline: &Pipeline, world: &World, recording: Uuid, row: &Value, story: Story) -> Result<Vec<Uuid>> {
    let mut stored = Vec::new();
    let known = row["transcripts"].as_array().context("the row has no transcripts")?;
    for transcript in pipeline.simulator().transcripts(recording) {
        let id = transcript.id;
        let entry = known.iter().find(|entry| entry["transcript_id"] == id.to_string());
        let is_stored = entry.is_some_and(|entry| entry["state"] == "stored");
        ensure!(is_stored || transcript.status != Status::Done, "{id} is done at Recall and not stored");
        let Some(entry) = entry.filter(|_| is_stored) else { continue };
        stored.push(id);
        let object = pipeline.stack.s3.object(&format!("recordings/{recording}/{id}/transcript.json"))?;
        ensure!(object == pipeline.simulator().transcript_bytes(id), "{id} is not stored as Recall has it");
        let manifest = entry["receipt"]["manifest_key"].as_str().context("no manifest")?;
        ensure!(pipeline.stack.s3.object(manifest)?.is_some(), "{id} is stored without a manifest");
        // The recording is deleted once the transcript that we requested is stored.
        let waits = world.delete == "recording" && row["status"] == "limit_reached";
        let to_go = world.delete != "none" && !waits;
        ensure!(!to_go || transcript.status == Status::Deleted, "{id} is stored and still at Recall");
        let may_go = to_go || world.makes_room() || story == Story::Deleted;
        ensure!(may_go || transcript.status == Status::Done, "{id} is {} at Recall", transcript.status);
    }
    let manifests = pipeline.manifests(recording)?.len();
    ensure!(manifests >= stored.len(), "{manifests} manifests of {} stored transcripts", stored.len());
    Ok(stored)
}

/// Checks that every end was announced, each under one id, and that nothing else was announced.
fn announced(pipeline: &Pipeline, recording: Uuid, row: &Value, stored: &[Uuid]) -> Result<()> {
    let events = pipeline.stack.bus.events();
    let ours = events.iter().filter(|event| event.detail["recording_id"] == recording.to_string());
    let told: BTreeSet<String> = ours.filter_map(|event| event.detail["id"].as_str().map(str::to_owned)).collect();
    let ends = row["outbox"]["announced_ends"].as_u64().context("the row has no ends")?;
    let failed = (1..=ends).map(|end| format!("{recording}:failed:{end}"));
    let meant: BTreeSet<String> = stored.iter().map(|id| format!("{id}:stored")).chain(failed).collect();
    ensure!(told == meant, "{told:?} were announced instead of {meant:?}");
    let bad = matches!(row["status"].as_str(), Some("failed" | "lost" | "limit_reached"));
    ensure!(!bad || ends > 0, "it ended without a transcript, and no event announced that");
    Ok(())
}

/// Returns everything that is known about a recording.
pub(super) fn report(pipeline: &Pipeline, recording: Uuid) -> String {
    let id = recording.to_string();
    let row = pipeline.job(recording).ok().flatten().unwrap_or_default();
    let at_recall = pipeline.simulator().transcripts(recording);
    let at_recall = at_recall.iter().map(|one| format!("  {} {} {:?}\n", one.id, one.status, one.idempotency_key));
    let mut lines: Vec<String> = pipeline.stack.logs().into_iter().filter(|line| line.contains(&id)).collect();
    lines.sort_by_key(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["timestamp"].as_str().unwrap_or_default().to_owned()
    });
    let skipped = lines.len().saturating_sub(LINES_SHOWN);
    format!(
        "its row: {row}\nat Recall:\n{}its lines:\n  {}\n",
        at_recall.collect::<String>(),
        lines[skipped..].join("\n  ")
    )
}
