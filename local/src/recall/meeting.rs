//! Meetings for the simulator, with believable transcripts.

mod attendance;
mod company;
mod content;
mod crowd;
mod file;
mod files;
mod japanese;
mod phrases;
mod platform;
mod talk;
mod topics;
mod vocabulary;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use self::{
    attendance::Attendance,
    file::{Person, Turn},
    files::{Company, OwnFiles},
};
pub use self::{
    content::Content,
    crowd::{many_events, many_participants},
    files::{CHAT_MESSAGE, MeetingFile},
    platform::{MEETING_PASSWORD, Platform},
};
use super::state::Metadata;
pub(super) use files::Files;

/// The title that Zoom gives to generated meetings. Other platforms give none.
const ZOOM_TITLE: &str = "Engineering sync";

/// A meeting: the words of its transcript, and what Recall knows about its recording and its people.
#[derive(Clone, Debug)]
pub struct Meeting {
    pub(super) platform: Platform,
    pub(super) title: Option<String>,
    pub(super) meeting_url: Value,
    company: Company,
    files: OwnFiles,
    pub(super) content: Bytes,
    pub(super) duration: Duration,
    pub(super) worth: Option<Duration>,
    pub(super) started_at: Option<OffsetDateTime>,
    pub(super) metadata: Metadata,
    pub(super) bot: bool,
    pub(super) bot_id: Option<Uuid>,
    pub(super) bot_metadata: Metadata,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) has_media: bool,
}

impl Meeting {
    /// An hour with 4 to 6 speakers on Google Meet: about 9,000 words, 1.2 to 1.7 MB. Three more people are silent, and
    /// one of them leaves and comes back under a new id.
    pub fn hour(seed: u64) -> Self {
        let people = talk::people(seed);
        let turns = talk::english(&people, 3600, seed);
        Self::of(Platform::GoogleMeet, &people, "en", &turns, &talk::silent(people.len(), 3, seed))
    }

    /// A meeting of a few minutes on Zoom. Two people are silent, one of them on the phone.
    pub fn short(seed: u64) -> Self {
        let people = talk::people(seed);
        let turns = talk::english(&people, 210, seed);
        Self::of(Platform::Zoom, &people, "en", &turns, &talk::silent(people.len(), 2, seed))
    }

    /// A meeting of a few minutes on Google Meet, in which a speaker leaves and comes back under a new id. The
    /// transcript alone does not tell that this is one person.
    pub fn rejoined(seed: u64) -> Self {
        let mut people = talk::people(seed);
        let mut turns = talk::english(&people, 420, seed);
        let half = end_of(&turns).as_micros() / 2;
        people.push(Person { is_host: false, ..people[1].clone() });
        for turn in turns.iter_mut().filter(|turn| turn.speaker == 1) {
            if turn.words.first().is_some_and(|word| u128::from(word.start) > half) {
                turn.speaker = people.len() - 1;
            }
        }
        Self::of(Platform::GoogleMeet, &people, "en", &turns, &talk::silent(people.len(), 2, seed))
    }

    /// Ten minutes on Zoom with this many speakers, at most 24, and this many people who never speak.
    pub fn crowd(speakers: usize, silent: usize, seed: u64) -> Self {
        let people = talk::group(seed, speakers);
        let turns = talk::english(&people, 600, seed);
        Self::of(Platform::Zoom, &people, "en", &turns, &talk::silent(people.len(), silent, seed))
    }

    /// A meeting of a few minutes in Japanese on Teams. Two people are silent.
    pub fn japanese(seed: u64) -> Self {
        let silent = japanese::SILENT.map(str::to_owned);
        Self::of(Platform::MicrosoftTeams, &japanese::PEOPLE, "ja", &japanese::japanese(seed), &silent)
    }

    /// A quarter of an hour on Webex without a word: the file is `[]`. Two people wait for the others.
    pub fn silent() -> Self {
        let duration = Duration::from_secs(900);
        let silent = talk::silent(0, 2, 0);
        let attendance = Attendance::of(Platform::Webex, &[], &[], micros(duration), &silent, false);
        let meeting = Self::with_content(Bytes::from_static(b"[]")).lasting(duration).on(Platform::Webex);
        Self { company: Company::Known(attendance.into()), ..meeting }
    }

    /// Ten minutes on Zoom, with exactly these bytes as the transcript's file. The people are those in the file.
    pub fn with_content(content: Bytes) -> Self {
        Self {
            platform: Platform::Zoom,
            title: None,
            meeting_url: Platform::Zoom.meeting_url(),
            company: Company::InTranscript(content.clone()),
            files: OwnFiles::default(),
            content,
            duration: Duration::from_secs(600),
            worth: None,
            started_at: None,
            metadata: Metadata::new(),
            bot: true,
            bot_id: None,
            bot_metadata: Metadata::new(),
            expires_at: None,
            has_media: true,
        }
    }

    /// A file of at least this size, and little more: the same hour repeated at later times.
    pub fn large(bytes: usize) -> Self {
        let people = talk::people(1);
        let turns = talk::english(&people, 3600, 1);
        let hour = end_of(&turns) + Duration::from_secs(1);
        let mut file = Vec::with_capacity(bytes + 64 * 1024);
        file.push(b'[');
        let (mut begun, mut written) = (Duration::ZERO, 0);
        while file.len() < bytes {
            for turn in &turns {
                written += 1;
                let offset = begun.as_micros().try_into().unwrap_or(u64::MAX);
                file::write_turns(&mut file, &people, "en", std::slice::from_ref(turn), offset);
                if file.len() >= bytes {
                    break;
                }
            }
            begun += hour;
        }
        file.push(b']');
        let silent = talk::silent(people.len(), 2, 1);
        let attendance = Attendance::of(Platform::Zoom, &people, &turns, micros(hour), &silent, false);
        let attendance = attendance.repeated(micros(hour), micros(begun), written);
        let meeting = Self::with_content(file.into()).lasting(begun).titled(Some(ZOOM_TITLE));
        Self { company: Company::Known(attendance.into()), ..meeting }
    }

    fn of(platform: Platform, people: &[Person], language: &str, turns: &[Turn], silent: &[String]) -> Self {
        let (content, duration) = (file::write(people, language, turns), end_of(turns));
        let returns = platform == Platform::GoogleMeet && silent.len() > 2;
        let attendance = Attendance::of(platform, people, turns, micros(duration), silent, returns);
        let meeting = Self::with_content(content.into()).lasting(duration).on(platform);
        let title = (platform == Platform::Zoom).then(|| ZOOM_TITLE.to_owned());
        Self { company: Company::Known(attendance.into()), title, ..meeting }
    }

    /// Sets the platform in the bot's meeting URL. The people stay as they are.
    pub fn on(self, platform: Platform) -> Self {
        Self { platform, meeting_url: platform.meeting_url(), ..self }
    }

    /// Returns whether Recall knows the title from the platform.
    pub fn has_title(&self) -> bool {
        self.title.is_some()
    }

    /// Sets the title that Recall knows from the platform.
    pub fn titled(self, title: Option<&str>) -> Self {
        Self { title: title.map(str::to_owned), ..self }
    }

    /// Sets the `meeting_url` of the bot.
    pub fn meeting_url(self, meeting_url: Value) -> Self {
        Self { meeting_url, ..self }
    }

    /// Sets the bytes of one of Recall's other files.
    pub fn with_file(mut self, file: MeetingFile, content: impl Into<Content>) -> Self {
        self.files.set(file, content.into());
        self
    }

    /// Sets the length of the recording, which determines how long its transcription takes.
    pub fn lasting(self, duration: Duration) -> Self {
        Self { duration, ..self }
    }

    /// Lets the transcription take as long as for a recording of this length.
    pub fn transcribed_like(self, worth: Duration) -> Self {
        Self { worth: Some(worth), ..self }
    }

    /// Sets when the recording began. Without this, it ends now.
    pub fn started_at(self, started_at: OffsetDateTime) -> Self {
        Self { started_at: Some(started_at), ..self }
    }

    /// Adds custom metadata of the recording.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds custom metadata of the bot.
    pub fn bot_metadata(mut self, key: &str, value: &str) -> Self {
        self.bot_metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the bot, which may make several recordings.
    pub fn by_bot(self, id: Uuid) -> Self {
        Self { bot_id: Some(id), ..self }
    }

    /// Makes the recording without a bot, as the Desktop SDK does.
    pub fn without_bot(self) -> Self {
        Self { bot: false, ..self }
    }

    /// Keeps neither video nor audio, so that nothing can be transcribed.
    pub fn without_media(self) -> Self {
        Self { has_media: false, ..self }
    }

    /// Sets when the retention ends and the recording is deleted. Without this, it is kept forever.
    pub fn expires_at(self, expires_at: OffsetDateTime) -> Self {
        Self { expires_at: Some(expires_at), ..self }
    }

    /// Returns the other files of the recording, which began at this time.
    pub(super) fn files(&self, started_at: OffsetDateTime) -> Arc<Files> {
        Arc::new(Files::new(self.company.clone(), self.files.clone(), started_at, self.duration))
    }

    /// The exact bytes of the transcript's file.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// The length of the recording.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn end_of(turns: &[Turn]) -> Duration {
    Duration::from_micros(turns.iter().flat_map(|turn| &turn.words).map(|word| word.end).max().unwrap_or_default())
}
