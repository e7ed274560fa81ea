//! Converts S3's requests to calls of the store: the operations that the pipeline and its tools use.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, dto::*, s3_error};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    checksum::{Algorithm, Sums, stated},
    list::list,
    request::{chosen, real_encoding, receive},
    store::{Attributes, OpenUpload, Stated, Store},
    tags,
};

/// S3's own page size of lists.
const PAGE: usize = 1000;

pub(super) struct Api(Arc<Store>);

impl Api {
    pub(super) fn new(store: Arc<Store>) -> Api {
        Api(store)
    }

    /// Runs `act` on a thread that may block. It continues to its end even if the caller is dropped, so that nothing is
    /// left half done.
    async fn store<T: Send + 'static>(
        &self,
        bucket: &str,
        act: impl FnOnce(&Store) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        if bucket != self.0.bucket() {
            return Err(s3_error!(NoSuchBucket, "There is no bucket {bucket}"));
        }
        let store = self.0.clone();
        tokio::task::spawn_blocking(move || act(&store)).await.map_err(S3Error::internal_error)?
    }
}

/// Sets the checksum fields of every answer about an object.
macro_rules! with_checksums {
    ($sums:expr, $output:expr) => {{
        let (sums, mut output): (&Sums, _) = (&$sums, $output);
        output.checksum_crc32 = sums.get(&Algorithm::Crc32).cloned();
        output.checksum_crc32c = sums.get(&Algorithm::Crc32c).cloned();
        output.checksum_crc64nvme = sums.get(&Algorithm::Crc64nvme).cloned();
        output.checksum_sha1 = sums.get(&Algorithm::Sha1).cloned();
        output.checksum_sha256 = sums.get(&Algorithm::Sha256).cloned();
        output
    }};
}

#[async_trait]
impl S3 for Api {
    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store(&req.input.bucket, |_| Ok(())).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (bytes, checksums) = receive(&mut req, |input| input.body.take()).await?;
        let input = req.input;
        let conditions = Stated { checksums, if_match: input.if_match, if_none_match: input.if_none_match };
        let attributes = Attributes {
            key: input.key,
            content_type: input.content_type,
            content_encoding: real_encoding(input.content_encoding),
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            tags: tags::parse(input.tagging.as_deref())?,
            bytes: 0,
            e_tag: String::new(),
            checksums: Sums::new(),
        };
        let stored = self.store(&input.bucket, move |store| store.put(attributes, &bytes, &conditions)).await?;
        let output = PutObjectOutput {
            e_tag: Some(ETag::Strong(stored.e_tag)),
            checksum_type: full_object(),
            ..PutObjectOutput::default()
        };
        Ok(S3Response::new(with_checksums!(stored.checksums, output)))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, range, checksum_mode, if_match, if_none_match, .. } = req.input;
        let (attributes, bytes, modified) = self
            .store(&bucket, move |store| {
                let (attributes, bytes) =
                    store.get(&key).map_err(S3Error::internal_error)?.ok_or_else(|| s3_error!(NoSuchKey))?;
                let modified = store.modified(&key).map_err(S3Error::internal_error)?;
                Ok((attributes, Bytes::from(bytes), modified))
            })
            .await?;
        let is_current = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(e_tag) => e_tag.value() == attributes.e_tag,
        };
        if if_match.is_some_and(|condition| !is_current(&condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if if_none_match.is_some_and(|condition| is_current(&condition)) {
            return Err(s3_error!(NotModified));
        }
        let whole = bytes.len();
        let (bytes, content_range) = match range {
            None => (bytes, None),
            Some(range) => {
                let part = range.check(whole as u64).map_err(|_| s3_error!(InvalidRange))?;
                let label = format!("bytes {}-{}/{whole}", part.start, part.end - 1);
                (bytes.slice(part.start as usize..part.end as usize), Some(label))
            }
        };
        let is_whole = content_range.is_none();
        let output = GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            body: Some(StreamingBlob::from(Body::from(bytes))),
            content_type: Some(content_type(&attributes)),
            tag_count: tag_count(&attributes),
            content_encoding: attributes.content_encoding,
            cache_control: attributes.cache_control,
            metadata: Some(attributes.metadata.into_iter().collect()),
            e_tag: Some(ETag::Strong(attributes.e_tag)),
            last_modified: Some(modified.into()),
            accept_ranges: Some("bytes".to_owned()),
            ..GetObjectOutput::default()
        };
        if is_whole && asks_for_checksums(checksum_mode.as_ref()) {
            let output = GetObjectOutput { checksum_type: full_object(), ..output };
            return Ok(S3Response::new(with_checksums!(attributes.checksums, output)));
        }
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let HeadObjectInput { bucket, key, checksum_mode, .. } = req.input;
        let (attributes, modified) = self
            .store(&bucket, move |store| {
                let found = store.attributes(&key).map_err(S3Error::internal_error)?;
                let attributes = found.ok_or_else(|| s3_error!(NoSuchKey))?;
                Ok((attributes, store.modified(&key).map_err(S3Error::internal_error)?))
            })
            .await?;
        let count = tag_count(&attributes);
        let output = HeadObjectOutput {
            content_length: Some(attributes.bytes as i64),
            content_type: Some(content_type(&attributes)),
            content_encoding: attributes.content_encoding,
            cache_control: attributes.cache_control,
            metadata: Some(attributes.metadata.into_iter().collect()),
            e_tag: Some(ETag::Strong(attributes.e_tag)),
            last_modified: Some(modified.into()),
            accept_ranges: Some("bytes".to_owned()),
            ..HeadObjectOutput::default()
        };
        if asks_for_checksums(checksum_mode.as_ref()) {
            let output = HeadObjectOutput { checksum_type: full_object(), ..output };
            return Ok(with_count(count, S3Response::new(with_checksums!(attributes.checksums, output))));
        }
        Ok(with_count(count, S3Response::new(output)))
    }

    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let GetObjectTaggingInput { bucket, key, .. } = req.input;
        let found = self.store(&bucket, move |store| store.attributes(&key).map_err(S3Error::internal_error)).await?;
        let tags = found.ok_or_else(|| s3_error!(NoSuchKey))?.tags.into_iter();
        let tag_set = tags.map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect();
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, .. } = req.input;
        self.store(&bucket, move |store| store.delete(&key).map_err(S3Error::internal_error)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after.clone()).unwrap_or_default();
        let limit = input.max_keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(PAGE).min(PAGE);
        let delimiter = input.delimiter.clone();
        let (contents, folders, next) = self
            .store(&input.bucket, move |store| {
                list(store, &prefix, delimiter.as_deref(), &after, limit).map_err(S3Error::internal_error)
            })
            .await?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(limit as i32),
            key_count: Some((contents.len() + folders.len()) as i32),
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(folders),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        let algorithm = match &input.checksum_algorithm {
            None => Algorithm::Crc64nvme,
            Some(name) => Algorithm::parse(name).ok_or_else(|| s3_error!(InvalidRequest, "unknown algorithm"))?,
        };
        // Without a type, S3 uses COMPOSITE for all algorithms except this one.
        let full = match &input.checksum_type {
            None => algorithm == Algorithm::Crc64nvme,
            Some(kind) => kind.as_str() == ChecksumType::FULL_OBJECT,
        };
        if !full {
            return Err(s3_error!(NotImplemented, "the stand-in only has checksums of type FULL_OBJECT"));
        }
        if matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256) {
            return Err(s3_error!(InvalidRequest, "FULL_OBJECT does not exist for {}", algorithm.name()));
        }
        let upload = OpenUpload {
            key: input.key.clone(),
            upload_id: Uuid::new_v4().to_string(),
            content_type: input.content_type,
            content_encoding: real_encoding(input.content_encoding),
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            tags: tags::parse(input.tagging.as_deref())?,
            algorithm,
            initiated: OffsetDateTime::now_utc(),
        };
        let upload_id = upload.upload_id.clone();
        self.store(&input.bucket, move |store| store.create_upload(&upload).map_err(S3Error::internal_error)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            checksum_algorithm: Some(ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: full_object(),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let (bytes, checksums) = receive(&mut req, |input| input.body.take()).await?;
        let UploadPartInput { bucket, key, upload_id, part_number, .. } = req.input;
        let (part, stated) = self
            .store(&bucket, move |store| {
                Ok((store.put_part(&key, &upload_id, part_number, &bytes, &checksums)?, checksums))
            })
            .await?;
        let output = UploadPartOutput { e_tag: Some(ETag::Strong(part.e_tag)), ..UploadPartOutput::default() };
        Ok(S3Response::new(with_checksums!(stated, output)))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let checksums = stated(&req.headers);
        let input = req.input;
        if input.checksum_type.is_some_and(|kind| kind.as_str() != ChecksumType::FULL_OBJECT) {
            return Err(s3_error!(InvalidRequest, "The upload was created with the checksum type FULL_OBJECT"));
        }
        let conditions = Stated { checksums, if_match: input.if_match, if_none_match: input.if_none_match };
        let object_bytes = match input.mpu_object_size.map(u64::try_from).transpose() {
            Ok(bytes) => bytes,
            Err(_) => return Err(s3_error!(InvalidArgument, "x-amz-mp-object-size is below zero")),
        };
        let parts = input.multipart_upload.and_then(|list| list.parts).unwrap_or_default();
        let chosen: Vec<_> = parts.into_iter().map(chosen).collect();
        let (key, upload_id) = (input.key, input.upload_id);
        let stored = self
            .store(&input.bucket, move |store| store.complete(&key, &upload_id, &chosen, object_bytes, &conditions))
            .await?;
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, stored.key)),
            bucket: Some(input.bucket),
            key: Some(stored.key),
            e_tag: Some(ETag::Strong(stored.e_tag)),
            checksum_type: full_object(),
            ..CompleteMultipartUploadOutput::default()
        };
        Ok(S3Response::new(with_checksums!(stored.checksums, output)))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = req.input;
        self.store(&bucket, move |store| store.abort(&key, &upload_id)).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let uploads = self.store(&input.bucket, |store| store.uploads().map_err(S3Error::internal_error)).await?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let uploads =
            uploads.into_iter().filter(|upload| upload.key.starts_with(&prefix)).map(|upload| MultipartUpload {
                key: Some(upload.key),
                upload_id: Some(upload.upload_id),
                initiated: Some(upload.initiated.into()),
                checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.algorithm.name())),
                checksum_type: full_object(),
                ..MultipartUpload::default()
            });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            bucket: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(false),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}

fn content_type(attributes: &Attributes) -> String {
    attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

/// An object without tags has no count.
fn tag_count(attributes: &Attributes) -> Option<TagCount> {
    TagCount::try_from(attributes.tags.len()).ok().filter(|count| *count > 0)
}

/// The protocol's types have no such field for HeadObject, but S3 answers it there as well.
fn with_count<T>(count: Option<TagCount>, mut response: S3Response<T>) -> S3Response<T> {
    if let Some(count) = count {
        response.headers.insert("x-amz-tagging-count", count.into());
    }
    response
}

fn asks_for_checksums(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn full_object() -> Option<ChecksumType> {
    Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT))
}
