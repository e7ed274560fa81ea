//! The parts that the functions and the operator's command share: the loop around the job core, its store, and its
//! clients.

pub mod advance;
pub mod aws;
pub mod bucket;
pub mod bus;
pub mod clients;
pub mod credentials;
pub mod dead_letter;
pub mod deadline;
pub mod env;
pub mod function;
pub mod keys;
pub mod logs;
pub mod manifest;
pub mod metrics;
pub mod providers;
pub mod recall;
pub mod secret;
pub mod settings;
pub mod signature;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod work_queue;
