//! Everything that the pipeline talks to, in one process on loopback: stand-ins for AWS, a simulator of Recall, and a
//! host that runs the real function binaries. `cargo dev` starts it, and the end-to-end tests use the same code.
#![allow(clippy::disallowed_methods, reason = "the stand-ins read the clock and the environment themselves")]

pub mod aws_endpoint;
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

/// The one pair of keys that the stand-ins accept. S3 checks signatures with it.
pub const ACCESS_KEY: &str = "local";
/// The secret key of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "local";
/// The value of `AWS_SESSION_TOKEN` for the functions. A client that leaves it out works here, but not in Lambda.
pub const SESSION_TOKEN: &str = "local";
/// The region of every stand-in.
pub const REGION: &str = "us-east-1";
/// The account in every ARN and queue URL.
pub const ACCOUNT_ID: &str = "000000000000";
