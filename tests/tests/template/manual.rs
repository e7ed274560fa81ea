//! Operators read docs/operating.md at night, so everything that it says to paste must exist.

use std::collections::BTreeSet;

use pipeline::work_queue::Message;
use regex_lite::Regex;
use uuid::Uuid;

use crate::{read, sources, template};

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_log_line_that_is_searched_for_is_written_by_that_function() {
    let manual = read("docs/operating.md");
    let search = Regex::new(r#"logs (\w+) '\{ \$\.message = "([a-z_.]+)" \}'"#).expect("a pattern");
    let searches: Vec<_> = search.captures_iter(&manual).collect();
    assert!(searches.len() >= 13, "{}", searches.len());
    for found in searches {
        let (function, message) = (&found[1], &found[2]);
        let code = sources::of(&format!("functions/{function}/src")) + &sources::of("shared/pipeline/src");
        assert!(pipeline::logs::ALL.contains(&message), "no function logs {message}");
        assert!(code.contains(&format!("logs::{}", constant(message))), "{function} never logs {message}");
    }
}

/// Returns the constant in `pipeline::logs` for a name.
fn constant(name: &str) -> String {
    name.replace('.', "_").to_uppercase()
}

#[test]
fn every_name_of_a_log_line_or_a_metric_is_used() {
    let folders = ["shared/pipeline/src", "functions/webhook/src", "functions/transcript/src", "functions/sweep/src"];
    let code = folders.map(sources::of).join("\n");
    for name in pipeline::logs::ALL {
        assert!(
            code.contains(&format!("message = logs::{},", constant(name)))
                || code.contains(&format!("message = logs::{})", constant(name))),
            "no function logs {name}"
        );
    }
    let word = Regex::new("([a-z])([A-Z])").expect("a pattern");
    for metric in pipeline::metrics::ALL {
        let constant = word.replace_all(metric.name, "${1}_$2").to_uppercase();
        assert!(code.contains(&format!("metrics::{constant}.")), "no function emits {}", metric.name);
    }
    let lines = found(r"tracing::(?:info|warn|error|debug|trace)!\( ?(\w+)", &code);
    assert_eq!(lines, BTreeSet::from(["message".to_owned()]), "a log line has no name from `pipeline::logs`");
}

#[test]
fn every_message_to_paste_is_one_that_the_workers_read() {
    let manual = read("docs/operating.md");
    let messages = found(r"(?m)^work '(.*?)'", &manual);
    for event in ["wake", "retry", "render", "recording.done"] {
        assert!(messages.iter().any(|message| message.contains(&format!("\"{event}\""))), "{event}");
    }
    for message in messages {
        let filled = message.replace("RECORDING_ID", &Uuid::from_u128(7).to_string()).replace("ATTEMPTS", "3");
        let parsed: Result<Message, _> = serde_json::from_str(&filled);
        assert!(parsed.is_ok(), "{message}: {parsed:?}");
    }
}

/// An operator who is called at night must not have to look for the message to send.
#[test]
fn the_alarms_about_jobs_that_ended_or_wait_name_their_message() {
    let manual = read("docs/operating.md");
    for (alarm, messages) in [
        ("recordings-expiring", &["retry", "wake"][..]),
        ("jobs-failed", &["retry", "wake"]),
        ("attempts-failed", &["retry"]),
        ("key-refused", &["wake"]),
        ("recordings-unknown", &["wake"]),
        ("providers-refused", &["wake"]),
        ("deletions-stopped", &["wake"]),
        ("webhooks-missed", &["recording.done"]),
        ("oldest-unfinished", &["wake"]),
        ("rendering-errors", &["render"]),
        ("copies-unverified", &["wake"]),
        ("announcements-failed", &["wake"]),
    ] {
        let entry = manual.split("\n### ").find_map(|entry| entry.strip_prefix(&format!("{alarm}\n")));
        let entry = entry.unwrap_or_default().replace('\\', "");
        for message in messages {
            let named = entry.contains(&format!("\"event\": \"{message}\""));
            assert!(named && entry.contains("work "), "{alarm} does not name {message}");
        }
    }
}

#[test]
fn dashboard_titles_in_the_runbook_are_those_of_the_dashboard() {
    let manual = read("docs/operating.md");
    let alarms = manual.split("\n## Alarms\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the alarms");
    let code = Regex::new("(?s)```.*?```|`[^`]*`").expect("a pattern");
    let prose = code.replace_all(alarms, "").replace('\n', " ");
    let titles: Vec<String> = found("\"([A-Z][^\"]+)\"", &prose).into_iter().collect();
    assert!(titles.len() >= 6, "{titles:?}");
    let template = read("template.yaml");
    for title in titles {
        assert!(template.contains(&format!("\"title\": \"{title}")), "the dashboard has no {title}");
    }
}

#[test]
fn every_output_that_is_asked_for_exists() {
    let manual = read("docs/operating.md");
    let template = template();
    let outputs = template["Outputs"].as_object().expect("outputs");
    let asked = found(r"\boutput ([A-Z]\w+)", &manual);
    assert!(asked.len() >= 7, "{asked:?}");
    for output in asked {
        assert!(outputs.contains_key(&output), "{output}");
    }
}

#[test]
fn every_parameter_that_is_named_exists() {
    let manual = read("docs/operating.md");
    let template = template();
    let parameters = template["Parameters"].as_object().expect("parameters");
    let text: String = manual.lines().filter(|line| !line.starts_with('|')).collect::<Vec<_>>().join("\n");
    for name in found(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=[^`]*)?`", &text) {
        let others = ["RecallTranscripts", "AccessDenied", "RecursiveLoop"];
        let is_metric = pipeline::metrics::ALL.iter().any(|metric| metric.name == name);
        assert!(parameters.contains_key(&name) || is_metric || others.contains(&name.as_str()), "{name}");
    }
}

/// An older cargo-lambda cannot link with a Rust of today, and only the versions that build here are known to work.
#[test]
fn deploying_asks_for_the_tools_that_build_for_arm64_here() {
    let (deploying, run) = (read("docs/deploying.md"), read(".ci/run"));
    let pinned = found(r"cargo-lambda==([0-9.]+)", &run);
    assert_eq!(found(r"'cargo-lambda>=([0-9.]+)'", &deploying), pinned);
    assert_eq!(pinned.len(), 1);
    let rust = found(r"(?m)^recent=1\.([0-9]+)\.", &run);
    let rust: Vec<u32> = rust.iter().map(|minor| minor.parse().expect("a number")).collect();
    assert!(rust.len() == 1 && rust[0] >= 98, "Rust links differently from 1.98 on: {rust:?}");
}
