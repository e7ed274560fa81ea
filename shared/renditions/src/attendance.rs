//! Gathers what is known about who was there, apart from the transcript.

use std::collections::HashMap;

use job::time::Timestamp;

use crate::{
    EmailSource, MeetingRecord, Participant, ParticipantRecord, Participants, Presences, RecordingTimes,
    meeting::one_line,
    people::email_address,
    presence::{Moves, Presence},
};

/// Who was there, from Recall's files and, for what these do not say, from an earlier manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attendance {
    /// In the order in which people are listed. Several of them may be the same person.
    pub(crate) people: Vec<KnownPerson>,
    /// The joins and leaves of each participant.
    pub(crate) moves: Vec<(Participant, Moves)>,
    pub(crate) recording: RecordingTimes,
    /// The number of people in the participants file who are not in the list.
    pub(crate) over_limit: usize,
    /// The number of people who are not listed in the earlier manifest, if its people are used.
    pub(crate) recorded_over_limit: usize,
}

/// A person in the participants file or in a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KnownPerson {
    pub(crate) ids: Vec<String>,
    pub(crate) static_ids: Vec<(&'static str, String)>,
    pub(crate) name: Option<String>,
    pub(crate) is_host: bool,
    pub(crate) email: Option<(String, EmailSource)>,
    /// When the person was there, from a manifest.
    pub(crate) presence: Presence,
    /// Whether this is from the participants file.
    pub(crate) is_listed: bool,
    /// Whether this is from a manifest.
    pub(crate) is_recorded: bool,
    /// Whether only the name tells who this is, because a manifest has no id that only this person had.
    pub(crate) by_name: bool,
}

impl Attendance {
    /// Combines Recall's files, as far as they could be read, with an earlier manifest of the same transcript.
    pub fn new(
        participants: Option<Participants>,
        presences: Option<Presences>,
        earlier: Option<&MeetingRecord>,
    ) -> Self {
        let (has_people, has_presences) = (participants.is_some(), presences.is_some());
        let Participants { people, over_limit, .. } = participants.unwrap_or_default();
        let mut people: Vec<_> = people.into_iter().map(KnownPerson::listed).collect();
        let mut recorded_over_limit = 0;
        if let Some(earlier) = earlier.filter(|_| !has_people || !has_presences) {
            // The name is kept in any case. It counts only if no file has a name, or to find the person.
            let known = recorded_people(earlier).map(|known| KnownPerson {
                email: known.email.filter(|_| !has_people),
                presence: if has_presences { Presence::default() } else { known.presence },
                ..known
            });
            people.extend(known);
            if !has_people {
                recorded_over_limit = earlier.participants_over_limit;
            }
        }
        let Presences { moves, recording, .. } = presences.unwrap_or_default();
        Self { people, moves, recording, over_limit, recorded_over_limit }
    }
}

impl KnownPerson {
    fn listed(participant: Participant) -> Self {
        let email = participant.email.map(|email| (email, EmailSource::Participants));
        let Participant { id, name, is_host, static_ids, .. } = participant;
        let ids = id.into_iter().collect();
        Self { ids, static_ids, name, is_host, email, is_listed: true, ..Self::default() }
    }

    /// Describes a participant of the events.
    pub(crate) fn of_event(participant: &Participant) -> Self {
        let Participant { id, name, is_host, static_ids, .. } = participant.clone();
        Self { ids: id.into_iter().collect(), static_ids, name, is_host, ..Self::default() }
    }
}

/// Returns the people of a manifest who can be told apart. An id that two of them had does not tell whose it is.
fn recorded_people(earlier: &MeetingRecord) -> impl Iterator<Item = KnownPerson> {
    let mut owners: HashMap<i64, usize> = HashMap::new();
    for id in earlier.participants.iter().flat_map(|participant| &participant.ids) {
        *owners.entry(*id).or_default() += 1;
    }
    let known = move |participant: &ParticipantRecord| {
        let is_own = |id: &&i64| owners.get(id) == Some(&1);
        let by_name = !participant.ids.iter().any(|id| is_own(&id));
        let ids = participant.ids.iter().filter(|id| by_name || is_own(id)).map(i64::to_string);
        let time = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse_rfc3339);
        let email = participant.email.as_deref().and_then(email_address);
        KnownPerson {
            ids: ids.collect(),
            name: participant.name.as_deref().and_then(one_line),
            is_host: participant.is_host,
            email: email.zip(participant.email_source),
            presence: Presence {
                joined_at: time(&participant.joined_at),
                left_at: time(&participant.left_at),
                present_ms: participant.present_ms(),
            },
            is_recorded: true,
            by_name,
            ..KnownPerson::default()
        }
    };
    let is_told_apart = |person: &KnownPerson| !person.by_name || person.name.is_some();
    earlier.participants.iter().map(known).filter(is_told_apart).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests;
