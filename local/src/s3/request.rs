//! The contents of requests, in the terms of the store.

use axum::body::Bytes;
use s3s::{
    Body, S3Error, S3ErrorCode, S3Request, S3Result,
    dto::{CompletedPart, ETag, StreamingBlob},
};

use super::{
    checksum::{Algorithm, Sums, stated},
    store::Chosen,
};

/// The largest body of one request, in bytes. S3 accepts 5 GiB, but nothing here should come close.
const LARGEST_BODY_BYTES: usize = 256 * 1024 * 1024;

/// The whole body of a request, with the checksums in its headers or trailers.
pub(super) async fn receive<T>(
    req: &mut S3Request<T>,
    body: impl FnOnce(&mut T) -> Option<StreamingBlob>,
) -> S3Result<(Bytes, Sums)> {
    let bytes = match body(&mut req.input) {
        None => Bytes::new(),
        Some(body) => Body::from(body)
            .store_all_limited(LARGEST_BODY_BYTES)
            .await
            .map_err(|error| S3Error::with_source(S3ErrorCode::IncompleteBody, error))?,
    };
    let mut checksums = stated(&req.headers);
    if let Some(trailers) = req.trailing_headers.as_ref().and_then(|trailers| trailers.take()) {
        checksums.extend(stated(&trailers));
    }
    Ok((bytes, checksums))
}

pub(super) fn chosen(part: CompletedPart) -> Chosen {
    let checksums = [
        (Algorithm::Crc32, part.checksum_crc32),
        (Algorithm::Crc32c, part.checksum_crc32c),
        (Algorithm::Crc64nvme, part.checksum_crc64nvme),
        (Algorithm::Sha1, part.checksum_sha1),
        (Algorithm::Sha256, part.checksum_sha256),
    ];
    Chosen {
        number: part.part_number.unwrap_or_default(),
        e_tag: part.e_tag.map(ETag::into_value),
        checksums: checksums.into_iter().filter_map(|(algorithm, sum)| Some((algorithm, sum?))).collect(),
    }
}

/// `aws-chunked` describes the transfer of a body, not its content.
pub(super) fn real_encoding(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    let real: Vec<_> = encoding.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "aws-chunked")).collect();
    (!real.is_empty()).then(|| real.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_encodings_are_not_stored() {
        let real = |encoding: &str| real_encoding(Some(encoding.to_owned()));
        assert_eq!(real("aws-chunked"), None);
        assert_eq!(real("gzip, aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(real("gzip").as_deref(), Some("gzip"));
        assert_eq!(real_encoding(None), None);
    }
}
