//! Every command end to end: the real program against the local stack with the real functions.
#![allow(clippy::disallowed_methods, reason = "tests may wait")]

mod changes;
mod dead_letters;
mod harness;
mod listings;
mod pause;
mod session;
