//! Compares `template.yaml` with the code, in both directions: names in one must exist in the other.
//!
//! Only the first deployment would find a wrong name in a template. Even that would not find a wrong metric in an
//! alarm: the alarm would never fire.

#![allow(clippy::wildcard_enum_match_arm, reason = "a missing part of the template fails the whole test")]

mod alarm_stories;
mod alarm_times;
mod chat;
mod cloudwatch;
mod functions;
mod limits;
mod loader;
mod manual;
mod metrics;
mod names;
mod parameters;
mod roles;
mod settings;
mod snapshots;
mod sources;
mod times;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The functions: the folder, package, binary, and log group have this name, and the resource has it with a capital.
const FUNCTIONS: [(&str, &str); 3] = [("webhook", "Webhook"), ("transcript", "Transcript"), ("sweep", "Sweep")];

/// Returns the template in its long form: `!Ref X` reads `{"Ref": "X"}`.
fn template() -> Value {
    loader::parse(&read("template.yaml"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the resources of a type, by their names.
fn resources<'a>(template: &'a Value, of_type: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = template["Resources"].as_object().expect("resources");
    let named = all.iter().filter(move |(_, resource)| resource["Type"] == of_type);
    named.map(|(name, resource)| (name.as_str(), &resource["Properties"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}
