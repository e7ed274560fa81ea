//! A delivery is accepted exactly if one of our keys signed it.
//!
//! This file implements the rules a second time, over plain bytes and with another HMAC library.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use hmac_sha256::HMAC;
use http::{HeaderMap, HeaderName, HeaderValue};
use job::time::Timestamp;
use pipeline::secret::Secret;

use crate::signature::Signed;

const NOW_S: i64 = 1_700_000_000;
/// The first two may be our keys; the last one never is. One key is longer than a block of the hash.
const KEYS: [&[u8]; 3] = [b"twenty-four bytes or so", &[7; 100], b"somebody else's"];

/// A header as it was received.
struct Field {
    name: HeaderName,
    value: Vec<u8>,
}

/// The first byte of the input says which keys are ours. Then come lines of headers, an empty line, and the body. In a
/// signature header, `{a}`, `{b}` and `{c}` are replaced by signatures with the three keys, and `{n}` and `{u}` by
/// signatures with the first key in other variants of base64: a fuzzer cannot find a signature by itself.
pub fn signature(input: &[u8]) {
    let Some((choice, input)) = input.split_first() else { return };
    let ours: Vec<&[u8]> =
        KEYS.into_iter().take(2).enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, key)| key).collect();
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let mut fields: Vec<Field> = head.split(|byte| *byte == b'\n').filter_map(field).collect();
    for at in 0..fields.len() {
        if fields[at].name.as_str().ends_with("-signature") {
            fields[at].value = filled(&fields, at, body);
        }
    }
    let mut headers = HeaderMap::new();
    for field in &fields {
        // A header that HTTP libraries reject never arrives.
        let Ok(value) = HeaderValue::from_bytes(&field.value) else { return };
        headers.append(&field.name, value);
    }

    let keys: Vec<Secret<Vec<u8>>> = ours.iter().map(|key| Secret::new(key.to_vec())).collect();
    let now = Timestamp::from_secs(NOW_S);
    let verified = Signed::read(&headers, now).and_then(|signed| signed.verify(body, &keys).map(|it| (signed, it)));
    match (must_accept(&fields, body, &ours), &verified) {
        (Some(id), Ok((_, verified))) => {
            assert_eq!(verified.delivery_id.as_bytes(), id);
            assert!(std::ptr::eq(verified.body, body), "the verified bytes are not the bytes that were signed");
        }
        (None, Err(refusal)) => assert!(!refusal.as_str().is_empty()),
        (Some(_), Err(refusal)) => panic!("a valid signature was refused: {refusal}"),
        (None, Ok(_)) => panic!("an unsigned delivery was accepted"),
    }
}

fn field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some(Field { name, value: line[colon + 1..].to_vec() })
}

/// Replaces the placeholders by signatures over the id and the timestamp of the same family.
fn filled(fields: &[Field], at: usize, body: &[u8]) -> Vec<u8> {
    let family = fields[at].name.as_str().trim_end_matches("signature");
    let first = |part: &str| {
        let name = format!("{family}{part}");
        fields.iter().find(|field| field.name.as_str() == name).map(|field| field.value.clone()).unwrap_or_default()
    };
    let signed = |key: &[u8]| mac(key, &first("id"), &first("timestamp"), body);
    let mut filled = Vec::new();
    let mut rest = &fields[at].value[..];
    while let Some((byte, after)) = rest.split_first() {
        let made = match rest {
            [b'{', b'a', b'}', ..] => STANDARD.encode(signed(KEYS[0])),
            [b'{', b'b', b'}', ..] => STANDARD.encode(signed(KEYS[1])),
            [b'{', b'c', b'}', ..] => STANDARD.encode(signed(KEYS[2])),
            [b'{', b'n', b'}', ..] => STANDARD_NO_PAD.encode(signed(KEYS[0])),
            [b'{', b'u', b'}', ..] => URL_SAFE.encode(signed(KEYS[0])),
            _ => String::new(),
        };
        if made.is_empty() {
            filled.push(*byte);
            rest = after;
        } else {
            filled.extend_from_slice(made.as_bytes());
            rest = &rest[3..];
        }
    }
    filled
}

/// Returns the id of a delivery that must be accepted.
fn must_accept<'a>(fields: &'a [Field], body: &[u8], ours: &[&[u8]]) -> Option<&'a [u8]> {
    let only = |name: String| {
        let mut values = fields.iter().filter(|field| field.name.as_str() == name).map(|field| &field.value[..]);
        let value = values.next().filter(|value| !value.is_empty() && value.iter().all(|byte| is_text(*byte)));
        value.filter(|_| values.next().is_none())
    };
    let family = |of: &str| {
        Some([only(format!("{of}-id"))?, only(format!("{of}-timestamp"))?, only(format!("{of}-signature"))?])
    };
    let [id, timestamp, signatures] = family("webhook").or_else(|| family("svix"))?;

    let digits = timestamp.iter().all(u8::is_ascii_digit) && timestamp[0] != b'0' && timestamp.len() <= 12;
    let sent_s = timestamp.iter().filter(|_| digits).fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    if !(NOW_S - 300..=NOW_S + 300).contains(&sent_s) {
        return None;
    }
    let expected: Vec<String> =
        ours.iter().map(|key| format!("v1,{}", STANDARD.encode(mac(key, id, timestamp, body)))).collect();
    let given = signatures.split(|byte| *byte == b' ').filter(|given| given.starts_with(b"v1,")).take(16);
    let mut matches = given.filter(|given| expected.iter().any(|expected| expected.as_bytes() == *given));
    matches.next().map(|_| id)
}

/// Returns whether a readable header may contain this byte.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

fn mac(key: &[u8], id: &[u8], timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    HMAC::mac([id, timestamp, body].join(&b'.'), key)
}
