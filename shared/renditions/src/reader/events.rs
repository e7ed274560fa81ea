//! Reads when people joined and left from Recall's participant events. Everything else in there, such as chat messages,
//! is skipped.

use std::collections::HashMap;

use job::time::Timestamp;
use serde_json::value::RawValue;

use super::{
    RecordingTimes,
    list::{Element, List},
    pieces::Pieces,
    values::{Clocks, FieldValue, last_values, lenient_participant, text_of},
};
use crate::{Participant, presence::Moves, times::MAX_MS};

/// The number of participants whose events are kept. Events of the others are ignored.
const MAX_KEPT: usize = 10_000;
/// The maximum size of all kept names and ids.
const MAX_KEPT_BYTES: usize = 4 << 20;
/// The number of joins and leaves that are kept for all participants together.
const MAX_ALL_MOVES: usize = 100_000;

/// Reads Recall's participant events piece by piece.
#[derive(Debug)]
pub struct EventsReader(Pieces<List<Kept>>);

/// When people joined and left, from Recall's participant events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presences {
    /// The joins and leaves of each participant. Two of them may be the same person.
    pub(crate) moves: Vec<(Participant, Moves)>,
    pub(crate) recording: RecordingTimes,
    skipped: u64,
}

impl Presences {
    /// Returns the number of events that could not be used, or only in part.
    pub fn skipped_values(&self) -> u64 {
        self.skipped
    }
}

#[derive(Debug, Default)]
struct Kept {
    recording: RecordingTimes,
    moves: Vec<(Participant, Moves)>,
    by_key: HashMap<String, usize>,
    bytes: usize,
    /// The number of joins and leaves that are kept.
    kept_moves: usize,
}

impl EventsReader {
    /// Reads the events of a recording. Relative times are added to its start.
    pub fn new(recording: RecordingTimes) -> Self {
        Self(Pieces::new(List::new(Kept { recording, ..Kept::default() })))
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Says why the file cannot be read as a list, without quoting it.
    pub fn finish(mut self) -> Result<Presences, String> {
        self.0.is_complete();
        let Pieces { grammar: List { taken, skipped, .. }, error, .. } = self.0;
        let Kept { moves, recording, .. } = taken;
        error.map_or(Ok(Presences { moves, recording, skipped }), Err)
    }
}

impl Element for Kept {
    const FILE: &'static str = "a list of events";

    fn take(&mut self, event: &RawValue) -> bool {
        let Some([action, participant, timestamp]) = last_values(event, ["action", "participant", "timestamp"]) else {
            return false;
        };
        let Some(action) = action.and_then(text_of) else { return false };
        let joined = match &*action {
            "join" => true,
            "leave" => false,
            _ => return true,
        };
        let (at, usable_time) = self.time(timestamp.map(FieldValue::of).unwrap_or_default());
        let parsed = participant.and_then(lenient_participant).map(|raw| raw.parse());
        let Some((participant, usable)) = parsed else { return false };
        let participant = participant.normalized();
        let Some(key) = participant.key() else { return false };
        let has_room = self.kept_moves < MAX_ALL_MOVES;
        if let Some(moves) = self.moves_of(key, participant) {
            let kept = moves.add(at, joined, has_room);
            self.kept_moves += usize::from(kept);
        }
        usable && usable_time
    }
}

impl Kept {
    /// Returns the joins and leaves of a participant, or none if there are too many participants.
    fn moves_of(&mut self, key: String, participant: Participant) -> Option<&mut Moves> {
        let at = match self.by_key.get(&key) {
            Some(at) => {
                if let Some((known, _)) = self.moves.get_mut(*at) {
                    known.complete_with(participant);
                }
                *at
            }
            None => {
                let bytes = participant.text_bytes() + key.len();
                if self.moves.len() >= MAX_KEPT || self.bytes + bytes > MAX_KEPT_BYTES {
                    return None;
                }
                self.bytes += bytes;
                self.by_key.insert(key, self.moves.len());
                self.moves.push((participant, Moves::default()));
                self.moves.len() - 1
            }
        };
        self.moves.get_mut(at).map(|(_, moves)| moves)
    }

    /// Returns the moment of an event, if it is known, and whether all of its value could be used.
    fn time(&mut self, value: FieldValue<'_>) -> (Option<Timestamp>, bool) {
        let Clocks { seconds, absolute, unusable } = value.clocks();
        let relative_ms = seconds.and_then(signed_millis);
        if let (None, Some(absolute), Some(ms)) = (self.recording.started_at, absolute, relative_ms) {
            self.recording.started_at = Some(after(absolute, -ms));
        }
        let at = absolute.or_else(|| Some(after(self.recording.started_at?, relative_ms?)));
        (at, !unusable && seconds.is_some() == relative_ms.is_some())
    }
}

/// Converts seconds to milliseconds, or returns none if they are out of range. An event may come before the recording.
fn signed_millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() <= f64::from(MAX_MS)).then_some(millis as i64)
}

fn after(at: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(ms))
}

#[cfg(test)]
mod tests;
