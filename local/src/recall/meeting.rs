//! Meetings for the simulator, with believable transcripts.

mod company;
mod file;
mod japanese;
mod phrases;
mod talk;
mod topics;
mod vocabulary;

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use super::state::Metadata;

/// A meeting: the words of its transcript, and what Recall knows about its recording.
#[derive(Clone, Debug)]
pub struct Meeting {
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
    /// An hour with 4 to 6 people: about 9,000 words, 1.2 to 1.7 MB.
    pub fn hour(seed: u64) -> Self {
        Self::english(seed, 3600)
    }

    /// A meeting of a few minutes.
    pub fn short(seed: u64) -> Self {
        Self::english(seed, 210)
    }

    /// A meeting of a few minutes in Japanese.
    pub fn japanese(seed: u64) -> Self {
        Self::of(&japanese::PEOPLE, "ja", &japanese::japanese(seed))
    }

    /// A quarter of an hour without a word: the file is `[]`.
    pub fn silent() -> Self {
        Self::with_content(Bytes::from_static(b"[]")).lasting(Duration::from_secs(900))
    }

    /// Ten minutes, with exactly these bytes as the transcript's file.
    pub fn with_content(content: Bytes) -> Self {
        Self {
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
        let mut begun = Duration::ZERO;
        while file.len() < bytes {
            for turn in &turns {
                let offset = begun.as_micros().try_into().unwrap_or(u64::MAX);
                file::write_turns(&mut file, &people, "en", std::slice::from_ref(turn), offset);
                if file.len() >= bytes {
                    break;
                }
            }
            begun += hour;
        }
        file.push(b']');
        Self::with_content(file.into()).lasting(begun)
    }

    fn english(seed: u64, seconds: u64) -> Self {
        let people = talk::people(seed);
        Self::of(&people, "en", &talk::english(&people, seconds, seed))
    }

    fn of(people: &[file::Person], language: &str, turns: &[file::Turn]) -> Self {
        let content = file::write(people, language, turns);
        Self::with_content(content.into()).lasting(end_of(turns))
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

    /// The exact bytes of the transcript's file.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// The length of the recording.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

fn end_of(turns: &[file::Turn]) -> Duration {
    Duration::from_micros(turns.iter().flat_map(|turn| &turn.words).map(|word| word.end).max().unwrap_or_default())
}
