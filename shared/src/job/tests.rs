//! The whole transition table as one snapshot, and a seeded simulation of schedules.

mod simulation;
mod table;
