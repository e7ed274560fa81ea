//! The Standard Webhooks (Svix) signature of a delivery. The webhook function verifies it, and the simulator makes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

use crate::secret::Secret;

/// The names of the three headers in lower case: the id, the timestamp, the signatures.
pub const FAMILIES: [[&str; 3]; 2] = [HeaderFamily::Webhook.names(), HeaderFamily::Svix.names()];

/// The two families of header names. A sender uses one of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HeaderFamily {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[default]
    Webhook,
    /// `svix-id`, `svix-timestamp`, `svix-signature`.
    Svix,
}

impl HeaderFamily {
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Webhook => ["webhook-id", "webhook-timestamp", "webhook-signature"],
            Self::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
        }
    }
}

/// Decodes the key inside `whsec_…`. Returns `None` if the text is not a webhook secret.
pub fn key(secret: &str) -> Option<Secret<Vec<u8>>> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (!key.is_empty()).then(|| Secret::new(key))
}

/// Signs the raw bytes of a delivery. `timestamp` is the text of the header.
pub fn sign(key: &Secret<Vec<u8>>, delivery_id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
    for part in [delivery_id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

/// Returns the three headers of a delivery, with one signature for each key. Without a key there are no headers.
pub fn headers(
    keys: &[Secret<Vec<u8>>],
    family: HeaderFamily,
    delivery_id: &str,
    at: i64,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    if keys.is_empty() {
        return Vec::new();
    }
    let timestamp = at.to_string();
    let signature = |key| format!("v1,{}", STANDARD.encode(sign(key, delivery_id, &timestamp, body)));
    let signatures: Vec<String> = keys.iter().map(signature).collect();
    family.names().into_iter().zip([delivery_id.to_owned(), timestamp, signatures.join(" ")]).collect()
}
