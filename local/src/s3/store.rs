//! Stores objects on disk, and refuses what S3 refuses. All calls block, and only one caller may use it at a time.
//!
//! ```text
//! ROOT/BUCKET/KEY                                the object
//! ROOT/.s3/BUCKET/objects/SHA256(KEY).json       its attributes
//! ROOT/.s3/BUCKET/uploads/ID/upload.json         a multipart upload, until it is completed or aborted
//! ROOT/.s3/BUCKET/uploads/ID/part-00001[.json]   its parts
//! ```

mod uploads;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use s3s::{S3Error, S3Result, dto::ETagCondition, s3_error};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    checksum::{Algorithm, Sums, hex, md5_hex, sum},
    tags::Tags,
};
use crate::wire::lock;
pub(super) use uploads::Chosen;
pub use uploads::OpenUpload;

/// The attributes of an object.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attributes {
    pub key: String,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
    /// The sender's own metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: Tags,
    pub bytes: u64,
    /// The ETag without quotation marks. It ends in `-N` for an object of N parts.
    pub e_tag: String,
    /// The checksums of the whole object, in base64.
    pub checksums: BTreeMap<Algorithm, String>,
}

/// What a request states about its bytes, or about the object that it completes.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) checksums: Sums,
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
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
        // Files that an earlier process was writing when it died.
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
                    // Other files are not objects.
                    false if self.attributes_path(&key).exists() => keys.push(key),
                    false => {}
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// Stores an object in one step. Nothing changes if a stated value is wrong.
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
        // The object first, so that it is never visible without its attributes.
        for path in [self.object_path(key)?, self.attributes_path(key)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn read_attributes(&self, key: &str) -> io::Result<Option<Attributes>> {
        match self.object_path(key).is_ok_and(|path| path.is_file()) {
            true => read_json(&self.attributes_path(key)),
            false => Ok(None),
        }
    }

    /// Returns whether the request's conditions on the current object are fulfilled.
    fn admit(&self, key: &str, stated: &Stated) -> S3Result<()> {
        self.object_path(key)
            .map_err(|error| s3_error!(error, InvalidArgument, "this key is not a valid file name"))?;
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

    /// The attributes are written first, so that an object is never visible without them.
    fn commit(&self, new: &Path, attributes: &Attributes) -> io::Result<()> {
        let path = self.object_path(&attributes.key)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        write_json(&self.attributes_path(&attributes.key), attributes)?;
        fs::rename(new, path)
    }

    fn object_path(&self, key: &str) -> io::Result<PathBuf> {
        let unsafe_name = |name: &str| name.is_empty() || name == "." || name == ".." || name.contains(['\\', '\0']);
        if key.split('/').any(unsafe_name) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the key {key:?} is not a valid file name"),
            ));
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

fn agree(algorithm: Algorithm, stated: &str, computed: &str) -> S3Result<()> {
    match stated == computed {
        true => Ok(()),
        false => {
            Err(s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", algorithm.name()))
        }
    }
}

fn internal(error: io::Error) -> S3Error {
    tracing::error!(error = %error, "cannot use the folder of the bucket");
    S3Error::internal_error(error)
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
