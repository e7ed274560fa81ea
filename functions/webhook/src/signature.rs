//! Who sent this? The Standard Webhooks (Svix) signature over the raw bytes.
//!
//! Only [`Verified`] bytes can be parsed as an event. `now` is an argument; comparison is in constant time.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use job::time::Timestamp;
use pipeline::{
    secret::Secret,
    signature::{FAMILIES, sign},
};
use subtle::{Choice, ConstantTimeEq as _};

/// How far a delivery's timestamp may be from our clock, either way.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Signatures in one header that are looked at. During a rotation there are two.
const MAX_SIGNATURES: usize = 16;

/// The bytes of a delivery whose signature is right, and the id that the sender gave it.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    pub delivery_id: &'a str,
    pub body: &'a [u8],
}

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Recall sends unsigned webhooks until somebody creates the workspace's secret.
    #[error("no signature headers: create the verification secret in Recall's dashboard")]
    NoSignatureHeaders,
    #[error("one of the id, timestamp and signature headers is missing, repeated or not readable")]
    MalformedHeaders,
    #[error("the timestamp is not a number of seconds")]
    MalformedTimestamp,
    #[error("the timestamp is more than five minutes old")]
    Stale,
    #[error("the timestamp is more than five minutes ahead")]
    FromTheFuture,
    #[error("the signature header has no v1 signature")]
    NoV1Signature,
    #[error("no signature matches any of the secrets")]
    WrongSignature,
    #[error("no webhook secret is configured")]
    NoSecret,
}

impl Refusal {
    /// The word for logs and metrics.
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

/// What the headers of a delivery say. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Signed<'a> {
    delivery_id: &'a str,
    timestamp: &'a str,
    /// The `v1` signatures.
    given: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    /// Reads the headers: whatever can be refused without a secret is refused here.
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
        let given: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .take(MAX_SIGNATURES)
            .map(|signature| STANDARD.decode(signature).unwrap_or_default())
            .collect();
        if given.is_empty() { Err(Refusal::NoV1Signature) } else { Ok(Self { delivery_id, timestamp, given }) }
    }

    /// Checks the signatures over the raw bytes against every key.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn verify(&self, body: &'a [u8], keys: &[Secret<Vec<u8>>]) -> Result<Verified<'a>, Refusal> {
        if keys.is_empty() {
            return Err(Refusal::NoSecret);
        }
        // Every key meets every signature, so the time that this takes does not tell which one was close.
        let mut matches = Choice::from(0);
        for key in keys {
            let right = sign(key, self.delivery_id, self.timestamp, body);
            for given in &self.given {
                matches |= right.as_ref().ct_eq(given);
            }
        }
        let verified = Verified { delivery_id: self.delivery_id, body };
        if bool::from(matches) { Ok(verified) } else { Err(Refusal::WrongSignature) }
    }
}

/// One family of headers or the other, never a mix: what one hop adds must not complete what another forged.
fn one_family(headers: &HeaderMap) -> Result<[&str; 3], Refusal> {
    if FAMILIES.as_flattened().iter().all(|name| !headers.contains_key(*name)) {
        return Err(Refusal::NoSignatureHeaders);
    }
    let complete = FAMILIES.iter().find_map(|[id, timestamp, signatures]| {
        Some([single(headers, id)?, single(headers, timestamp)?, single(headers, signatures)?])
    });
    complete.ok_or(Refusal::MalformedHeaders)
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok().filter(|value| !value.is_empty());
    value.filter(|_| values.next().is_none())
}

/// Seconds since the epoch, digits only: what other verifiers let pass (`+1`, `01`, ` 1`) was never sent by Svix.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.len() <= 12;
    text.parse().ok().filter(|_| digits).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests;
