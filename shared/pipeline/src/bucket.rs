//! Reading and removing objects of the bucket. The transcript function writes them.

use std::{collections::HashMap, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{Builder, StalledStreamProtectionConfig, timeout::TimeoutConfig},
    error::SdkError,
    operation::get_object::GetObjectOutput,
    primitives::ByteStreamError,
    types::ChecksumMode,
};
use job::Receipt;

use crate::{aws::Aws, keys::is_day, manifest::Manifest};

/// How long one try of a request to S3 may take. The largest request sends a whole part of an upload.
const S3_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// The key in the metadata of a verbatim file whose value is the day under which its turns and its meeting are filed.
/// The metadata becomes visible together with the file, so a later copy finds objects that no manifest names.
pub const DAY_KEY: &str = "day";
/// The largest manifest that is read. Manifests have a few kilobytes, and up to about a megabyte if a thousand people
/// attended.
const MAX_MANIFEST_BYTES: usize = 8 << 20;

/// A bucket and the client that reads and writes it.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub client: Client,
    pub name: String,
}

/// A request to S3 failed. It changed nothing, unless only S3's answer was lost.
#[derive(Debug, thiserror::Error)]
#[error("S3 {operation} failed")]
pub struct S3Error {
    pub operation: &'static str,
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object exists, but this program did not write it in this form. Another try does not help.
    #[error("{0}")]
    NotOurs(String),
    #[error(transparent)]
    S3(#[from] S3Error),
}

/// The properties of an object.
#[derive(Debug)]
pub struct Head {
    pub bytes: u64,
    /// The checksum in base64, if S3 has one.
    pub crc64nvme: Option<String>,
    /// The day under which the objects that were made from a verbatim file are filed.
    pub day: Option<String>,
}

impl Bucket {
    pub fn new(aws: &Aws, name: String) -> Self {
        let (config, is_own_endpoint) = aws.service("S3");
        let config = Builder::from(&config)
            // Emulators of S3 do not have a host name for each bucket.
            .force_path_style(is_own_endpoint)
            // Bodies are in memory, so only S3 itself can slow down an upload, and the timeout limits that.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(S3_ATTEMPT_TIMEOUT).build());
        Self { client: Client::from_conf(config.build()), name }
    }

    /// Reads the manifest with this key, if there is one.
    pub async fn manifest(&self, key: &str) -> Result<Option<Manifest>, ReadError> {
        let Some(mut object) = self.get(key).await? else { return Ok(None) };
        let mut text = Vec::new();
        while let Some(chunk) = object.body.next().await {
            text.extend_from_slice(&chunk.map_err(body_interrupted)?);
            if text.len() > MAX_MANIFEST_BYTES {
                return Err(ReadError::NotOurs(format!("{key} has more than {MAX_MANIFEST_BYTES} bytes")));
            }
        }
        let manifest = Manifest::parse(&text);
        manifest.map(Some).map_err(|why| ReadError::NotOurs(format!("{key} is not a manifest of ours: {why}")))
    }

    /// Reads an object, if it exists.
    pub async fn get(&self, key: &str) -> Result<Option<GetObjectOutput>, ReadError> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
            Err(error) => Err(failed("GetObject")(error).into()),
        }
    }

    /// Reads the properties of an object, if it exists.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, ReadError> {
        let head = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(object) => Ok(Some(Head {
                bytes: object.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
                crc64nvme: object.checksum_crc64_nvme().map(str::to_owned),
                day: day_of(object.metadata()),
            })),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            Err(error) => Err(failed("HeadObject")(error).into()),
        }
    }

    /// Returns whether the manifest exists and the verbatim object has the size and the checksum of the receipt. S3
    /// computes the checksum of the bytes that it stored, not of those that we meant to send.
    pub async fn has_copy(&self, receipt: &Receipt) -> Result<bool, ReadError> {
        let Some(verbatim) = self.head(&receipt.key).await? else { return Ok(false) };
        Ok(is_same(receipt, &verbatim) && self.head(&receipt.manifest_key).await?.is_some())
    }

    /// Removes an object. It is not an error if the object does not exist.
    pub async fn remove(&self, key: &str) -> Result<(), S3Error> {
        let removal = self.client.delete_object().bucket(&self.name).key(key);
        removal.send().await.map(drop).map_err(failed("DeleteObject"))
    }
}

/// Returns the day in the metadata of a verbatim file.
pub fn day_of(metadata: Option<&HashMap<String, String>>) -> Option<String> {
    metadata.and_then(|metadata| metadata.get(DAY_KEY)).filter(|day| is_day(day)).cloned()
}

/// Returns the error for a body that could not be read to its end.
pub fn body_interrupted(error: ByteStreamError) -> ReadError {
    S3Error { operation: "GetObject", source: Box::new(error) }.into()
}

/// Returns a function that adds the name of the failed operation to an error.
pub fn failed<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> S3Error
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| S3Error { operation, source: Box::new(error) }
}

/// Returns whether the object has the size and the checksum of the receipt. Without a checksum from S3, it does not
/// count as the same.
fn is_same(receipt: &Receipt, object: &Head) -> bool {
    object.bytes == receipt.bytes && object.crc64nvme.as_ref() == Some(&receipt.crc64nvme)
}

#[cfg(test)]
mod tests {
    use job::{Counts, time::Timestamp};

    use super::*;

    #[test]
    fn copy_is_verified_by_its_size_and_its_checksum() {
        let receipt = Receipt {
            stored_at: Timestamp::from_millis(0),
            manifest_key: "m".to_owned(),
            key: "k".to_owned(),
            bytes: 7,
            sha256: "s".to_owned(),
            crc64nvme: "AAAA".to_owned(),
            empty: false,
            unreadable: false,
            provider: None,
            counts: Counts::default(),
            created_at: None,
            title: None,
            awaits_meeting_data: false,
        };
        let object = |bytes, checksum: Option<&str>| Head { bytes, crc64nvme: checksum.map(str::to_owned), day: None };
        assert!(is_same(&receipt, &object(7, Some("AAAA"))));
        for other in [object(8, Some("AAAA")), object(7, Some("AAAB")), object(7, None)] {
            assert!(!is_same(&receipt, &other), "{other:?}");
        }
    }
}
