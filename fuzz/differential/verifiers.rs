//! Calls the three verifiers, each through its own interface.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{HeaderMap, HeaderName, HeaderValue};
use job::time::Timestamp;
use pipeline::{credentials::Credentials, time};
use webhook::signature::Signed;

use crate::cases::{Case, Field};

/// The verdict of a verifier that panicked.
pub(crate) const PANIC: &str = "panic";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Svix,
    StandardWebhooks,
}

impl Other {
    pub(crate) const ALL: [Self; 2] = [Self::Svix, Self::StandardWebhooks];
}

/// A delivery as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) secrets: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Vec<u8>,
    /// The milliseconds of our clock within the current second.
    pub(crate) now_ms: i64,
}

type Verdict = Result<(), String>;

/// Returns the verdicts of our verifier and of another one on a case, after `adjust` has changed its delivery.
///
/// The other verifiers read the system clock and count whole seconds. So both verifiers are called within one second of
/// that clock. Our verifier gets that second and the milliseconds of the case as an argument.
pub(crate) fn at_one_moment(case: &Case, other: Other, mut adjust: impl FnMut(&mut Delivery)) -> (Verdict, Verdict) {
    loop {
        let now_s = time::now().as_millis() / 1000;
        let (secrets, body) = (case.secrets.clone(), case.body.clone());
        let mut delivery = Delivery { secrets, fields: case.fields(now_s), body, now_ms: case.now_ms };
        adjust(&mut delivery);
        let headers = headers(&delivery.fields);
        let ours = ours(&delivery, &headers, Timestamp::from_millis(now_s * 1000 + delivery.now_ms));
        let theirs = theirs(&delivery, &headers, other);
        if time::now().as_millis() / 1000 == now_s {
            return (ours, theirs);
        }
    }
}

fn ours(delivery: &Delivery, headers: &HeaderMap, now: Timestamp) -> Verdict {
    // One bad secret keeps the function from starting. Here, each secret is parsed separately, so that the good ones
    // are used.
    let keys = |secret: &String| {
        Credentials::parse("key", &[secret]).map(|credentials| credentials.webhook_keys).unwrap_or_default()
    };
    let keys: Vec<_> = delivery.secrets.iter().flat_map(keys).collect();
    let verified = Signed::read(headers, now).and_then(|signed| signed.verify(&delivery.body, &keys).map(drop));
    verified.map_err(|refusal| refusal.as_str().to_owned())
}

/// Tries each secret in turn, because the other verifiers accept only one. An error is the error of the last secret.
fn theirs(delivery: &Delivery, headers: &HeaderMap, other: Other) -> Verdict {
    let mut verdict = Err("no secret".to_owned());
    for secret in &delivery.secrets {
        verdict = match other {
            Other::Svix => svix::webhooks::Webhook::new(secret)
                .and_then(|webhook| webhook.verify(&delivery.body, headers))
                .map_err(|error| error.to_string()),
            Other::StandardWebhooks => catch_unwind(AssertUnwindSafe(|| {
                standardwebhooks::Webhook::new(secret)
                    .and_then(|webhook| webhook.verify(&delivery.body, headers))
                    .map_err(|error| error.to_string())
            }))
            .unwrap_or_else(|_| Err(PANIC.to_owned())),
        };
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

fn headers(fields: &[Field]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for Field { name, value } in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, HeaderValue::from_bytes(value).expect("a header value"));
    }
    headers
}
