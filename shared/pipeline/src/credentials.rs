//! The API key and the webhook secrets. They are in Secrets Manager or, for local use, in the environment.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_secretsmanager::Client;
use job::time::Timestamp;
use serde::Deserialize;

use crate::{logs, metrics, secret::Secret, signature, telemetry, time};

/// The shortest time between two reads of the secret because a signature or the key was rejected, and after a failed
/// read. Anyone can send bad signatures, and each read costs money.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two reads while there are no credentials. It is short because nothing works without them.
const MIN_RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long one read of the secret may take, including the SDK's repeats.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long credentials are used before they are read again. A webhook secret that was removed stops working here after
/// this time.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// The key that proves to Recall who we are, and the keys that prove to us that a delivery is from Recall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub api_key: Secret<String>,
    /// The decoded keys of the webhook secrets.
    pub webhook_keys: Vec<Secret<Vec<u8>>>,
}

/// Where the credentials come from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    SecretsManager { id: String },
    Fixed(Arc<Credentials>),
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("Secrets Manager GetSecretValue failed for the secret {id}")]
    Unavailable { id: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("Secrets Manager did not return the secret {id} within {} s", FETCH_TIMEOUT.as_secs())]
    Late { id: String },
    #[error("the secret {id} was not read, because a read failed less than {} s ago", MIN_RETRY_INTERVAL.as_secs())]
    JustFailed { id: String },
    #[error("the secret {id} is invalid: {problem}")]
    Invalid { id: String, problem: String },
}

/// The JSON text of the secret. Other fields are allowed.
#[derive(Deserialize)]
struct Document {
    api_key: String,
    #[serde(default)]
    webhook_secrets: Vec<String>,
}

impl Credentials {
    /// Checks the key and decodes the webhook secrets.
    ///
    /// # Errors
    /// Says which value is invalid, without showing it.
    pub fn parse<S: AsRef<str>>(api_key: &str, webhook_secrets: &[S]) -> Result<Self, String> {
        let is_printable = !api_key.is_empty() && api_key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_printable {
            return Err("the API key is empty, or has a space or another character that no key has".to_owned());
        }
        let mut webhook_keys = Vec::with_capacity(webhook_secrets.len());
        for (secret, number) in webhook_secrets.iter().zip(1..) {
            let key = signature::key(secret.as_ref()).ok_or_else(|| {
                format!(
                    "webhook secret number {number} is not `whsec_` with base64 after it; copy it from the dashboard"
                )
            })?;
            webhook_keys.push(key);
        }
        Ok(Self { api_key: Secret::new(api_key.to_owned()), webhook_keys })
    }

    /// Reads the text of the secret in Secrets Manager.
    ///
    /// # Errors
    /// Says what is invalid, without showing it.
    pub fn of_secret(text: &str) -> Result<Self, String> {
        // The message of serde would quote the secret.
        let document: Document = serde_json::from_str(text)
            .map_err(|_| r#"it must be JSON like {"api_key": "…", "webhook_secrets": ["whsec_…"]}"#.to_owned())?;
        Self::parse(&document.api_key, &document.webhook_secrets)
    }

    pub(crate) fn none() -> Self {
        Self { api_key: Secret::new(String::new()), webhook_keys: Vec::new() }
    }
}

/// Reads the credentials, caches them, and renews them.
#[derive(Debug)]
pub struct Secrets {
    source: SecretSource,
    client: Client,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    credentials: Option<Arc<Credentials>>,
    fetched_at: Option<Timestamp>,
    /// When the credentials in use were rejected and we looked for newer ones.
    refreshed_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

impl Secrets {
    pub fn new(source: SecretSource, client: Client) -> Self {
        Self { source, client, cache: Mutex::default() }
    }

    /// Returns the credentials, from the cache if they are not too old.
    ///
    /// # Errors
    /// There are no credentials yet. If Secrets Manager fails later, the old credentials remain in use.
    pub async fn get(&self) -> Result<Arc<Credentials>, SecretError> {
        let id = match &self.source {
            SecretSource::Fixed(credentials) => return Ok(Arc::clone(credentials)),
            SecretSource::SecretsManager { id } => id,
        };
        let (cached, fetched_at, failed_at) = {
            let cache = self.lock();
            (cache.credentials.clone(), cache.fetched_at, cache.failed_at)
        };
        match cached {
            Some(cached) if is_recent(fetched_at, MAX_AGE) || is_recent(failed_at, MIN_REFRESH_INTERVAL) => Ok(cached),
            Some(cached) => Ok(self.renew(id).await.unwrap_or(cached)),
            None if is_recent(failed_at, MIN_RETRY_INTERVAL) => Err(SecretError::JustFailed { id: id.to_owned() }),
            None => self.renew(id).await,
        }
    }

    /// Looks for newer credentials because these were rejected. Returns `None` if there are none, or if another call
    /// has just looked for them.
    pub async fn refresh(&self, rejected: &Credentials) -> Option<Arc<Credentials>> {
        let SecretSource::SecretsManager { id } = &self.source else { return None };
        {
            let mut cache = self.lock();
            if let Some(newer) = cache.credentials.clone().filter(|cached| **cached != *rejected) {
                return Some(newer);
            }
            if is_recent(cache.refreshed_at, MIN_REFRESH_INTERVAL) {
                return None;
            }
            cache.refreshed_at = Some(time::now());
        }
        self.renew(id).await.ok().filter(|renewed| **renewed != *rejected)
    }

    async fn renew(&self, id: &str) -> Result<Arc<Credentials>, SecretError> {
        let late = |_| Err(SecretError::Late { id: id.to_owned() });
        let result = tokio::time::timeout(FETCH_TIMEOUT, self.fetch(id)).await.unwrap_or_else(late);
        let mut cache = self.lock();
        match &result {
            Ok(credentials) => {
                cache.credentials = Some(Arc::clone(credentials));
                cache.fetched_at = Some(time::now());
                cache.failed_at = None;
            }
            Err(error) => {
                cache.failed_at = Some(time::now());
                tracing::error!(message = logs::SECRET_NOT_READ, error = %telemetry::Chain(error));
                metrics::SECRET_UNAVAILABLE.count();
            }
        }
        result
    }

    async fn fetch(&self, id: &str) -> Result<Arc<Credentials>, SecretError> {
        let output = self.client.get_secret_value().secret_id(id).send().await.map_err(|error| {
            SecretError::Unavailable { id: id.to_owned(), source: Box::new(error.into_service_error()) }
        })?;
        let invalid = |problem: String| SecretError::Invalid { id: id.to_owned(), problem };
        let text = output.secret_string().ok_or_else(|| invalid("it is binary, not JSON text".to_owned()))?;
        Credentials::of_secret(text).map(Arc::new).map_err(invalid)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether less than `age` has passed since this time.
fn is_recent(at: Option<Timestamp>, age: Duration) -> bool {
    at.is_some_and(|at| time::now().since(at) < age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let credentials = Credentials::parse("key-1234", &["whsec_c2VjcmV0"]).expect("good values");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("1234") && !shown.contains("115"), "{shown}");
    }

    #[test]
    fn invalid_value_is_named_but_not_quoted() {
        for bad in ["", "whsec_", "whsec_***", "c2VjcmV0"] {
            let problem = Credentials::parse("key", &["whsec_c2VjcmV0", bad]).expect_err("not a secret");
            assert!(problem.contains("number 2") && !problem.contains("***"), "{problem}");
        }
        Credentials::parse::<&str>("a key", &[]).expect_err("a space");
    }
}
