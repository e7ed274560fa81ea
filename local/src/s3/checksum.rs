//! The checksums of S3: the stated ones, and those of the received bytes.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderMap;
use s3s::{
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto::ChecksumAlgorithm,
};
use serde::{Deserialize, Serialize};

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    /// S3's default algorithm, and the only one that we need for whole multipart objects.
    Crc64nvme,
    Sha1,
    Sha256,
}

/// Checksums in base64, by algorithm.
pub(super) type Sums = BTreeMap<Algorithm, String>;

impl Algorithm {
    pub(super) const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme, Algorithm::Sha1, Algorithm::Sha256];

    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => ChecksumAlgorithm::CRC32,
            Algorithm::Crc32c => ChecksumAlgorithm::CRC32C,
            Algorithm::Crc64nvme => ChecksumAlgorithm::CRC64NVME,
            Algorithm::Sha1 => ChecksumAlgorithm::SHA1,
            Algorithm::Sha256 => ChecksumAlgorithm::SHA256,
        }
    }

    pub(super) fn parse(name: &ChecksumAlgorithm) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name.as_str())
    }
}

/// A checksum that is being computed.
pub(super) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Hasher {
        match algorithm {
            Algorithm::Crc32 => Hasher::Crc32(Crc32::new()),
            Algorithm::Crc32c => Hasher::Crc32c(Crc32c::new()),
            Algorithm::Crc64nvme => Hasher::Crc64nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Hasher::Sha1(Sha1::new()),
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Crc32c(hasher) => hasher.update(bytes),
            Hasher::Crc64nvme(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the checksum in base64, as S3 writes it.
    pub(super) fn finish(self) -> String {
        match self {
            Hasher::Crc32(hasher) => BASE64_STANDARD.encode(hasher.finalize()),
            Hasher::Crc32c(hasher) => BASE64_STANDARD.encode(hasher.finalize()),
            Hasher::Crc64nvme(hasher) => BASE64_STANDARD.encode(hasher.finalize()),
            Hasher::Sha1(hasher) => BASE64_STANDARD.encode(hasher.finalize()),
            Hasher::Sha256(hasher) => BASE64_STANDARD.encode(hasher.finalize()),
        }
    }
}

pub(super) fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// Returns the checksums in headers, or in the trailers of a streamed body.
pub(super) fn stated(headers: &HeaderMap) -> Sums {
    Algorithm::ALL
        .into_iter()
        .filter_map(|algorithm| {
            let name = format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase());
            Some((algorithm, headers.get(name)?.to_str().ok()?.to_owned()))
        })
        .collect()
}

/// Returns the MD5 in hex, which is the value of an ETag.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&md5(bytes))
}

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::checksum(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        // The check values of "123456789" in the catalogue of CRCs.
        assert_eq!(
            sum(Algorithm::Crc64nvme, b"123456789"),
            BASE64_STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())
        );
        assert_eq!(sum(Algorithm::Crc32, b"123456789"), BASE64_STANDARD.encode(0xcbf4_3926_u32.to_be_bytes()));
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
