//! What does it say? Verified bytes to an event of the core.

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

/// What a verified delivery turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    Known {
        recording_id: RecordingId,
        event: Event,
    },
    /// An event that means nothing to us. Its name is Recall's.
    Unhandled {
        name: String,
    },
    /// Not an event, or a known one in a form that we do not know.
    Unreadable {
        why: String,
    },
}

/// serde reads a struct from an array, too; Recall's format has objects alone.
struct Object<T>(T);

#[derive(Deserialize)]
struct Envelope<'a> {
    event: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The part of `data` that all our events share. Unknown fields are none of our business, and what an event can do
/// without stays text until it is needed: it can be any JSON at all.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    recording: Object<Named<'a, RecordingId>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bot: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a, Id> {
    id: Id,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Code<'a> {
    #[serde(borrow, default)]
    sub_code: Option<&'a RawValue>,
    /// When it came to be so.
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

#[derive(Deserialize)]
struct OfTranscript<'a> {
    #[serde(borrow)]
    transcript: Object<Named<'a, TranscriptId>>,
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

/// A field that is there, be it null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Reads what the event can do without. Whatever else stands in its place says nothing to us.
fn optional<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Reads an object that the event can do without.
fn optional_object<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    optional(raw).map(|Object(object)| object).unwrap_or_default()
}

/// Reads a delivery; `chain` names the providers that its metadata may wish for, `deployment` us. It never fails: what
/// cannot be read is [`Delivery::Unreadable`], to be kept for a person.
pub fn parse(verified: Verified<'_>, chain: &[String], deployment: Option<&str>) -> Delivery {
    // serde's messages name fields and positions, but for wrong types they can quote the value.
    let unreadable = |error: serde_json::Error| Delivery::Unreadable {
        why: format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column()),
    };
    let envelope: Envelope<'_> = match serde_json::from_slice(verified.body) {
        Ok(Object(envelope)) => envelope,
        Err(error) => return unreadable(error),
    };
    let transcript = |event: fn(TranscriptRef, Data<'_>) -> Event| transcript(&envelope, deployment, event);
    let known = match envelope.event.as_str() {
        "recording.done" => recording(&envelope, |data| Event::RecordingDone(recording_info(&data, chain))),
        "recording.failed" => recording(&envelope, |data| Event::RecordingFailed { sub_code: sub_code(&data) }),
        "recording.deleted" => recording(&envelope, |_| Event::RecordingDeleted),
        "transcript.processing" => transcript(|reference, _| Event::TranscriptProcessing(reference)),
        "transcript.done" => transcript(|reference, _| Event::TranscriptDone(reference)),
        "transcript.failed" => {
            transcript(|reference, data| Event::TranscriptFailed { reference, sub_code: sub_code(&data) })
        }
        "transcript.deleted" => transcript(|reference, _| Event::TranscriptDeleted(reference)),
        _ => return Delivery::Unhandled { name: envelope.event },
    };
    match known {
        Ok((recording_id, event)) => Delivery::Known { recording_id, event },
        Err(error) => unreadable(error),
    }
}

type Known = serde_json::Result<(RecordingId, Event)>;

fn recording<'a>(envelope: &Envelope<'a>, event: impl FnOnce(Data<'a>) -> Event) -> Known {
    let Object::<Data<'a>>(data) = serde_json::from_str(text(envelope))?;
    Ok((data.recording.0.id, event(data)))
}

fn recording_info(data: &Data<'_>, chain: &[String]) -> RecordingInfo {
    let Object(recording) = &data.recording;
    let (bot, code): (Bot<'_>, Code<'_>) = (optional_object(data.bot), optional_object(data.data));
    let (of_recording, of_bot) = (optional(recording.metadata), optional(bot.metadata));
    let all_read = of_recording.is_some() && of_bot.is_some();
    let no_bot = of_bot.is_none();
    let (overrides, invalid) = parse_overrides(&of_recording.unwrap_or_default(), &of_bot.unwrap_or_default(), chain);
    log_invalid_overrides(recording.id, &invalid);
    // What was not read may hold a wish, too. Only a skip that the recording itself asks for stands whatever the bot's
    // metadata says.
    let is_known = all_read || no_bot && overrides.skip;
    let done_at = optional::<String>(code.updated_at).as_deref().and_then(Timestamp::parse_rfc3339);
    RecordingInfo { bot_id: optional(bot.id), overrides: is_known.then_some(overrides), expires_at: None, done_at }
}

fn transcript(envelope: &Envelope<'_>, deployment: Option<&str>, event: fn(TranscriptRef, Data<'_>) -> Event) -> Known {
    let Object::<Data<'_>>(data) = serde_json::from_str(text(envelope))?;
    let OfTranscript { transcript: Object(transcript) } = serde_json::from_str(text(envelope))?;
    let recording_id = data.recording.0.id;
    let metadata: Value = optional(transcript.metadata).unwrap_or_default();
    let attempt = attempt_of(&metadata, recording_id, deployment);
    let other_deployment = is_of_other_deployment(&metadata, recording_id, deployment);
    Ok((recording_id, event(TranscriptRef { transcript_id: transcript.id, attempt, other_deployment }, data)))
}

fn text<'a>(envelope: &Envelope<'a>) -> &'a str {
    envelope.data.map_or("null", RawValue::get)
}

fn sub_code(data: &Data<'_>) -> Option<String> {
    let code: Code<'_> = optional_object(data.data);
    optional::<String>(code.sub_code).as_deref().map(clean_sub_code)
}

#[cfg(test)]
mod tests;
