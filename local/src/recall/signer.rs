//! Creates and checks signed download URLs and tokens.

use std::time::Duration;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use ring::hmac;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{clock::now, config::random_bytes};

/// Creates and checks the URLs.
#[derive(Debug)]
pub(super) struct Signer {
    /// `http://localhost:PORT`
    pub(super) base_url: String,
    pub(super) workspace: Uuid,
    key: hmac::Key,
    started: Instant,
    lifetime: Duration,
    /// URLs from before this moment have expired.
    over_before: watch::Sender<Duration>,
}

impl Signer {
    /// `lifetime` is in real time.
    pub(super) fn new(base_url: String, workspace: Uuid, lifetime: Duration) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random_bytes());
        let over_before = watch::Sender::new(Duration::ZERO);
        Self { base_url, workspace, key, started: Instant::now(), lifetime, over_before }
    }

    /// Returns a new URL. No two are equal.
    pub(super) fn url(&self, path: &str) -> String {
        let issued = self.started.elapsed().as_nanos().to_string();
        let expires = (now() + self.lifetime).unix_timestamp().to_string();
        // The token contains the time of issue, as a real one contains the end of its session. `Expires` alone counts
        // in seconds, which is too coarse for a fast clock.
        let token = format!("{}.{issued}", BASE64_STANDARD.encode(random_bytes()));
        let signature = BASE64_STANDARD.encode(hmac::sign(&self.key, signed(path, &expires, &token).as_bytes()));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("AWSAccessKeyId", "ASIAQ3EGRIRA7LDWVXYZ").append_pair("Signature", &signature);
        query.append_pair("x-amz-security-token", &token).append_pair("Expires", &expires);
        format!("{}{path}?{}", self.base_url, query.finish())
    }

    /// Returns a new token for a file on the API host: that of `kind` which belongs to this recording or transcript.
    pub(super) fn token(&self, kind: &str, id: Uuid) -> String {
        let named = format!("{kind}/{id}.{}", self.started.elapsed().as_nanos());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, named.as_bytes()));
        format!("{named}.{signature}")
    }

    /// Returns the recording or transcript of a valid token for a file of this kind.
    pub(super) fn id_of(&self, kind: &str, token: &str) -> Option<Uuid> {
        let (named, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, named.as_bytes(), &signature).ok()?;
        let (file, issued) = named.split_once('.')?;
        let issued = Duration::from_nanos(issued.parse().ok()?);
        let id = file.strip_prefix(kind)?.strip_prefix('/')?;
        id.parse().ok().filter(|_| !self.is_over(issued))
    }

    /// Returns whether a URL from this time has expired.
    fn is_over(&self, issued: Duration) -> bool {
        issued < *self.over_before.borrow() || self.started.elapsed() >= issued + self.lifetime
    }

    /// Returns the code and the message of the refusal, if the URL is refused.
    pub(super) fn refuses(&self, path: &str, query: &str) -> Option<(&'static str, &'static str)> {
        let pair = |name: &str| {
            let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let (expires, token) = (pair("Expires"), pair("x-amz-security-token"));
        let signature = BASE64_STANDARD.decode(pair("Signature")).unwrap_or_default();
        if hmac::verify(&self.key, signed(path, &expires, &token).as_bytes(), &signature).is_err() {
            let message = "The request signature we calculated does not match the signature you provided.";
            return Some(("SignatureDoesNotMatch", message));
        }
        let issued = token.rsplit('.').next().and_then(|issued| issued.parse().ok()).map(Duration::from_nanos);
        self.is_over(issued.unwrap_or_default()).then_some(("AccessDenied", "Request has expired"))
    }

    /// Ends every URL that was handed out so far.
    pub(super) fn expire_all(&self) {
        self.over_before.send_replace(self.started.elapsed());
    }
}

fn signed(path: &str, expires: &str, token: &str) -> String {
    format!("GET\n{expires}\nx-amz-security-token:{token}\n{path}")
}
