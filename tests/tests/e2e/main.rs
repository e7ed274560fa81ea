//! Tests of the function binaries, as processes, against the whole local stack.

mod deadlines;
mod edge;
mod example;
mod failures;
mod happy;
mod harness;
mod hostile;
mod kills;
mod meetings;
mod metrics;
mod page;
mod policy;
mod renditions;
mod repeats;
mod sweep;
mod threats;
