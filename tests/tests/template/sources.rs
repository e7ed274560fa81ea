//! What the sources say: which SDK calls each function makes, and which settings it reads.
//!
//! This reads text, not types, so anything that it cannot interpret fails. It finds a call of the SDK by the `client`
//! that makes it, and a call of ours by the name of the callee.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use regex_lite::Regex;

use crate::root;

/// Returns a folder of sources without its tests and fuzz targets, as one text with single spaces.
pub(crate) fn of(folder: &str) -> String {
    files(folder).into_values().collect::<Vec<_>>().join("\n")
}

/// Returns the files of a folder by their paths, without tests.
pub(crate) fn files(folder: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has no sources");
    files
}

fn walk(folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            if name != "tests" && name != "fuzzing" {
                walk(&path, files);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let flat = code.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            files.insert(path.to_string_lossy().into_owned(), flat);
        }
    }
}

/// The callee with this name is in these files of `shared/pipeline/src`.
const OF_SHARED: [(&str, &str); 9] = [
    ("bucket", "bucket"),
    ("clients", "clients"),
    ("store", "store"),
    ("work", "work_queue"),
    ("dead_letters", "dead_letter"),
    ("bus", "bus"),
    ("secrets", "credentials"),
    ("recall", "recall"),
    ("advance", "advance"),
];

/// Returns the SDK calls that a function can reach, as `service.operation`.
pub(crate) fn sdk_calls(function: &str) -> BTreeSet<String> {
    let shared = Shared::read();
    let own = of(&format!("functions/{function}/src"));
    let mut calls = direct(&own, "s3");
    for (who, method) in called(&own) {
        calls.extend(shared.calls(&who, &method, &mut BTreeSet::new()));
    }
    calls
}

/// Returns all SDK calls in the sources.
pub(crate) fn all_sdk_calls() -> BTreeSet<String> {
    let mut calls: BTreeSet<String> =
        Shared::read().bodies.into_iter().flat_map(|((who, _), body)| direct(&body, service(&who))).collect();
    calls.extend(direct(&of("functions/transcript/src"), "s3"));
    calls
}

/// Returns the bodies of functions in `shared`, by callee and name.
struct Shared {
    bodies: BTreeMap<(String, String), String>,
}

impl Shared {
    fn read() -> Self {
        let head = Regex::new(r"\bfn (\w+)[<(]").expect("a pattern");
        let mut bodies: BTreeMap<(String, String), String> = BTreeMap::new();
        for (path, text) in files("shared/pipeline/src") {
            let path = path.split("shared/pipeline/src/").nth(1).unwrap_or_default();
            let first = path.trim_end_matches(".rs").split('/').next().unwrap_or_default();
            let Some((who, _)) = OF_SHARED.iter().find(|(_, file)| *file == first) else {
                assert_eq!(direct(&text, "?"), BTreeSet::new(), "{path} calls the SDK outside of a known function");
                continue;
            };
            let heads: Vec<_> = head.captures_iter(&text).collect();
            for (index, found) in heads.iter().enumerate() {
                let begin = found.get(0).expect("a match").start();
                let end = heads.get(index + 1).map_or(text.len(), |next| next.get(0).expect("a match").start());
                // Several types in one file may have a function of the same name. These count as one function that
                // makes the calls of all.
                let body = bodies.entry(((*who).to_owned(), found[1].to_owned())).or_default();
                body.push_str(&text[begin..end]);
            }
        }
        Self { bodies }
    }

    fn calls(&self, who: &str, method: &str, seen: &mut BTreeSet<(String, String)>) -> BTreeSet<String> {
        let key = (who.to_owned(), method.to_owned());
        let Some(body) = self.bodies.get(&key).filter(|_| seen.insert(key.clone())) else { return BTreeSet::new() };
        let mut calls = direct(body, service(who));
        for (next, method) in called(body) {
            let next = if matches!(next.as_str(), "self" | "Self") { who } else { next.as_str() };
            calls.extend(self.calls(next, &method, seen));
        }
        calls
    }
}

fn service(who: &str) -> &'static str {
    match who {
        "store" => "dynamodb",
        "work" | "dead_letters" => "sqs",
        "bucket" => "s3",
        "bus" => "events",
        "secrets" => "secretsmanager",
        _ => "?",
    }
}

/// `client.put_item()`: operations of the SDK are started without arguments.
fn direct(text: &str, service: &str) -> BTreeSet<String> {
    let call = Regex::new(r"\bclient ?\. ?([a-z_0-9]+)\(\)").expect("a pattern");
    call.captures_iter(text).map(|found| format!("{service}.{}", &found[1])).collect()
}

/// `store.save(`, `self.work.send(`, `Self::due_shards(`: callee and function.
fn called(text: &str) -> BTreeSet<(String, String)> {
    let call = Regex::new(r"\b(\w+) ?(?:\.|::) ?(\w+)\(").expect("a pattern");
    call.captures_iter(text).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// Returns the settings that a text reads.
pub(crate) fn settings(text: &str) -> BTreeSet<String> {
    let read = Regex::new(
        r#"(?:reader ?\. ?(?:text|required|parsed|flag)\( ?|(?:whole_number|one_of)\( ?reader, |env ?\. ?get\( ?)"([A-Z_]+)""#,
    )
    .expect("a pattern");
    read.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Every setting must be read in one of the forms that [`settings`] recognizes.
pub(crate) fn names_like_settings(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r#""([A-Z]+(?:_[A-Z]+)+)""#).expect("a pattern");
    name.captures_iter(text).map(|found| found[1].to_owned()).collect()
}
