//! Tests that a few wrong times change nothing that a reader sees.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;

use super::{meeting, properties::config};

/// The number of words, the time from word to word, and the silence after the last word, both in milliseconds.
type Entry = (usize, u32, u32);

/// Returns the text and the start of each turn.
fn turns(entries: &[Entry], wrong: &[(usize, usize, i64)]) -> Vec<(String, u32)> {
    let (mut at_ms, mut said) = (1000, 0);
    let mut file = Vec::new();
    for (number, (count, step_ms, silence_ms)) in entries.iter().enumerate() {
        let mut words = Vec::new();
        for index in 0..*count {
            let moved_ms = wrong.iter().find(|one| (one.0, one.1) == (number, index)).map_or(0, |one| one.2);
            let start_ms = (i64::from(at_ms) + moved_ms).max(0);
            let mark = if said % 8 == 7 || index + 1 == *count { "." } else { "" };
            let stamp = |ms: i64| json!({"relative": ms as f64 / 1000.0, "absolute": null});
            let end_ms = start_ms + i64::from(step_ms / 2);
            words.push(json!({"text": format!("w{said}{mark}"), "start_timestamp": stamp(start_ms),
                "end_timestamp": stamp(end_ms)}));
            at_ms += step_ms;
            said += 1;
        }
        at_ms += silence_ms;
        file.push(json!({"participant": {"id": number % 3}, "language_code": "en", "words": words}));
    }
    let meeting = meeting(json!(file).to_string().as_bytes(), usize::MAX).expect("a transcript");
    meeting.turns().map(|turn| (turn.text, turn.span.start_ms)).collect()
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn wrong_times_within_an_entry_move_no_word(
        entries in vec((3..60_usize, 150..600_u32, 200..2500_u32), 1..6),
        long in prop::bool::weighted(0.2),
        wrong in vec((any::<Index>(), any::<Index>(), 30_000..900_000_i64, any::<bool>()), 1..4),
    ) {
        let mut entries = entries;
        if long {
            entries.push((700, 300, 1000));
        }
        let mut damage: Vec<(usize, usize, i64)> = Vec::new();
        for (entry, word, ms, back) in wrong {
            let entry = entry.index(entries.len());
            // The first and the last word are left alone, because each has only one neighbor.
            let word = 1 + word.index(entries[entry].0 - 2);
            if damage.iter().all(|(other, ..)| *other != entry) {
                damage.push((entry, word, if back { -ms } else { ms }));
            }
        }
        let (clean, repaired) = (turns(&entries, &[]), turns(&entries, &damage));
        prop_assert_eq!(clean.len(), repaired.len(), "{:?}", damage);
        for (clean, repaired) in clean.iter().zip(&repaired) {
            prop_assert_eq!(&clean.0, &repaired.0);
            prop_assert!(clean.1.abs_diff(repaired.1) <= 1000, "{:?} and {:?}", clean, repaired);
        }
    }
}
