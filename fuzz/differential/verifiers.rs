//! The three verifiers, each asked in its own way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{HeaderMap, HeaderName, HeaderValue};
use pipeline::{credentials::Credentials, time};
use job::time::Timestamp;
use webhook::signature::Signed;

use crate::cases::{Case, Field};

/// The verdict of one that panicked.
pub(crate) const PANIC: &str = "it panics";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Svix,
    StandardWebhooks,
}

impl Other {
    pub(crate) const ALL: [Self; 2] = [Self::Svix, Self::StandardWebhooks];
}

/// What arrives.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) secrets: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Vec<u8>,
    /// How far into its second our clock is.
    pub(crate) now_ms: i64,
}

type Verdict = Result<(), String>;

/// The others look at the system's clock, to the second. So we ask both within one second of it, and ours is told the
/// time: that second and the case's milliseconds.
pub(crate) fn at_one_moment(case: &Case, other: Other, mut mend: impl FnMut(&mut Delivery)) -> (Verdict, Verdict) {
    loop {
        let now_s = time::now().as_millis() / 1000;
        let (secrets, body) = (case.secrets.clone(), case.body.clone());
        let mut delivery = Delivery { secrets, fields: case.fields(now_s), body, now_ms: case.now_ms };
        mend(&mut delivery);
        let headers = headers(&delivery.fields);
        let ours = ours(&delivery, &headers, Timestamp::from_millis(now_s * 1000 + delivery.now_ms));
        let theirs = theirs(&delivery, &headers, other);
        if time::now().as_millis() / 1000 == now_s {
            return (ours, theirs);
        }
    }
}

fn ours(delivery: &Delivery, headers: &HeaderMap, now: Timestamp) -> Verdict {
    // A list with one bad secret stops the function when it starts; here each stands for itself.
    let keys = |secret: &String| Credentials::parse("key", &[secret]).map(|it| it.webhook_keys).unwrap_or_default();
    let keys: Vec<_> = delivery.secrets.iter().flat_map(keys).collect();
    let verified = Signed::read(headers, now).and_then(|signed| signed.verify(&delivery.body, &keys).map(drop));
    verified.map_err(|refusal| refusal.as_str().to_owned())
}

/// They know one secret each, so all are tried. The reason is the last one's.
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
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    headers
}
