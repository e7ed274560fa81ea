//! Checks of properties that hold for any input. `fuzz/` calls these functions with the inputs of a fuzzer, and the
//! tests call them with the fuzzer's corpus.

mod url;

pub use self::url::url;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn url_corpus_passes() {
        replay("url", super::url);
    }
}
