//! Follows the parser through Recall's format, and looks only at what matters.

use json_event_parser::JsonEvent;

use super::Counts;
use crate::render::{Builder, millis};

/// Where in the file the parser is. `Other` is everything that is not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Turns,
    Turn,
    Participant,
    Words,
    Word,
    Start,
    End,
    Other,
}

/// The keys that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Participant,
    LanguageCode,
    Words,
    Id,
    Name,
    IsHost,
    Text,
    Start,
    End,
    Relative,
    Other,
}

#[derive(Default)]
pub(super) struct Reader {
    places: Vec<Place>,
    key: Option<Key>,
    pub(super) counts: Counts,
    pub(super) spoken: bool,
    pub(super) meeting: Builder,
    // Of the turn that is being read.
    id: Option<String>,
    name: Option<String>,
    is_host: bool,
    language: Option<u16>,
    // Of the word that is being read, in milliseconds.
    start: Option<u32>,
    end: Option<u32>,
}

impl Reader {
    pub(super) fn read(&mut self, event: &JsonEvent<'_>) -> Result<(), &'static str> {
        match event {
            JsonEvent::StartArray | JsonEvent::StartObject => self.enter(*event == JsonEvent::StartArray)?,
            JsonEvent::EndArray | JsonEvent::EndObject => {
                // What comes next has a key of its own, or must be a turn or a word.
                self.key = None;
                match self.places.pop() {
                    Some(Place::Turn) => self.turn_ends(),
                    Some(Place::Word) => self.meeting.word(self.start.take(), self.end.take()),
                    Some(_) | None => {}
                }
            }
            JsonEvent::ObjectKey(key) => self.key = Some(self.key(key)),
            JsonEvent::String(text) => self.value(text, true)?,
            JsonEvent::Number(text) => self.value(text, false)?,
            JsonEvent::Boolean(value) => {
                self.is_host |= *value && self.key == Some(Key::IsHost);
                self.bare()?;
            }
            JsonEvent::Null => self.bare()?,
            JsonEvent::Eof => {}
        }
        Ok(())
    }

    fn enter(&mut self, array: bool) -> Result<(), &'static str> {
        let place = match (self.places.last(), self.key, array) {
            (None, _, true) => Place::Turns,
            (None, _, false) => return Err("the file is not an array of turns"),
            (Some(Place::Turns), _, false) => {
                self.counts.turns += 1;
                self.meeting.begin();
                Place::Turn
            }
            (Some(Place::Turns), _, true) => return Err("a turn is not an object"),
            (Some(Place::Turn), Some(Key::Participant), false) => Place::Participant,
            (Some(Place::Turn), Some(Key::Words), true) => Place::Words,
            (Some(Place::Words), _, false) => {
                self.counts.words += 1;
                Place::Word
            }
            (Some(Place::Words), _, true) => return Err("a word is not an object"),
            (Some(Place::Word), Some(Key::Start), false) => Place::Start,
            (Some(Place::Word), Some(Key::End), false) => Place::End,
            (Some(_), _, _) => Place::Other,
        };
        self.places.push(place);
        self.key = None;
        Ok(())
    }

    fn key(&self, key: &str) -> Key {
        match (self.places.last(), key) {
            (Some(Place::Turn), "participant") => Key::Participant,
            (Some(Place::Turn), "language_code") => Key::LanguageCode,
            (Some(Place::Turn), "words") => Key::Words,
            (Some(Place::Participant), "id") => Key::Id,
            (Some(Place::Participant), "name") => Key::Name,
            (Some(Place::Participant), "is_host") => Key::IsHost,
            (Some(Place::Word), "text") => Key::Text,
            (Some(Place::Word), "start_timestamp") => Key::Start,
            (Some(Place::Word), "end_timestamp") => Key::End,
            (Some(Place::Start | Place::End), "relative") => Key::Relative,
            (_, _) => Key::Other,
        }
    }

    fn value(&mut self, text: &str, quoted: bool) -> Result<(), &'static str> {
        match (self.key, quoted) {
            (Some(Key::Id), _) => self.id = Some(text.to_owned()),
            (Some(Key::Name), true) => self.name = Some(text.to_owned()),
            (Some(Key::LanguageCode), true) => self.language = self.meeting.language(text),
            (Some(Key::Text), true) => {
                self.spoken |= !text.trim().is_empty();
                self.meeting.text(text);
            }
            (Some(Key::Relative), false) => {
                let seconds: f64 = text.parse().unwrap_or(0.0);
                let ms = millis(seconds);
                if ms.is_some() {
                    self.counts.duration_s = self.counts.duration_s.max(seconds);
                }
                match self.places.last() {
                    Some(Place::Start) => self.start = ms,
                    Some(Place::End) => self.end = ms,
                    Some(_) | None => {}
                }
            }
            (Some(_) | None, _) => self.bare()?,
        }
        Ok(())
    }

    /// A value that is not looked at is fine anywhere but where a turn or a word must be.
    fn bare(&self) -> Result<(), &'static str> {
        match self.places.last() {
            None => Err("the file is not an array of turns"),
            Some(Place::Turns) => Err("a turn is not an object"),
            Some(Place::Words) => Err("a word is not an object"),
            Some(Place::Turn | Place::Participant | Place::Word | Place::Start | Place::End | Place::Other) => Ok(()),
        }
    }

    fn turn_ends(&mut self) {
        let (id, name) = (self.id.take(), self.name.take());
        let (is_host, language) = (std::mem::take(&mut self.is_host), self.language.take());
        self.meeting.end(id.as_deref(), name.as_deref(), is_host, language);
    }
}
