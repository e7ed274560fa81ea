//! What must hold for any input at all. `fuzz/` feeds these functions with whatever a fuzzer comes up with, the tests
//! with its corpus.

mod url;

pub use self::url::url;

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(target: &str, check: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut seen = 0;
        for entry in corpus.read_dir().expect("the folder of the corpus") {
            check(&std::fs::read(entry.expect("a file").path()).expect("an input"));
            seen += 1;
        }
        assert!(seen >= 5, "only {seen} inputs");
    }

    #[test]
    fn the_corpus_of_urls_holds() {
        replay("url", super::url);
    }
}
