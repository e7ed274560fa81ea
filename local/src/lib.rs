//! Everything the pipeline talks to, in one process on loopback: stand-ins for AWS, a simulator of Recall, and a host
//! that runs the real function binaries. `cargo dev` starts it; the end-to-end tests use the same code.
#![allow(clippy::disallowed_methods, reason = "what stands in for the world has clocks and an environment of its own")]

pub mod build;
pub mod bus;
pub mod control;
pub mod dev;
pub mod dynamodb;
pub mod lambda;
pub mod page;
pub mod queue;
pub mod recall;
pub mod s3;
pub mod secrets;
pub mod stack;
pub mod wire;

/// The one pair of keys that the stand-ins accept; S3 checks signatures made with them.
pub const ACCESS_KEY: &str = "local";
/// See [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "local";
/// What the functions find in `AWS_SESSION_TOKEN`; a client that leaves it out works here, but not in Lambda.
pub const SESSION_TOKEN: &str = "local";
/// The region that every stand-in says it is in.
pub const REGION: &str = "us-east-1";
/// The account in every ARN and queue URL.
pub const ACCOUNT_ID: &str = "000000000000";
