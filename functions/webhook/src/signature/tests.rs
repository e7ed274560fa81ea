//! Verifies the published test vector, and refuses what must not pass.

use http::{HeaderName, HeaderValue};
use pipeline::credentials::Credentials;

use super::*;

/// This secret is from the public Svix test suite, as are the values below.
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const TIMESTAMP: &str = "1649367553";
const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
const NOW: Timestamp = Timestamp::from_secs(1_649_367_553);

fn keys(secrets: &[&str]) -> Vec<Secret<Vec<u8>>> {
    Credentials::parse("key", secrets).expect("good secrets").webhook_keys
}

fn headers<const N: usize>(pairs: [(&str, &str); N]) -> HeaderMap {
    let header = |(name, value): (&str, &str)| {
        (HeaderName::try_from(name).expect("a name"), HeaderValue::try_from(value).expect("a value"))
    };
    pairs.into_iter().map(header).collect()
}

fn with(signature: &str) -> HeaderMap {
    headers([("webhook-id", ID), ("webhook-timestamp", TIMESTAMP), ("webhook-signature", signature)])
}

fn verify<'a>(
    headers: &'a HeaderMap,
    body: &'a [u8],
    keys: &[Secret<Vec<u8>>],
    now: Timestamp,
) -> Result<Verified<'a>, Refusal> {
    Signed::read(headers, now)?.verify(body, keys)
}

fn check(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, Refusal> {
    verify(headers, body, &keys(&[SECRET]), now).map(|verified| verified.delivery_id.to_owned())
}

#[test]
fn published_vector_passes() {
    assert_eq!(check(&with(SIGNATURE), BODY, NOW).as_deref(), Ok(ID));
}

#[test]
fn older_header_names_pass_in_any_case() {
    let older = headers([("Svix-Id", ID), ("SVIX-TIMESTAMP", TIMESTAMP), ("svix-signature", SIGNATURE)]);
    assert_eq!(check(&older, BODY, NOW).as_deref(), Ok(ID));
}

#[test]
fn header_families_are_never_mixed() {
    let mixed = headers([("svix-id", ID), ("webhook-timestamp", TIMESTAMP), ("webhook-signature", SIGNATURE)]);
    assert_eq!(check(&mixed, BODY, NOW), Err(Refusal::MalformedHeaders));
}

#[test]
fn one_valid_signature_of_several_is_enough() {
    let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let third = format!("{other} v1a,{} {SIGNATURE}", SIGNATURE.trim_start_matches("v1,"));
    assert_eq!(check(&with(&third), BODY, NOW).as_deref(), Ok(ID));
}

#[test]
fn one_matching_secret_of_several_is_enough() {
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signed = with(SIGNATURE);
    for secrets in [[other, SECRET], [SECRET, other]] {
        verify(&signed, BODY, &keys(&secrets), NOW).expect("one of the secrets matches");
    }
    assert_eq!(verify(&signed, BODY, &keys(&[other]), NOW).err(), Some(Refusal::WrongSignature));
    assert_eq!(verify(&signed, BODY, &[], NOW).err(), Some(Refusal::NoSecret));
}

#[test]
fn signatures_of_other_versions_and_broken_ones_do_not_pass() {
    let bare = SIGNATURE.trim_start_matches("v1,");
    for (signature, refusal) in [
        (format!("v1a,{bare}"), Refusal::NoV1Signature),
        (format!("v2,{bare}"), Refusal::NoV1Signature),
        (bare.to_owned(), Refusal::NoV1Signature),
        (format!("v1 {bare}"), Refusal::NoV1Signature),
        ("v1,".to_owned(), Refusal::WrongSignature),
        (SIGNATURE[..SIGNATURE.len() - 5].to_owned(), Refusal::WrongSignature),
        (format!("v1, {bare}"), Refusal::WrongSignature),
        (SIGNATURE.to_lowercase(), Refusal::WrongSignature),
    ] {
        assert_eq!(check(&with(&signature), BODY, NOW), Err(refusal), "{signature}");
    }
}

#[test]
fn body_with_one_more_space_does_not_pass() {
    let spaced = br#"{"email": "test@example.com","username":"test_user"}"#;
    assert_eq!(check(&with(SIGNATURE), spaced, NOW), Err(Refusal::WrongSignature));
}

#[test]
fn timestamp_may_be_five_minutes_off_and_no_more() {
    let shifted = |seconds: i64| check(&with(SIGNATURE), BODY, Timestamp::from_secs(1_649_367_553 + seconds));
    assert!(shifted(300).is_ok() && shifted(-300).is_ok());
    assert_eq!(shifted(301), Err(Refusal::Stale));
    assert_eq!(shifted(-301), Err(Refusal::FromTheFuture));
}

#[test]
fn timestamp_has_only_digits() {
    for timestamp in ["+1649367553", "01649367553", "-1", "0", "1649367553.0", "0x1", "1649367553000", "１６４９"] {
        let value = HeaderValue::from_bytes(timestamp.as_bytes()).expect("opaque bytes are allowed");
        let mut headers = with(SIGNATURE);
        headers.insert("webhook-timestamp", value);
        let refusal = check(&headers, BODY, NOW).expect_err(timestamp);
        assert!(matches!(refusal, Refusal::MalformedTimestamp | Refusal::MalformedHeaders), "{timestamp}: {refusal}");
    }
}

#[test]
fn headers_that_are_missing_and_repeated_have_different_reasons() {
    assert_eq!(check(&HeaderMap::new(), BODY, NOW), Err(Refusal::NoSignatureHeaders));
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut headers = with(SIGNATURE);
        headers.append(name, HeaderValue::from_static("again"));
        assert_eq!(check(&headers, BODY, NOW), Err(Refusal::MalformedHeaders), "{name} twice");
        headers.remove(name);
        assert_eq!(check(&headers, BODY, NOW), Err(Refusal::MalformedHeaders), "no {name}");
        headers.insert(name, HeaderValue::from_static(""));
        assert_eq!(check(&headers, BODY, NOW), Err(Refusal::MalformedHeaders), "empty {name}");
    }
}

/// Alarms and queries count by these names, and docs/operating.md lists them.
#[test]
fn refusals_have_names_of_their_own() {
    let refusals = [
        Refusal::NoSignatureHeaders,
        Refusal::MalformedHeaders,
        Refusal::MalformedTimestamp,
        Refusal::Stale,
        Refusal::FromTheFuture,
        Refusal::NoV1Signature,
        Refusal::WrongSignature,
        Refusal::NoSecret,
    ];
    let names: std::collections::BTreeSet<&str> = refusals.map(Refusal::as_str).into_iter().collect();
    assert_eq!(names.len(), refusals.len(), "{names:?}");
}
