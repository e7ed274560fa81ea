//! Recall's files about a meeting, apart from the transcript. Each is generated when it is first downloaded.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{
    attendance::{Attendance, Span},
    content::Content,
};
use crate::recall::clock::api_time;

/// The text of every simulated chat message. It must not be stored outside Recall's own file.
pub const CHAT_MESSAGE: &str = "chat-4c1e: is the door code still 4711?";

/// A file about a meeting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MeetingFile {
    Participants,
    /// What the participants did.
    Events,
    /// Who spoke when.
    Timeline,
    /// The raw answers of a transcript's provider. Only providers other than Recall itself have them.
    ProviderData,
}

impl MeetingFile {
    /// The files of a recording. Provider data belongs to a transcript.
    pub(in crate::recall) const OF_RECORDING: [Self; 3] = [Self::Participants, Self::Events, Self::Timeline];

    /// The name in paths, without its ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::Events => "participant_events",
            Self::Timeline => "speaker_timeline",
            Self::ProviderData => "provider_data",
        }
    }
}

/// Where the people of a meeting are known from.
#[derive(Clone, Debug)]
pub(super) enum Company {
    Known(Arc<Attendance>),
    /// From the file of the transcript.
    InTranscript(Bytes),
}

/// The files that a test brings, in place of the generated ones.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnFiles(Vec<(MeetingFile, Content)>);

impl OwnFiles {
    pub(super) fn set(&mut self, file: MeetingFile, content: Content) {
        self.0.push((file, content));
    }
}

/// The files of one recording.
#[derive(Debug)]
pub(in crate::recall) struct Files {
    company: Company,
    own: OwnFiles,
    started_at: OffsetDateTime,
    end: i64,
    generated: [OnceLock<Content>; 4],
}

impl Files {
    pub(super) fn new(
        company: Company,
        own: OwnFiles,
        started_at: OffsetDateTime,
        duration: std::time::Duration,
    ) -> Self {
        let end = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self { company, own, started_at, end, generated: Default::default() }
    }

    /// Returns the file. The first call may take a while.
    pub(in crate::recall) fn content(&self, file: MeetingFile) -> Content {
        if let Some((_, own)) = self.own.0.iter().rev().find(|(known, _)| *known == file) {
            return own.clone();
        }
        let generated = &self.generated[file as usize];
        generated.get_or_init(|| self.generate(file)).clone()
    }

    fn generate(&self, file: MeetingFile) -> Content {
        let attendance = match &self.company {
            Company::Known(attendance) => attendance.clone(),
            Company::InTranscript(content) => Arc::new(Attendance::in_transcript(content, self.end)),
        };
        let writer = Writer { attendance: &attendance, started_at: self.started_at, people: people(&attendance) };
        match file {
            MeetingFile::Participants => writer.participants(),
            MeetingFile::Events => writer.events(),
            MeetingFile::Timeline => writer.timeline(),
            MeetingFile::ProviderData => provider_data(self.started_at),
        }
    }
}

struct Writer<'a> {
    attendance: &'a Attendance,
    started_at: OffsetDateTime,
    /// The JSON of each participant, by id.
    people: HashMap<i64, String>,
}

/// Events of one moment stay in this order.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Event<'a> {
    at: i64,
    id: i64,
    action: &'static str,
    chat_to: Option<&'a str>,
}

impl Writer<'_> {
    fn participants(&self) -> Content {
        let ids = self.attendance.people.iter().flat_map(|person| &person.stays).map(|stay| stay.id);
        list(ids.filter_map(|id| self.people.get(&id)), |file, person| file.extend_from_slice(person.as_bytes()))
    }

    fn events(&self) -> Content {
        let mut events: Vec<Event<'_>> = Vec::new();
        let mut add = |at, id, action, chat_to| events.push(Event { at, id, action, chat_to });
        for (number, person) in self.attendance.people.iter().enumerate() {
            for stay in &person.stays {
                add(stay.from, stay.id, "join", None);
                let until = stay.to.unwrap_or(self.attendance.end);
                let within = |part: i64| stay.from.max(0) + (until - stay.from.max(0)).max(0) / 5 * part;
                match number % 3 {
                    0 => {
                        add(within(1), stay.id, "webcam_on", None);
                        add(within(4), stay.id, "webcam_off", None);
                    }
                    1 => add(within(2), stay.id, "chat_message", Some("everyone")),
                    _ => add(within(3), stay.id, "chat_message", Some("only_bot")),
                }
                if number == 0 {
                    add(within(2), stay.id, "screenshare_on", None);
                    add(within(3), stay.id, "screenshare_off", None);
                    add(within(3), stay.id, "update", None);
                }
                if let Some(to) = stay.to {
                    add(to, stay.id, "leave", None);
                }
            }
        }
        for span in self.attendance.all_speech() {
            add(span.start, span.id, "speech_on", None);
            add(span.end, span.id, "speech_off", None);
        }
        events.sort();
        let known = events.iter().filter_map(|event| Some((event, self.people.get(&event.id)?)));
        list(known.enumerate(), |file, (number, (event, person))| {
            let id = Uuid::from_u64_pair(self.started_at.unix_timestamp().unsigned_abs(), number as u64);
            let data = event.chat_to.map_or(Value::Null, |to| json!({"text": CHAT_MESSAGE, "to": to}));
            // Writing to memory cannot fail.
            let _ = write!(file, "{{\"id\":\"{id}\",\"action\":\"{}\",\"participant\":{person},", event.action);
            let _ = write!(file, "\"timestamp\":{},\"data\":{data}}}", self.time(event.at));
        })
    }

    fn timeline(&self) -> Content {
        let spans = self.attendance.all_speech().filter_map(|span| Some((span, self.people.get(&span.id)?)));
        list(spans, |file, (Span { start, end, .. }, person)| {
            let (start, end) = (self.time(start), self.time(end));
            let _ = write!(file, "{{\"participant\":{person},\"start_timestamp\":{start},\"end_timestamp\":{end}}}");
        })
    }

    fn time(&self, at: i64) -> String {
        let absolute = match self.attendance.has_absolute_times {
            true => format!("\"{}\"", api_time(self.started_at + Duration::microseconds(at))),
            false => "null".to_owned(),
        };
        format!("{{\"absolute\":{absolute},\"relative\":{:?}}}", at as f64 / 1e6)
    }
}

fn people(attendance: &Attendance) -> HashMap<i64, String> {
    let stays = attendance.people.iter().flat_map(|person| person.stays.iter().map(move |stay| (stay.id, person)));
    let with_id = stays.map(|(id, person)| {
        let mut participant = person.participant.clone();
        participant["id"] = json!(id);
        (id, participant.to_string())
    });
    with_id.collect()
}

/// Returns the JSON list of these entries.
fn list<T>(entries: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) -> Content {
    let mut file = vec![b'['];
    for (index, entry) in entries.enumerate() {
        if index > 0 {
            file.push(b',');
        }
        write(&mut file, entry);
    }
    file.push(b']');
    file.into()
}

/// One answer of a provider, with the URL of the request, which contains a credential.
fn provider_data(started_at: OffsetDateTime) -> Content {
    json!({"parts": [{
        "id": Uuid::from_u64_pair(started_at.unix_timestamp().unsigned_abs(), 0),
        "created_at": api_time(started_at),
        "source_audio": {"type": "mixed", "offset": 0.0, "participant": null},
        "type": "http_response",
        "data": {
            "url": "https://provider.example/v2/transcript?token=pt-51b7",
            "status_code": 200,
            "body": {"confidence": 0.97, "summary": "The team went through its topics."},
        },
    }]})
    .into()
}
