//! The client of Recall's API. It makes the few calls that the pipeline needs, and each answer says what to do next.

mod artifact;
mod create;
mod lenient;
mod list;
mod meeting;
mod read;

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{self, HeaderMap},
};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use url::Url;

use self::artifact::ErrorBody;
pub use self::{
    artifact::{RecordingArtifact, TranscriptArtifact, attempt_of, clean_sub_code, is_of_other_deployment},
    create::{AttemptSpec, Create},
    list::{ListPage, PageStart},
    meeting::{Availability, BotArtifact},
};
use crate::{
    credentials::{Credentials, Secrets},
    settings::RecallSettings,
    time::{self, Stopwatch},
};
use crate::{logs, metrics};
use job::{
    ids::{BotId, RecordingId, TranscriptId},
    time::Timestamp,
};

/// How long to wait for a connection to Recall or to a host of its downloads.
const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one call may take, from connecting to the last byte of the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// A call gets at least this long, because a call whose answer we do not wait for may still cost money. With less time
/// left, a call is not repeated with a newer key.
pub(crate) const MIN_CALL_TIMEOUT: Duration = Duration::from_millis(500);
/// Pooled connections die while a Lambda is frozen; the peer closes idle ones after about a minute.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read. A page of 100 artifacts takes about 200 KB.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// The client of one workspace of Recall in one region.
#[derive(Clone, Debug)]
pub struct Recall {
    http: Client,
    base_url: Url,
    deployment: Option<Arc<str>>,
    secrets: Arc<Secrets>,
}

/// Why a call failed. Each variant says what the caller must do next.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// 404 from Recall's API: the object never existed, was deleted, or belongs to another workspace.
    #[error("Recall answered 404: it does not have this object")]
    NotFound,
    /// Recall throttles us, fails, or cannot be reached. Try again later.
    #[error("the call to Recall failed and can be repeated (status {status:?}, Retry-After {after:?})")]
    Later { after: Option<Duration>, status: Option<u16>, source: Option<reqwest::Error> },
    /// 401, 402, 403, or a 404 that is not the API's. The operator has to check the key, the account, a firewall or the
    /// base URL.
    #[error("Recall rejected the call (status {status}): check the API key, the region, the base URL and the credit")]
    Operator { status: u16 },
    /// An answer that Recall does not document.
    #[error("Recall's answer (status {status}) does not follow its documentation: {detail}")]
    Unexpected { status: u16, detail: String },
    #[error("the API key could not be read")]
    Secret(#[from] crate::credentials::SecretError),
}

impl Problem {
    /// Returns Recall's own Retry-After in the form that the core expects: zero if Recall names no time.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Later { after, .. } => after.unwrap_or_default(),
            Self::NotFound | Self::Unexpected { .. } | Self::Operator { .. } | Self::Secret(_) => Duration::ZERO,
        }
    }
}

/// Returns the TLS configuration for Recall and its downloads: ring, and Mozilla's roots compiled in.
///
/// # Errors
/// This does not fail in practice, because ring supports the default protocol versions.
pub fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Returns the builder of an HTTP client with our timeouts and this TLS configuration, and without redirects.
///
/// # Errors
/// The TLS configuration could not be used.
pub fn http_client(tls: ClientConfig) -> reqwest::Result<reqwest::ClientBuilder> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(HTTP_CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("recall-transcripts/", env!("CARGO_PKG_VERSION"))))
}

impl Recall {
    pub fn new(http: Client, settings: &RecallSettings, secrets: Arc<Secrets>) -> Self {
        let RecallSettings { base_url, deployment, .. } = settings.clone();
        Self { http, base_url, deployment, secrets }
    }

    /// Returns the name by which this deployment recognizes its own transcripts. Most deployments have none.
    pub fn deployment(&self) -> Option<&str> {
        self.deployment.as_deref()
    }

    /// Retrieves a transcript. If it is done, it has a new `download_url`.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn retrieve_transcript(&self, id: TranscriptId) -> Result<TranscriptArtifact, Problem> {
        self.get(&format!("api/v1/transcript/{id}/")).await
    }

    /// Retrieves a recording.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn retrieve_recording(&self, id: RecordingId) -> Result<RecordingArtifact, Problem> {
        self.get(&format!("api/v1/recording/{id}/")).await
    }

    /// Retrieves a bot, for the platform and the id of its meeting.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn retrieve_bot(&self, id: BotId) -> Result<BotArtifact, Problem> {
        self.get(&format!("api/v1/bot/{id}/")).await
    }

    /// Deletes a transcript. [`Problem::NotFound`] does not prove that the transcript is gone, because Recall also
    /// answers 404 to a key of another workspace.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn delete_transcript(&self, id: TranscriptId) -> Result<(), Problem> {
        self.call(Method::DELETE, &format!("api/v1/transcript/{id}/")).await.map(drop)
    }

    /// Deletes a recording with all its transcripts. [`Problem::NotFound`] does not prove that the recording is gone.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn delete_recording(&self, id: RecordingId) -> Result<(), Problem> {
        self.call(Method::DELETE, &format!("api/v1/recording/{id}/")).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let body = self.call(Method::GET, path).await?;
        serde_json::from_slice(&body).map_err(|error| Problem::Unexpected {
            status: 200,
            detail: format!("the JSON has another form at line {} column {}", error.line(), error.column()),
        })
    }

    /// Sends a request without a body, because Recall's firewall refuses a GET with one, and reads the answer.
    async fn call(&self, method: Method, path: &str) -> Result<Vec<u8>, Problem> {
        let response = self.send(path, CALL_TIMEOUT, |http, url| http.request(method.clone(), url)).await?;
        let status = response.status();
        let after = retry_after(response.headers(), time::now());
        let body = read_body(response).await.map_err(not_answered)?;
        match status.as_u16() {
            200..300 => Ok(body),
            404 if ErrorBody::parse(&body).is_json => Err(Problem::NotFound),
            404 => {
                tracing::error!(message = logs::RECALL_ANSWER_REJECTED, status = 404);
                Err(Problem::Operator { status: 404 })
            }
            408 | 425 | 429 | 500.. => Err(Problem::Later { after, status: Some(status.as_u16()), source: None }),
            status => Err(Problem::Unexpected { status, detail: ErrorBody::parse(&body).code_for_logs() }),
        }
    }

    /// Sends a request with our key. If Recall rejects the key, looks for a newer one and repeats the request once.
    /// Everything together, including the body of the answer, takes no longer than `timeout`.
    async fn send(
        &self,
        path: &str,
        timeout: Duration,
        request: impl Fn(&Client, Url) -> RequestBuilder,
    ) -> Result<Response, Problem> {
        let watch = Stopwatch::start();
        let url = self
            .base_url
            .join(path)
            .map_err(|_| Problem::Unexpected { status: 0, detail: "the path does not fit the base URL".to_owned() })?;
        let credentials = self.secrets.get().await?;
        let send_with = async |url: Url, credentials: &Credentials| {
            let time_left = timeout.saturating_sub(watch.elapsed()).max(MIN_CALL_TIMEOUT);
            authorized(request(&self.http, url), credentials).timeout(time_left).send().await.map_err(not_answered)
        };
        let mut response = send_with(url.clone(), &credentials).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(renewed) = self.secrets.refresh(&credentials).await
            && watch.elapsed() + MIN_CALL_TIMEOUT < timeout
        {
            response = send_with(url, &renewed).await?;
        }
        match response.status().as_u16() {
            status @ (401..=403) => {
                let code = ErrorBody::read(response).await.code_for_logs();
                tracing::error!(message = logs::RECALL_CREDENTIALS_REJECTED, status, code);
                metrics::RECALL_REFUSALS.count();
                Err(Problem::Operator { status })
            }
            _ => Ok(response),
        }
    }
}

fn authorized(request: RequestBuilder, credentials: &Credentials) -> RequestBuilder {
    let mut value = header::HeaderValue::try_from(format!("Token {}", credentials.api_key.expose()))
        .unwrap_or_else(|_| header::HeaderValue::from_static("Token"));
    value.set_sensitive(true);
    request.header(header::AUTHORIZATION, value)
}

/// Reads the body up to our limit.
async fn read_body(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn not_answered(error: reqwest::Error) -> Problem {
    Problem::Later { after: None, status: None, source: Some(error.without_url()) }
}

/// Reads a `Retry-After` in seconds or as a date. It may have any size, because the core keeps it within bounds.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Timestamp::parse_http_date(text).map(|date| date.since(now))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;

    /// A server sends an answer that never ends, or JSON so deep that parsing it would exhaust the stack.
    #[tokio::test]
    async fn answers_that_are_endless_or_too_deep_are_rejected() {
        for (piece, bytes) in [(&b" "[..], 64 << 20), (b"[", 1 << 20)] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let url: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
            // The server stops when the client stops reading.
            let server = tokio::task::spawn_blocking(move || {
                let (mut stream, _) = listener.accept().expect("a call");
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
                assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
                stream.write_all(head).expect("a reader");
                let body = piece.repeat(1 << 16);
                (0..bytes).step_by(body.len()).take_while(|_| stream.write_all(&body).is_ok()).count() * body.len()
            });
            let http = http_client(tls().expect("ring")).expect("a client").build().expect("a client");
            let response = http.get(url).send().await.expect("an answer");
            let body = read_body(response).await.expect("a part of it");
            assert!(body.len() <= MAX_ANSWER_BYTES, "{} bytes", body.len());
            serde_json::from_slice::<TranscriptArtifact>(&body).expect_err("the body is not an artifact");
            assert!(!ErrorBody::parse(&body).is_json);
            let sent = server.await.expect("no panic");
            assert!(sent < 32 << 20, "the client kept reading for {sent} bytes");
        }
    }

    /// If Recall states no wait, the core chooses one.
    #[test]
    fn retry_after_is_zero_unless_recall_states_one() {
        let later = |after| Problem::Later { after, status: Some(503), source: None };
        assert_eq!(later(Some(Duration::from_secs(40))).retry_after(), Duration::from_secs(40));
        let unexpected = Problem::Unexpected { status: 418, detail: String::new() };
        for problem in [later(None), Problem::NotFound, Problem::Operator { status: 401 }, unexpected] {
            assert_eq!(problem.retry_after(), Duration::ZERO, "{problem:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_in_no_other() {
        let now = Timestamp::parse_http_date("Mon, 23 Nov 2026 09:30:00 GMT").expect("a date");
        let seconds = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, header::HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|after| after.as_secs())
        };
        assert_eq!(seconds("30"), Some(30));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("99999999999999"), Some(99_999_999_999_999), "the core keeps it within bounds");
        assert_eq!(seconds("Mon, 23 Nov 2026 09:31:30 GMT"), Some(90));
        assert_eq!(seconds("Mon, 23 Nov 2020 09:31:30 GMT"), Some(0), "a date that has passed");
        for odd in ["", "-5", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
