//! Makes the list of all people, with their labels and the times of their presence.

use std::collections::{HashMap, HashSet};

use super::{MAX_SPEAKERS, ParticipantRef, People, Person, Roster, Speaker};
use crate::{
    Attendance, RecordingTimes,
    attendance::KnownPerson,
    presence::{Moves, presence},
    visible::{display_name, visual_key},
};

/// The label of all people beyond the limit.
pub(super) const OVERFLOW_LABEL: &str = "Other participants";

impl People {
    /// Returns all people with their labels, including those who are only known from elsewhere. If there are too many
    /// people, those who spoke come first. They also get the lower numbers.
    pub(crate) fn finish(mut self, attendance: Attendance) -> Roster {
        self.add_attendance(attendance.people, attendance.moves, attendance.recording);
        let roots: Vec<usize> = (0..self.people.len()).filter(|at| self.root(*at) == *at).collect();
        let speaks = |at: &usize| self.people.get(*at).is_some_and(|person| person.speaker.words > 0);
        let (speaking, silent): (Vec<usize>, Vec<usize>) = roots.iter().copied().partition(speaks);
        let mut labels = Labels::default();
        let mut named = HashMap::new();
        let is_told_apart = |at: &usize| self.people.get(*at).is_some_and(|person| !person.speaker.is_overflow);
        for at in speaking.into_iter().chain(silent).filter(is_told_apart).take(MAX_SPEAKERS) {
            if let Some(person) = self.people.get(at) {
                named.insert(at, labels.of(person));
            }
        }
        let root_of: Vec<usize> = (0..self.people.len()).map(|at| self.root(at)).collect();
        let mut places = vec![usize::MAX; self.people.len()];
        let (mut speakers, mut overflow) = (Vec::new(), Speaker::default());
        let (mut speaker_count, mut speakers_over_limit, mut over_limit, mut unlisted) = (0, 0, 0, 0);
        for at in roots {
            let Some(person) = self.people.get_mut(at).map(std::mem::take) else { continue };
            let Person { name, appears, is_listed, speaker, .. } = person;
            speaker_count += usize::from(appears);
            unlisted += usize::from(!is_listed);
            if let (Some(label), Some(place)) = (named.remove(&at), places.get_mut(at)) {
                *place = speakers.len();
                let name = name.map(|name| display_name(&name).into_owned());
                speakers.push(Speaker { label, name, ..speaker });
            } else {
                over_limit += 1;
                speakers_over_limit += usize::from(appears);
                overflow.add(Speaker { ids: Vec::new(), email: None, ..speaker });
            }
        }
        let overflow_at = speakers.len();
        if speakers_over_limit > 0 {
            let label = labels.unique(OVERFLOW_LABEL.to_owned());
            speakers.push(Speaker { label, is_overflow: true, presence: Default::default(), ..overflow });
        }
        let participant_ref = |(id, person): &(Option<i64>, usize)| {
            let place = root_of.get(*person).and_then(|root| places.get(*root)).copied();
            ParticipantRef { id: *id, speaker: place.unwrap_or(overflow_at).min(overflow_at) }
        };
        // If the participants file has more people than were kept, everyone who is not in the kept part is one of them.
        let more = attendance.over_limit.saturating_sub(unlisted);
        let participants_over_limit = (over_limit + more).max(attendance.recorded_over_limit);
        Roster {
            participants: self.participants.iter().map(participant_ref).collect(),
            speakers,
            speaker_count,
            speakers_over_limit,
            participants_over_limit,
        }
    }

    /// Adds the people who are known from elsewhere, and computes when everyone was there.
    fn add_attendance(
        &mut self,
        people: Vec<KnownPerson>,
        moves: Vec<(super::Participant, Moves)>,
        recording: RecordingTimes,
    ) {
        for (position, known) in people.into_iter().enumerate() {
            self.register_known(known, position);
        }
        let mut moves: Vec<_> = moves
            .into_iter()
            .map(|(participant, moves)| {
                let person = self.register_known(KnownPerson::of_event(&participant), 0);
                (person, participant.id, moves)
            })
            .collect();
        self.merge_by_name();
        self.merge_recorded_names();
        for (person, ..) in &mut moves {
            *person = self.root(*person);
        }
        moves.sort_by(|(person, id, _), (other, other_id, _)| (person, id).cmp(&(other, other_id)));
        let mut moves = moves.into_iter().peekable();
        while let Some((at, id, first)) = moves.next() {
            // A person may have several ids at the same time, so the joins and leaves of each are paired separately.
            let mut of_ids = vec![(id, first)];
            while let Some((_, id, more)) = moves.next_if(|(person, ..)| *person == at) {
                match of_ids.last_mut() {
                    Some((last, known)) if *last == id => known.extend(more),
                    _ => of_ids.push((id, more)),
                }
            }
            if let Some(person) = self.people.get_mut(at) {
                let moves: Vec<_> = of_ids.into_iter().map(|(_, moves)| moves).collect();
                person.speaker.presence = presence(&moves, recording);
            }
        }
    }
}

/// Makes labels that a reader can tell apart.
#[derive(Debug, Default)]
struct Labels {
    taken: HashSet<String>,
    numbers: HashMap<String, u32>,
}

impl Labels {
    /// Returns the label of a person.
    fn of(&mut self, person: &Person) -> String {
        let base = match (&person.name, &person.id) {
            (Some(name), _) => display_name(name).into_owned(),
            (None, Some(id)) if person.appears => format!("Speaker {}", display_name(id)),
            (None, Some(id)) => format!("Participant {}", display_name(id)),
            (None, None) if person.appears => "Unknown speaker".to_owned(),
            (None, None) => "Unknown participant".to_owned(),
        };
        self.unique(base)
    }

    fn unique(&mut self, base: String) -> String {
        let number = self.numbers.entry(visual_key(&base)).or_insert(1);
        let mut label = base.clone();
        while !self.taken.insert(visual_key(&label)) {
            *number += 1;
            label = format!("{base} ({number})");
        }
        label
    }
}
