//! Tests who is the same person.

use std::collections::HashSet;

use super::{roster::OVERFLOW_LABEL, *};
use crate::Attendance;

fn participant(id: Option<&str>, name: Option<&str>) -> Participant {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Participant { id: own(id), name: own(name), ..Participant::default() }
}

fn with_static(id: &str, name: &str, static_ids: &[(&'static str, &str)]) -> Participant {
    let static_ids = static_ids.iter().map(|(platform, id)| (*platform, (*id).to_owned())).collect();
    Participant { static_ids, ..participant(Some(id), Some(name)) }
}

/// Returns the label and the id of each participant.
fn labels(participants: &[Participant]) -> Vec<(String, Option<i64>)> {
    let mut people = People::default();
    let participants: Vec<_> = participants.iter().map(|participant| people.register(participant)).collect();
    let Roster { speakers, participants: all, .. } = people.finish(Attendance::default());
    let index = |index: &u16| all[usize::from(*index)];
    participants.iter().map(|at| (speakers[index(at).speaker].label.clone(), index(at).id)).collect()
}

#[test]
fn people_are_distinguished_by_id_and_have_unique_labels() {
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
    // The label is the last name that was given, without invisible characters at its ends.
    let expected: Vec<_> = seen.iter().map(|(_, _, label, id)| ((*label).to_owned(), *id)).collect();
    let shown: Vec<_> = found.into_iter().map(|(label, id)| (label.replace('\u{ad}', ""), id)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn returning_person_is_one_speaker_and_keeps_each_id() {
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
fn people_merge_when_an_id_connects_them_late() {
    // Participant 1 and the static id are known before an entry connects them.
    let found = labels(&[
        participant(Some("1"), Some("Ann")),
        with_static("2", "Bo", &[("zoom", "a")]),
        with_static("1", "Ann Lee", &[("zoom", "a")]),
        participant(Some("2"), None),
    ]);
    assert!(found.iter().all(|(label, _)| label == "Ann Lee"), "{found:?}");
}

#[test]
fn participant_id_does_not_merge_people_with_different_static_ids() {
    let found = labels(&[
        with_static("1", "Ann", &[("zoom", "a")]),
        with_static("1", "Ann", &[("zoom", "b")]),
        with_static("1", "Ann", &[("zoom", "a")]),
    ]);
    assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Ann (2)", "Ann"]);
}

#[test]
fn reused_id_means_its_current_owner() {
    let found = labels(&[
        with_static("1", "Ann", &[("zoom", "a")]),
        with_static("1", "Bo", &[("zoom", "b")]),
        participant(Some("1"), Some("Bo")),
    ]);
    assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Bo", "Bo"]);
}

#[test]
fn last_name_counts_after_a_late_merge() {
    let found = labels(&[
        participant(Some("1"), Some("Ann")),
        with_static("2", "Bo", &[("zoom", "s")]),
        participant(Some("1"), Some("Annie")),
        Participant { name: None, ..with_static("1", "", &[("zoom", "s")]) },
    ]);
    assert!(found.iter().all(|(label, _)| label == "Annie"), "{found:?}");
}

#[test]
fn name_alone_means_the_one_person_of_that_name() {
    let one = [participant(None, Some("Ann")), participant(Some("1"), Some("Ann\u{200b}"))];
    assert!(labels(&one).iter().all(|(label, _)| label == "Ann"));
    let ann = |id| participant(id, Some("Ann"));
    let found = labels(&[ann(Some("1")), ann(Some("2")), ann(None)]);
    assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Ann", "Ann (2)", "Ann (3)"]);
}

#[test]
fn speaking_people_come_before_silent_ones() {
    let mut people = People::default();
    for id in 0..MAX_SPEAKERS {
        people.register(&participant(Some(&id.to_string()), Some("Ann")));
    }
    let speaking = people.register(&participant(Some("speaks"), Some("Ann")));
    people.add_talk(speaking, 1, 1, true);
    let Roster { speakers, participants, speakers_over_limit: over_limit, .. } = people.finish(Attendance::default());
    let speaker = &speakers[participants[usize::from(speaking)].speaker];
    assert_eq!((&*speaker.label, over_limit, speakers[0].label.as_str()), ("Ann", 1, "Ann (2)"));
}

#[test]
fn labels_that_look_the_same_are_numbered() {
    let names = ["Zo\u{eb}", "Zoe\u{308}", "Zoe\u{308}\u{200b}", "zoë"];
    let participants: Vec<_> =
        ["1", "2", "3", "4"].iter().zip(names).map(|(id, name)| participant(Some(id), Some(name))).collect();
    let found = labels(&participants);
    assert_eq!(found.iter().map(|(label, _)| &**label).collect::<Vec<_>>(), ["Zoë", "Zoë (2)", "Zoë (3)", "zoë"]);
    // Without ids, participants with one name are one person.
    let found = labels(&names.map(|name| participant(None, Some(name))));
    assert_eq!(found.iter().map(|(label, _)| &**label).collect::<HashSet<_>>().len(), 2);
}

#[test]
fn people_beyond_the_limit_share_a_label_and_keep_their_ids() {
    let mut people = People::default();
    for id in 0..MAX_SPEAKERS + 5 {
        let index = people.register(&participant(Some(&id.to_string()), Some("Ann")));
        people.add_talk(index, 1, 2, true);
    }
    let Roster { speakers, participants, speakers_over_limit: over_limit, .. } = people.finish(Attendance::default());
    assert_eq!((speakers.len(), over_limit), (MAX_SPEAKERS + 1, 5));
    assert_eq!(speakers[MAX_SPEAKERS - 1].label, "Ann (1000)");
    let overflow = Speaker {
        label: OVERFLOW_LABEL.to_owned(),
        is_overflow: true,
        talk_ms: 5,
        words: 10,
        turns: 5,
        ..Speaker::default()
    };
    assert_eq!(speakers[MAX_SPEAKERS], overflow);
    assert_eq!(participants[MAX_SPEAKERS + 4], ParticipantRef { id: Some(1004), speaker: MAX_SPEAKERS });
}

#[test]
fn remembered_participants_are_limited() {
    let mut people = People::default();
    for id in 0..MAX_PARTICIPANTS + 100 {
        people.register(&with_static(&id.to_string(), "Ann", &[("zoom", "a")]));
    }
    let Roster { speakers, participants, speakers_over_limit: over_limit, .. } = people.finish(Attendance::default());
    assert_eq!((speakers.len(), participants.len(), over_limit), (2, MAX_PARTICIPANTS + 1, 1));
    assert_eq!(participants.last(), Some(&ParticipantRef { id: None, speaker: 1 }));
}
