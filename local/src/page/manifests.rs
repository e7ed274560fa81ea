//! The manifests in the bucket. Each one is read once.

use std::{collections::HashMap, sync::Mutex};

use serde::Serialize;
use serde_json::Value;

use crate::{
    s3::{Attributes, S3},
    wire::lock,
};

/// A longer manifest is not read.
const MAX_BYTES: u64 = 1024 * 1024;

/// What the page needs from a manifest.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) title: Option<String>,
    /// The files in the manifest, and the manifest itself.
    pub(super) files: Vec<File>,
}

/// One object that belongs to a transcript.
#[derive(Clone, Debug, Serialize)]
pub(super) struct File {
    name: String,
    key: String,
    bytes: u64,
    content_type: String,
}

/// The manifests that were read, by key, each with its ETag, which changes when a manifest is written again.
#[derive(Debug, Default)]
pub(super) struct Manifests(Mutex<HashMap<String, (String, Manifest)>>);

impl Manifests {
    /// `None` if the manifest is gone or unreadable.
    pub(super) fn read(&self, s3: &S3, key: &str) -> Option<Manifest> {
        let attributes = s3.attributes(key).ok()??;
        if let Some((_, known)) = lock(&self.0).get(key).filter(|(e_tag, _)| *e_tag == attributes.e_tag) {
            return Some(known.clone());
        }
        let e_tag = attributes.e_tag.clone();
        let manifest = read(s3, key, attributes)?;
        lock(&self.0).insert(key.to_owned(), (e_tag, manifest.clone()));
        Some(manifest)
    }
}

fn read(s3: &S3, key: &str, attributes: Attributes) -> Option<Manifest> {
    if attributes.bytes > MAX_BYTES {
        return None;
    }
    let manifest: Value = serde_json::from_slice(&s3.object(key).ok()??).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let file = |file: &Value| {
        Some(File {
            name: text(&file["name"])?,
            key: text(&file["key"])?,
            bytes: file["bytes"].as_u64()?,
            content_type: text(&file["content_type"])?,
        })
    };
    let mut files: Vec<File> = manifest["files"].as_array()?.iter().filter_map(file).collect();
    files.push(File {
        name: "manifest.json".to_owned(),
        key: key.to_owned(),
        bytes: attributes.bytes,
        content_type: attributes.content_type.unwrap_or_default(),
    });
    Some(Manifest { title: text(&manifest["recording"]["metadata"]["title"]), files })
}
