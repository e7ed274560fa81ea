//! Everything the pipeline talks to, in one process on loopback.

pub mod recall;
pub mod wire;
