//! Finds what an earlier copy of the same transcript left in S3, and withdraws it before a new copy.
//!
//! A copy is repeated if its worker died around the manifest, or if a row was restored. A manifest must not name
//! objects that have changed, so the old manifest is rewritten before the first object is overwritten. Readers find
//! turns and meetings without a manifest, and the new ones may be filed under another day, so the old ones are removed.

use std::collections::BTreeSet;

use job::ids::{RecordingId, TranscriptId};
use pipeline::{
    bucket::{Bucket, ReadError, S3Error},
    keys::{MANIFEST, VERBATIM, key, meetings_key, turns_key},
    logs,
    manifest::{File, Manifest},
    time,
};

use crate::{
    transcript_info::{Facts, TranscriptInfo},
    upload::put,
};

/// The objects of an earlier copy.
pub(super) struct EarlierCopy {
    manifest: FoundManifest,
    /// The days under which its turns and its meeting may be filed.
    days: BTreeSet<String>,
}

enum FoundManifest {
    Nothing,
    Manifest(Box<Manifest>),
    /// The manifest is not ours or is damaged, so it may name any object.
    Unreadable,
}

impl EarlierCopy {
    /// Looks for an earlier copy.
    pub(super) async fn find(
        bucket: &Bucket,
        prefix: &str,
        recording_id: RecordingId,
        id: TranscriptId,
    ) -> Result<Self, ReadError> {
        let [manifest_key, verbatim_key] = [MANIFEST, VERBATIM].map(|name| key(prefix, recording_id, id, name));
        let (manifest, verbatim) = tokio::join!(bucket.manifest(&manifest_key), bucket.head(&verbatim_key));
        let manifest = match manifest {
            Ok(None) => FoundManifest::Nothing,
            Ok(Some(manifest)) => FoundManifest::Manifest(Box::new(manifest)),
            Err(ReadError::NotOurs(why)) => {
                tracing::warn!(message = logs::MANIFEST_NOT_READ, why);
                FoundManifest::Unreadable
            }
            Err(error @ ReadError::S3(_)) => return Err(error),
        };
        let of_verbatim = verbatim?.and_then(|verbatim| verbatim.day);
        Ok(Self { days: of_verbatim.into_iter().chain(manifest.day()).collect(), manifest })
    }

    /// Withdraws the earlier copy. Afterwards the manifest names no object that may change, and the turns and
    /// the meeting are removed.
    /// The manifest still names the verbatim file if the new file has the same bytes.
    pub(super) async fn withdraw(
        self,
        bucket: &Bucket,
        info: &TranscriptInfo,
        prefix: &str,
        verbatim: &File,
    ) -> Result<(), S3Error> {
        let withdrawn = match self.manifest {
            FoundManifest::Nothing => None,
            FoundManifest::Manifest(mut manifest) => {
                manifest.withdraw(|file| !file.is_same(verbatim)).then_some(manifest)
            }
            FoundManifest::Unreadable => Some(Box::new(info.withdrawn_manifest(time::now()))),
        };
        if let Some(manifest) = withdrawn {
            tracing::info!(
                message = logs::MANIFEST_WITHDRAWN,
                recording.id = %info.recording_id,
                transcript.id = %info.transcript_id
            );
            let key = info.key(prefix, MANIFEST);
            put(bucket, key, "application/json", &manifest.to_json(), info.tags()).await?;
        }
        for day in &self.days {
            bucket.remove(&turns_key(prefix, day, info.transcript_id)).await?;
            bucket.remove(&meetings_key(prefix, day, info.transcript_id)).await?;
        }
        Ok(())
    }
}

impl EarlierCopy {
    /// Returns what an earlier copy learned of the bot.
    pub(super) fn known_of_bot(&self) -> Facts {
        match &self.manifest {
            FoundManifest::Manifest(manifest) => Facts::of_record(&manifest.meeting).only_of_bot(),
            FoundManifest::Nothing | FoundManifest::Unreadable => Facts::default(),
        }
    }
}

impl FoundManifest {
    fn day(&self) -> Option<String> {
        match self {
            Self::Manifest(manifest) => manifest.day().map(str::to_owned),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}
