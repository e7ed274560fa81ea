//! Verifies the Standard Webhooks (Svix) signature over the raw bytes of a delivery.
//!
//! Only [`Verified`] bytes can be parsed as an event. `now` is an argument. Signatures are compared in constant time.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use job::time::Timestamp;
use pipeline::{
    secret::Secret,
    signature::{FAMILIES, sign},
};
use subtle::{Choice, ConstantTimeEq as _};

/// How far the timestamp of a delivery may be before or after our clock.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// How many signatures of one header are checked. During a rotation of secrets there are two.
const MAX_SIGNATURES: usize = 16;

/// The bytes of a delivery whose signature is valid, and the id that the sender gave the delivery.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    pub delivery_id: &'a str,
    pub body: &'a [u8],
}

/// Why a delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Recall sends unsigned webhooks until the workspace has a verification secret.
    #[error("no signature headers: create the verification secret in Recall's dashboard")]
    NoSignatureHeaders,
    #[error("the id, timestamp or signature header is missing, repeated or not plain text")]
    MalformedHeaders,
    #[error("the timestamp is not a number of seconds")]
    MalformedTimestamp,
    #[error("the timestamp is more than five minutes in the past; send the delivery again")]
    Stale,
    #[error("the timestamp is more than five minutes in the future; check the sender's clock")]
    FromTheFuture,
    #[error("the signature header has no v1 signature")]
    NoV1Signature,
    #[error("no signature matches a webhook secret; check that the configured secret is the workspace's")]
    WrongSignature,
    #[error("no webhook secret is configured; add Recall's verification secret")]
    NoSecret,
}

impl Refusal {
    /// The name of the reason for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSignatureHeaders => "no_signature_headers",
            Self::MalformedHeaders => "malformed_headers",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale => "stale",
            Self::FromTheFuture => "from_the_future",
            Self::NoV1Signature => "no_v1_signature",
            Self::WrongSignature => "wrong_signature",
            Self::NoSecret => "no_secret",
        }
    }
}

/// The signature headers of a delivery, before the signature is verified.
#[derive(Debug)]
pub struct Signed<'a> {
    delivery_id: &'a str,
    timestamp: &'a str,
    /// The decoded `v1` signatures.
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    /// Reads the headers, and refuses what can be refused without a secret.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn read(headers: &'a HeaderMap, now: Timestamp) -> Result<Self, Refusal> {
        let [delivery_id, timestamp, signatures] = one_family(headers)?;
        let sent_at = parse_timestamp(timestamp).ok_or(Refusal::MalformedTimestamp)?;
        if now.since(sent_at) > TOLERANCE {
            return Err(Refusal::Stale);
        }
        if sent_at.since(now) > TOLERANCE {
            return Err(Refusal::FromTheFuture);
        }
        let signatures: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .take(MAX_SIGNATURES)
            .map(|signature| STANDARD.decode(signature).unwrap_or_default())
            .collect();
        if signatures.is_empty() {
            return Err(Refusal::NoV1Signature);
        }
        Ok(Self { delivery_id, timestamp, signatures })
    }

    /// Checks the signatures over the raw bytes against every key.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn verify(&self, body: &'a [u8], keys: &[Secret<Vec<u8>>]) -> Result<Verified<'a>, Refusal> {
        if keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        // Compare every key with every signature, so that the time taken does not tell which of them matched.
        let mut matches = Choice::from(0);
        for key in keys {
            let expected = sign(key, self.delivery_id, self.timestamp, body);
            for signature in &self.signatures {
                matches |= expected.as_ref().ct_eq(signature);
            }
        }
        let verified = Verified { delivery_id: self.delivery_id, body };
        if bool::from(matches) { Ok(verified) } else { Err(Refusal::WrongSignature) }
    }
}

/// Returns the headers of one family. Families are never mixed: a header that one hop adds must not complete a set that
/// another hop forged.
fn one_family(headers: &HeaderMap) -> Result<[&str; 3], Refusal> {
    if FAMILIES.as_flattened().iter().all(|name| !headers.contains_key(*name)) {
        return Err(Refusal::NoSignatureHeaders);
    }
    let complete = FAMILIES.iter().find_map(|[id, timestamp, signatures]| {
        Some([single(headers, id)?, single(headers, timestamp)?, single(headers, signatures)?])
    });
    complete.ok_or(Refusal::MalformedHeaders)
}

/// Returns the header's value if it was sent exactly once and is plain, non-empty text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok().filter(|value| !value.is_empty());
    value.filter(|_| values.next().is_none())
}

/// Parses seconds since the epoch. Only digits are allowed: Svix never sends the forms that other verifiers accept
/// (`+1`, `01`, ` 1`).
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.len() <= 12;
    text.parse().ok().filter(|_| digits).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests;
