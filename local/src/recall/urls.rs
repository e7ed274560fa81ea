//! The URLs that Recall hands out: pre-signed downloads, downloads with a token, and URLs of other hosts.

use url::Url;
use uuid::Uuid;

use super::{
    faults::FileFault,
    meeting::MeetingFile,
    model::Model,
    routes::DOWNLOAD,
    state::{Status, Transcript},
};

/// The name of this machine in download URLs. The API uses its address.
pub const DOWNLOAD_HOST: &str = "localhost";
/// Another address of this machine, in URLs to a host that is not Recall's.
const ELSEWHERE: &str = "[::ffff:127.0.0.1]";

/// The artifact that the files of a recording belong to.
pub(super) const PARTICIPANT_EVENTS: &str = "participant_events";

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

    /// Returns a new URL of one of a recording's files.
    pub(super) fn file_url(&self, recording: Uuid, file: MeetingFile) -> String {
        self.media_url(recording, PARTICIPANT_EVENTS, &format!("{}.json", file.name()))
    }

    /// Returns this URL as the API shows it. With `counted`, it may go wrong.
    pub(super) fn shown_file_url(&self, recording: Uuid, file: MeetingFile, counted: bool) -> Option<String> {
        let url = self.file_url(recording, file);
        let fault = counted.then(|| self.faults.strike_url(recording, Uuid::nil(), file)).flatten();
        self.disturbed_url(url, fault, || self.api_host_url(file.name(), recording))
    }

    /// Returns what a fault of a file makes of its URL.
    pub(super) fn disturbed_url(
        &self,
        url: String,
        fault: Option<FileFault>,
        on_api_host: impl FnOnce() -> String,
    ) -> Option<String> {
        match fault {
            Some(FileFault::NoUrl) => None,
            Some(FileFault::Elsewhere) => Some(self.elsewhere(&url)),
            Some(FileFault::OnApiHost) => Some(on_api_host()),
            Some(_) | None => Some(url),
        }
    }

    /// Returns the recording and the file at this path, if [`Model::file_url`] leads there.
    pub(super) fn file_at(&self, path: &str) -> Option<(Uuid, MeetingFile)> {
        let (_, rest) = path.split_once("/recordings/")?;
        let recording = rest.split('/').next()?.parse().ok()?;
        let folder = format!(
            "{}/{PARTICIPANT_EVENTS}/{}/",
            self.folder(recording),
            self.media_id(recording, PARTICIPANT_EVENTS)
        );
        let name = path.strip_prefix(&folder)?.strip_suffix(".json")?;
        let file = MeetingFile::OF_RECORDING.into_iter().find(|file| file.name() == name)?;
        Some((recording, file))
    }

    /// Returns a new URL on the API host of the file of this kind.
    pub(super) fn api_host_url(&self, kind: &str, id: Uuid) -> String {
        format!("{}{}?token={}", self.base_url, DOWNLOAD.replace("{kind}", kind), self.signer.token(kind, id))
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
