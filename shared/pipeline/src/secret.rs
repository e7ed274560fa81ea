//! Recall's key and the webhook secrets: from Secrets Manager, or from the environment for local use.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_secretsmanager::Client;
use job::time::Timestamp;
use serde::Deserialize;

use crate::{logs, metrics, signature, telemetry, time};

/// A refused signature or key makes us look again, but not more often than this: anybody can send us bad
/// signatures, and Secrets Manager costs money.
const REFRESH_AT_MOST: Duration = Duration::from_secs(30);
/// Without any credentials we look again after this long: nothing works until they are there.
const RETRY_AT_MOST: Duration = Duration::from_secs(2);
/// One look at Secrets Manager, repeats included.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// A secret that was taken away stops working here after this long at the latest.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What Recall knows us by, and what we know Recall by.
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

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret {id} could not be read from Secrets Manager")]
    Unavailable { id: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("Secrets Manager did not answer within {} s about the secret {id}", FETCH_TIMEOUT.as_secs())]
    Late { id: String },
    #[error("the secret {id} could not be had a moment ago")]
    JustFailed { id: String },
    #[error("the secret {id} is not as it should be: {problem}")]
    Invalid { id: String, problem: String },
}

/// The shape of the secret's text. More fields are allowed.
#[derive(Deserialize)]
struct Document {
    api_key: String,
    #[serde(default)]
    webhook_secrets: Vec<String>,
}

impl Credentials {
    /// # Errors
    /// Says which value is wrong, without showing it.
    pub fn parse<S: AsRef<str>>(api_key: &str, webhook_secrets: &[S]) -> Result<Self, String> {
        let printable = !api_key.is_empty() && api_key.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable {
            return Err("the API key is empty or has characters that no key has".to_owned());
        }
        let webhook_keys = webhook_secrets
            .iter()
            .enumerate()
            .map(|(index, secret)| {
                signature::key(secret.as_ref()).ok_or_else(|| {
                    format!(
                        "webhook secret number {} is not `whsec_` with base64 after it; copy it from the dashboard",
                        index + 1
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { api_key: Secret(api_key.to_owned()), webhook_keys })
    }

    pub(crate) fn none() -> Self {
        Self { api_key: Secret(String::new()), webhook_keys: Vec::new() }
    }
}

/// Hands out the credentials and renews them.
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
    /// When the credentials in use were refused, and we looked for newer ones.
    refreshed_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

impl Secrets {
    pub fn new(source: SecretSource, client: Client) -> Self {
        Self { source, client, cache: Mutex::default() }
    }

    /// The credentials, from the cache while they are fresh.
    ///
    /// # Errors
    /// Only if there are none yet: an old secret is better than none while Secrets Manager is away.
    pub async fn get(&self) -> Result<Arc<Credentials>, SecretError> {
        let id = match &self.source {
            SecretSource::Fixed(credentials) => return Ok(Arc::clone(credentials)),
            SecretSource::SecretsManager { id } => id,
        };
        let (known, fetched_at, failed_at) = {
            let cache = self.lock();
            (cache.credentials.clone(), cache.fetched_at, cache.failed_at)
        };
        match known {
            Some(known) if !older(fetched_at, MAX_AGE) || !older(failed_at, REFRESH_AT_MOST) => Ok(known),
            Some(known) => Ok(self.renew(id).await.unwrap_or(known)),
            None if !older(failed_at, RETRY_AT_MOST) => Err(SecretError::JustFailed { id: id.to_owned() }),
            None => self.renew(id).await,
        }
    }

    /// Looks for newer credentials because these were refused. `None` if there are none, or if somebody has just
    /// looked.
    pub async fn refresh(&self, refused: &Credentials) -> Option<Arc<Credentials>> {
        let SecretSource::SecretsManager { id } = &self.source else { return None };
        {
            let mut cache = self.lock();
            if let Some(known) = cache.credentials.clone().filter(|known| **known != *refused) {
                return Some(known);
            }
            if !older(cache.refreshed_at, REFRESH_AT_MOST) {
                return None;
            }
            cache.refreshed_at = Some(time::now());
        }
        self.renew(id).await.ok().filter(|renewed| **renewed != *refused)
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
        // serde's own message would quote the secret.
        let document: Document = serde_json::from_str(text).map_err(|_| {
            invalid(r#"it must be JSON like {"api_key": "…", "webhook_secrets": ["whsec_…"]}"#.to_owned())
        })?;
        Credentials::parse(&document.api_key, &document.webhook_secrets).map(Arc::new).map_err(invalid)
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn older(at: Option<Timestamp>, age: Duration) -> bool {
    at.is_none_or(|at| time::now().since(at) >= age)
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
    fn a_bad_value_is_named_but_not_quoted() {
        for bad in ["", "whsec_", "whsec_***", "c2VjcmV0"] {
            let problem = Credentials::parse("key", &["whsec_c2VjcmV0", bad]).expect_err("not a secret");
            assert!(problem.contains("number 2") && !problem.contains("***"), "{problem}");
        }
        Credentials::parse::<&str>("a key", &[]).expect_err("a space");
    }
}
