//! Checks what must hold for any input. `fuzz/` calls these functions with the inputs of a fuzzer, and the tests call
//! them with its corpus.

mod people;
pub(crate) mod subtitles;
mod transcript;

#[cfg(test)]
pub(crate) use self::transcript::{render, render_with};
pub use self::{people::people, transcript::transcript};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn people_corpus_passes() {
        replay("people", super::people);
    }

    #[test]
    fn transcript_corpus_passes() {
        replay("transcript", super::transcript);
    }
}
