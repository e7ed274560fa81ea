//! What must hold for any input at all. `fuzz/` feeds these functions with whatever a fuzzer comes up with, the tests
//! with its corpus.

mod url;

pub use self::url::url;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_urls_holds() {
        replay("url", super::url);
    }
}
