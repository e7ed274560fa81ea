//! Who is who: participants by id, and the names that people read.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::words::clean;

/// Distinct participants that are told apart.
pub(crate) const MAX_SPEAKERS: usize = 1_000;
/// More of a name or of an id than this is not kept.
const MAX_NAME_BYTES: usize = 256;

/// One participant. Two of one name are two speakers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// Recall's participant id, where it is an integer.
    pub(crate) id: Option<i64>,
    /// As Recall gave it, white space and control characters collapsed; none if it gave none. The first one that
    /// is given for an id stands for all of its turns.
    pub(crate) name: Option<String>,
    /// For people, unique within the meeting: the name; `Ann (2)` for the second of that name, in order of
    /// appearance; `Speaker 2` by participant id; `Unknown speaker` without either.
    pub(crate) label: String,
    pub(crate) is_host: bool,
    /// Milliseconds in which this speaker has words: the sum over the turns, estimated ones included.
    pub(crate) talk_ms: u64,
    /// Some of these turns have no times of their own.
    pub(crate) estimated: bool,
    /// Entries of `words[]` in this speaker's turns.
    pub(crate) words: u64,
}

/// The participants seen so far, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct People {
    known: BTreeMap<String, u16>,
    speakers: Vec<Speaker>,
    /// For labels: ids that are not integers, too.
    ids: Vec<Option<String>>,
}

impl People {
    pub(crate) fn len(&self) -> usize {
        self.speakers.len()
    }

    /// The place of a participant in the list; none if there are too many.
    pub(crate) fn meet(&mut self, id: Option<&str>, name: Option<&str>, is_host: bool) -> Option<u16> {
        let id = id.map(short).filter(|id| !id.is_empty());
        let name = name.map(short).filter(|name| !name.is_empty());
        let key = match (&id, &name) {
            (Some(id), _) => format!("id {id}"),
            (None, Some(name)) => format!("name {name}"),
            (None, None) => String::new(),
        };
        let at = match self.known.get(&key) {
            Some(at) => *at,
            None => self.add(key, id)?,
        };
        if let Some(speaker) = self.speakers.get_mut(usize::from(at)) {
            speaker.is_host |= is_host;
            if speaker.name.is_none() {
                speaker.name = name;
            }
        }
        Some(at)
    }

    pub(crate) fn talked(&mut self, at: u16, talk_ms: u32, words: u16, timed: bool) {
        if let Some(speaker) = self.speakers.get_mut(usize::from(at)) {
            speaker.talk_ms += u64::from(talk_ms);
            speaker.estimated |= !timed;
            speaker.words += u64::from(words);
        }
    }

    /// Everybody, with labels.
    pub(crate) fn finish(mut self) -> Vec<Speaker> {
        let mut taken = HashSet::new();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for (speaker, id) in self.speakers.iter_mut().zip(&self.ids) {
            let base = match (&speaker.name, id) {
                (Some(name), _) => name.clone(),
                (None, Some(id)) => format!("Speaker {id}"),
                (None, None) => "Unknown speaker".to_owned(),
            };
            let number = numbers.entry(base.clone()).or_insert(1);
            let mut label = base.clone();
            while taken.contains(&label) {
                *number += 1;
                label = format!("{base} ({number})");
            }
            taken.insert(label.clone());
            speaker.label = label;
        }
        self.speakers
    }

    fn add(&mut self, key: String, id: Option<String>) -> Option<u16> {
        let at = u16::try_from(self.speakers.len()).ok().filter(|at| usize::from(*at) < MAX_SPEAKERS)?;
        self.known.insert(key, at);
        self.speakers.push(Speaker {
            // `01` is somebody else.
            id: id.as_deref().and_then(|id| id.parse().ok().filter(|number: &i64| number.to_string() == id)),
            name: None,
            label: String::new(),
            is_host: false,
            talk_ms: 0,
            estimated: false,
            words: 0,
        });
        self.ids.push(id);
        Some(at)
    }
}

/// One line of bounded length.
pub(crate) fn short(text: &str) -> String {
    let mut short = String::new();
    clean(text, &mut short);
    if short.len() > MAX_NAME_BYTES {
        short.truncate(short.floor_char_boundary(MAX_NAME_BYTES));
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_apart_by_id_and_have_unique_labels() {
        let mut people = People::default();
        let seen = [
            (Some("1"), None, false),
            (Some("2"), Some("Ann"), false),
            (Some("3"), Some(" Ann\n"), true),
            (None, Some("Ann (2)"), false),
            (Some("7"), None, false),
            (Some("B"), None, false),
            (None, None, false),
            (None, Some(" "), false),
            (Some(" "), None, false),
            (Some("07"), None, false),
            (Some("1"), Some("Zoë"), false),
            (Some("2"), Some("Renamed"), false),
        ];
        let places: Vec<_> = seen.map(|(id, name, host)| people.meet(id, name, host)).into_iter().flatten().collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 0, 1]);
        let labels: Vec<_> = people.finish().into_iter().map(|speaker| (speaker.label, speaker.id)).collect();
        let expected = [
            ("Zoë", Some(1)),
            ("Ann", Some(2)),
            ("Ann (2)", Some(3)),
            ("Ann (2) (2)", None),
            ("Speaker 7", Some(7)),
            ("Speaker B", None),
            ("Unknown speaker", None),
            ("Speaker 07", None),
        ];
        assert_eq!(labels, expected.map(|(label, id)| (label.to_owned(), id)));
    }

    #[test]
    fn a_crowd_ends_at_the_limit() {
        let mut people = People::default();
        for id in 0..MAX_SPEAKERS {
            assert!(people.meet(Some(&id.to_string()), Some("Ann"), false).is_some());
        }
        assert_eq!(people.meet(Some("one more"), None, false), None);
        assert_eq!(people.finish().last().map(|last| last.label.as_str()), Some("Ann (1000)"));
    }
}
