//! What must hold for any input at all. `fuzz/` feeds these functions with whatever a fuzzer comes up with, the tests
//! with its corpus.

mod envelope;
mod event;
mod signature;

#[cfg(test)]
pub(crate) use self::envelope::check;
pub use self::{envelope::envelope, event::event, signature::signature};

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn the_corpus_of_signatures_holds() {
        replay("signature", super::signature);
    }

    #[test]
    fn the_corpus_of_envelopes_holds() {
        replay("envelope", super::envelope);
    }

    #[test]
    fn the_corpus_of_events_holds() {
        replay("event", super::event);
    }
}
