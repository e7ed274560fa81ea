//! Signing as Standard Webhooks and Svix do.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::hmac;

use super::HeaderFamily;

/// The key inside `whsec_…`.
pub(super) fn key(secret: &str) -> Result<hmac::Key> {
    let encoded = secret.strip_prefix("whsec_").context("a webhook secret does not begin with whsec_")?;
    let bytes = BASE64_STANDARD.decode(encoded).context("a webhook secret is not base64 after whsec_")?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The three headers for `body`, with one signature for each key; no headers at all without a key.
pub(super) fn headers(
    keys: &[hmac::Key],
    family: HeaderFamily,
    id: &str,
    at: i64,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    if keys.is_empty() {
        return Vec::new();
    }
    let signatures: Vec<String> = keys.iter().map(|key| sign(key, id, at, body)).collect();
    let names = match family {
        HeaderFamily::Webhook => ["webhook-id", "webhook-timestamp", "webhook-signature"],
        HeaderFamily::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
    };
    names.into_iter().zip([id.to_owned(), at.to_string(), signatures.join(" ")]).collect()
}

fn sign(key: &hmac::Key, id: &str, at: i64, body: &[u8]) -> String {
    let mut signed = format!("{id}.{at}.").into_bytes();
    signed.extend_from_slice(body);
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, &signed)))
}
