//! Reads Recall's list of everyone who attended, including those who never spoke.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::{
    list::{Element, List},
    pieces::Pieces,
    values::lenient_participant,
};
use crate::Participant;

/// The number of participants that are kept. The others are only counted.
const MAX_KEPT: usize = 10_000;
/// The maximum size of all kept names, ids and addresses. The usual participant has less than a tenth of its share.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// Reads Recall's participants file piece by piece.
#[derive(Debug)]
pub struct ParticipantsReader(Pieces<List<Kept>>);

/// The people in Recall's participants file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Participants {
    /// In the order of the file. Two of them may be the same person.
    pub(crate) people: Vec<Participant>,
    /// The number of participants beyond the limit.
    pub(crate) over_limit: usize,
    skipped: u64,
}

impl Participants {
    /// Returns the number of elements that could not be used, or only in part.
    pub fn skipped_values(&self) -> u64 {
        self.skipped
    }
}

#[derive(Debug, Default)]
struct Kept {
    people: Vec<Participant>,
    by_key: HashMap<String, usize>,
    bytes: usize,
    over_limit: usize,
}

impl ParticipantsReader {
    pub fn new() -> Self {
        Self(Pieces::new(List::new(Kept::default())))
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Says why the file cannot be read as a list, without quoting it.
    pub fn finish(mut self) -> Result<Participants, String> {
        self.0.is_complete();
        let Pieces { grammar: List { taken, skipped, .. }, error, .. } = self.0;
        let Kept { people, over_limit, .. } = taken;
        error.map_or(Ok(Participants { people, over_limit, skipped }), Err)
    }
}

impl Default for ParticipantsReader {
    fn default() -> Self {
        Self::new()
    }
}

impl Element for Kept {
    const FILE: &'static str = "a list of participants";

    fn take(&mut self, object: &RawValue) -> bool {
        let Some((participant, usable)) = lenient_participant(object).map(|raw| raw.parse()) else { return false };
        let participant = participant.normalized();
        // Nothing tells a participant without an id and a name apart from others.
        let Some(key) = participant.key() else { return false };
        if let Some(known) = self.by_key.get(&key).and_then(|at| self.people.get_mut(*at)) {
            known.complete_with(participant);
        } else {
            let bytes = participant.text_bytes() + key.len();
            if self.people.len() < MAX_KEPT && self.bytes + bytes <= MAX_KEPT_BYTES {
                self.bytes += bytes;
                self.by_key.insert(key, self.people.len());
                self.people.push(participant);
            } else {
                self.over_limit += 1;
            }
        }
        usable
    }
}

#[cfg(test)]
mod tests;
