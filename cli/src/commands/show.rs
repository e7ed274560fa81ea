//! `show`: the whole story of one recording.

use job::{Job, State, Transcript, ids::RecordingId};
use serde_json::{Value, json};

use super::unknown_recording;
use crate::{
    error::CliError,
    output::{self, Output, plain},
    stack::Stack,
    story,
};

pub(crate) async fn run(stack: &Stack, output: &Output, recording_id: RecordingId) -> Result<(), CliError> {
    let job = stack.store()?.find(recording_id).await?.ok_or_else(|| unknown_recording(stack, recording_id))?;
    if output.json {
        output.object(&as_json(&job));
    } else {
        output.text(&in_words(&job, stack.output("BucketName")?, output));
    }
    Ok(())
}

/// Returns the row, with the attributes that are derived from it, and what happens next.
fn as_json(job: &Job) -> Value {
    let mut row = serde_json::to_value(job).unwrap_or_else(|_| unreachable!("text keys and plain values"));
    row["status"] = json!(job.status());
    row["transcript_count"] = json!(job.transcript_count());
    row["due_at"] = json!(job.due_at());
    row["needs_attention"] = json!(job.needs_attention());
    row["title"] = json!(story::title(job));
    row["next"] = story::steps(job).iter().map(|step| json!({"what": step.what, "at": step.at})).collect();
    row
}

fn in_words(job: &Job, bucket: &str, output: &Output) -> String {
    let times = &output.times;
    let mut lines = Vec::new();
    let title = story::title(job).map(plain).unwrap_or_else(|| "A recording without a known title".to_owned());
    lines.push(format!("{title}, {}", output::status(job.status())));
    lines.push(format!("recording  {}", job.recording_id));
    if let Some(bot_id) = job.bot_id {
        lines.push(format!("bot        {bot_id}"));
    }
    lines.push(String::new());
    lines.push(format!("At Recall, {}.", story::recording(job)));
    for (what, at) in
        [("done", job.done_at), ("expires", job.expires_at), ("ended", job.ended_at), ("dismissed", job.dismissed_at)]
    {
        if let Some(at) = at {
            lines.push(format!("  {what:<9}  {}", times.show(at)));
        }
    }
    lines.push(String::new());
    lines.push(if job.transcripts.is_empty() {
        "No transcript was requested.".to_owned()
    } else {
        "Transcripts:".to_owned()
    });
    for transcript in &job.transcripts {
        lines.push(format!("  {}  {}", heading(transcript), story::transcript(transcript)));
        if let Some(id) = transcript.state.transcript_id() {
            lines.push(format!("    transcript {id}"));
        }
        if let State::Stored { receipt, .. } = &transcript.state {
            lines.push(format!("    stored     {}", times.show(receipt.stored_at)));
            lines.push(format!("    manifest   s3://{bucket}/{}", receipt.manifest_key));
        }
    }
    lines.push(String::new());
    let steps = story::steps(job);
    lines.push(if steps.is_empty() { "Nothing is left to do.".to_owned() } else { "Next:".to_owned() });
    lines.extend(steps.iter().map(|step| format!("  {:<12}  {}", times.show(step.at), step.what)));
    let options = story::options(job);
    if !options.is_empty() {
        lines.push(String::new());
        lines.push("You can run:".to_owned());
        for (command, effect) in options {
            lines.push(format!("  recall-transcripts {command}\n    {effect}"));
        }
    }
    lines.join("\n")
}

fn heading(transcript: &Transcript) -> String {
    let provider = transcript.provider.as_deref().map(plain);
    match transcript.attempt {
        Some(attempt) => format!("attempt {attempt}, {}:", provider.unwrap_or_else(|| "unknown provider".to_owned())),
        None => "requested by someone else:".to_owned(),
    }
}

#[cfg(test)]
mod tests;
