//! What the functions share: the pure job core, the loop around it, and the clients it needs.

pub mod advance;
pub mod aws;
pub mod bus;
pub mod deadline;
pub mod env;
pub mod ids;
pub mod job;
pub mod park;
pub mod providers;
pub mod recall;
pub mod secret;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod work;
