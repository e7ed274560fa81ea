//! The faults of what Recall knows about a meeting apart from its transcript: files, artifacts, and bots.

use std::time::Duration;

use uuid::Uuid;

use super::{
    DownloadFault, Faults,
    target::{Target, strike, strike_if, unstruck},
};
use crate::{recall::meeting::MeetingFile, wire::lock};

/// What happens to one file of a recording, or to the provider data of a transcript.
#[derive(Clone, Copy, Debug)]
pub enum FileFault {
    /// The artifact is done, but the file's URL is null.
    NoUrl,
    /// The URL has another host name, where it would work.
    Elsewhere,
    /// The URL is on the API host, with a token. Recall does not have provider data there.
    OnApiHost,
    /// The bucket answers 404.
    NotFound,
    /// The bucket answers 403, as for an expired URL.
    Forbidden,
    /// A page of HTML instead of the file.
    NotJson,
    /// The file as the only member of an object.
    Wrapped,
    /// Every value in the entries has another type, and some entries are no objects.
    WrongShapes,
    /// Correctly framed, but the file ends in its middle.
    Half,
    /// Every entry twice, one after the other.
    Twice,
    /// A valid file of this many bytes, with spaces before the last bracket. Without `stated`, no Content-Length says
    /// so before.
    Padded { bytes: usize, stated: bool },
    /// The download goes wrong as that of a transcript can.
    Download(DownloadFault),
}

impl FileFault {
    /// Returns whether the fault concerns the URL, and not the download.
    fn is_of_url(self) -> bool {
        matches!(self, Self::NoUrl | Self::Elsewhere | Self::OnApiHost)
    }
}

/// An artifact of a recording in its `media_shortcuts`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Artifact {
    /// The participants, their events, and the speaker timeline.
    ParticipantEvents,
    /// The title.
    MeetingMetadata,
}

/// How the API shows an artifact. Each retrieval of the recording counts as a strike. Lists and bots show the same
/// without a strike.
#[derive(Clone, Copy, Debug)]
pub enum ArtifactFault {
    /// The artifact is null.
    Null,
    /// The status is `processing`, and all data is null.
    Processing,
    /// Like `Processing`, until the recording has been done for this long on the simulator's clock.
    Late(Duration),
    /// The status is `failed`, and all data is null.
    Failed,
}

/// What a retrieval of a bot returns.
#[derive(Clone, Copy, Debug)]
pub enum BotFault {
    NotFound,
    /// 429 with `Retry-After` in seconds.
    Throttled {
        retry_after: u64,
    },
    /// 500 with a page of HTML.
    Broken,
    /// `meeting_url` is null, as some days after the meeting.
    NoMeetingUrl,
    /// `meeting_url` has no `platform`.
    NoPlatform,
    /// `meeting_url` is a text and no object.
    TextForMeetingUrl,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    files: Vec<(Target, (MeetingFile, FileFault))>,
    artifacts: Vec<(Target, (Artifact, ArtifactFault))>,
    bots: Vec<(Target, BotFault)>,
}

impl Rules {
    pub(super) fn unstruck(&self) -> Vec<String> {
        let Self { files, artifacts, bots } = self;
        [unstruck("file", files), unstruck("artifact", artifacts), unstruck("bot", bots)].concat()
    }
}

impl Faults {
    /// One of Recall's other files goes wrong.
    pub fn file(&self, target: Target, file: MeetingFile, fault: FileFault) {
        lock(&self.0.rules).meeting.files.push((target, (file, fault)));
    }

    /// The recording has its artifact in another state.
    pub fn artifact(&self, target: Target, artifact: Artifact, fault: ArtifactFault) {
        lock(&self.0.rules).meeting.artifacts.push((target, (artifact, fault)));
    }

    /// Retrieving the bot of the recording goes wrong.
    pub fn bot(&self, target: Target, fault: BotFault) {
        lock(&self.0.rules).meeting.bots.push((target, fault));
    }

    pub(in crate::recall) fn strike_url(
        &self,
        recording: Uuid,
        transcript: Uuid,
        file: MeetingFile,
    ) -> Option<FileFault> {
        self.strike_file(recording, transcript, file, |fault| fault.is_of_url())
    }

    pub(in crate::recall) fn strike_file_download(
        &self,
        recording: Uuid,
        transcript: Uuid,
        file: MeetingFile,
    ) -> Option<FileFault> {
        self.strike_file(recording, transcript, file, |fault| !fault.is_of_url())
    }

    fn strike_file(
        &self,
        recording: Uuid,
        transcript: Uuid,
        file: MeetingFile,
        wanted: impl Fn(FileFault) -> bool,
    ) -> Option<FileFault> {
        let impossible = |fault| matches!((file, fault), (MeetingFile::ProviderData, FileFault::OnApiHost));
        let files = &mut lock(&self.0.rules).meeting.files;
        let found =
            strike_if(files, recording, transcript, |(of, fault)| *of == file && wanted(*fault) && !impossible(*fault));
        found.map(|(_, fault)| fault)
    }

    /// Returns the state in which the artifact is shown. `age` is how long the recording has been done on the
    /// simulator's clock. Only a `counted` look is a strike.
    pub(in crate::recall) fn artifact_shown(
        &self,
        recording: Uuid,
        artifact: Artifact,
        age: Duration,
        counted: bool,
    ) -> Option<ArtifactFault> {
        let is_over = |fault: &ArtifactFault| matches!(fault, ArtifactFault::Late(until) if age >= *until);
        let wanted = |(of, fault): &(Artifact, ArtifactFault)| *of == artifact && !is_over(fault);
        let artifacts = &mut lock(&self.0.rules).meeting.artifacts;
        let found = match counted {
            true => strike_if(artifacts, recording, Uuid::nil(), wanted),
            false => strike_if(&mut artifacts.clone(), recording, Uuid::nil(), wanted),
        };
        found.map(|(_, fault)| fault)
    }

    /// Returns what goes wrong with the bot of these recordings.
    pub(in crate::recall) fn strike_bot(&self, recordings: &[Uuid]) -> Option<BotFault> {
        let bots = &mut lock(&self.0.rules).meeting.bots;
        recordings.iter().find_map(|recording| strike(bots, *recording, Uuid::nil()))
    }
}
