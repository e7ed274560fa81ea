//! Multipart uploads: all parts become an object together, or none do.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attributes, Stated, Store, agree, internal, read_json, write_json};
use crate::{
    s3::{
        checksum::{Algorithm, Hasher, Sums, hex, md5, md5_hex, sum},
        tags::Tags,
    },
    wire::lock,
};

/// The smallest size of every part except the last, in bytes.
pub(in crate::s3) const SMALLEST_PART_BYTES: u64 = 5 * 1024 * 1024;

/// A multipart upload that was neither completed nor aborted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OpenUpload {
    pub key: String,
    pub upload_id: String,
    pub content_type: Option<String>,
    pub(in crate::s3) content_encoding: Option<String>,
    pub(in crate::s3) cache_control: Option<String>,
    pub(in crate::s3) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(in crate::s3) tags: Tags,
    pub(in crate::s3) algorithm: Algorithm,
    #[serde(with = "time::serde::rfc3339")]
    pub(in crate::s3) initiated: time::OffsetDateTime,
}

#[derive(Deserialize, Serialize)]
pub(in crate::s3) struct Part {
    pub(in crate::s3) bytes: u64,
    pub(in crate::s3) e_tag: String,
    pub(in crate::s3) checksum: String,
}

/// One entry of the list in CompleteMultipartUpload.
pub(in crate::s3) struct Chosen {
    pub(in crate::s3) number: i32,
    pub(in crate::s3) e_tag: Option<String>,
    pub(in crate::s3) checksums: Sums,
}

impl Store {
    pub(in crate::s3) fn create_upload(&self, upload: &OpenUpload) -> io::Result<()> {
        let _alone = lock(&self.alone);
        self.object_path(&upload.key)?;
        let folder = self.internal.join("uploads").join(&upload.upload_id);
        fs::create_dir(&folder)?;
        write_json(&folder.join("upload.json"), upload)
    }

    pub(in crate::s3) fn uploads(&self) -> io::Result<Vec<OpenUpload>> {
        let _alone = lock(&self.alone);
        let mut uploads: Vec<OpenUpload> = Vec::new();
        for entry in fs::read_dir(self.internal.join("uploads"))? {
            uploads.extend(read_json(&entry?.path().join("upload.json"))?);
        }
        uploads.sort_by(|a, b| (&a.key, a.initiated).cmp(&(&b.key, b.initiated)));
        Ok(uploads)
    }

    /// Stores a part, or replaces it.
    pub(in crate::s3) fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        bytes: &[u8],
        checksums: &Sums,
    ) -> S3Result<Part> {
        let _alone = lock(&self.alone);
        let (folder, upload) = self.open_upload(key, upload_id)?;
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        for (algorithm, expected) in checksums {
            if *algorithm != upload.algorithm {
                return Err(s3_error!(
                    InvalidRequest,
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                    upload.algorithm.name().to_ascii_lowercase(),
                    algorithm.name().to_ascii_lowercase()
                ));
            }
            agree(*algorithm, expected, &sum(*algorithm, bytes))?;
        }
        let part = Part { bytes: bytes.len() as u64, e_tag: md5_hex(bytes), checksum: sum(upload.algorithm, bytes) };
        fs::write(part_path(&folder, number), bytes).map_err(internal)?;
        write_json(&part_path(&folder, number).with_extension("json"), &part).map_err(internal)?;
        Ok(part)
    }

    /// Creates the object from the chosen parts. If a value is wrong, the upload stays open.
    pub(in crate::s3) fn complete(
        &self,
        key: &str,
        upload_id: &str,
        chosen: &[Chosen],
        object_bytes: Option<u64>,
        stated: &Stated,
    ) -> S3Result<Attributes> {
        let _alone = lock(&self.alone);
        let (folder, upload) = self.open_upload(key, upload_id)?;
        let parts = choose(&folder, &upload, chosen)?;
        let bytes = parts.iter().map(|part| part.bytes).sum();
        if object_bytes.is_some_and(|stated| stated != bytes) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value {} does not match what was computed: {bytes}",
                object_bytes.unwrap_or_default()
            ));
        }
        self.admit(key, stated)?;

        let new = self.new_path();
        let checksum = join(&folder, chosen, upload.algorithm, &new).map_err(internal)?;
        for (algorithm, expected) in &stated.checksums {
            let agreed = match *algorithm == upload.algorithm {
                true => agree(*algorithm, expected, &checksum),
                false => Err(s3_error!(
                    InvalidRequest,
                    "The upload was created using the {} checksum. The complete request must use the same.",
                    upload.algorithm.name()
                )),
            };
            if let Err(error) = agreed {
                fs::remove_file(&new).map_err(internal)?;
                return Err(error);
            }
        }
        let digests: Vec<u8> = parts.iter().flat_map(|part| unhex(&part.e_tag)).collect();
        let attributes = Attributes {
            key: key.to_owned(),
            content_type: upload.content_type,
            content_encoding: upload.content_encoding,
            cache_control: upload.cache_control,
            metadata: upload.metadata,
            tags: upload.tags,
            bytes,
            e_tag: format!("{}-{}", hex(&md5(&digests)), parts.len()),
            checksums: [(upload.algorithm, checksum)].into(),
        };
        self.commit(&new, &attributes).map_err(internal)?;
        fs::remove_dir_all(folder).map_err(internal)?;
        Ok(attributes)
    }

    pub(in crate::s3) fn abort(&self, key: &str, upload_id: &str) -> S3Result<()> {
        let _alone = lock(&self.alone);
        let (folder, _) = self.open_upload(key, upload_id)?;
        fs::remove_dir_all(folder).map_err(internal)
    }

    /// Returns an open upload, under the key that it was created for.
    fn open_upload(&self, key: &str, upload_id: &str) -> S3Result<(PathBuf, OpenUpload)> {
        // An id that is not a UUID is not one of ours, and must not become a path.
        let folder = upload_id.parse::<Uuid>().map(|id| self.internal.join("uploads").join(id.to_string()));
        let upload = folder.ok().and_then(|folder| {
            let upload: OpenUpload = read_json(&folder.join("upload.json")).ok()??;
            Some((folder, upload))
        });
        upload.filter(|(_, upload)| upload.key == key).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

fn choose(folder: &Path, upload: &OpenUpload, chosen: &[Chosen]) -> S3Result<Vec<Part>> {
    if chosen.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    if !chosen.is_sorted_by(|a, b| a.number < b.number) {
        return Err(s3_error!(InvalidPartOrder));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(chosen.len());
    for entry in chosen {
        let path = part_path(folder, entry.number).with_extension("json");
        let part: Option<Part> = read_json(&path).map_err(internal)?;
        let same = |part: &Part| {
            entry.e_tag.as_ref().is_none_or(|e_tag| *e_tag == part.e_tag)
                && entry.checksums.get(&upload.algorithm).is_none_or(|checksum| *checksum == part.checksum)
        };
        parts.push(part.filter(same).ok_or_else(|| s3_error!(InvalidPart))?);
    }
    if parts.iter().rev().skip(1).any(|part| part.bytes < SMALLEST_PART_BYTES) {
        return Err(s3_error!(EntityTooSmall));
    }
    Ok(parts)
}

/// Writes the parts one after the other into `new` and returns the checksum of the whole.
fn join(folder: &Path, chosen: &[Chosen], algorithm: Algorithm, new: &Path) -> io::Result<String> {
    let mut file = File::create_new(new)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 * 1024];
    for entry in chosen {
        let mut part = File::open(part_path(folder, entry.number))?;
        loop {
            let length = part.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            file.write_all(&buffer[..length])?;
        }
    }
    Ok(hasher.finish())
}

fn part_path(folder: &Path, number: i32) -> PathBuf {
    folder.join(format!("part-{number:05}"))
}

fn unhex(e_tag: &str) -> impl Iterator<Item = u8> {
    e_tag.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
}
