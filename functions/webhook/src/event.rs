//! Parses the verified bytes of a delivery into an event of the core.

use job::{
    Event, RecordingInfo, TranscriptRef,
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use pipeline::{
    providers::{log_invalid_overrides, parse_overrides},
    recall::{attempt_of, clean_sub_code, is_of_other_deployment},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};

use crate::signature::Verified;

/// What a verified delivery contains.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    Known {
        recording_id: RecordingId,
        event: Event,
    },
    /// An event that this pipeline does not handle, with Recall's name of it.
    Unhandled {
        name: String,
    },
    /// The body is not an event, or it is a known event in a form that this program does not know.
    Unreadable {
        why: String,
    },
}

/// A value that must be a JSON object. serde also reads a struct from an array, but Recall's format has only objects.
struct Object<T>(T);

/// The body of a delivery.
#[derive(Deserialize)]
struct Payload<'a> {
    event: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The part of `data` that all handled events share. Unknown fields are ignored. Optional fields stay unparsed until
/// they are needed, because they may be any JSON and must not stop the event.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    recording: Object<Artifact<'a, RecordingId>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bot: Option<&'a RawValue>,
}

/// A recording or a transcript.
#[derive(Deserialize)]
struct Artifact<'a, Id> {
    id: Id,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
}

/// The inner `data`: the artifact's new status.
#[derive(Default, Deserialize)]
struct StatusData<'a> {
    #[serde(borrow, default)]
    sub_code: Option<&'a RawValue>,
    /// When the artifact got this status.
    #[serde(borrow, default)]
    updated_at: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Bot<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
}

/// The part of `data` that only the events of transcripts have.
#[derive(Deserialize)]
struct TranscriptData<'a> {
    #[serde(borrow)]
    transcript: Object<Artifact<'a, TranscriptId>>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(D::Error::custom("not an object"));
        }
        serde_json::from_str(raw.get()).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a field that is present, even if it is null, as `Some`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Reads an optional value. A value of another type counts as absent.
fn optional<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Reads an optional object. A value of another type counts as an empty object.
fn optional_object<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    optional(raw).map(|Object(object)| object).unwrap_or_default()
}

/// Parses a delivery. `chain` lists the providers that its metadata may choose, and `deployment` is the name of this
/// deployment. It never fails: a body that cannot be read is [`Delivery::Unreadable`] and is kept for a person to read.
pub fn parse(verified: Verified<'_>, chain: &[String], deployment: Option<&str>) -> Delivery {
    // serde's own message may quote a value of a wrong type, so the reason has only the kind of the error and its
    // position.
    let unreadable = |error: serde_json::Error| Delivery::Unreadable {
        why: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    };
    let payload: Payload<'_> = match serde_json::from_slice(verified.body) {
        Ok(Object(payload)) => payload,
        Err(error) => return unreadable(error),
    };
    let of_transcript = |event: fn(TranscriptRef, Data<'_>) -> Event| transcript_event(&payload, deployment, event);
    let of_recording = |event: fn(Data<'_>, &[String]) -> Event| recording_event(&payload, chain, event);
    let known = match payload.event.as_str() {
        "recording.done" => of_recording(|data, chain| Event::RecordingDone(recording_info(&data, chain))),
        "recording.failed" => of_recording(|data, _| Event::RecordingFailed { sub_code: sub_code(&data) }),
        "recording.deleted" => of_recording(|_, _| Event::RecordingDeleted),
        "transcript.processing" => of_transcript(|reference, _| Event::TranscriptProcessing(reference)),
        "transcript.done" => of_transcript(|reference, _| Event::TranscriptDone(reference)),
        "transcript.failed" => {
            of_transcript(|reference, data| Event::TranscriptFailed { reference, sub_code: sub_code(&data) })
        }
        "transcript.deleted" => of_transcript(|reference, _| Event::TranscriptDeleted(reference)),
        _ => return Delivery::Unhandled { name: payload.event },
    };
    match known {
        Ok((recording_id, event)) => Delivery::Known { recording_id, event },
        Err(error) => unreadable(error),
    }
}

type ParsedEvent = serde_json::Result<(RecordingId, Event)>;

fn recording_event(payload: &Payload<'_>, chain: &[String], event: fn(Data<'_>, &[String]) -> Event) -> ParsedEvent {
    let Object::<Data<'_>>(data) = serde_json::from_str(data_text(payload))?;
    Ok((data.recording.0.id, event(data, chain)))
}

fn recording_info(data: &Data<'_>, chain: &[String]) -> RecordingInfo {
    let Object(recording) = &data.recording;
    let (bot, status): (Bot<'_>, StatusData<'_>) = (optional_object(data.bot), optional_object(data.data));
    let (of_recording, of_bot) = (optional(recording.metadata), optional(bot.metadata));
    let all_read = of_recording.is_some() && of_bot.is_some();
    let bot_not_read = of_bot.is_none();
    let (overrides, invalid) = parse_overrides(&of_recording.unwrap_or_default(), &of_bot.unwrap_or_default(), chain);
    log_invalid_overrides(recording.id, &invalid);
    // Metadata that was not read may contain overrides as well, so the overrides are known only if all of it was read.
    // The exception is a skip in the recording's own metadata: no metadata of a bot can change it.
    let is_known = all_read || bot_not_read && overrides.skip;
    let done_at = optional::<String>(status.updated_at).as_deref().and_then(Timestamp::parse_rfc3339);
    RecordingInfo { bot_id: optional(bot.id), overrides: is_known.then_some(overrides), expires_at: None, done_at }
}

fn transcript_event(
    payload: &Payload<'_>,
    deployment: Option<&str>,
    event: fn(TranscriptRef, Data<'_>) -> Event,
) -> ParsedEvent {
    let Object::<Data<'_>>(data) = serde_json::from_str(data_text(payload))?;
    let TranscriptData { transcript: Object(transcript) } = serde_json::from_str(data_text(payload))?;
    let recording_id = data.recording.0.id;
    let metadata: Value = optional(transcript.metadata).unwrap_or_default();
    let attempt = attempt_of(&metadata, recording_id, deployment);
    let other_deployment = is_of_other_deployment(&metadata, recording_id, deployment);
    Ok((recording_id, event(TranscriptRef { transcript_id: transcript.id, attempt, other_deployment }, data)))
}

/// The text of `data`. A missing `data` is read like null, and is an error.
fn data_text<'a>(payload: &Payload<'a>) -> &'a str {
    payload.data.map_or("null", RawValue::get)
}

fn sub_code(data: &Data<'_>) -> Option<String> {
    let status: StatusData<'_> = optional_object(data.data);
    optional::<String>(status.sub_code).as_deref().map(clean_sub_code)
}

#[cfg(test)]
mod tests;
