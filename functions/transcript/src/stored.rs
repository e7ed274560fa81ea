//! What stands in S3 already: manifests, and what S3 knows of an object beside its bytes.

use std::collections::HashMap;

use aws_sdk_s3::{operation::get_object::GetObjectOutput, primitives::ByteStreamError, types::ChecksumMode};

use crate::{
    manifest::Manifest,
    upload::{Bucket, TURNS_KEY, failed},
};

/// A manifest is some kilobytes, and as much again for metadata.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Why something in S3 was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is there, and not as this program writes it. Another try does not help.
    #[error("{0}")]
    NotOurs(String),
    #[error("S3 did not do what it was asked")]
    S3(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An object, without its bytes.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) bytes: u64,
    /// As S3 writes it, if it knows one.
    pub(crate) crc64nvme: Option<String>,
    /// Of a verbatim file: where the turns made from it are filed.
    pub(crate) turns_key: Option<String>,
}

impl Bucket {
    /// The manifest at this key, if there is one.
    pub(crate) async fn manifest(&self, key: &str) -> Result<Option<Manifest>, ReadError> {
        let Some(mut object) = self.get(key).await? else { return Ok(None) };
        let mut text = Vec::new();
        while let Some(chunk) = object.body.next().await {
            text.extend_from_slice(&chunk.map_err(interrupted)?);
            if text.len() > MAX_MANIFEST_BYTES {
                return Err(ReadError::NotOurs(format!("{key} is over {MAX_MANIFEST_BYTES} bytes")));
            }
        }
        let manifest = Manifest::parse(&text);
        manifest.map(Some).map_err(|why| ReadError::NotOurs(format!("{key} is not a manifest of ours: {why}")))
    }

    /// An object, if it is there.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<GetObjectOutput>, ReadError> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
            Err(error) => Err(ReadError::S3(Box::new(failed("a question for an object")(error)))),
        }
    }

    /// What S3 knows of an object, if it is there.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Head>, ReadError> {
        let head = self.client.head_object().bucket(&self.name).key(key).checksum_mode(ChecksumMode::Enabled);
        match head.send().await {
            Ok(object) => Ok(Some(Head {
                bytes: object.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
                crc64nvme: object.checksum_crc64_nvme().map(str::to_owned),
                turns_key: turns_key_of(object.metadata()),
            })),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            Err(error) => Err(ReadError::S3(Box::new(failed("a question about an object")(error)))),
        }
    }
}

/// Where the turns made from a verbatim file are filed, as its metadata says.
pub(crate) fn turns_key_of(metadata: Option<&HashMap<String, String>>) -> Option<String> {
    metadata.and_then(|metadata| metadata.get(TURNS_KEY)).cloned()
}

pub(crate) fn interrupted(error: ByteStreamError) -> ReadError {
    ReadError::S3(Box::new(error))
}
