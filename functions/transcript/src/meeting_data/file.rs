//! One of Recall's files about a meeting: downloaded once, read on the way, and kept if it is wanted.

use std::time::Duration;

use pipeline::{
    bucket::{Bucket, S3Error},
    manifest::File,
    secret::Secret,
};

use crate::{
    download::{Body, DownloadError, Downloads},
    transcript_info::file_entry,
    upload::Upload,
};

const CONTENT_TYPE: &str = "application/json";

/// What is done with a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileSpec {
    pub(super) name: &'static str,
    pub(super) max_bytes: u64,
    /// Whether its bytes are kept in S3.
    pub(super) kept: bool,
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("the download states no length, so it may have been cut off")]
    Unframed,
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error(transparent)]
    Upload(#[from] S3Error),
    #[error("the time was up before the file was read")]
    OutOfTime,
}

impl FetchError {
    /// Returns whether the same file may be fetched later, with a new URL.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Download(DownloadError::Forbidden(_)) | Self::TooLarge(_) => false,
            Self::Download(DownloadError::Refused(_) | DownloadError::Interrupted(_) | DownloadError::Gzip(_))
            | Self::Unframed
            | Self::Upload(_)
            | Self::OutOfTime => true,
        }
    }
}

/// Fetches a file. Returns its entry for the manifest if it is kept.
#[expect(clippy::too_many_arguments, reason = "a private function with one caller")]
pub(super) async fn fetch(
    downloads: &Downloads,
    bucket: &Bucket,
    spec: FileSpec,
    key: String,
    tags: Option<String>,
    url: &Secret<String>,
    time: Duration,
    mut read: impl FnMut(&[u8]),
) -> Result<Option<File>, FetchError> {
    let mut upload = spec.kept.then(|| Upload::new(bucket, key.clone(), CONTENT_TYPE).with_tags(tags));
    let fetched = async {
        let mut body = Body::of(downloads.open(url).await?);
        let mut length = 0;
        while let Some(bytes) = body.next().await? {
            length += bytes.len() as u64;
            if length > spec.max_bytes {
                return Err(FetchError::TooLarge(spec.max_bytes));
            }
            read(&bytes);
            if let Some(upload) = &mut upload {
                upload.push(&bytes).await?;
            }
        }
        if !body.is_proven() {
            return Err(FetchError::Unframed);
        }
        match &mut upload {
            Some(upload) => Ok(Some(file_entry(spec.name, key, CONTENT_TYPE, upload.finish().await?))),
            None => Ok(None),
        }
    };
    match tokio::time::timeout(time, fetched).await.unwrap_or(Err(FetchError::OutOfTime)) {
        Ok(file) => Ok(file),
        Err(error) => {
            if let Some(upload) = &mut upload {
                upload.abort().await;
            }
            Err(error)
        }
    }
}
