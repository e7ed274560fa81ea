//! Replays the corpus of a fuzz target as a test. The crates whose `fuzzing` modules hold the checks include this file.

use std::path::Path;

/// Runs the check on every file of the corpus.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in corpus.read_dir().expect("the folder of the corpus") {
        check(&std::fs::read(entry.expect("a file").path()).expect("an input"));
        replayed += 1;
    }
    assert!(replayed >= 5, "the corpus of {target} has only {replayed} inputs");
}
