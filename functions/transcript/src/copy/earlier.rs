//! What an earlier copy of the same transcript left in S3, and how it makes room.
//!
//! A copy is repeated when its worker died around the manifest, or when a row was restored. No manifest may name an
//! object that has changed since, so the old one is rewritten before the first object is. Turns are found without a
//! manifest, and the day that they are filed under may have changed; so they are removed.

use std::collections::BTreeSet;

use job::ids::{RecordingId, TranscriptId};
use pipeline::{
    bucket::{Bucket, ReadError, S3Error},
    keys::{MANIFEST, VERBATIM, is_turns_key, key},
    logs,
    manifest::{File, Manifest},
    time,
};

use crate::{about::About, upload::put};

/// What is there before a copy.
pub(super) struct Earlier {
    manifest: Found,
    /// Where turns of it may stand.
    turns_keys: BTreeSet<String>,
}

enum Found {
    Nothing,
    Manifest(Box<Manifest>),
    /// Not ours, or damaged: it may name anything.
    Unreadable,
}

impl Earlier {
    /// Looks for it.
    pub(super) async fn find(
        bucket: &Bucket,
        prefix: &str,
        recording_id: RecordingId,
        id: TranscriptId,
    ) -> Result<Self, ReadError> {
        let [manifest_key, verbatim_key] = [MANIFEST, VERBATIM].map(|name| key(prefix, recording_id, id, name));
        let (manifest, verbatim) = tokio::join!(bucket.manifest(&manifest_key), bucket.head(&verbatim_key));
        let manifest = match manifest {
            Ok(None) => Found::Nothing,
            Ok(Some(manifest)) => Found::Manifest(Box::new(manifest)),
            Err(ReadError::NotOurs(why)) => {
                tracing::warn!(message = logs::MANIFEST_NOT_READ, why);
                Found::Unreadable
            }
            Err(error @ ReadError::S3(_)) => return Err(error),
        };
        let filed = verbatim?.and_then(|verbatim| verbatim.turns_key);
        let turns_keys = filed.into_iter().chain(manifest.turns_key()).filter(|key| is_turns_key(prefix, key, id));
        Ok(Self { turns_keys: turns_keys.collect(), manifest })
    }

    /// Before the first object is overwritten: the manifest names none that may change, and the turns are gone. Only
    /// the verbatim file stays named if the new one has the same bytes.
    pub(super) async fn make_room(
        self,
        bucket: &Bucket,
        about: &About,
        manifest_key: String,
        verbatim: &File,
    ) -> Result<(), S3Error> {
        let withdrawn = match self.manifest {
            Found::Nothing => None,
            Found::Manifest(mut manifest) => manifest.withdraw(|file| !file.is_same(verbatim)).then_some(manifest),
            Found::Unreadable => Some(Box::new(about.withdrawn(time::now()))),
        };
        if let Some(manifest) = withdrawn {
            tracing::info!(message = logs::MANIFEST_WITHDRAWN, recording.id = %about.recording_id, transcript.id = %about.transcript_id);
            put(bucket, manifest_key, "application/json", &manifest.to_json()).await?;
        }
        for key in &self.turns_keys {
            bucket.remove(key).await?;
        }
        Ok(())
    }
}

impl Found {
    fn turns_key(&self) -> Option<String> {
        match self {
            Self::Manifest(manifest) => manifest.turns_key().cloned(),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}
