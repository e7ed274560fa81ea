//! Tests which times are cleared.

use super::*;

const NO: Option<u32> = None;

/// Returns words with these starts and ends in seconds, where `0` is unknown. Only the last word ends a sentence.
fn words(times: &[(f64, f64)]) -> Vec<MeasuredWord> {
    let ms = |seconds: f64| Some((seconds * 1000.0) as u32).filter(|ms| *ms > 0);
    let word = |(at, (start, end)): (usize, &(f64, f64))| MeasuredWord {
        start: ms(*start),
        end: ms(*end),
        ends_sentence: at + 1 == times.len(),
        is_phrase: false,
    };
    times.iter().enumerate().map(word).collect()
}

/// Returns the times that are left after the repair.
fn repaired(times: &[(f64, f64)], before: Option<u32>, after: Option<u32>) -> Vec<(f64, f64)> {
    let mut words = words(times);
    repair(&mut words, Neighbors { before, after, is_later_part: false });
    let seconds = |time: Option<u32>| f64::from(time.unwrap_or_default()) / 1000.0;
    words.iter().map(|word| (seconds(word.start), seconds(word.end))).collect()
}

/// Returns consecutive words from this time on.
fn run(from: f64, count: usize) -> Vec<(f64, f64)> {
    (0..count).map(|at| from + at as f64 * 0.5).map(|start| (start, start + 0.4)).collect()
}

#[test]
fn word_far_from_its_neighbors_is_cleared() {
    for (before, after) in [(NO, NO), (Some(9_000), Some(14_000))] {
        for wrong in [95.2, 200.0] {
            // A last word is cleared only if another entry follows.
            for at in 0..if after.is_some() { 6 } else { 5 } {
                let mut times = run(10.0, 6);
                times[at] = (wrong, wrong + 0.2);
                let mut expected = times.clone();
                expected[at] = (0.0, 0.0);
                assert_eq!(repaired(&times, before, after), expected, "word {at} at {wrong}");
            }
        }
        for at in 1..6 {
            let mut times = run(50.0, 6);
            times[at] = (1.0, 1.2);
            let mut expected = times.clone();
            expected[at] = (0.0, 0.0);
            assert_eq!(repaired(&times, before, after), expected, "word {at} at 1.0");
        }
    }
}

#[test]
fn first_and_last_word_may_stand_alone() {
    let first = [run(3.0, 1), run(10.0, 4)].concat();
    let wrong = [vec![(0.0, 0.0)], run(10.0, 4)].concat();
    // The file lists an entry before this one that begins later.
    assert_eq!(repaired(&first, Some(9_000), NO), wrong);
    assert_eq!(repaired(&first, Some(2_000), NO), first);
    assert_eq!(repaired(&first, NO, NO), first);
    let mut zero = words(&[run(3.0, 1), run(10.0, 4)].concat());
    zero[0].start = Some(0);
    repair(&mut zero, Neighbors::default());
    assert_eq!(zero[0].time(), None);
    let last = [run(10.0, 4), run(20.0, 1)].concat();
    // The gap may be silent, or another person may speak in it.
    assert_eq!(repaired(&last, NO, Some(14_000)), last);
    assert_eq!(repaired(&last, NO, NO), last);
    let far = [run(10.0, 4), run(60.0, 1)].concat();
    let wrong = [run(10.0, 4), vec![(0.0, 0.0)]].concat();
    assert_eq!(repaired(&far, NO, Some(14_000)), wrong);
    assert_eq!(repaired(&far, NO, Some(70_000)), far);
    assert_eq!(repaired(&far, NO, NO), far);
    // Without punctuation, and in captions, it is not known where a sentence ends.
    for (ends_sentence, is_phrase) in [(false, false), (true, true)] {
        let mut words = words(&far);
        words.iter_mut().for_each(|word| word.is_phrase = is_phrase);
        words.iter_mut().for_each(|word| word.ends_sentence &= ends_sentence);
        let before = words.clone();
        repair(&mut words, Neighbors { before: None, after: Some(14_000), is_later_part: false });
        assert_eq!(words, before);
    }
}

#[test]
fn outlier_group_is_cleared_without_its_neighbors() {
    for (count, wrong) in [(2, 900.0), (3, 1085.0), (8, 1085.0), (8, 900.0)] {
        for at in [1, 2] {
            let mut times = run(1000.0, count + 4);
            times[at..at + count].copy_from_slice(&run(wrong, count));
            let mut expected = times.clone();
            expected[at..at + count].fill((0.0, 0.0));
            assert_eq!(repaired(&times, Some(990_000), NO), expected, "{count} at {wrong}");
        }
    }
}

#[test]
fn later_part_of_an_entry_is_not_earlier() {
    let mut words = words(&[run(50.0, 3), run(101.0, 2)].concat());
    repair(&mut words, Neighbors { before: Some(100_000), after: None, is_later_part: true });
    assert!(words.iter().map(|word| word.start.is_some()).eq([false, false, false, true, true]), "{words:?}");
}

#[test]
fn tail_that_jumps_back_is_cleared() {
    for tail in [1, 3, 20] {
        let times = [run(100.0, 8), run(60.0, tail)].concat();
        let expected = [run(100.0, 8), vec![(0.0, 0.0); tail]].concat();
        // The length of the tail does not matter, because the entry began in order with its neighbors.
        assert_eq!(repaired(&times, Some(90_000), Some(110_000)), expected, "{tail} words");
    }
    // Without neighboring entries, the longer part is right.
    let times = [run(100.0, 3), run(60.0, 8)].concat();
    assert_eq!(repaired(&times, NO, NO), [vec![(0.0, 0.0); 3], run(60.0, 8)].concat());
}

#[test]
fn reversed_word_keeps_the_time_that_fits() {
    for (start, end, expected) in [(95.2, 11.4, (0.0, 11.4)), (11.0, 3.0, (11.0, 0.0)), (95.2, 3.0, (0.0, 0.0))] {
        let times = [run(10.0, 2), vec![(start, end)], run(11.5, 2)].concat();
        assert_eq!(repaired(&times, NO, NO)[2], expected, "{start} to {end}");
    }
    // A single word between two entries.
    assert_eq!(repaired(&[(95.2, 11.4)], Some(10_000), Some(12_000)), [(0.0, 11.4)]);
    // Nothing shows which of the two times is wrong.
    assert_eq!(repaired(&[(95.2, 11.4)], NO, NO), [(95.2, 0.0)]);
}

#[test]
fn long_words_lose_their_end() {
    assert_eq!(repaired(&[(10.0, 40.0), (40.5, 70.6)], NO, NO), [(10.0, 40.0), (40.5, 0.0)]);
    for (end, known) in [(130.0, true), (130.1, false)] {
        let mut words = words(&[(10.0, end)]);
        words[0].is_phrase = true;
        repair(&mut words, Neighbors::default());
        assert_eq!(words[0].end.is_some(), known, "a phrase until {end}");
    }
}

#[test]
fn correct_times_are_kept() {
    for times in [
        // The words overlap a little, or have the same time.
        vec![(10.0, 10.6), (10.5, 11.0), (10.1, 11.2), (11.0, 11.0), (11.0, 11.0)],
        // Some times are unknown.
        vec![(0.0, 10.4), (0.0, 0.0), (11.0, 0.0), (0.0, 12.0)],
        // People pause to think, and others speak in the pause.
        [run(10.0, 2), run(25.0, 1), run(50.0, 2)].concat(),
    ] {
        for neighbors in [(NO, NO), (Some(9_000), Some(12_000)), (Some(9_000), Some(60_000))] {
            assert_eq!(repaired(&times, neighbors.0, neighbors.1), times, "{neighbors:?}");
        }
    }
    // One entry holds everything that one person said: lone words are far away from the others, and the next entry
    // begins earlier.
    let times = [run(5.0, 1), run(60.0, 3), run(120.0, 1), run(900.0, 4), run(3000.0, 1)].concat();
    assert_eq!(repaired(&times, Some(2_000), Some(7_000)), times);
}

#[test]
fn nearly_ordered_times_are_kept_with_the_longest_run() {
    let times = vec![(10.0, 10.4), (95.0, 95.2), (10.9, 11.3), (10.6, 11.0), (11.4, 11.8)];
    let expected = vec![(10.0, 10.4), (0.0, 0.0), (10.9, 11.3), (10.6, 11.0), (11.4, 11.8)];
    assert_eq!(repaired(&times, NO, NO), expected);
}
