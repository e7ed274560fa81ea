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
    use crate::{
        event::{Delivery, parse},
        signature::Verified,
    };

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
