//! What does it say? Verified bytes to an event of the core.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};
use shared::{
    ids::{BotId, RecordingId, TranscriptId},
    job::{Event, Finished, Heard},
    providers::wishes,
    recall::{attempt_of, cut, is_foreign},
    time::Timestamp,
};

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

/// The part of `data` that all our events share. Unknown fields are none of our business.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    data: Option<Object<Code<'a>>>,
    #[serde(borrow)]
    recording: Object<Named<'a, RecordingId>>,
    #[serde(borrow, default)]
    bot: Option<Object<Bot<'a>>>,
}

#[derive(Deserialize)]
struct Code<'a> {
    #[serde(default)]
    sub_code: Option<String>,
    /// When it came to be so.
    #[serde(borrow, default)]
    updated_at: Option<&'a RawValue>,
}

/// Metadata stays text until somebody looks into it: it can be any JSON at all.
#[derive(Deserialize)]
struct Named<'a, Id> {
    id: Id,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Bot<'a> {
    id: BotId,
    #[serde(borrow, default)]
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
    let transcript = |event: fn(Heard, Data<'_>) -> Event| transcript(&envelope, deployment, event);
    let known = match envelope.event.as_str() {
        "recording.done" => recording(&envelope, |data| Event::RecordingDone(finished(&data, chain))),
        "recording.failed" => recording(&envelope, |data| Event::RecordingFailed { sub_code: sub_code(data.data) }),
        "recording.deleted" => recording(&envelope, |_| Event::RecordingDeleted),
        "transcript.processing" => transcript(|heard, _| Event::TranscriptProcessing(heard)),
        "transcript.done" => transcript(|heard, _| Event::TranscriptDone(heard)),
        "transcript.failed" => {
            transcript(|heard, data| Event::TranscriptFailed { heard, sub_code: sub_code(data.data) })
        }
        "transcript.deleted" => transcript(|heard, _| Event::TranscriptDeleted(heard)),
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

fn finished(data: &Data<'_>, chain: &[String]) -> Finished {
    let (Object(recording), bot) = (&data.recording, data.bot.as_ref().map(|Object(bot)| bot));
    let of_bot = metadata(bot.and_then(|bot| bot.metadata));
    let wishes = wishes(recording.id, &metadata(recording.metadata), &of_bot, chain);
    let done_at = data.data.as_ref().and_then(|Object(code)| moment(code.updated_at?));
    Finished { bot_id: bot.map(|bot| bot.id), wishes: Some(wishes), expires_at: None, done_at }
}

/// It is only measured by, so whatever is no time says nothing.
fn moment(raw: &RawValue) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(serde_json::from_str(raw.get()).ok()?)
}

/// Whatever cannot be read, such as what is nested too deeply, says nothing to us.
fn metadata(raw: Option<&RawValue>) -> Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn transcript(envelope: &Envelope<'_>, deployment: Option<&str>, event: fn(Heard, Data<'_>) -> Event) -> Known {
    let Object::<Data<'_>>(data) = serde_json::from_str(text(envelope))?;
    let OfTranscript { transcript: Object(transcript) } = serde_json::from_str(text(envelope))?;
    let recording_id = data.recording.0.id;
    let metadata = metadata(transcript.metadata);
    let attempt = attempt_of(&metadata, recording_id, deployment);
    let foreign = is_foreign(&metadata, recording_id, deployment);
    Ok((recording_id, event(Heard { transcript_id: transcript.id, attempt, foreign }, data)))
}

fn text<'a>(envelope: &Envelope<'a>) -> &'a str {
    envelope.data.map_or("null", RawValue::get)
}

fn sub_code(code: Option<Object<Code>>) -> Option<String> {
    code?.0.sub_code.as_deref().map(cut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::job::Wishes;

    use super::*;

    const RECORDING: &str = "11111111-1111-4111-8111-111111111111";
    const TRANSCRIPT: &str = "22222222-2222-4222-8222-222222222222";

    fn read(body: &Value) -> Delivery {
        parse(Verified { delivery_id: "msg", body: body.to_string().as_bytes() }, &[], None)
    }

    fn event(name: &str, bot: Value, metadata: Value) -> Value {
        json!({"event": name, "data": {
            "data": {"code": "x", "sub_code": "why", "updated_at": "2026-11-23T00:00:00Z"},
            "recording": {"id": RECORDING, "metadata": metadata}, "bot": bot,
            "transcript": {"id": TRANSCRIPT, "metadata": {"job": RECORDING, "attempt": "3"}},
        }})
    }

    #[test]
    fn every_event_we_handle_is_read() {
        let heard = Heard { transcript_id: TRANSCRIPT.parse().expect("an id"), attempt: Some(3), foreign: false };
        let sub_code = Some("why".to_owned());
        let done_at = Timestamp::parse_rfc3339("2026-11-23T00:00:00Z");
        for (name, expected) in [
            (
                "recording.done",
                Event::RecordingDone(Finished { wishes: Some(Wishes::default()), done_at, ..Finished::default() }),
            ),
            ("recording.failed", Event::RecordingFailed { sub_code: sub_code.clone() }),
            ("recording.deleted", Event::RecordingDeleted),
            ("transcript.processing", Event::TranscriptProcessing(heard)),
            ("transcript.done", Event::TranscriptDone(heard)),
            ("transcript.failed", Event::TranscriptFailed { heard, sub_code }),
            ("transcript.deleted", Event::TranscriptDeleted(heard)),
        ] {
            let known = Delivery::Known { recording_id: RECORDING.parse().expect("an id"), event: expected };
            assert_eq!(read(&event(name, Value::Null, json!({}))), known, "{name}");
        }
    }

    #[test]
    fn what_recall_leaves_open_is_fine() {
        let mut absent = event("recording.done", Value::Null, json!(null));
        absent["data"].as_object_mut().expect("an object").remove("bot");
        absent["data"].as_object_mut().expect("an object").remove("data");
        absent["new"] = json!([1, 2]);
        assert!(matches!(read(&absent), Delivery::Known { .. }));
        for odd in [json!(null), json!(5), json!("soon"), json!({"at": []})] {
            let mut event = event("recording.done", Value::Null, json!({}));
            event["data"]["data"]["updated_at"] = odd;
            let finished = Finished { wishes: Some(Wishes::default()), ..Finished::default() };
            let Delivery::Known { event, .. } = read(&event) else { panic!("not read") };
            assert_eq!(event, Event::RecordingDone(finished));
        }
        for metadata in [json!("text"), json!([1, {"a": 1.5}]), json!({"a": {"b": null}}), json!(7)] {
            let odd = event("transcript.done", json!({"id": RECORDING, "metadata": metadata}), metadata);
            assert!(matches!(read(&odd), Delivery::Known { .. }), "{odd}");
        }
    }

    #[test]
    fn metadata_may_be_nested_deeper_than_anybody_can_parse() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = event("transcript.done", Value::Null, json!("DEEP")).to_string().replace("\"DEEP\"", &deep);
        let delivery = parse(Verified { delivery_id: "msg", body: body.as_bytes() }, &[], None);
        assert!(matches!(delivery, Delivery::Known { .. }));
    }

    #[test]
    fn other_events_are_unhandled_whatever_they_carry() {
        let other = json!({"event": "bot.done", "data": 5});
        assert_eq!(read(&other), Delivery::Unhandled { name: "bot.done".to_owned() });
    }

    #[test]
    fn what_is_not_an_event_is_unreadable_and_not_quoted() {
        let mut no_transcript = event("transcript.done", Value::Null, json!({}));
        no_transcript["data"].as_object_mut().expect("an object").remove("transcript");
        let bad_id = json!({"event": "recording.done", "data": {"recording": {"id": "../secret"}}});
        let bad_bot = event("recording.done", json!({"id": "secret"}), json!({}));
        // serde alone would read these: the fields of a struct in their order.
        let array = json!(["recording.done", [null, [RECORDING, {}], null]]);
        let inner_array = json!({"event": "recording.done", "data": {"recording": [RECORDING, {}]}});
        for body in [
            json!("secret"),
            json!({"event": 5}),
            json!({"event": "recording.done"}),
            bad_id,
            bad_bot,
            no_transcript,
            array,
            inner_array,
        ] {
            let Delivery::Unreadable { why } = read(&body) else { panic!("{body} was read") };
            assert!(!why.contains("secret"), "{why}");
        }
        for body in [&b""[..], b"{", b"\xff\xfe", br#"{"event":"recording.done","event":"recording.done"}"#] {
            assert!(
                matches!(parse(Verified { delivery_id: "msg", body }, &[], None), Delivery::Unreadable { .. }),
                "{body:?}"
            );
        }
    }

    #[test]
    fn the_recordings_and_the_bots_metadata_carry_wishes() {
        let bot = json!({"id": RECORDING, "metadata": {"transcript": "skip", "transcript_provider": "b_async"}});
        let body = event("recording.done", bot, json!({"transcript_provider": "a_async"}));
        let chain = ["a_async", "b_async"].map(str::to_owned);
        let delivery = parse(Verified { delivery_id: "msg", body: body.to_string().as_bytes() }, &chain, None);
        let Delivery::Known { event: Event::RecordingDone(finished), .. } = delivery else { panic!("not read") };
        let wishes = Wishes { skip: true, provider: Some("a_async".to_owned()), language: None };
        assert_eq!(finished.wishes, Some(wishes));
    }

    #[test]
    fn a_long_sub_code_is_cut() {
        let mut long = event("transcript.failed", Value::Null, json!({}));
        long["data"]["data"]["sub_code"] = json!("é".repeat(5000));
        let Delivery::Known { event: Event::TranscriptFailed { sub_code, .. }, .. } = read(&long) else {
            panic!("not read")
        };
        assert_eq!(sub_code.expect("a code").chars().count(), 200);
    }
}
