//! The URLs that Recall hands out: pre-signed downloads, downloads with a token, and URLs of other hosts.

use url::Url;
use uuid::Uuid;

use super::{
    model::Model,
    routes::DOWNLOAD,
    state::{Status, Transcript},
};

/// The name of this machine in download URLs. The API uses its address.
pub const DOWNLOAD_HOST: &str = "localhost";
/// Another address of this machine, in URLs to a host that is not Recall's.
const ELSEWHERE: &str = "[::ffff:127.0.0.1]";

/// The download URLs of one transcript.
pub(super) struct Urls {
    pub(super) transcript: Option<String>,
    pub(super) provider_data: Option<String>,
}

impl Model {
    /// Returns new URLs of a `done` transcript.
    pub(super) fn urls(&self, transcript: &Transcript) -> Option<Urls> {
        let folder = format!("{}/transcripts/{}", self.folder(transcript.recording), transcript.id);
        // Recall's own engine has no raw data.
        let raw = !transcript.provider.contains_key("recallai_async");
        (transcript.progress.status == Status::Done).then(|| Urls {
            transcript: Some(self.signer.url(&format!("{folder}/transcript.json"))),
            provider_data: raw.then(|| self.signer.url(&format!("{folder}/provider_data.json"))),
        })
    }

    /// Returns a URL of other media. Its signature is valid, but the simulator has no such file.
    pub(super) fn media_url(&self, recording: Uuid, kind: &str, file: &str) -> String {
        self.signer.url(&format!("{}/{kind}/{}/{file}", self.folder(recording), self.media_id(recording, kind)))
    }

    /// Returns the id of an artifact, which is always the same.
    pub(super) fn media_id(&self, recording: Uuid, kind: &str) -> Uuid {
        let digest = ring::digest::digest(&ring::digest::SHA256, format!("{recording} {kind}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Returns a new URL of a transcript's file on the API host.
    pub(super) fn api_host_url(&self, transcript: Uuid) -> String {
        format!("{}{DOWNLOAD}?token={}", self.base_url, self.signer.token(transcript))
    }

    /// Returns the same URL on a host that is not Recall's.
    pub(super) fn elsewhere(&self, url: &str) -> String {
        let Ok(mut moved) = Url::parse(url) else { return url.to_owned() };
        match moved.set_host(Some(ELSEWHERE)) {
            Ok(()) => moved.into(),
            Err(_) => url.to_owned(),
        }
    }

    fn folder(&self, recording: Uuid) -> String {
        format!("/_workspace-{}/recordings/{recording}", self.signer.workspace)
    }
}
