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
    use crate::{
        event::{Delivery, parse},
        signature::Verified,
    };

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

    /// A fuzzer does not find the name of an event by itself.
    #[test]
    fn the_corpus_of_events_has_each_event() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/event");
        for name in job::Event::names_from_recall() {
            let file = corpus.join(name.replace('.', "_"));
            let body = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let delivery = parse(Verified { delivery_id: "msg", body: &body }, &[], None);
            let is_it = matches!(&delivery, Delivery::Known { event, .. } if event.name() == name);
            assert!(is_it, "{} is not a {name}", file.display());
        }
    }
}
