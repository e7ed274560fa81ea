//! Sends events that a caller can produce through the whole function, up to the answer.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::fuzzing::check;

/// The function URL's event of a request with a `+` in its query.
const PLUS_IN_QUERY: &str = include_str!("fixtures/event_plus_in_query.json");

/// Values that a caller can write into a URL or a header, and values of other types.
fn odd_values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "a b",
        "q=a b",
        "q=\u{e9}",
        "\u{0}",
        "\n",
        "%",
        "%zz",
        "#",
        "?",
        "/",
        "//",
        "\\",
        "[",
        "]:",
        "://",
        ":",
        "@",
        "x y/z",
        "https, https",
        "https,http",
        "https://evil.example",
        "javascript:",
        "\u{1F600}",
        "\u{FFFD}",
        "$default",
        "POST",
        "post",
        "GET",
        "G T",
        "true",
    ];
    let mut values: Vec<Value> = texts.map(Value::from).into();
    values.push("x".repeat(70_000).into());
    values.extend([
        json!(null),
        json!(true),
        json!(5),
        json!(-1.5e300),
        json!([]),
        json!(["a b"]),
        json!({}),
        json!({"a": 1}),
    ]);
    values
}

/// An event that `check` signs. The function does not handle the event in its body.
fn signed() -> Value {
    let mut event: Value = serde_json::from_str(PLUS_IN_QUERY).expect("JSON");
    event["body"] = r#"{"event":"bot.done"}"#.into();
    event["headers"]["webhook-id"] = "msg_1".into();
    event["headers"]["webhook-timestamp"] = "{now}".into();
    event["headers"]["webhook-signature"] = "{signed}".into();
    event
}

fn status(event: &Value) -> u16 {
    check(event.to_string().as_bytes()).expect("JSON is an event")
}

fn with(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    event.pointer_mut(parent).expect("a place")[name] = value;
    event
}

#[test]
fn query_with_a_plus_is_answered() {
    let unsigned: Value = serde_json::from_str(PLUS_IN_QUERY).expect("JSON");
    assert_eq!(unsigned["rawQueryString"], "q=a b");
    assert_eq!(status(&unsigned), 401);
    assert_eq!(status(&signed()), 200);
}

#[test]
fn event_parts_other_than_method_signature_and_body_are_ignored() {
    let places = [
        "/version",
        "/routeKey",
        "/rawPath",
        "/rawQueryString",
        "/queryStringParameters",
        "/cookies",
        "/pathParameters",
        "/stageVariables",
        "/headers/host",
        "/headers/x-forwarded-proto",
        "/headers/x-forwarded-for",
        "/headers/a b",
        "/headers/\u{e9}",
        "/headers/content-length",
        "/headers/content-type",
        "/requestContext/domainName",
        "/requestContext/stage",
        "/requestContext/authorizer",
        "/requestContext/authentication",
        "/requestContext/time",
        "/requestContext/timeEpoch",
        "/requestContext/http/path",
        "/requestContext/http/protocol",
        "/requestContext/http/sourceIp",
        "/requestContext/http/userAgent",
        "/httpMethod",
        "/type",
        "/resource",
    ];
    for (place, value) in places.iter().flat_map(|place| odd_values().into_iter().map(move |value| (place, value))) {
        let event = with(signed(), place, value);
        assert_eq!(status(&event), 200, "{place} {event}");
        let event = with(event, "/headers/webhook-id", "msg_2".into());
        let event = with(event, "/headers/webhook-signature", "v1,bm90IGEgc2lnbmF0dXJl".into());
        assert_eq!(status(&event), 401, "{place} {event}");
    }
}

#[test]
fn methods_other_than_post_are_answered_with_405() {
    for value in odd_values() {
        let expected = if value == "POST" { 200 } else { 405 };
        assert_eq!(status(&with(signed(), "/requestContext/http/method", value.clone())), expected, "{value}");
    }
    for odd in
        [json!(null), json!(5), json!("POST"), json!(["POST"]), json!({"http": "POST"}), json!({"http": ["POST"]})]
    {
        assert_eq!(status(&with(signed(), "/requestContext", odd)), 405);
    }
    for event in ["null", "5", "true", r#""POST""#, "[]", "{}", r#"[{"requestContext":{"http":{"method":"POST"}}}]"#] {
        assert_eq!(check(event.as_bytes()), Some(405), "{event}");
    }
}

#[test]
fn headers_with_impossible_values_are_refused() {
    let mut odd_ones = odd_values();
    odd_ones.retain(|value| !matches!(value.as_str(), Some("{now}" | "{signed}")));
    let names = ["/headers", "/headers/webhook-timestamp", "/headers/webhook-signature"];
    for (place, value) in names.iter().flat_map(|name| odd_ones.iter().map(move |value| (name, value))) {
        assert_eq!(status(&with(signed(), place, value.clone())), 401, "{place} {value}");
    }
    // A delivery id may be any text that HTTP allows in a header.
    for value in odd_ones {
        let text = value.as_str().unwrap_or_default();
        let is_plain = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let event = with(signed(), "/headers/webhook-id", value.clone());
        assert_eq!(status(&event), if is_plain { 200 } else { 401 }, "{value}");
    }
    // A header was sent twice if its values are joined by a comma, as AWS does, or if it is there in two spellings.
    assert_eq!(status(&with(signed(), "/headers/webhook-timestamp", "{now},{now}".into())), 401);
    assert_eq!(status(&with(signed(), "/headers/Webhook-Id", "msg_1".into())), 401);
    let twice = signed().to_string().replacen(r#""webhook-id""#, r#""webhook-id":"msg_0","webhook-id""#, 1);
    assert_eq!(check(twice.as_bytes()), Some(401));
}

#[test]
fn header_names_may_have_capitals() {
    let capitals = signed().to_string().replace(r#""webhook-id""#, r#""Webhook-Id""#);
    let event: Value = serde_json::from_str(&capitals).expect("JSON");
    // The signing helper expects lower-case names, so the event is signed before they change.
    assert_eq!(event["headers"]["Webhook-Id"], "msg_1");
    let envelope: super::Envelope = serde_json::from_value(event).expect("an event");
    assert_eq!(envelope.headers["webhook-id"], "msg_1");
}

#[test]
fn body_in_base64_is_verified_as_decoded_bytes() {
    let in_base64 = |body: &str| with(with(signed(), "/body", body.into()), "/isBase64Encoded", true.into());
    assert_eq!(status(&in_base64("eyJldmVudCI6ImJvdC5kb25lIn0=")), 200);
    // This body is not base64, so the signature is over the text itself.
    assert_eq!(status(&in_base64(r#"{"event":"bot.done"}"#)), 200);
    for not_ours in ["eyJldmVudCI6ImJvdC5kb25lIn0", "====", "\u{e9}"] {
        assert_eq!(status(&in_base64(not_ours)), 401, "{not_ours}");
    }
    for odd in [json!(null), json!("true"), json!(1), json!({})] {
        assert_eq!(status(&with(signed(), "/isBase64Encoded", odd)), 200);
    }
}

#[test]
fn body_that_is_not_text_is_refused() {
    for odd in [json!(null), json!(5), json!({"event": "bot.done"}), json!([1]), json!(true)] {
        assert_eq!(status(&with(signed(), "/body", odd.clone())), 401, "{odd}");
    }
    assert_eq!(status(&with(signed(), "/body", "x".repeat((1 << 20) + 1).into())), 413);
}

#[test]
fn json_that_serde_json_cannot_read_is_answered() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
    let surrogate = r#""\ud800""#;
    for odd in [deep.as_str(), surrogate, "1e999", "-0", r#""\u0000""#] {
        for place in ["rawQueryString", "cookies", "queryStringParameters", "requestContext", "body", "headers", "new"]
        {
            let text = with(signed(), &format!("/{place}"), "ODD".into()).to_string().replace(r#""ODD""#, odd);
            let status = check(text.as_bytes()).expect("JSON is an event");
            let expected: &[u16] = match place {
                "requestContext" => &[405],
                "body" | "headers" => &[401],
                _ => &[200, 401],
            };
            assert!(expected.contains(&status), "{place}: {status}");
        }
    }
    for text in ["", "{", "nul", r#"{"body":}"#, "\u{feff}{}"] {
        assert_eq!(check(text.as_bytes()), None, "{text}");
    }
}

/// Collects the path to every value in `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(members) = value {
        for (name, member) in members {
            let at = format!("{at}/{name}");
            pointers(member, &at, found);
            found.push(at);
        }
    }
}

/// The random numbers have seeds, so that a failure can be repeated.
#[test]
fn events_with_random_values_are_answered() {
    let mut seen = std::collections::BTreeMap::new();
    let values = odd_values();
    for seed in 0..3_000 {
        let mut random = Rng::with_seed(seed);
        let mut event = signed();
        for _ in 0..random.usize(1..4) {
            let mut places = Vec::new();
            pointers(&event, "", &mut places);
            let Some(place) = random.choice(&places) else { continue };
            event = with(event, place, random.choice(&values).expect("a value").clone());
        }
        let mut text = event.to_string().into_bytes();
        // Some of these texts are no longer JSON.
        for _ in 0..random.usize(0..6).saturating_sub(3) {
            let at = random.usize(0..text.len());
            match random.u8(0..3) {
                0 => text[at] = random.u8(..),
                1 => drop(text.remove(at)),
                _ => text.insert(at, *random.choice(br#"{}[]",:\u0dZ "#).expect("a byte")),
            }
        }
        let answered = std::panic::catch_unwind(|| check(&text));
        let status = answered.unwrap_or_else(|_| panic!("seed {seed}: {}", String::from_utf8_lossy(&text)));
        *seen.entry(status).or_insert(0) += 1;
    }
    for status in [None, Some(200), Some(401), Some(405)] {
        assert!(seen.get(&status).is_some_and(|count| *count >= 100), "{seen:?}");
    }
}
