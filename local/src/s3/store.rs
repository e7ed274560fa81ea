//! Objects and multipart uploads on disk, and what S3 refuses of them. Blocking; one caller at a time.
//!
//! ```text
//! ROOT/BUCKET/KEY                                the object
//! ROOT/.s3/BUCKET/objects/SHA256(KEY).json       its attributes
//! ROOT/.s3/BUCKET/uploads/ID/upload.json         a multipart upload, until it is completed or aborted
//! ROOT/.s3/BUCKET/uploads/ID/part-00001[.json]   its parts
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use s3s::{S3Error, S3Result, dto::ETagCondition, s3_error};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::checksum::{Algorithm, Hasher, Sums, hex, md5, md5_hex, sum};
use crate::wire::lock;

/// Every part but the last has at least this size, in bytes.
pub(super) const SMALLEST_PART_BYTES: u64 = 5 * 1024 * 1024;

/// What is known of an object beside its bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attributes {
    pub key: String,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
    /// The sender's own, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    pub bytes: u64,
    /// Without quotation marks; it ends in `-N` for an object of N parts.
    pub e_tag: String,
    /// Of the whole object, in base64.
    pub checksums: BTreeMap<Algorithm, String>,
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OpenUpload {
    pub key: String,
    pub upload_id: String,
    pub content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) algorithm: Algorithm,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) initiated: time::OffsetDateTime,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Part {
    pub(super) bytes: u64,
    pub(super) e_tag: String,
    pub(super) checksum: String,
}

/// What a request says about the bytes it sends, or the object it completes.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) checksums: Sums,
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

/// One entry of the list in CompleteMultipartUpload.
pub(super) struct Chosen {
    pub(super) number: i32,
    pub(super) e_tag: Option<String>,
    pub(super) checksums: Sums,
}

pub(super) struct Store {
    bucket: String,
    objects: PathBuf,
    internal: PathBuf,
    alone: Mutex<()>,
}

impl Store {
    pub(super) fn open(root: &Path, bucket: &str) -> io::Result<Store> {
        let internal = root.join(".s3").join(bucket);
        let store = Store { bucket: bucket.to_owned(), objects: root.join(bucket), internal, alone: Mutex::default() };
        for folder in [&store.objects, &store.internal.join("objects"), &store.internal.join("uploads")] {
            fs::create_dir_all(folder)?;
        }
        // What an earlier process was writing when it died.
        let _ = fs::remove_dir_all(store.internal.join("new"));
        fs::create_dir(store.internal.join("new"))?;
        Ok(store)
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn get(&self, key: &str) -> io::Result<Option<(Attributes, Vec<u8>)>> {
        let _alone = lock(&self.alone);
        let Some(attributes) = self.read_attributes(key)? else { return Ok(None) };
        Ok(Some((attributes, fs::read(self.object_path(key)?)?)))
    }

    pub(super) fn attributes(&self, key: &str) -> io::Result<Option<Attributes>> {
        let _alone = lock(&self.alone);
        self.read_attributes(key)
    }

    pub(super) fn modified(&self, key: &str) -> io::Result<std::time::SystemTime> {
        fs::metadata(self.object_path(key)?)?.modified()
    }

    pub(super) fn keys(&self) -> io::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut folders = vec![(self.objects.clone(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let key = format!("{prefix}{name}");
                match entry.file_type()?.is_dir() {
                    true => folders.push((entry.path(), format!("{key}/"))),
                    // Other files are nobody's objects.
                    false if self.attributes_path(&key).exists() => keys.push(key),
                    false => {}
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// Stores an object in one go. Nothing changes when anything that was stated is wrong.
    pub(super) fn put(&self, mut attributes: Attributes, bytes: &[u8], stated: &Stated) -> S3Result<Attributes> {
        let _alone = lock(&self.alone);
        for (algorithm, expected) in &stated.checksums {
            agree(*algorithm, expected, &sum(*algorithm, bytes))?;
        }
        self.admit(&attributes.key, stated)?;
        attributes.bytes = bytes.len() as u64;
        attributes.e_tag = md5_hex(bytes);
        attributes.checksums = match stated.checksums.is_empty() {
            true => [(Algorithm::Crc64nvme, sum(Algorithm::Crc64nvme, bytes))].into(),
            false => stated.checksums.clone(),
        };
        let new = self.new_path();
        fs::write(&new, bytes).map_err(internal)?;
        self.commit(&new, &attributes).map_err(internal)?;
        Ok(attributes)
    }

    pub(super) fn delete(&self, key: &str) -> io::Result<()> {
        let _alone = lock(&self.alone);
        match fs::remove_file(self.object_path(key)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn create_upload(&self, upload: &OpenUpload) -> io::Result<()> {
        let _alone = lock(&self.alone);
        self.object_path(&upload.key)?;
        let folder = self.internal.join("uploads").join(&upload.upload_id);
        fs::create_dir(&folder)?;
        write_json(&folder.join("upload.json"), upload)
    }

    pub(super) fn uploads(&self) -> io::Result<Vec<OpenUpload>> {
        let _alone = lock(&self.alone);
        let mut uploads: Vec<OpenUpload> = Vec::new();
        for entry in fs::read_dir(self.internal.join("uploads"))? {
            uploads.extend(read_json(&entry?.path().join("upload.json"))?);
        }
        uploads.sort_by(|a, b| (&a.key, a.initiated).cmp(&(&b.key, b.initiated)));
        Ok(uploads)
    }

    /// Stores a part, or replaces it.
    pub(super) fn put_part(
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

    /// The parts of an upload, by number.
    pub(super) fn parts(&self, key: &str, upload_id: &str) -> S3Result<(OpenUpload, Vec<(i32, Part)>)> {
        let _alone = lock(&self.alone);
        let (folder, upload) = self.open_upload(key, upload_id)?;
        let mut parts = Vec::new();
        for entry in fs::read_dir(&folder).map_err(internal)? {
            let path = entry.map_err(internal)?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.strip_prefix("part-")?.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some()) {
                parts.extend(read_json(&path).map_err(internal)?.map(|part| (number, part)));
            }
        }
        parts.sort_by_key(|(number, _)| *number);
        Ok((upload, parts))
    }

    /// Makes the object out of the chosen parts. When anything is wrong, the upload stays open as it was.
    pub(super) fn complete(
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
            bytes,
            e_tag: format!("{}-{}", hex(&md5(&digests)), parts.len()),
            checksums: [(upload.algorithm, checksum)].into(),
        };
        self.commit(&new, &attributes).map_err(internal)?;
        fs::remove_dir_all(folder).map_err(internal)?;
        Ok(attributes)
    }

    pub(super) fn abort(&self, key: &str, upload_id: &str) -> S3Result<()> {
        let _alone = lock(&self.alone);
        let (folder, _) = self.open_upload(key, upload_id)?;
        fs::remove_dir_all(folder).map_err(internal)
    }

    fn read_attributes(&self, key: &str) -> io::Result<Option<Attributes>> {
        match self.object_path(key).is_ok_and(|path| path.is_file()) {
            true => read_json(&self.attributes_path(key)),
            false => Ok(None),
        }
    }

    /// Are the request's conditions on what is there now fulfilled?
    fn admit(&self, key: &str, stated: &Stated) -> S3Result<()> {
        self.object_path(key).map_err(|error| s3_error!(error, InvalidArgument, "this key cannot be a file name"))?;
        let current = self.read_attributes(key).map_err(internal)?.map(|attributes| attributes.e_tag);
        let is_current = |condition: &ETagCondition| match condition {
            ETagCondition::Any => current.is_some(),
            ETagCondition::ETag(e_tag) => current.as_deref() == Some(e_tag.value()),
        };
        let failed = match (&stated.if_match, &stated.if_none_match) {
            (Some(_), _) if current.is_none() => return Err(s3_error!(NoSuchKey)),
            (Some(condition), _) => !is_current(condition),
            (None, Some(condition)) => is_current(condition),
            (None, None) => false,
        };
        if failed {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        Ok(())
    }

    /// The attributes first: an object is never seen without them.
    fn commit(&self, new: &Path, attributes: &Attributes) -> io::Result<()> {
        let path = self.object_path(&attributes.key)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_json(&self.attributes_path(&attributes.key), attributes)?;
        fs::rename(new, path)
    }

    /// An upload that is open, under the key it was created for.
    fn open_upload(&self, key: &str, upload_id: &str) -> S3Result<(PathBuf, OpenUpload)> {
        // An id that is no UUID is not one of ours, and must not become a path.
        let folder = upload_id.parse::<Uuid>().map(|id| self.internal.join("uploads").join(id.to_string()));
        let upload = folder.ok().and_then(|folder| {
            let upload: OpenUpload = read_json(&folder.join("upload.json")).ok()??;
            Some((folder, upload))
        });
        upload.filter(|(_, upload)| upload.key == key).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    fn object_path(&self, key: &str) -> io::Result<PathBuf> {
        let unsafe_name = |name: &str| name.is_empty() || name == "." || name == ".." || name.contains(['\\', '\0']);
        if key.split('/').any(unsafe_name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the key {key:?} cannot be a file name")));
        }
        Ok(self.objects.join(key))
    }

    fn attributes_path(&self, key: &str) -> PathBuf {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        self.internal.join("objects").join(hex(digest.as_ref())).with_extension("json")
    }

    fn new_path(&self) -> PathBuf {
        self.internal.join("new").join(Uuid::new_v4().to_string())
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

/// Writes the parts behind each other into `new`; answers the checksum of the whole.
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

fn agree(algorithm: Algorithm, stated: &str, computed: &str) -> S3Result<()> {
    match stated == computed {
        true => Ok(()),
        false => {
            Err(s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", algorithm.name()))
        }
    }
}

fn internal(error: io::Error) -> S3Error {
    tracing::error!(error = %error, "the folder of the bucket cannot be used");
    S3Error::internal_error(error)
}

fn part_path(folder: &Path, number: i32) -> PathBuf {
    folder.join(format!("part-{number:05}"))
}

fn unhex(e_tag: &str) -> impl Iterator<Item = u8> {
    e_tag.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec(value)?)?;
    fs::rename(new, path)
}

#[cfg(test)]
pub(super) mod tests;
