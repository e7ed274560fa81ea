//! Finds out who is who among people who are known only by name.

use std::collections::{HashMap, VecDeque};

use super::{NamedBy, People, Person, shorten};
use crate::visible::{display_name, visual_key};

/// The people of one name.
#[derive(Debug, Default)]
struct SameName {
    /// The number of those whom a manifest knows only by name.
    recorded: usize,
    /// Those who may be one of them.
    others: VecDeque<usize>,
}

impl People {
    /// Merges each person who is known only by name with the one other person of that name, if there is exactly one.
    pub(super) fn merge_by_name(&mut self) {
        let mut of_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_name = Vec::new();
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| person.is_one() && !person.by_name) {
            let Some(name) = person.name.as_deref() else { continue };
            if person.id.is_some() || !person.static_ids.is_empty() {
                of_name.entry(visual_key(name)).or_default().push(at);
            } else {
                by_name.push((at, visual_key(name)));
            }
        }
        for (at, name) in by_name {
            if let Some([only]) = of_name.get(&name).map(Vec::as_slice) {
                self.merge(*only, at);
            }
        }
    }

    /// Finds the people whom a manifest knows only by name. One of them who has the name of exactly one other person is
    /// that person. If it is not clear who is who, what the manifest says about them is dropped, and they become people
    /// of their own only as far as there are too few others they may be.
    pub(super) fn merge_recorded_names(&mut self) {
        let people = self.people.iter().enumerate();
        let recorded: Vec<usize> = people.filter(|(_, person)| person.by_name).map(|(at, _)| at).collect();
        if recorded.is_empty() {
            return;
        }
        // A manifest has names as readers see them.
        let key = |name: &str| visual_key(&shorten(&display_name(name)));
        let mut of_name: HashMap<String, SameName> = HashMap::new();
        let mut unnamed = VecDeque::new();
        for (at, person) in self.people.iter().enumerate().filter(|(_, person)| person.is_one()) {
            match &person.name {
                Some(name) if person.by_name => of_name.entry(key(name)).or_default().recorded += 1,
                Some(name) if !person.is_recorded => of_name.entry(key(name)).or_default().others.push_back(at),
                None if !person.is_recorded && (person.id.is_some() || !person.static_ids.is_empty()) => {
                    unnamed.push_back(at);
                }
                _ => {}
            }
        }
        for at in recorded {
            let name = self.people.get(at).and_then(|person| person.name.as_deref()).map(key).unwrap_or_default();
            let Some(SameName { recorded, others }) = of_name.get_mut(&name) else { continue };
            let is_clear = *recorded == 1 && others.len() == 1;
            let Some(other) = others.pop_front().or_else(|| unnamed.pop_front()) else { continue };
            let Some(person) = self.people.get_mut(at) else { continue };
            if is_clear {
                // The other name is not cut twice.
                (person.name, person.named_by) = (None, NamedBy::Nothing);
                self.merge(other, at);
            } else {
                *person = Person { merged_into: Some(other), ..Person::default() };
            }
        }
    }
}
