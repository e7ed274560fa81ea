//! Replays a fuzz target's corpus as a test. Crates whose `fuzzing` modules hold the checks include this file.

use std::path::Path;

/// Every file of the corpus holds.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in corpus.read_dir().expect("the folder of the corpus") {
        check(&std::fs::read(entry.expect("a file").path()).expect("an input"));
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} inputs");
}
