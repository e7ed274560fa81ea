//! The function binaries, as processes, against the whole local stack.

mod edge;
mod failures;
mod happy;
mod hostile;
mod kills;
mod repeats;
mod sweep;
