//! What happened to one recording, step by step, as the stand-ins saw it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde::Serialize;
use uuid::Uuid;

use crate::{
    stack::Stack,
    wire::{Call, Service},
};

/// How many of the newest steps are shown.
const MAX_STEPS: usize = 200;

/// What the simulator has seen of a recording.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct AtRecall {
    /// The transcripts that we requested, and so paid for.
    pub(super) paid: usize,
    /// How many of them were created under a key that had already created one, and so were paid twice.
    pub(super) twice: usize,
    /// Calls of create_transcript, including repeats and lost ones.
    calls: usize,
    /// Finished attempts to deliver a webhook, and how many of them were answered with 2xx.
    deliveries: usize,
    accepted: usize,
}

/// One call.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// The time since the first call.
    at_ms: u64,
    from: &'static str,
    to: &'static str,
    what: String,
    /// `None` if no answer came, or none yet.
    status: Option<u16>,
    took_ms: Option<f64>,
}

/// Returns this for every recording that the simulator knows.
pub(super) fn at_recall(stack: &Stack) -> HashMap<Uuid, AtRecall> {
    let Some(simulator) = &stack.simulator else { return HashMap::new() };
    let mut seen: HashMap<Uuid, AtRecall> = simulator
        .all_recordings()
        .into_iter()
        .map(|(recording, paid)| {
            let mut keys = HashSet::new();
            let made = simulator.transcripts(recording).into_iter().filter_map(|made| made.idempotency_key);
            let twice = made.filter(|key| !keys.insert(key.clone())).count();
            (recording, AtRecall { paid, twice, ..AtRecall::default() })
        })
        .collect();
    for delivery in simulator.deliveries() {
        if let Some(seen) = delivery.recording_id.and_then(|recording| seen.get_mut(&recording)) {
            seen.deliveries += 1;
            seen.accepted += usize::from(delivery.succeeded());
        }
    }
    stack.wire.each_call(|call| {
        let created = (call.service == Service::Recall).then(|| created_on(&call.operation)).flatten();
        if let Some(seen) = created.and_then(|recording| seen.get_mut(&recording)) {
            seen.calls += 1;
        }
    });
    seen
}

/// `POST /api/v1/recording/{id}/create_transcript/`
fn created_on(operation: &str) -> Option<Uuid> {
    let (rest, _) = operation.split_once("/create_transcript/")?;
    rest.rsplit('/').next()?.parse().ok()
}

/// Returns the calls about this recording, in the order in which they began.
pub(super) fn of(stack: &Stack, recording: Uuid) -> Vec<Step> {
    let Some(simulator) = &stack.simulator else { return Vec::new() };
    let messages = simulator.messages().into_iter().filter(|message| message.recording_id == Some(recording));
    let events: BTreeMap<String, String> = messages.map(|message| (message.id, message.event)).collect();
    let transcripts = simulator.transcripts(recording).into_iter().map(|transcript| transcript.id.to_string());
    let bot = simulator.recording(recording).and_then(|recording| recording.bot_id).map(|bot| bot.to_string());
    let ids: Vec<String> = transcripts.chain([recording.to_string()]).chain(bot).collect();
    let mut found: Vec<(Call, Told)> = Vec::new();
    stack.wire.each_call(|call| {
        let event = call.delivery_id.as_ref().and_then(|id| events.get(id));
        if event.is_some() || ids.iter().any(|id| call.operation.contains(id.as_str())) {
            found.extend(tell(call, event.map(String::as_str)).map(|told| (call.clone(), told)));
        }
    });
    let Some(first) = found.first().map(|(call, _)| call.began) else { return Vec::new() };
    let skipped = found.len().saturating_sub(MAX_STEPS);
    let steps = found.into_iter().skip(skipped).map(|(call, (from, to, what))| Step {
        at_ms: call.began.saturating_duration_since(first).as_millis().try_into().unwrap_or(u64::MAX),
        from,
        to,
        what,
        status: call.status,
        took_ms: call.took.map(|took: Duration| took.as_secs_f64() * 1000.0),
    });
    steps.collect()
}

/// Caller, callee, and action.
type Told = (&'static str, &'static str, String);

/// Describes the call in words. Returns `None` for calls without interest here.
fn tell(call: &Call, event: Option<&str>) -> Option<Told> {
    let (method, path) = call.operation.split_once(' ').unwrap_or((&call.operation, ""));
    let file = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let part = if path.contains("partNumber=") { ", a part" } else { "" };
    Some(match (call.service, method) {
        (Service::Webhook, _) => ("Recall", "webhook", event?.to_owned()),
        (Service::Recall, "POST") if path.ends_with("/create_transcript/") => {
            ("pipeline", "Recall", "create_transcript".to_owned())
        }
        (Service::Recall, "GET") if path.contains("/transcript/") => {
            ("pipeline", "Recall", "get a download URL".to_owned())
        }
        (Service::Recall, "GET") if path.contains("/bot/") => ("pipeline", "Recall", "get the bot".to_owned()),
        (Service::Recall, "GET") => ("pipeline", "Recall", "get the recording".to_owned()),
        (Service::Recall, "DELETE") => ("pipeline", "Recall", "delete".to_owned()),
        (Service::Download, "GET") if file == "transcript.json" => ("pipeline", "Recall", "download".to_owned()),
        (Service::Download, "GET") => ("pipeline", "Recall", format!("download {file}")),
        (Service::S3, "PUT") => ("pipeline", "bucket", format!("{file}{part}")),
        (Service::S3, "POST") => ("pipeline", "bucket", format!("{file}, in parts")),
        (_, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn told(service: Service, operation: &str) -> Option<String> {
        let operation = operation.to_owned();
        let call = Call { service, operation, delivery_id: None, status: None, began: Instant::now(), took: None };
        tell(&call, None).map(|(.., what)| what)
    }

    #[test]
    fn calls_for_different_things_have_different_words() {
        for (service, operation, what) in [
            (Service::Recall, "GET /api/v1/bot/1/", Some("get the bot")),
            (Service::Recall, "GET /api/v1/recording/1/", Some("get the recording")),
            (Service::Recall, "GET /api/v1/transcript/1/", Some("get a download URL")),
            (Service::Download, "GET /w/recordings/1/transcripts/2/transcript.json", Some("download")),
            (
                Service::Download,
                "GET /w/recordings/1/participant_events/2/participants.json",
                Some("download participants.json"),
            ),
            (Service::S3, "PUT /transcripts/recordings/1/2/manifest.json?x-id=PutObject", Some("manifest.json")),
            (Service::S3, "GET /transcripts/recordings/1/2/manifest.json", None),
        ] {
            assert_eq!(told(service, operation).as_deref(), what, "{operation}");
        }
    }
}
