//! Tests how long a person was there.

use super::*;

/// Returns a moment so many seconds after the epoch.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn moves(moves: &[(i64, bool)]) -> Moves {
    let mut all = Moves::default();
    for (seconds, joined) in moves {
        all.add(Some(at(*seconds)), *joined, true);
    }
    all
}

/// A recording from second 100 to second 1100.
const RECORDING: RecordingTimes =
    RecordingTimes { started_at: Some(Timestamp::from_secs(100)), completed_at: Some(Timestamp::from_secs(1100)) };

/// Returns the first join, the last leave, and the time present in seconds.
fn seconds(moves: &[Moves], recording: RecordingTimes) -> (Option<i64>, Option<i64>, Option<u64>) {
    let Presence { joined_at, left_at, present_ms } = presence(moves, recording);
    let seconds = |at: Option<Timestamp>| at.map(|at| at.as_millis() / 1000);
    (seconds(joined_at), seconds(left_at), present_ms.map(|ms| ms / 1000))
}

#[test]
fn presence_is_the_union_of_all_stays() {
    let (join, leave) = (true, false);
    for (person, expected) in [
        (&[&[(200, join), (300, leave)][..]][..], (Some(200), Some(300), Some(100))),
        // The person joined before the recording, and stayed to its end.
        (&[&[(40, join)]], (Some(40), Some(1100), Some(1000))),
        // The person came back, with the same id or another one. The old id was still there for ten seconds.
        (&[&[(200, join), (300, leave), (400, join), (450, leave)]], (Some(200), Some(450), Some(150))),
        (&[&[(200, join), (300, leave)], &[(290, join), (350, leave)]], (Some(200), Some(350), Some(150))),
        // Events appear twice, and out of order.
        (&[&[(300, leave), (200, join), (200, join), (300, leave)]], (Some(200), Some(300), Some(100))),
        // The join is not in the file.
        (&[&[(300, leave)]], (None, Some(300), Some(200))),
        // Everything was before or after the recording.
        (&[&[(40, join), (60, leave)]], (Some(40), Some(60), Some(0))),
        (&[&[(1200, join), (1300, leave)]], (Some(1200), Some(1300), Some(0))),
        // The person left and came back at the same moment.
        (&[&[(200, join), (300, leave), (300, join), (400, leave)]], (Some(200), Some(400), Some(200))),
        (&[], (None, None, None)),
    ] {
        let person: Vec<_> = person.iter().map(|of| moves(of)).collect();
        assert_eq!(seconds(&person, RECORDING), expected, "{person:?}");
    }
}

#[test]
fn unknown_times_make_the_presence_unknown() {
    for (unknown_join, expected) in [(true, (None, Some(300), None)), (false, (Some(200), None, None))] {
        let mut all = moves(&[(200, true), (300, false)]);
        all.add(None, unknown_join, true);
        assert_eq!(seconds(&[all], RECORDING), expected);
    }
    let no_times = RecordingTimes::default();
    assert_eq!(seconds(&[moves(&[(200, true)])], no_times), (Some(200), None, None));
    assert_eq!(seconds(&[moves(&[(300, false)])], no_times), (None, Some(300), None));
    assert_eq!(seconds(&[moves(&[(200, true), (300, false)])], no_times), (Some(200), Some(300), Some(100)));
}

#[test]
fn kept_moves_are_limited_but_the_first_and_the_last_count() {
    let mut all = Moves::default();
    for n in 0..3000 {
        assert_eq!(all.add(Some(at(500 + n)), n % 2 == 0, true), n < MAX_MOVES as i64);
    }
    assert!(!all.add(Some(at(200)), true, false));
    assert_eq!(seconds(&[all], RECORDING), (Some(200), Some(3499), None));
}
