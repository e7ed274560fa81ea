//! What must hold for any input at all. `fuzz/` feeds these functions with whatever a fuzzer comes up with, the tests
//! with its corpus.

pub(crate) mod subtitles;
mod transcript;

#[cfg(test)]
pub(crate) use self::transcript::render;
pub use self::transcript::transcript;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_transcripts_holds() {
        replay("transcript", super::transcript);
    }
}
