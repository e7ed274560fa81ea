//! Checks of properties that hold for any input. `fuzz/` calls these functions with the inputs of a fuzzer, and the
//! tests call them with the fuzzer's corpus.

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
    fn signature_corpus_passes() {
        replay("signature", super::signature);
    }

    #[test]
    fn envelope_corpus_passes() {
        replay("envelope", super::envelope);
    }

    #[test]
    fn event_corpus_passes() {
        replay("event", super::event);
    }
}
