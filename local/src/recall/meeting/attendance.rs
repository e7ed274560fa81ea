//! Who is in a meeting, when, and who speaks.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    file::{Person, Turn},
    platform::Platform,
};

/// A larger transcript is not searched for participants.
const SEARCHED_BYTES: usize = 32 << 20;
const SECOND: i64 = 1_000_000;
/// How long before the recording the host joins.
const HOST_EARLY: i64 = 12 * SECOND;

/// Times are in microseconds from the start of the recording.
#[derive(Debug)]
pub(in crate::recall) struct Attendance {
    pub(super) has_absolute_times: bool,
    pub(super) people: Vec<Attendee>,
    pub(super) speech: Vec<Span>,
    /// The speech repeats after this time, until the end or until there were so many turns.
    pub(super) round: i64,
    pub(super) max_spans: usize,
    pub(super) end: i64,
}

#[derive(Debug)]
pub(super) struct Attendee {
    /// The participant without its id.
    pub(super) participant: Value,
    pub(super) stays: Vec<Stay>,
}

/// One stay in the meeting, under an id of its own.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) id: i64,
    pub(super) from: i64,
    /// `None`: until the end, and no one reports the end.
    pub(super) to: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) id: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Attendance {
    /// The people of a generated meeting, and after them those who never speak. Two people of one name are one person,
    /// who left and came back. With `silent_returns`, the last silent person does so as well.
    pub(super) fn of(
        platform: Platform,
        people: &[Person],
        turns: &[Turn],
        end: i64,
        silent: &[String],
        silent_returns: bool,
    ) -> Self {
        let spans = turns.iter().filter_map(|turn| {
            let (first, last) = (turn.words.first()?, turn.words.last()?);
            Some(Span { id: id(turn.speaker), start: first.start as i64, end: last.end as i64 })
        });
        let speech: Vec<Span> = spans.collect();
        let mut found: Vec<Attendee> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for (index, person) in people.iter().enumerate() {
            let own = || speech.iter().filter(|span| span.id == id(index));
            let first = own().map(|span| span.start).min().unwrap_or_default();
            let from = if person.is_host { -HOST_EARLY } else { (first - SECOND).max(0) };
            let stay = Stay { id: id(index), from, to: (index % 2 == 1).then_some(end) };
            match numbers.get(person.name) {
                None => {
                    numbers.insert(person.name, found.len());
                    let participant = participant(platform, found.len(), person.name, person.is_host, "desktop");
                    found.push(Attendee { participant, stays: vec![stay] });
                }
                Some(number) => {
                    let stays = &mut found[*number].stays;
                    let earlier = stays.iter().map(|stay| stay.id).max();
                    let spoke = speech.iter().filter(|span| Some(span.id) == earlier).map(|span| span.end).max();
                    if let Some(earlier) = stays.last_mut() {
                        earlier.to = Some((spoke.unwrap_or_default() + SECOND).min(from));
                    }
                    stays.push(stay);
                }
            }
        }
        for (index, name) in silent.iter().enumerate() {
            let (from, first_id) = (5 * SECOND + 2 * SECOND * index as i64, id(people.len() + index));
            let (device, to) = if index == 1 { ("dial-in", Some(end * 2 / 3)) } else { ("desktop", None) };
            let mut stays = vec![Stay { id: first_id, from, to }];
            if silent_returns && index + 1 == silent.len() {
                stays[0].to = Some(end / 3);
                stays.push(Stay { id: first_id + 1, from: end / 2, to });
            }
            found.push(Attendee { participant: participant(platform, found.len(), name, false, device), stays });
        }
        Self {
            has_absolute_times: platform.has_absolute_times(),
            people: found,
            speech,
            round: end,
            max_spans: usize::MAX,
            end,
        }
    }

    /// Repeats the speech after this time, until the end or until this many turns.
    pub(super) fn repeated(self, round: i64, end: i64, max_spans: usize) -> Self {
        let mut people = self.people;
        for to in people.iter_mut().flat_map(|person| &mut person.stays).filter_map(|stay| stay.to.as_mut()) {
            *to = if *to >= self.end { end } else { *to };
        }
        Self { people, round, max_spans, end, ..self }
    }

    /// The participants of a transcript's file. They come when the recording starts and stay to its end.
    pub(super) fn in_transcript(content: &Bytes, end: i64) -> Self {
        let searched = (content.len() <= SEARCHED_BYTES).then_some(content);
        let turns: Vec<Value> = searched.and_then(|file| serde_json::from_slice(file).ok()).unwrap_or_default();
        let (mut people, mut speech): (Vec<Attendee>, Vec<Span>) = (Vec::new(), Vec::new());
        for turn in &turns {
            let Some(id) = turn["participant"]["id"].as_i64() else { continue };
            if !people.iter().any(|person| person.stays[0].id == id) {
                let mut participant = turn["participant"].clone();
                participant.as_object_mut().map(|fields| fields.remove("id"));
                people.push(Attendee { participant, stays: vec![Stay { id, from: 0, to: None }] });
            }
            let words = turn["words"].as_array().map(Vec::as_slice).unwrap_or_default();
            let time = |word: Option<&Value>, field: &str| {
                word.and_then(|word| word[field]["relative"].as_f64()).map(|seconds| (seconds * 1e6) as i64)
            };
            let (start, stop) = (time(words.first(), "start_timestamp"), time(words.last(), "end_timestamp"));
            speech.extend(start.zip(stop).map(|(start, end)| Span { id, start, end }));
        }
        Self { has_absolute_times: true, people, speech, round: i64::MAX, max_spans: usize::MAX, end }
    }

    /// Returns all speech, each time later than the previous round.
    pub(super) fn all_speech(&self) -> impl Iterator<Item = Span> {
        let rounds =
            (0..).map(|round: i64| round.saturating_mul(self.round.max(1))).take_while(|begun| *begun < self.end);
        let spans = rounds.flat_map(|begun| {
            self.speech.iter().map(move |span| Span { id: span.id, start: begun + span.start, end: begun + span.end })
        });
        spans.filter(|span| span.end <= self.end).take(self.max_spans)
    }
}

/// The id of the person at this index, as in the transcript.
fn id(index: usize) -> i64 {
    index as i64 + 1
}

/// Every second person has an e-mail address. Someone on the phone has none.
fn participant(platform: Platform, number: usize, name: &str, is_host: bool, device: &str) -> Value {
    let email = (number.is_multiple_of(2) && device != "dial-in").then(|| {
        let letters = name.split(' ').map(|part| part.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
        let parts: Vec<String> = letters.filter(|part| !part.is_empty()).collect();
        match parts.is_empty() {
            true => format!("guest{number}@example.com"),
            false => format!("{}@example.com", parts.join(".").to_ascii_lowercase()),
        }
    });
    json!({
        "name": name,
        "is_host": is_host,
        "platform": device,
        "extra_data": platform.extra_data(number),
        "email": email,
    })
}
