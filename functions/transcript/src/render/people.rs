//! Who is who: participants of the file, the people that they are, and the names that people read.
//!
//! One person is one speaker. Someone who leaves and comes back may have a new participant id, so people are told apart
//! by the ids in `extra_data` that stay the same during a meeting, then by participant id, and only without any id by
//! name, as a reader sees it: that is the one person of that name, or somebody else if there are several. All without any
//! of these are one unknown speaker.

use std::collections::{HashMap, HashSet};

use super::{
    visible::{has_visible, look, shown},
    words::clean,
};

/// People that are told apart. The others share one label.
pub(crate) const MAX_SPEAKERS: usize = 1_000;
/// Participants that are remembered: some people have several ids. Those beyond count as one person.
const MAX_FACES: usize = 10_000;
/// More of a name or of an id than this is not kept.
const MAX_NAME_BYTES: usize = 256;
/// The label of all who are beyond the limit.
const CROWD: &str = "Other participants";

/// One person. Two of one name are two speakers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// For people, unique within the meeting: the last name that was given; `Ann (2)` for the second of that name, in
    /// order of appearance; `Speaker 2` by participant id; `Unknown speaker` without either.
    pub(crate) label: String,
    /// All people beyond the limit.
    pub(crate) is_crowd: bool,
    pub(crate) is_host: bool,
    /// Milliseconds in which this speaker has words: the sum over the turns, estimated ones included.
    pub(crate) talk_ms: u64,
    /// Some of these turns have no times of their own.
    pub(crate) estimated: bool,
    /// Words in this speaker's turns.
    pub(crate) words: u64,
}

/// A participant as the file has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    /// Recall's participant id, where it is an integer.
    pub(crate) id: Option<i64>,
    /// Index into the speakers.
    pub(crate) speaker: usize,
}

/// What an entry says of its participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Participant {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) is_host: bool,
    /// What stays the same if the person comes back, each with the platform that gave it.
    pub(crate) static_ids: Vec<(&'static str, String)>,
}

/// The outcome.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// In order of appearance; the crowd is the last one.
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) faces: Vec<Face>,
    /// How many people are beyond the limit.
    pub(crate) over_limit: usize,
}

/// The participants seen so far, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// The place of each participant in `faces`, by all that tells it apart.
    seen: HashMap<String, u16>,
    faces: Vec<(Option<i64>, usize)>,
    /// The participant that is looked for.
    key: String,
    /// Whose each id is, or without any id each name.
    known: HashMap<String, usize>,
    people: Vec<Person>,
    /// How many participants were met.
    met: u64,
}

#[derive(Debug, Default)]
struct Person {
    /// Somebody who appeared earlier and turned out to be the same person.
    same_as: Option<usize>,
    id: Option<String>,
    name: Option<String>,
    /// When the name was given, counted in participants met.
    named: u64,
    static_ids: Vec<(&'static str, String)>,
    speaker: Speaker,
}

impl People {
    /// The place of a participant in the list of faces.
    pub(crate) fn meet(&mut self, participant: &Participant) -> u16 {
        let id = participant.id.as_deref().map(short).filter(|id| has_visible(id));
        let name = participant.name.as_deref().map(short).filter(|name| has_visible(name));
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        // One line each: there are no line feeds in them.
        for (platform, id) in &participant.static_ids {
            key.extend([platform, " ", id, "\n"]);
        }
        match (&id, &name) {
            (Some(id), _) => key.push_str(id),
            (None, Some(name)) if key.is_empty() => key.extend(["\n", &look(name)]),
            (None, _) => {}
        }
        let face = match self.seen.get(&key) {
            Some(face) => *face,
            None => {
                let keys = keys(&participant.static_ids, id.as_deref(), name.as_deref());
                self.add(key.clone(), keys, id, &participant.static_ids)
            }
        };
        self.key = key;
        self.met += 1;
        let named = self.met;
        if let Some(person) = self.person_of(face) {
            person.speaker.is_host |= participant.is_host;
            if name.is_some() {
                (person.name, person.named) = (name, named);
            }
        }
        face
    }

    pub(crate) fn talked(&mut self, face: u16, talk_ms: u32, words: u16, timed: bool) {
        if let Some(Person { speaker, .. }) = self.person_of(face) {
            speaker.talk_ms += u64::from(talk_ms);
            speaker.estimated |= !timed;
            speaker.words += u64::from(words);
        }
    }

    /// Everybody, with labels. Those who said something come first when places or numbers run out.
    pub(crate) fn finish(mut self) -> Crowd {
        self.join_by_name();
        let roots: Vec<usize> = (0..self.people.len()).filter(|at| self.root(*at) == *at).collect();
        let speaks = |at: &usize| self.people.get(*at).is_some_and(|person| person.speaker.words > 0);
        let (speaking, silent): (Vec<usize>, Vec<usize>) = roots.iter().copied().partition(speaks);
        let mut labels = Labels::default();
        let mut named = HashMap::new();
        let is_told_apart = |at: &usize| self.people.get(*at).is_some_and(|person| !person.speaker.is_crowd);
        for at in speaking.into_iter().chain(silent).filter(is_told_apart).take(MAX_SPEAKERS) {
            if let Some(person) = self.people.get(at) {
                named.insert(at, labels.label(person.name.as_deref(), person.id.as_deref()));
            }
        }
        let root_of: Vec<usize> = (0..self.people.len()).map(|at| self.root(at)).collect();
        let mut places = vec![usize::MAX; self.people.len()];
        let (mut speakers, mut crowd, mut over_limit) = (Vec::new(), Speaker::default(), 0);
        for at in roots {
            let Some(Person { speaker, .. }) = self.people.get_mut(at).map(std::mem::take) else { continue };
            if let (Some(label), Some(place)) = (named.remove(&at), places.get_mut(at)) {
                *place = speakers.len();
                speakers.push(Speaker { label, ..speaker });
            } else {
                over_limit += 1;
                crowd.add(&speaker);
            }
        }
        let crowd_at = speakers.len();
        if over_limit > 0 {
            crowd.is_crowd = true;
            crowd.label = labels.label(Some(CROWD), None);
            speakers.push(crowd);
        }
        let face = |(id, person): &(Option<i64>, usize)| {
            let place = root_of.get(*person).and_then(|root| places.get(*root)).copied();
            Face { id: *id, speaker: place.unwrap_or(crowd_at).min(crowd_at) }
        };
        Crowd { faces: self.faces.iter().map(face).collect(), speakers, over_limit }
    }

    /// Who is known by name only is the one person of that name.
    fn join_by_name(&mut self) {
        let mut of_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_name = Vec::new();
        let is_one = |person: &Person| person.same_as.is_none() && !person.speaker.is_crowd;
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| is_one(person)) {
            let Some(name) = person.name.as_deref() else { continue };
            if person.id.is_some() || !person.static_ids.is_empty() {
                of_name.entry(look(name)).or_default().push(at);
            } else {
                by_name.push((at, look(name)));
            }
        }
        for (at, name) in by_name {
            if let Some([only]) = of_name.get(&name).map(Vec::as_slice) {
                self.join(*only, at);
            }
        }
    }

    fn add(
        &mut self,
        key: String,
        keys: Vec<String>,
        id: Option<String>,
        static_ids: &[(&'static str, String)],
    ) -> u16 {
        if self.faces.len() >= MAX_FACES {
            return self.the_rest();
        }
        // Their ids contradict each other if one platform gave both people one.
        let differs = |person: &Person| {
            let other =
                |(platform, id): &(_, _)| person.static_ids.iter().any(|(of, other)| of == platform && other != id);
            static_ids.iter().any(other)
        };
        let mut found: Option<usize> = None;
        for key in &keys {
            let Some(person) = self.known.get(key).map(|at| self.root(*at)) else { continue };
            if self.people.get(person).is_some_and(differs) {
                continue;
            }
            found = Some(found.map_or(person, |found| self.join(found, person)));
        }
        let person = found.unwrap_or_else(|| {
            self.people.push(Person { id: id.clone(), ..Person::default() });
            self.people.len() - 1
        });
        if let Some(known) = self.people.get_mut(person) {
            let new: Vec<_> = static_ids.iter().filter(|id| !known.static_ids.contains(id)).cloned().collect();
            known.static_ids.extend(new);
        }
        // Whoever has an id now is meant by it from now on.
        self.known.extend(keys.into_iter().map(|key| (key, person)));
        // `01` is somebody else.
        let number = id.as_deref().and_then(|id| id.parse().ok().filter(|number: &i64| number.to_string() == id));
        self.faces.push((number, person));
        let face = (self.faces.len() - 1) as u16;
        self.seen.insert(key, face);
        face
    }

    /// The one face of all participants who are not remembered.
    fn the_rest(&mut self) -> u16 {
        if self.faces.len() == MAX_FACES {
            self.people.push(Person { speaker: Speaker { is_crowd: true, ..Speaker::default() }, ..Person::default() });
            self.faces.push((None, self.people.len() - 1));
        }
        MAX_FACES as u16
    }

    /// Two people turn out to be one: who appeared first stays.
    fn join(&mut self, one: usize, other: usize) -> usize {
        if one == other {
            return one;
        }
        let (first, second) = (one.min(other), one.max(other));
        let joined = Person { same_as: Some(first), ..Person::default() };
        let Some(second) = self.people.get_mut(second).map(|person| std::mem::replace(person, joined)) else {
            return first;
        };
        if let Some(person) = self.people.get_mut(first) {
            person.id = person.id.take().or(second.id);
            if second.name.is_some() && second.named > person.named {
                (person.name, person.named) = (second.name, second.named);
            }
            person.static_ids.extend(second.static_ids);
            person.speaker.add(&second.speaker);
        }
        first
    }

    fn root(&self, mut at: usize) -> usize {
        while let Some(first) = self.people.get(at).and_then(|person| person.same_as) {
            at = first;
        }
        at
    }

    fn person_of(&mut self, face: u16) -> Option<&mut Person> {
        let (_, person) = *self.faces.get(usize::from(face))?;
        let root = self.root(person);
        self.people.get_mut(root)
    }
}

/// What a participant is known by, from the most telling to the least.
fn keys(static_ids: &[(&'static str, String)], id: Option<&str>, name: Option<&str>) -> Vec<String> {
    let mut keys: Vec<String> = static_ids.iter().map(|(platform, id)| format!("{platform} {id}")).collect();
    keys.extend(id.map(|id| format!("id {id}")));
    if keys.is_empty() {
        keys.push(name.map_or_else(String::new, |name| format!("name {}", look(name))));
    }
    keys
}

impl Speaker {
    fn add(&mut self, other: &Self) {
        self.is_host |= other.is_host;
        self.talk_ms += other.talk_ms;
        self.estimated |= other.estimated;
        self.words += other.words;
    }
}

/// Labels that a reader can tell apart.
#[derive(Debug, Default)]
struct Labels {
    taken: HashSet<String>,
    numbers: HashMap<String, u32>,
}

impl Labels {
    fn label(&mut self, name: Option<&str>, id: Option<&str>) -> String {
        let base = match (name, id) {
            (Some(name), _) => shown(name).into_owned(),
            (None, Some(id)) => format!("Speaker {}", shown(id)),
            (None, None) => "Unknown speaker".to_owned(),
        };
        let number = self.numbers.entry(look(&base)).or_insert(1);
        let mut label = base.clone();
        while !self.taken.insert(look(&label)) {
            *number += 1;
            label = format!("{base} ({number})");
        }
        label
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

    fn participant(id: Option<&str>, name: Option<&str>) -> Participant {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Participant { id: own(id), name: own(name), ..Participant::default() }
    }

    fn with_static(id: &str, name: &str, static_ids: &[(&'static str, &str)]) -> Participant {
        let static_ids = static_ids.iter().map(|(platform, id)| (*platform, (*id).to_owned())).collect();
        Participant { static_ids, ..participant(Some(id), Some(name)) }
    }

    /// The label of each of these, and its id.
    fn labels(participants: &[Participant]) -> Vec<(String, Option<i64>)> {
        let mut people = People::default();
        let faces: Vec<_> = participants.iter().map(|participant| people.meet(participant)).collect();
        let Crowd { speakers, faces: all, .. } = people.finish();
        let face = |face: &u16| all[usize::from(*face)];
        faces.iter().map(|at| (speakers[face(at).speaker].label.clone(), face(at).id)).collect()
    }

    #[test]
    fn people_are_told_apart_by_id_and_have_unique_labels() {
        let seen = [
            (Some("1"), None, "Zoë", Some(1)),
            (Some("2"), Some("Ann"), "Renamed", Some(2)),
            (Some("3"), Some(" Ann\n"), "Ann", Some(3)),
            (None, Some("Ann (2)"), "Ann (2)", None),
            (Some("4"), Some("Ann"), "Ann (3)", Some(4)),
            (Some("7"), None, "Speaker 7", Some(7)),
            (Some("B"), None, "Speaker B", None),
            (None, None, "Unknown speaker", None),
            (None, Some(" "), "Unknown speaker", None),
            (Some(" "), None, "Unknown speaker", None),
            (Some("07"), None, "Speaker 07", None),
            (Some("1"), Some("Zoë"), "Zoë", Some(1)),
            (Some("2"), Some("Renamed"), "Renamed", Some(2)),
            (Some("2"), Some("\u{3164}"), "Renamed", Some(2)),
            (None, Some("A\u{ad}nn (2)\u{200b}"), "Ann (2)", None),
        ];
        let found = labels(&seen.map(|(id, name, ..)| participant(id, name)));
        // The last name that was given is shown, without what cannot be seen at its ends.
        let expected: Vec<_> = seen.iter().map(|(_, _, label, id)| ((*label).to_owned(), *id)).collect();
        let shown: Vec<_> = found.into_iter().map(|(label, id)| (label.replace('\u{ad}', ""), id)).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn who_comes_back_is_the_same_person_and_keeps_each_id() {
        for platform in ["google_meet", "zoom", "microsoft_teams"] {
            let found = labels(&[
                with_static("100", "Ann Lee", &[(platform, "a")]),
                with_static("200", "Ann Lee", &[(platform, "b")]),
                with_static("101", "Ann", &[(platform, "a")]),
            ]);
            let expected = [("Ann", Some(100)), ("Ann Lee", Some(200)), ("Ann", Some(101))];
            assert_eq!(found, expected.map(|(label, id)| (label.to_owned(), id)));
        }
    }

    #[test]
    fn what_shows_late_that_two_are_one_joins_them() {
        // Participant 1 and the static id are known before anything says that they belong together.
        let found = labels(&[
            participant(Some("1"), Some("Ann")),
            with_static("2", "Bo", &[("zoom", "a")]),
            with_static("1", "Ann Lee", &[("zoom", "a")]),
            participant(Some("2"), None),
        ]);
        assert!(found.iter().all(|(label, _)| label == "Ann Lee"), "{found:?}");
    }

    #[test]
    fn a_participant_id_does_not_join_people_whose_static_ids_differ() {
        let found = labels(&[
            with_static("1", "Ann", &[("zoom", "a")]),
            with_static("1", "Ann", &[("zoom", "b")]),
            with_static("1", "Ann", &[("zoom", "a")]),
        ]);
        assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Ann (2)", "Ann"]);
    }

    #[test]
    fn whoever_has_an_id_now_is_meant_by_it() {
        let found = labels(&[
            with_static("1", "Ann", &[("zoom", "a")]),
            with_static("1", "Bo", &[("zoom", "b")]),
            participant(Some("1"), Some("Bo")),
        ]);
        assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Bo", "Bo"]);
    }

    #[test]
    fn the_last_name_counts_even_if_it_turns_out_late_that_two_are_one() {
        let found = labels(&[
            participant(Some("1"), Some("Ann")),
            with_static("2", "Bo", &[("zoom", "s")]),
            participant(Some("1"), Some("Annie")),
            Participant { name: None, ..with_static("1", "", &[("zoom", "s")]) },
        ]);
        assert!(found.iter().all(|(label, _)| label == "Annie"), "{found:?}");
    }

    #[test]
    fn a_name_alone_is_the_one_person_of_that_name() {
        let one = [participant(None, Some("Ann")), participant(Some("1"), Some("Ann\u{200b}"))];
        assert!(labels(&one).iter().all(|(label, _)| label == "Ann"));
        let ann = |id| participant(id, Some("Ann"));
        let found = labels(&[ann(Some("1")), ann(Some("2")), ann(None)]);
        assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Ann (2)", "Ann (3)"]);
    }

    #[test]
    fn those_who_speak_come_first() {
        let mut people = People::default();
        for id in 0..MAX_SPEAKERS {
            people.meet(&participant(Some(&id.to_string()), Some("Ann")));
        }
        let speaking = people.meet(&participant(Some("speaks"), Some("Ann")));
        people.talked(speaking, 1, 1, true);
        let Crowd { speakers, faces, over_limit } = people.finish();
        let speaker = &speakers[faces[usize::from(speaking)].speaker];
        assert_eq!((&*speaker.label, over_limit, speakers[0].label.as_str()), ("Ann", 1, "Ann (2)"));
    }

    #[test]
    fn labels_that_look_alike_are_numbered() {
        let names = ["Zo\u{eb}", "Zoe\u{308}", "Zoe\u{308}\u{200b}", "zoë"];
        let participants: Vec<_> =
            ["1", "2", "3", "4"].iter().zip(names).map(|(id, name)| participant(Some(id), Some(name))).collect();
        let found = labels(&participants);
        assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Zoë", "Zoë (2)", "Zoë (3)", "zoë"]);
        // Without ids, it is one name.
        let found = labels(&names.map(|name| participant(None, Some(name))));
        assert_eq!(found.iter().map(|(label, _)| &**label).collect::<HashSet<_>>().len(), 2);
    }

    #[test]
    fn those_beyond_the_limit_share_a_label_and_keep_their_ids() {
        let mut people = People::default();
        for id in 0..MAX_SPEAKERS + 5 {
            let face = people.meet(&participant(Some(&id.to_string()), Some("Ann")));
            people.talked(face, 1, 2, true);
        }
        let Crowd { speakers, faces, over_limit } = people.finish();
        assert_eq!((speakers.len(), over_limit), (MAX_SPEAKERS + 1, 5));
        assert_eq!(speakers[MAX_SPEAKERS - 1].label, "Ann (1000)");
        let crowd = Speaker { label: CROWD.to_owned(), is_crowd: true, talk_ms: 5, words: 10, ..Speaker::default() };
        assert_eq!(speakers[MAX_SPEAKERS], crowd);
        assert_eq!(faces[MAX_SPEAKERS + 4], Face { id: Some(1004), speaker: MAX_SPEAKERS });
    }

    #[test]
    fn there_is_a_limit_to_what_is_remembered() {
        let mut people = People::default();
        for id in 0..MAX_FACES + 100 {
            people.meet(&with_static(&id.to_string(), "Ann", &[("zoom", "a")]));
        }
        let Crowd { speakers, faces, over_limit } = people.finish();
        assert_eq!((speakers.len(), faces.len(), over_limit), (2, MAX_FACES + 1, 1));
        assert_eq!(faces.last(), Some(&Face { id: None, speaker: 1 }));
    }
}
