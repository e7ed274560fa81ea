//! Uploads one object to S3 in bounded memory: a small object with one PutObject, a large object in parts.
//!
//! The body of every request is in memory, so the SDK can repeat the request, and S3 checks each body against a
//! checksum. The object becomes visible only when it is complete: by the one PutObject, or by completing the parts with
//! the size and the checksum of the whole object.

use std::collections::HashMap;

use aws_sdk_s3::{
    error::ProvideErrorMetadata,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use pipeline::{
    bucket::{Bucket, DAY_KEY, S3Error, failed},
    logs, metrics,
    telemetry::Chain,
};
use ring::digest::{Context, SHA256};

/// The smallest part that S3 accepts. Larger parts would only use more memory.
const PART_BYTES: usize = 5 << 20;
/// How many parts S3 accepts. With it, an object here has at most 48 GiB.
const MAX_PARTS: i32 = 10_000;

/// An upload in progress.
pub(crate) struct Upload<'a> {
    bucket: &'a Bucket,
    key: String,
    content_type: &'static str,
    day: Option<String>,
    /// Object tags, in the form of the header `x-amz-tagging`.
    tags: Option<String>,
    part: Vec<u8>,
    multipart: Option<Multipart>,
    /// Whether a multipart upload may be open in S3. It may be open even if the answer to its creation was lost.
    may_have_parts: bool,
    bytes: u64,
    sha256: Context,
    crc: Digest,
}

struct Multipart {
    id: String,
    parts: Vec<CompletedPart>,
}

/// A complete object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    /// In S3's form: base64 of the big-endian bytes.
    pub(crate) crc64nvme: String,
}

/// Writes a small object with one request.
pub(crate) async fn put(
    bucket: &Bucket,
    key: String,
    content_type: &'static str,
    body: &[u8],
    tags: Option<String>,
) -> Result<Uploaded, S3Error> {
    let mut upload = Upload::new(bucket, key, content_type).with_tags(tags);
    upload.push(body).await?;
    upload.finish().await
}

impl<'a> Upload<'a> {
    pub(crate) fn new(bucket: &'a Bucket, key: String, content_type: &'static str) -> Self {
        Self {
            bucket,
            key,
            content_type,
            day: None,
            tags: None,
            part: Vec::new(),
            multipart: None,
            may_have_parts: false,
            bytes: 0,
            sha256: Context::new(&SHA256),
            crc: Digest::new(CrcAlgorithm::Crc64Nvme),
        }
    }

    /// Adds metadata that says under which day the turns and the meeting of this file are filed.
    pub(crate) fn with_day(self, day: String) -> Self {
        Self { day: Some(day), ..self }
    }

    pub(crate) fn with_tags(self, tags: Option<String>) -> Self {
        Self { tags, ..self }
    }

    /// Adds the next bytes of the object.
    pub(crate) async fn push(&mut self, mut bytes: &[u8]) -> Result<(), S3Error> {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        self.crc.update(bytes);
        while !bytes.is_empty() {
            // A full part is sent only when more bytes follow it, so the last part is never empty.
            if self.part.len() == PART_BYTES {
                self.send_part().await?;
            }
            // Allocate the whole part at once: a buffer that grows by doubling would fragment the heap after the first
            // part was freed.
            if self.may_have_parts && self.part.is_empty() {
                self.part.reserve_exact(PART_BYTES);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Returns how many bytes were added so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the object visible.
    pub(crate) async fn finish(&mut self) -> Result<Uploaded, S3Error> {
        if self.multipart.is_some() {
            self.send_part().await?;
            self.complete().await?;
            // If an answer to CreateMultipartUpload was lost, another upload is still open.
            self.abort_open_uploads().await?;
        } else {
            self.put_object().await?;
        }
        Ok(self.uploaded())
    }

    /// Returns the size and the checksums of the object, if no more bytes follow.
    pub(crate) fn uploaded(&self) -> Uploaded {
        let sha256 = self.sha256.clone().finish();
        Uploaded { bytes: self.bytes, sha256: hex(sha256.as_ref()), crc64nvme: self.checksum() }
    }

    /// Aborts the upload, so that parts that were sent are neither kept nor paid for.
    pub(crate) async fn abort(&mut self) {
        if self.may_have_parts
            && let Err(error) = self.abort_open_uploads().await
        {
            // The bucket's lifecycle rule removes the parts after a day.
            tracing::warn!(message = logs::UPLOAD_NOT_ABORTED, error = %Chain(&error));
        }
    }

    async fn put_object(&mut self) -> Result<(), S3Error> {
        let body = Bytes::from(std::mem::take(&mut self.part));
        let put = |tags| {
            let put = self.bucket.client.put_object().bucket(&self.bucket.name).key(&self.key);
            let put = put.content_type(self.content_type).set_metadata(self.metadata()).set_tagging(tags);
            let put = put.checksum_crc64_nvme(self.checksum()).body(ByteStream::from(body.clone()));
            // The checksum is in a signed header, so the signature need not hash the body as well.
            put.customize().disable_payload_signing().send()
        };
        let mut result = put(self.tags.clone()).await;
        if result.as_ref().is_err_and(|error| self.are_tags_refused(error)) {
            result = put(None).await;
        }
        result.map(drop).map_err(failed("PutObject"))
    }

    /// Returns whether S3 refused the tags, and logs that. The bytes matter more, so they are then written without tags.
    fn are_tags_refused(&self, error: &impl ProvideErrorMetadata) -> bool {
        let are_refused = self.tags.is_some() && error.code() == Some("InvalidTag");
        if are_refused {
            tracing::warn!(message = logs::TAG_NOT_SET, object = self.key, error = error.message());
            metrics::TAGS_NOT_SET.count();
        }
        are_refused
    }

    async fn send_part(&mut self) -> Result<(), S3Error> {
        if self.multipart.is_none() {
            self.abort_open_uploads().await?;
            self.may_have_parts = true;
            self.multipart = Some(self.begin().await?);
        }
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        let number = i32::try_from(multipart.parts.len() + 1).unwrap_or(i32::MAX);
        if number > MAX_PARTS {
            return Err(S3Error { operation: "UploadPart", source: "the object needs more than 10,000 parts".into() });
        }
        let body = ByteStream::from(std::mem::take(&mut self.part));
        let sent = self
            .bucket
            .client
            .upload_part()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&multipart.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(body)
            .customize()
            .disable_payload_signing()
            .send()
            .await
            .map_err(failed("UploadPart"))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        multipart.parts.push(part.set_checksum_crc64_nvme(sent.checksum_crc64_nvme).build());
        Ok(())
    }

    async fn begin(&self) -> Result<Multipart, S3Error> {
        let create = |tags| {
            let create = self.bucket.client.create_multipart_upload().bucket(&self.bucket.name).key(&self.key);
            let create = create.content_type(self.content_type).set_metadata(self.metadata());
            let create = create.set_tagging(tags).checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
            create.checksum_type(ChecksumType::FullObject).send()
        };
        let mut result = create(self.tags.clone()).await;
        if result.as_ref().is_err_and(|error| self.are_tags_refused(error)) {
            result = create(None).await;
        }
        let begun = result.map_err(failed("CreateMultipartUpload"))?;
        let id = begun.upload_id.ok_or_else(|| S3Error {
            operation: "CreateMultipartUpload",
            source: "the answer has no upload id".into(),
        })?;
        Ok(Multipart { id, parts: Vec::new() })
    }

    async fn complete(&self) -> Result<(), S3Error> {
        let Some(multipart) = &self.multipart else { return Ok(()) };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(multipart.parts.clone())).build();
        self.bucket
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket.name)
            .key(&self.key)
            .upload_id(&multipart.id)
            .multipart_upload(parts)
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(self.checksum())
            .mpu_object_size(i64::try_from(self.bytes).unwrap_or(i64::MAX))
            .send()
            .await
            .map(drop)
            .map_err(failed("CompleteMultipartUpload"))
    }

    /// Aborts all open uploads of this key, such as those of workers that died. This worker has the lease, so no other
    /// worker is uploading this key.
    async fn abort_open_uploads(&self) -> Result<(), S3Error> {
        let listed = self
            .bucket
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket.name)
            .prefix(&self.key)
            .send()
            .await
            .map_err(failed("ListMultipartUploads"))?;
        for upload in listed.uploads() {
            if upload.key() == Some(&self.key)
                && let Some(id) = upload.upload_id()
            {
                self.abort_upload(id).await;
            }
        }
        Ok(())
    }

    async fn abort_upload(&self, id: &str) {
        let abort = self.bucket.client.abort_multipart_upload().bucket(&self.bucket.name).key(&self.key);
        if let Err(error) = abort.upload_id(id).send().await {
            // The bucket's lifecycle rule removes the upload after a day.
            let error = S3Error { operation: "AbortMultipartUpload", source: Box::new(error) };
            tracing::warn!(message = logs::UPLOAD_NOT_ABORTED, error = %Chain(&error));
        }
    }

    fn metadata(&self) -> Option<HashMap<String, String>> {
        self.day.as_ref().map(|day| HashMap::from([(DAY_KEY.to_owned(), day.clone())]))
    }

    fn checksum(&self) -> String {
        checksum(&self.crc)
    }
}

/// Returns a CRC-64/NVME checksum in S3's form.
pub(crate) fn checksum(crc: &Digest) -> String {
    STANDARD.encode(crc.finalize().to_be_bytes())
}

/// Returns lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
