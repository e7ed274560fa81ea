//! `template.yaml` against the code: what it names, the code has, and the other way round.
//!
//! A wrong name in a template is found by nobody but the first deployment, and a wrong metric in an alarm not even by
//! that: it is just never raised.

#![allow(clippy::wildcard_enum_match_arm, reason = "what a template does not have is refused as a whole")]

mod alarm_stories;
mod alarm_times;
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

/// The functions: folder, package, binary and log group have the name, the resource has it with a capital.
const FUNCTIONS: [(&str, &str); 3] = [("webhook", "Webhook"), ("transcript", "Transcript"), ("sweep", "Sweep")];

/// The template in its long form: `!Ref X` reads `{"Ref": "X"}`.
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

/// The resources of a type, by their names.
fn resources<'a>(template: &'a Value, of_type: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = template["Resources"].as_object().expect("resources");
    let named = all.iter().filter(move |(_, resource)| resource["Type"] == of_type);
    named.map(|(name, resource)| (name.as_str(), &resource["Properties"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
