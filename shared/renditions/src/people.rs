//! Finds out which participants of the file are the same person, and gives every person a unique label.
//!
//! One person is one speaker. A person who leaves and comes back may get a new participant id. So people are
//! distinguished by the ids in `extra_data` that stay the same during a meeting, then by participant id, and only
//! without any id by name as a reader sees it. A participant with only a name is the one person of that name, or a
//! separate person if there are several. All participants without an id and a name are one unknown speaker.

mod names;
mod participant;
mod roster;

use std::collections::HashMap;

pub(crate) use self::participant::{Participant, email_address};
use self::participant::{id_number, keys, push_key};
use super::{attendance::KnownPerson, presence::Presence, record::EmailSource, visible::has_visible, words::clean};

/// The number of people who are distinguished. The others share one label.
pub(crate) const MAX_SPEAKERS: usize = 1_000;
/// The number of participants that are remembered. It is larger, because some people have several ids. All participants
/// beyond it count as one person.
const MAX_PARTICIPANTS: usize = 10_000;
/// The number of ids that are kept for one person.
const MAX_IDS: usize = 100;
/// The maximum length of a name or an id. The rest is cut off.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// One person. Two people with the same name are two speakers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// The label for readers, unique within the meeting: the last name that was given; `Ann (2)` for the second person
    /// of that name, in order of appearance; `Speaker 2` by participant id, or `Participant 2` for someone who is not
    /// in the transcript; `Unknown speaker` without either.
    pub(crate) label: String,
    /// The name without a number, if there is one.
    pub(crate) name: Option<String>,
    /// Recall's participant ids that are integers.
    pub(crate) ids: Vec<i64>,
    /// Whether this speaker represents all people beyond the limit.
    pub(crate) is_overflow: bool,
    pub(crate) is_host: bool,
    pub(crate) email: Option<(String, EmailSource)>,
    pub(crate) presence: Presence,
    /// How long this speaker talks, in milliseconds: the sum over the turns, including estimated ones.
    pub(crate) talk_ms: u64,
    /// Whether some of these turns have no times of their own.
    pub(crate) estimated: bool,
    /// The number of words in this speaker's turns.
    pub(crate) words: u64,
    /// The number of turns.
    pub(crate) turns: u64,
}

/// A distinct participant of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParticipantRef {
    /// Recall's participant id, if it is an integer.
    pub(crate) id: Option<i64>,
    /// The index into the speakers.
    pub(crate) speaker: usize,
}

/// All people of a meeting.
#[derive(Debug)]
pub(crate) struct Roster {
    /// The people in the transcript in order of appearance, then all others. The speaker for people beyond the limit is
    /// the last one.
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) participants: Vec<ParticipantRef>,
    /// The number of people in the transcript, and how many of them are beyond the limit.
    pub(crate) speaker_count: usize,
    pub(crate) speakers_over_limit: usize,
    /// The number of all people beyond the limit.
    pub(crate) participants_over_limit: usize,
}

/// The participants seen so far, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// The index of each participant in `participants`, by everything that identifies the participant.
    participant_by_key: HashMap<String, u16>,
    participants: Vec<(Option<i64>, usize)>,
    /// The key of the participant that is being looked up.
    key: String,
    /// The person who has each id, or, without any id, each name.
    person_by_key: HashMap<String, usize>,
    people: Vec<Person>,
    /// How many times a participant was registered.
    registered: u64,
}

#[derive(Debug, Default)]
struct Person {
    /// The person who appeared earlier and turned out to be the same person.
    merged_into: Option<usize>,
    id: Option<String>,
    name: Option<String>,
    named_by: NamedBy,
    static_ids: Vec<(&'static str, String)>,
    /// Whether the person is in the transcript.
    appears: bool,
    /// Whether the person is in the part of the participants file that was kept.
    is_listed: bool,
    /// Whether a manifest has an id of the person that no one else in it has.
    is_recorded: bool,
    /// Whether this is from a manifest, and only the name tells who it is.
    by_name: bool,
    speaker: Speaker,
}

/// What gave a person the name. The greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum NamedBy {
    #[default]
    Nothing,
    /// An event, or an earlier manifest.
    Other,
    /// The participants file, at this position.
    List(usize),
    /// The transcript, when so many participants had been registered.
    Transcript(u64),
}

impl People {
    /// Registers the participant of an entry, and returns the index of the participant.
    pub(crate) fn register(&mut self, participant: &Participant) -> u16 {
        let id = participant.id.as_deref().map(shorten).filter(|id| has_visible(id));
        let name = participant.name.as_deref().map(shorten).filter(|name| has_visible(name));
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        push_key(&participant.static_ids, id.as_deref(), name.as_deref(), &mut key);
        let index = match self.participant_by_key.get(&key) {
            Some(index) => *index,
            None => {
                let keys = keys(&participant.static_ids, id.as_deref(), name.as_deref());
                self.add(key.clone(), keys, id, &participant.static_ids)
            }
        };
        self.key = key;
        self.registered += 1;
        let named_by = NamedBy::Transcript(self.registered);
        if let Some(person) = self.person_of(index) {
            person.appears = true;
            person.speaker.is_host |= participant.is_host;
            if name.is_some() {
                (person.name, person.named_by) = (name, named_by);
            }
            if let (None, Some(email)) = (&person.speaker.email, &participant.email) {
                person.speaker.email = Some((email.clone(), EmailSource::Transcript));
            }
        }
        index
    }

    pub(crate) fn add_talk(&mut self, index: u16, talk_ms: u32, words: u16, timed: bool) {
        if let Some(Person { speaker, .. }) = self.person_of(index) {
            speaker.talk_ms += u64::from(talk_ms);
            speaker.estimated |= !timed;
            speaker.words += u64::from(words);
            speaker.turns += 1;
        }
    }

    fn add(
        &mut self,
        key: String,
        keys: Vec<String>,
        id: Option<String>,
        static_ids: &[(&'static str, String)],
    ) -> u16 {
        if self.participants.len() >= MAX_PARTICIPANTS {
            return self.overflow_participant();
        }
        let person = self.find_or_add(keys, static_ids, id.as_deref());
        self.participants.push((id.as_deref().and_then(id_number), person));
        let index = (self.participants.len() - 1) as u16;
        self.participant_by_key.insert(key, index);
        index
    }

    /// Returns the index of the person who has any of these keys, or of a new person.
    fn find_or_add(&mut self, keys: Vec<String>, static_ids: &[(&'static str, String)], id: Option<&str>) -> usize {
        let mut found: Option<usize> = None;
        for key in &keys {
            let Some(at) = self.person_by_key.get(key).map(|at| self.root(*at)) else { continue };
            let Some(person) = self.people.get(at) else { continue };
            let found_ids = found.and_then(|found| self.people.get(found)).map(|found| &*found.static_ids);
            if differ(&person.static_ids, static_ids) || differ(&person.static_ids, found_ids.unwrap_or_default()) {
                continue;
            }
            found = Some(found.map_or(at, |found| self.merge(found, at)));
        }
        let at = found.unwrap_or_else(|| {
            self.people.push(Person { id: id.map(str::to_owned), ..Person::default() });
            self.people.len() - 1
        });
        if let Some(known) = self.people.get_mut(at) {
            let new: Vec<_> = static_ids.iter().filter(|id| !known.static_ids.contains(id)).cloned().collect();
            known.static_ids.extend(new);
            known.speaker.add_ids(id.and_then(id_number));
        }
        // From now on, the id refers to the person who has it now.
        self.person_by_key.extend(keys.into_iter().map(|key| (key, at)));
        at
    }

    /// Registers someone who is known from elsewhere. `position` is the place in the list. Returns the index of the
    /// person.
    fn register_known(&mut self, known: KnownPerson, position: usize) -> usize {
        let KnownPerson { ids, static_ids, name, is_host, email, presence, is_listed, is_recorded, by_name } = known;
        let (first, others) = match ids.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, &[][..]),
        };
        let mut known_keys = Vec::new();
        if !by_name {
            known_keys = keys(&static_ids, first.map(|id| &**id), name.as_deref());
            known_keys.extend(others.iter().map(|id| format!("id {id}")));
        }
        let at = self.find_or_add(known_keys, &static_ids, first.map(|id| &**id));
        if let Some(person) = self.people.get_mut(at) {
            person.is_listed |= is_listed;
            person.is_recorded |= is_recorded && !by_name;
            person.by_name |= by_name;
            let named_by = if is_listed { NamedBy::List(position) } else { NamedBy::Other };
            if name.is_some() && named_by > person.named_by {
                (person.name, person.named_by) = (name, named_by);
            }
            let speaker = &mut person.speaker;
            speaker.add_ids(others.iter().filter_map(|id| id_number(id)));
            speaker.is_host |= is_host;
            speaker.add_email(email);
            speaker.presence = speaker.presence.combined(presence);
        }
        at
    }

    /// Returns the index of the one participant that represents all participants beyond the limit.
    fn overflow_participant(&mut self) -> u16 {
        if self.participants.len() == MAX_PARTICIPANTS {
            self.people
                .push(Person { speaker: Speaker { is_overflow: true, ..Speaker::default() }, ..Person::default() });
            self.participants.push((None, self.people.len() - 1));
        }
        MAX_PARTICIPANTS as u16
    }

    /// Merges two people who turned out to be the same person. The one who appeared first stays.
    fn merge(&mut self, one: usize, other: usize) -> usize {
        if one == other {
            return one;
        }
        let (first, second) = (one.min(other), one.max(other));
        let joined = Person { merged_into: Some(first), ..Person::default() };
        let Some(second) = self.people.get_mut(second).map(|person| std::mem::replace(person, joined)) else {
            return first;
        };
        if let Some(person) = self.people.get_mut(first) {
            person.id = person.id.take().or(second.id);
            if second.named_by > person.named_by {
                (person.name, person.named_by) = (second.name, second.named_by);
            }
            person.appears |= second.appears;
            person.is_listed |= second.is_listed;
            person.is_recorded |= second.is_recorded;
            person.by_name &= second.by_name;
            person.static_ids.extend(second.static_ids);
            person.speaker.add(second.speaker);
        }
        first
    }

    /// Follows merged people to the person who stays.
    fn root(&self, mut at: usize) -> usize {
        while let Some(first) = self.people.get(at).and_then(|person| person.merged_into) {
            at = first;
        }
        at
    }

    /// Returns the person of a participant.
    fn person_of(&mut self, index: u16) -> Option<&mut Person> {
        let (_, person) = *self.participants.get(usize::from(index))?;
        let root = self.root(person);
        self.people.get_mut(root)
    }
}

/// Returns whether two people are different, because one platform gave them different ids.
fn differ(one: &[(&'static str, String)], other: &[(&'static str, String)]) -> bool {
    let differs = |(platform, id): &(_, _)| other.iter().any(|(of, other)| of == platform && other != id);
    one.iter().any(differs)
}

impl Person {
    /// Returns whether this is one person, who was not merged into another one.
    fn is_one(&self) -> bool {
        self.merged_into.is_none() && !self.speaker.is_overflow
    }
}

impl Speaker {
    fn add(&mut self, other: Self) {
        self.add_ids(other.ids);
        self.is_host |= other.is_host;
        self.add_email(other.email);
        self.presence = self.presence.combined(other.presence);
        self.talk_ms += other.talk_ms;
        self.estimated |= other.estimated;
        self.words += other.words;
        self.turns += other.turns;
    }

    fn add_ids(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            if self.ids.len() < MAX_IDS && !self.ids.contains(&id) {
                self.ids.push(id);
            }
        }
    }

    /// The participants file knows the address best.
    fn add_email(&mut self, email: Option<(String, EmailSource)>) {
        let is_listed = |email: &Option<(_, _)>| matches!(email, Some((_, EmailSource::Participants)));
        if self.email.is_none() || is_listed(&email) && !is_listed(&self.email) {
            self.email = email.or(self.email.take());
        }
    }
}

/// Returns the text as one line of limited length.
pub(crate) fn shorten(text: &str) -> String {
    let mut short = String::new();
    clean(text, &mut short);
    if short.len() > MAX_NAME_BYTES {
        short.truncate(short.floor_char_boundary(MAX_NAME_BYTES));
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
