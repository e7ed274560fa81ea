//! A dead letter: what is on the dead-letter queue, and why.

use std::collections::{BTreeMap, BTreeSet};

use job::{
    ids::{RecordingId, TranscriptId},
    time::Timestamp,
};
use pipeline::{dead_letter, work_queue::Message};
use serde::Serialize;
use serde_json::Value;

use crate::{args::Filters, output::plain, times::Times};

/// Longer names of events are not shown, because Recall has none.
const MAX_EVENT_BYTES: usize = 64;
/// Reasons of the functions are shorter.
const MAX_REASON_CHARS: usize = 300;
/// SQS has moved these messages by itself, without a reason.
const UNFINISHED: &str = "the transcript function received the message as often as the queue allows, and could not \
                          finish the work";

/// A message of the queue, as SQS returns it.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) message_id: String,
    /// When the message was sent first, to whichever queue.
    pub(super) sent_at: Option<Timestamp>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What a dead letter was.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A message of the work queue whose work could not be finished.
    UnfinishedWork,
    /// A message of the work queue that the transcript function could not handle at all.
    UnreadableMessage,
    /// A delivery that the webhook function could not read.
    UnreadableDelivery,
}

/// One message of the work queue, or one delivery. A long body is in several messages.
#[derive(Clone, Debug)]
pub(super) struct DeadLetter {
    pub(super) kind: Kind,
    pub(super) reason: String,
    pub(super) sent_at: Option<Timestamp>,
    /// The ID of a delivery.
    pub(super) delivery_id: Option<String>,
    pub(super) facts: Facts,
    parts: Vec<Part>,
    /// How many different parts there must be.
    of: u16,
    encoding: String,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Part {
    number: u16,
    message_id: String,
    text: String,
}

/// What the body says that may be shown: the event and IDs, and nothing else.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Facts {
    pub(super) event: Option<String>,
    pub(super) recording_id: Option<RecordingId>,
    pub(super) transcript_id: Option<TranscriptId>,
}

/// Why the body of a dead letter is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NotWhole {
    #[error("only {seen} of its {of} parts can be seen; try again in a minute")]
    PartsMissing { seen: usize, of: u16 },
    #[error("its parts do not fit together")]
    PartsDiffer,
    #[error("its body is not encoded as its attributes say")]
    BadEncoding,
}

/// Makes dead letters out of messages, the oldest first. A message that was received twice counts once.
pub(super) fn group(received: impl IntoIterator<Item = Received>) -> Vec<DeadLetter> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    let mut by_delivery: BTreeMap<_, usize> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for message in received {
        if !seen.insert(message.message_id.clone()) {
            continue;
        }
        let letter = DeadLetter::of(message);
        let key = (letter.of > 1).then(|| (letter.delivery_id.clone(), letter.of, letter.encoding.clone()));
        match key.as_ref().and_then(|key| by_delivery.get(key)) {
            Some(&index) => letters[index].join(letter),
            None => {
                by_delivery.extend(key.map(|key| (key, letters.len())));
                letters.push(letter);
            }
        }
    }
    for letter in &mut letters {
        letter.parts.sort();
        letter.facts = letter.body().map(|body| Facts::of(&body)).unwrap_or_default();
    }
    letters.sort_by(|a, b| (a.sent_at, a.message_id()).cmp(&(b.sent_at, b.message_id())));
    letters
}

impl DeadLetter {
    fn of(message: Received) -> Self {
        let Received { message_id, sent_at, attributes, body } = message;
        let text = |name: &str| attributes.get(name).map(String::as_str);
        let (number, of) = text("part").and_then(part).unwrap_or((1, 1));
        let (kind, reason) = match text("reason") {
            None => (Kind::UnfinishedWork, UNFINISHED.to_owned()),
            Some(reason) => {
                let of_queue = [dead_letter::NOT_A_MESSAGE, dead_letter::ROW_NOT_READABLE];
                let is_message = of_queue.iter().any(|known| reason.starts_with(known));
                let kind = if is_message { Kind::UnreadableMessage } else { Kind::UnreadableDelivery };
                (kind, plain(reason).chars().take(MAX_REASON_CHARS).collect())
            }
        };
        Self {
            kind,
            reason,
            sent_at,
            // The transcript function writes the ID of its own message there.
            delivery_id: text("delivery_id").filter(|_| kind == Kind::UnreadableDelivery).map(str::to_owned),
            facts: Facts::default(),
            parts: vec![Part { number, message_id, text: body }],
            of,
            encoding: text("encoding").unwrap_or("text").to_owned(),
        }
    }

    fn join(&mut self, other: Self) {
        self.sent_at = self.sent_at.min(other.sent_at).or(self.sent_at).or(other.sent_at);
        self.parts.extend(other.parts);
    }

    /// The ID by which an operator names the dead letter: that of its first part.
    pub(super) fn message_id(&self) -> &str {
        self.parts.first().map_or("", |part| &part.message_id)
    }

    /// The IDs of all its messages.
    pub(super) fn message_ids(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.message_id.as_str())
    }

    /// Returns the whole body, as it was sent.
    pub(super) fn body(&self) -> Result<Vec<u8>, NotWhole> {
        let mut bytes = Vec::new();
        for text in self.texts()? {
            bytes.extend(dead_letter::decode_part(text, &self.encoding).ok_or(NotWhole::BadEncoding)?);
        }
        Ok(bytes)
    }

    fn texts(&self) -> Result<Vec<&str>, NotWhole> {
        // A delivery that was parked twice has each part twice.
        let mut texts = BTreeMap::new();
        for part in &self.parts {
            if *texts.entry(part.number).or_insert(part.text.as_str()) != part.text {
                return Err(NotWhole::PartsDiffer);
            }
        }
        if texts.len() == usize::from(self.of) {
            Ok(texts.into_values().collect())
        } else {
            Err(NotWhole::PartsMissing { seen: texts.len(), of: self.of })
        }
    }

    /// Returns the body as the queue has it: text or base64.
    pub(super) fn stored_text(&self) -> Option<String> {
        // Each part but the last has a length that base64 needs no padding for.
        self.texts().ok().map(|texts| texts.concat())
    }

    /// Returns the headers that a redrive keeps. The time and the signature are new.
    pub(super) fn headers(&self) -> Option<(&'static str, &str)> {
        self.delivery_id.as_deref().map(|id| ("webhook-id", id))
    }

    /// Returns the message of the work queue, if this version of the command can read it.
    pub(super) fn message(&self) -> Option<Message> {
        match self.kind {
            Kind::UnreadableDelivery => None,
            Kind::UnfinishedWork | Kind::UnreadableMessage => serde_json::from_slice(&self.body().ok()?).ok(),
        }
    }

    /// Returns whether the filters let it through.
    pub(super) fn matches(&self, filters: &Filters) -> bool {
        let Filters { with_reason, event, recording_id } = filters;
        let contains = |text: &String| self.reason.to_lowercase().contains(&text.to_lowercase());
        with_reason.as_ref().is_none_or(contains)
            && (event.is_none() || *event == self.facts.event)
            && (recording_id.is_none() || *recording_id == self.facts.recording_id)
    }

    /// Returns what may be shown of it, without its body.
    pub(super) fn summary(&self) -> Summary<'_> {
        Summary {
            message_id: self.message_id(),
            kind: self.kind,
            sent_at: self.sent_at.map(Timestamp::rfc3339),
            reason: &self.reason,
            facts: &self.facts,
            delivery_id: self.delivery_id.as_deref(),
            bytes: self.body().ok().map(|body| body.len()),
            messages: self.message_ids().collect(),
            encoding: &self.encoding,
        }
    }

    /// Describes it in a few lines, which fit into any terminal.
    pub(super) fn in_words(&self, times: &Times) -> String {
        let age = self.sent_at.map_or_else(|| "at an unknown time".to_owned(), |at| times.show(at));
        let mut lines = vec![format!("{}  {age}", self.message_id())];
        let Facts { event, recording_id, transcript_id } = &self.facts;
        for (name, value) in [
            ("what", Some(self.kind.in_words().to_owned())),
            ("event", event.clone()),
            ("recording", recording_id.map(|id| id.to_string())),
            ("transcript", transcript_id.map(|id| id.to_string())),
            ("reason", Some(self.reason.clone())),
        ] {
            lines.extend(value.map(|value| format!("  {name:<10}  {value}")));
        }
        lines.join("\n")
    }

    /// Describes it in one line, for a question.
    pub(super) fn in_short(&self, times: &Times) -> String {
        let event = self.facts.event.as_deref().unwrap_or("unknown event");
        let age = self.sent_at.map_or_else(|| "unknown age".to_owned(), |at| times.age(at));
        format!("{}  {age}  {event}  {}", self.message_id(), self.kind.in_words())
    }
}

impl Kind {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::UnfinishedWork => "a message of the work queue, not finished",
            Self::UnreadableMessage => "a message of the work queue that could not be handled",
            Self::UnreadableDelivery => "a delivery to the webhook that could not be read",
        }
    }
}

/// What may be shown of a dead letter, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    message_id: &'a str,
    kind: Kind,
    sent_at: Option<String>,
    reason: &'a str,
    #[serde(flatten)]
    facts: &'a Facts,
    delivery_id: Option<&'a str>,
    /// The length of the whole body; null if some of its parts could not be seen.
    bytes: Option<usize>,
    /// All messages of a long body.
    messages: Vec<&'a str>,
    encoding: &'a str,
}

impl Facts {
    /// Reads a message of the work queue, or a delivery of Recall. Whatever is not a plain name or an ID is left out.
    fn of(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let data = &value["data"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id =
            |of_message: &str, of_delivery: &str| text(&value[of_message]).or_else(|| text(&data[of_delivery]["id"]));
        Self {
            event: text(&value["event"]).filter(|name| is_plain_name(name)),
            recording_id: id("recording_id", "recording").and_then(|id| id.parse().ok()),
            transcript_id: id("transcript_id", "transcript").and_then(|id| id.parse().ok()),
        }
    }
}

fn is_plain_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_EVENT_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

/// Reads `1/3`.
fn part(text: &str) -> Option<(u16, u16)> {
    let (number, of) = text.split_once('/')?;
    let (number, of) = (number.parse().ok()?, of.parse().ok()?);
    (1..=of).contains(&number).then_some((number, of))
}

#[cfg(test)]
mod tests;
