//! Fetches what Recall knows about a meeting apart from its words: who attended and when, the title, the platform.
//!
//! This is best effort. Nothing here fails a transcript: what is missing, broken or late is logged, and noted in the
//! `sources` of the manifest.

mod file;

use std::time::Duration;

use job::ids::BotId;
use pipeline::{
    bucket::Bucket,
    keys::{EVENTS, PARTICIPANTS, PROVIDER_DATA, TIMELINE},
    logs,
    manifest::File,
    metrics,
    recall::{Availability, Problem, Recall, RecordingArtifact, TranscriptArtifact},
    secret::Secret,
    telemetry::Chain,
    time::Stopwatch,
};
use renditions::{EventsReader, Participants, ParticipantsReader, Presences, SourceState, Sources};

use self::file::{FetchError, FileSpec};
use crate::{
    download::Downloads,
    settings::KeptFiles,
    transcript_info::{Facts, TranscriptInfo},
};

/// Larger lists of participants are not kept.
const MAX_PARTICIPANTS_BYTES: u64 = 32 << 20;
/// Larger files of other kinds are not kept.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// The name of the title in logs. The title has no file.
const TITLE: &str = "title";
/// A download with less time than this is not started.
const MIN_FETCH_TIME: Duration = Duration::from_millis(200);

/// Fetches the data of meetings.
#[derive(Clone, Debug)]
pub(crate) struct MeetingFetcher {
    recall: Recall,
    downloads: Downloads,
    bucket: Bucket,
    key_prefix: String,
    kept: KeptFiles,
}

/// What is still to be fetched about a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) participants: bool,
    pub(crate) events: bool,
    pub(crate) timeline: bool,
    pub(crate) provider_data: bool,
    pub(crate) title: bool,
    pub(crate) bot: bool,
}

/// From where the data of one meeting is fetched.
pub(crate) struct Origin<'a> {
    pub(crate) info: &'a TranscriptInfo,
    /// The recording, or why there is none.
    pub(crate) recording: Result<&'a RecordingArtifact, SourceState>,
    /// The transcript, or why there is none.
    pub(crate) transcript: Result<&'a TranscriptArtifact, SourceState>,
    /// What fails now is not tried again.
    pub(crate) is_last_try: bool,
}

/// What was fetched.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) participants: Option<Participants>,
    pub(crate) presences: Option<Presences>,
    /// What is known now: what was known before, and what was fetched.
    pub(crate) facts: Facts,
    /// The files that are kept verbatim.
    pub(crate) files: Vec<File>,
    /// Whether something was not ready, and may be later.
    pub(crate) is_incomplete: bool,
}

impl Missing {
    /// Returns whether anything is missing.
    pub(crate) fn any(self) -> bool {
        let Self { participants, events, timeline, provider_data, title, bot } = self;
        participants || events || timeline || provider_data || title || bot
    }
}

impl MeetingFetcher {
    pub(crate) fn new(
        recall: Recall,
        downloads: Downloads,
        bucket: Bucket,
        key_prefix: String,
        kept: KeptFiles,
    ) -> Self {
        Self { recall, downloads, bucket, key_prefix, kept }
    }

    /// Returns what a new copy has to fetch.
    pub(crate) fn everything(&self) -> Missing {
        let KeptFiles { timeline, provider_data, .. } = self.kept;
        Missing { participants: true, events: true, timeline, provider_data, title: true, bot: true }
    }

    /// Returns what an earlier copy could not fetch and what may be ready now.
    pub(crate) fn missing(&self, sources: &Sources, files: &[File]) -> Missing {
        let is_late = |state: SourceState| state == SourceState::NotYet;
        let lacks = |name: &str, state: Option<SourceState>| {
            state.is_none_or(is_late) && !files.iter().any(|file| file.name == name)
        };
        Missing {
            participants: is_late(sources.participants),
            events: is_late(sources.events),
            timeline: self.kept.timeline && lacks(TIMELINE, sources.timeline),
            provider_data: self.kept.provider_data && lacks(PROVIDER_DATA, sources.provider_data),
            title: is_late(sources.meeting_metadata),
            bot: is_late(sources.bot),
        }
    }

    /// Fetches what is missing within this time. The objects that it writes are new, or no manifest names them.
    pub(crate) async fn fetch(&self, origin: &Origin<'_>, missing: Missing, known: Facts, time: Duration) -> Fetched {
        let watch = Stopwatch::start();
        let left = || time.saturating_sub(watch.elapsed());
        let mut fetched = Fetched { facts: known, ..Fetched::default() };
        // A file may use up the time, and the bot has only one try.
        if missing.bot {
            self.read_bot(origin.info.bot_id, &mut fetched, left()).await;
        }
        if missing.title {
            let title = origin.recording.map(RecordingArtifact::title).unwrap_or_else(unavailable);
            (fetched.facts.sources.meeting_metadata, fetched.facts.title) = match title {
                Availability::Ready(title) => (SourceState::Read, title),
                missing @ (Availability::NotYet
                | Availability::Absent
                | Availability::Failed
                | Availability::Malformed) => {
                    note_missing(origin, TITLE, &missing);
                    (state_of(&missing), None)
                }
            };
        }
        if missing.participants {
            let mut reader = ParticipantsReader::new();
            let file = FileSpec { name: PARTICIPANTS, max_bytes: MAX_PARTICIPANTS_BYTES, kept: self.kept.participants };
            let url = origin.recording.map(RecordingArtifact::participants).unwrap_or_else(unavailable);
            let state = self.file(origin, &mut fetched, file, url, left(), |bytes| reader.push(bytes)).await;
            let read = read(origin, PARTICIPANTS, state, || reader.finish(), Participants::skipped_values);
            (fetched.facts.sources.participants, fetched.participants) = read;
        }
        if missing.events {
            let mut reader = EventsReader::new(origin.info.times);
            let file = FileSpec { name: EVENTS, max_bytes: MAX_FILE_BYTES, kept: self.kept.events };
            let url = origin.recording.map(RecordingArtifact::participant_events).unwrap_or_else(unavailable);
            let state = self.file(origin, &mut fetched, file, url, left(), |bytes| reader.push(bytes)).await;
            let read = read(origin, EVENTS, state, || reader.finish(), Presences::skipped_values);
            (fetched.facts.sources.events, fetched.presences) = read;
        }
        if missing.timeline {
            let file = FileSpec { name: TIMELINE, max_bytes: MAX_FILE_BYTES, kept: true };
            let url = origin.recording.map(RecordingArtifact::speaker_timeline).unwrap_or_else(unavailable);
            let state = self.file(origin, &mut fetched, file, url, left(), |_| {}).await;
            fetched.facts.sources.timeline = Some(state);
        }
        if missing.provider_data {
            let file = FileSpec { name: PROVIDER_DATA, max_bytes: MAX_FILE_BYTES, kept: true };
            let url = origin.transcript.map(TranscriptArtifact::provider_data_url).unwrap_or_else(unavailable);
            let state = self.file(origin, &mut fetched, file, url, left(), |_| {}).await;
            fetched.facts.sources.provider_data = Some(state);
        }
        let Sources { participants, events, meeting_metadata, bot, timeline, provider_data } = fetched.facts.sources;
        let states = [Some(participants), Some(events), Some(meeting_metadata), Some(bot), timeline, provider_data];
        fetched.is_incomplete = states.contains(&Some(SourceState::NotYet));
        fetched
    }

    /// Fetches one file, and keeps it if the settings say so.
    async fn file(
        &self,
        origin: &Origin<'_>,
        fetched: &mut Fetched,
        spec: FileSpec,
        url: Availability<Secret<String>>,
        time: Duration,
        read: impl FnMut(&[u8]),
    ) -> SourceState {
        let url = match url {
            Availability::Ready(url) => url,
            missing
            @ (Availability::NotYet | Availability::Absent | Availability::Failed | Availability::Malformed) => {
                note_missing(origin, spec.name, &missing);
                if state_of(&missing) == SourceState::Failed {
                    metrics::MEETING_FILES_FAILED.count(spec.name);
                }
                return state_of(&missing);
            }
        };
        let info = origin.info;
        let result = if time < MIN_FETCH_TIME {
            Err(FetchError::OutOfTime)
        } else {
            let key = info.key(&self.key_prefix, spec.name);
            file::fetch(&self.downloads, &self.bucket, spec, key, info.tags(), &url, time, read).await
        };
        match result {
            Ok(Some(file)) => {
                fetched.files.push(file);
                SourceState::Stored
            }
            Ok(None) => SourceState::Read,
            Err(error) => {
                log_not_read(origin, spec.name, &Chain(&error).to_string());
                if error.may_pass() && !origin.is_last_try {
                    SourceState::NotYet
                } else {
                    metrics::MEETING_FILES_FAILED.count(spec.name);
                    SourceState::Failed
                }
            }
        }
    }

    /// Reads the platform and the meeting's id, with one call.
    async fn read_bot(&self, bot_id: Option<BotId>, fetched: &mut Fetched, time: Duration) {
        let Some(bot_id) = bot_id else {
            fetched.facts.sources.bot = SourceState::Absent;
            return;
        };
        fetched.facts.sources.bot = match tokio::time::timeout(time, self.recall.retrieve_bot(bot_id)).await {
            Ok(Ok(bot)) => {
                (fetched.facts.platform, fetched.facts.meeting_id) = (bot.platform(), bot.meeting_id());
                if bot.is_malformed() {
                    let error = "its meeting URL has another form than Recall documents";
                    tracing::warn!(message = logs::BOT_NOT_RETRIEVED, bot.id = %bot_id, error);
                    SourceState::Failed
                } else {
                    SourceState::Read
                }
            }
            Ok(Err(Problem::NotFound)) => SourceState::Absent,
            Ok(Err(problem)) => {
                tracing::warn!(message = logs::BOT_NOT_RETRIEVED, bot.id = %bot_id, error = %Chain(&problem));
                SourceState::Failed
            }
            Err(_) => {
                tracing::warn!(message = logs::BOT_NOT_RETRIEVED, bot.id = %bot_id, error = "the time was up");
                SourceState::Failed
            }
        };
    }
}

/// Ends the reading of a file whose bytes have arrived. A file that cannot be read is still kept.
fn read<T>(
    origin: &Origin<'_>,
    file: &'static str,
    state: SourceState,
    finish: impl FnOnce() -> Result<T, String>,
    skipped_values: impl FnOnce(&T) -> u64,
) -> (SourceState, Option<T>) {
    if !matches!(state, SourceState::Stored | SourceState::Read) {
        return (state, None);
    }
    let finished = finish();
    let error = match &finished {
        Ok(value) => Some(skipped_values(value))
            .filter(|skipped| *skipped > 0)
            .map(|skipped| format!("{skipped} values have another form than Recall documents, and were skipped")),
        Err(why) => {
            metrics::MEETING_FILES_FAILED.count(file);
            Some(why.clone())
        }
    };
    if let Some(error) = error {
        log_not_read(origin, file, &error);
    }
    finished.map_or((SourceState::Failed, None), |value| (state, Some(value)))
}

fn unavailable<T>(state: SourceState) -> Availability<T> {
    match state {
        SourceState::NotYet => Availability::NotYet,
        SourceState::Absent => Availability::Absent,
        SourceState::Failed | SourceState::Stored | SourceState::Read => Availability::Failed,
    }
}

/// Logs why Recall has no URL of a file, or no title, if something is wrong.
fn note_missing<T>(origin: &Origin<'_>, file: &'static str, availability: &Availability<T>) {
    let error = match availability {
        Availability::Ready(_) | Availability::NotYet | Availability::Absent => return,
        Availability::Failed => "Recall failed to make it, or could not be asked",
        Availability::Malformed => "Recall describes it in another form than it documents",
    };
    log_not_read(origin, file, error);
}

fn log_not_read(origin: &Origin<'_>, file: &'static str, error: &str) {
    let info = origin.info;
    tracing::warn!(
        message = logs::MEETING_FILE_NOT_READ,
        recording.id = %info.recording_id,
        transcript.id = %info.transcript_id,
        file,
        error
    );
}

fn state_of<T>(availability: &Availability<T>) -> SourceState {
    match availability {
        Availability::Ready(_) => SourceState::Read,
        Availability::NotYet => SourceState::NotYet,
        Availability::Absent => SourceState::Absent,
        Availability::Failed | Availability::Malformed => SourceState::Failed,
    }
}
