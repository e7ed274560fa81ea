//! A delivery is exactly one of these: an event that we handle, with valid ids; an event that we do not handle; or
//! unreadable and kept for a person.

use job::{
    Event, RecordingInfo, TranscriptRef,
    ids::{RecordingId, TranscriptId},
};
use pipeline::work_queue::Message;
use serde_json::Value;

use crate::{
    event::{Delivery, parse},
    signature::Verified,
};

/// A message on the queue is at most this long for any delivery, far below SQS's limit of 256 KiB.
const MAX_MESSAGE_BYTES: usize = 8 << 10;

/// The input is the body of a delivery.
pub fn event(input: &[u8]) {
    let chain = ["recallai_async", "assembly_ai_async"].map(str::to_owned);
    let delivery = parse(Verified { delivery_id: "msg", body: input }, &chain, None);
    // `None` if the input is not JSON, or is nested so deeply that only our own parser can read it.
    let value: Option<Value> = serde_json::from_slice(input).ok();
    match &delivery {
        Delivery::Known { recording_id, event } => {
            check_known(*recording_id, event, value.as_ref());
            if let (Event::RecordingDone(info), Some(value)) = (event, canonical(value, input)) {
                check_overrides(info, &value["data"]);
            }
        }
        Delivery::Unhandled { name } => {
            assert!(!is_handled(name), "{name} is an event that we handle");
            assert!(value.is_none_or(|value| value["event"] == **name));
        }
        Delivery::Unreadable { why } => {
            assert!(why.len() < 80 && why.contains(" error at line "), "the reason quotes the delivery: {why}");
            assert!(canonical(value, input).is_none_or(|value| !must_be_read(&value)), "a valid event was not read");
        }
    }
}

/// Returns the value if serde would write it in the same way as the input, which then has no name twice.
fn canonical(value: Option<Value>, input: &[u8]) -> Option<Value> {
    value.filter(|value| value.to_string().as_bytes() == input)
}

/// Overrides may be known only if the metadata was read: they decide about a paid call.
fn check_overrides(info: &RecordingInfo, data: &Value) {
    let (of_recording, of_bot) = (data["recording"].get("metadata"), data["bot"].get("metadata"));
    let all_read = of_recording.is_some() && of_bot.is_some();
    let skips =
        |metadata: Option<&Value>| metadata.is_some_and(|it| it["transcript"].as_str().map(str::trim) == Some("skip"));
    assert_eq!(info.overrides.is_some(), all_read || of_bot.is_none() && skips(of_recording));
    if let Some(overrides) = &info.overrides {
        let silent = of_recording.is_none_or(|it| it["transcript"].is_null());
        assert_eq!(overrides.skip, skips(of_recording) || silent && skips(of_bot));
    }
}

fn check_known(recording_id: RecordingId, event: &Event, value: Option<&Value>) {
    if let Some(value) = value {
        let data = &value["data"];
        assert!(is_handled(event.name()) && value["event"] == event.name());
        assert!(value.is_object() && data.is_object() && data["recording"].is_object());
        check_id(&recording_id.to_string(), &data["recording"]["id"]);
        if let Some(TranscriptRef { transcript_id, attempt, other_deployment: false }) = event.transcript() {
            let transcript = &data["transcript"];
            assert!(transcript.is_object());
            check_id(&transcript_id.to_string(), &transcript["id"]);
            if let Some(attempt) = attempt {
                check_id(&recording_id.to_string(), &transcript["metadata"]["job"]);
                let stated = transcript["metadata"]["attempt"].as_str().expect("an attempt");
                assert_eq!(stated.parse(), Ok(attempt));
            }
        }
    }
    // A message on the queue keeps the event unchanged.
    let message = Message::new(recording_id, event.clone(), "msg");
    let text = serde_json::to_string(&message).expect("JSON");
    assert!(text.len() <= MAX_MESSAGE_BYTES, "{} bytes", text.len());
    assert_eq!(serde_json::from_str::<Message>(&text).expect("a message"), message);
}

/// Checks that the id is in the one form that is safe in keys and URLs, and that it is the id in the delivery.
fn check_id(id: &str, given: &Value) {
    let hyphens = [8, 13, 18, 23];
    let is_valid = |(at, byte): (usize, u8)| match byte {
        b'-' => hyphens.contains(&at),
        b'0'..=b'9' | b'a'..=b'f' => !hyphens.contains(&at),
        _ => false,
    };
    assert!(id.len() == 36 && id.bytes().enumerate().all(is_valid), "{id}");
    assert_eq!(given.as_str().map(str::to_ascii_lowercase).as_deref(), Some(id));
}

/// Returns whether this is the name of an event that we handle.
fn is_handled(name: &str) -> bool {
    names(false).chain(names(true)).any(|handled| handled == name)
}

/// Returns the names of Recall's events about a transcript, or about the recording itself.
fn names(of_transcript: bool) -> impl Iterator<Item = &'static str> {
    let events = Event::samples().into_iter().filter(Event::is_from_recall);
    events.filter(move |event| event.transcript().is_some() == of_transcript).map(|event| event.name())
}

/// Returns whether the parser must read this as an event. Only the event's name and the ids that keys are made of
/// decide.
fn must_be_read(value: &Value) -> bool {
    let data = &value["data"];
    let id = |of: &Value| of.as_str().is_some_and(|id| id.parse::<RecordingId>().is_ok());
    let transcript = data["transcript"]["id"].as_str().is_some_and(|id| id.parse::<TranscriptId>().is_ok());
    let name = value["event"].as_str().unwrap_or_default();
    id(&data["recording"]["id"])
        && (names(false).any(|ours| ours == name) || names(true).any(|ours| ours == name) && transcript)
}
