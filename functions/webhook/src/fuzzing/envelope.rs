//! The function answers every event from Lambda with HTTP. It accepts a body only if the body is signed, and uses no
//! other part of the event.

use std::sync::OnceLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac_sha256::HMAC;
use lambda_http::{Context, LambdaEvent, tower::ServiceExt as _};
use pipeline::{env::Env, signature::FAMILIES, time};
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Envelope, Settings, Webhook,
    event::{self, Delivery},
    signature::Verified,
};

const KEY: &[u8] = b"twenty-four bytes or so.";
const LARGEST_BODY_BYTES: usize = 1 << 20;

/// The input is an event. In it, `{now}` is replaced by the current second and `{signed}` by a signature over the body.
pub fn envelope(input: &[u8]) {
    check(input);
}

/// Returns the status of the answer, or `None` if the event is not JSON, which Lambda's own runtime answers.
pub(crate) fn check(input: &[u8]) -> Option<u16> {
    let now = (time::now().as_millis() / 1000).to_string();
    let text = std::str::from_utf8(input).ok()?.replace("{now}", &now);
    let value: Option<Value> = serde_json::from_str(&text).ok();
    let signature = value.as_ref().filter(|_| text.matches("{signed}").count() == 1).and_then(signature);
    let event = text.replace("{signed}", signature.as_deref().unwrap_or("{signed}"));

    let envelope: Result<Envelope, _> = serde_json::from_str(&event);
    if envelope.is_err() {
        assert!(serde_json::from_str::<IgnoredAny>(&event).is_err(), "the function does not accept JSON: {event}");
        return None;
    }
    let status = answer_status(envelope.ok()?);
    assert!(status != 200 || signature.is_some(), "an unsigned event was accepted: {event}");
    // Text that serde would write in the same way has no name twice.
    if let Some(value) = value.filter(|value| value.to_string().as_bytes() == text.as_bytes()) {
        assert_eq!(status, expected_status(&value, signature.is_some(), &now, status), "{event}");
    }
    Some(status)
}

/// Lets the function answer, checks the form of the answer, and returns its status.
fn answer_status(envelope: Envelope) -> u16 {
    let (runtime, webhook) = function();
    let event = LambdaEvent::new(envelope, Context::default());
    let answer = match runtime.block_on(webhook.service().oneshot(event)) {
        Ok(answer) => serde_json::to_value(answer).expect("JSON"),
        Err(never) => match never {},
    };
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    assert_eq!(
        (&answer["headers"]["content-type"], &answer["isBase64Encoded"]),
        (&"application/json".into(), &false.into())
    );
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
    match status {
        200 => assert_eq!(body["outcome"], "ignored"),
        401 | 405 | 413 => assert!(body["error"].is_string()),
        other => panic!("unexpected status {other}"),
    }
    status
}

/// A function without any service behind it: it handles none of the events that are signed here, so it makes no call.
fn function() -> &'static (Runtime, Webhook) {
    static FUNCTION: OnceLock<(Runtime, Webhook)> = OnceLock::new();
    FUNCTION.get_or_init(|| {
        let secret = format!("whsec_{}", STANDARD.encode(KEY));
        let env = Env::from_pairs([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("RECALL_REGION", "us-east-1"),
            ("RECALL_API_KEY", "key"),
            ("RECALL_WEBHOOK_SECRETS", &secret),
            ("JOBS_TABLE", "jobs"),
            ("WORK_QUEUE_URL", "http://127.0.0.1:9/work"),
            ("DEAD_LETTER_QUEUE_URL", "http://127.0.0.1:9/dead"),
        ]);
        let webhook = Webhook::new(Settings::read(&env).expect("good settings")).expect("a function");
        (Builder::new_current_thread().build().expect("a runtime"), webhook)
    })
}

/// Returns the signature for `{signed}` in the headers, unless the body is an event that the function would handle.
fn signature(event: &Value) -> Option<String> {
    let headers = event["headers"].as_object()?;
    let [id, timestamp, _] =
        FAMILIES.into_iter().find(|[_, _, signature]| headers.get(*signature).is_some_and(|it| it == "{signed}"))?;
    let (id, timestamp) = (headers.get(id)?.as_str()?, headers.get(timestamp)?.as_str()?);
    let body = body(event)?;
    let delivery = event::parse(Verified { delivery_id: id, body: &body }, &[], None);
    let mac = HMAC::mac([id.as_bytes(), timestamp.as_bytes(), &body].join(&b'.'), KEY);
    matches!(delivery, Delivery::Unhandled { .. }).then(|| format!("v1,{}", STANDARD.encode(mac)))
}

/// Returns the bytes that were sent, if the event has them in a form that Lambda uses.
fn body(event: &Value) -> Option<Vec<u8>> {
    let text = match event.get("body") {
        None | Some(Value::Null) => "",
        Some(body) => body.as_str()?,
    };
    let decoded = STANDARD.decode(text).ok().filter(|_| event["isBase64Encoded"] == true);
    Some(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
}

/// Returns the status that the event must be answered with, by rules that use only the event. If the rules leave the
/// status open, it is `answered`.
fn expected_status(event: &Value, is_signed: bool, now: &str, answered: u16) -> u16 {
    if event["requestContext"]["http"]["method"] != "POST" {
        return 405;
    }
    let Some(body) = body(event) else { return answered };
    if body.len() > LARGEST_BODY_BYTES {
        return 413;
    }
    let Some(headers) = event["headers"].as_object().filter(|_| is_signed) else { return 401 };
    let ours = |name: &&String| FAMILIES.as_flattened().iter().any(|known| name.eq_ignore_ascii_case(known));
    let names: Vec<&String> = headers.keys().filter(ours).collect();
    let only_family = FAMILIES.into_iter().find(|family| {
        names.len() == family.len() && family.iter().all(|name| headers.get(*name).is_some_and(Value::is_string))
    });
    let is_good = |[id, timestamp, _]: [&str; 3]| {
        let id = headers[id].as_str().unwrap_or_default();
        let is_text = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        !id.is_empty() && id.bytes().all(is_text) && headers[timestamp] == now
    };
    if only_family.is_some_and(is_good) { 200 } else { answered }
}
