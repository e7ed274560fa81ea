//! Downloads from URLs that Recall offers. A URL is untrusted input and a credential.

mod body;

use std::time::Duration;

use pipeline::{
    recall::{http_client, tls},
    secret::Secret,
    settings::RecallSettings,
};
use reqwest::{Client, Response, StatusCode, header::ACCEPT_ENCODING};

pub(crate) use self::body::Body;
use crate::url_guard::{Forbidden, UrlGuard};

/// A download that sends nothing for this long fails.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The client of downloads.
#[derive(Clone, Debug)]
pub(crate) struct Downloads {
    client: Client,
    guard: UrlGuard,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("the download URL was refused with status {0}")]
    Refused(StatusCode),
    #[error("the download failed or was cut off")]
    Interrupted(#[source] reqwest::Error),
    #[error("decompressing the download failed: it is damaged or was cut off")]
    Gzip(#[source] std::io::Error),
}

impl Downloads {
    pub(crate) fn new(settings: &RecallSettings) -> Result<Self, lambda_runtime::Error> {
        let guard = UrlGuard::new(settings);
        let builder = http_client(tls()?)?.redirect(guard.redirects()).referer(false).read_timeout(READ_TIMEOUT);
        // `Body` decompresses the file.
        Ok(Self { client: builder.no_gzip().build()?, guard })
    }

    /// Opens a download. It sends no API key: the URL is a credential itself, and S3 refuses two of them.
    pub(crate) async fn open(&self, url: &Secret<String>) -> Result<Response, DownloadError> {
        let url = self.guard.parse(url.expose())?;
        let response = self.client.get(url).header(ACCEPT_ENCODING, body::ACCEPTED).send().await.map_err(|error| {
            // The error of a forbidden redirect has the guard's error as a source.
            let error = error.without_url();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
                    return DownloadError::Forbidden(forbidden.clone());
                }
                source = cause.source();
            }
            DownloadError::Interrupted(error)
        })?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(DownloadError::Refused(status)),
        }
    }
}

#[cfg(test)]
mod tests;
