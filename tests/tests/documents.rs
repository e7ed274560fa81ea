//! The documents name only what exists: files, links, settings, parameters, metrics, alarms, log lines, constants,
//! commands. `template/settings.rs` compares the tables of docs/settings.md, `template/manual.rs` reads the runbook.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex_lite::Regex;

/// Documents that also name what was, or what should not be.
const OTHER_NAMES: [&str; 2] = ["CHANGELOG.md", "CONTRIBUTING.md"];
/// What a reader replaces in a command.
const PLACEHOLDERS: [&str; 9] = [
    "RECEIPT_HANDLE",
    "SCHEDULER_ROLE",
    "SECRET_ARN",
    "TOPIC_ARN",
    "TRANSCRIPT_ID",
    "VERSION_ID",
    "WEBHOOK_URL",
    "WORK_QUEUE_URL",
    "YOUR_API_KEY",
];
/// Names of AWS and of its tools, which no code of ours has.
const FOREIGN: [&str; 15] = [
    "NO_COLOR",
    "AMAZON_BEDROCK_METADATA",
    "AMAZON_BEDROCK_TEXT",
    "CAPABILITY_AUTO_EXPAND",
    "FIXED_SIZE",
    "FailedInvocations",
    "IN_LINE_ATTRIBUTE",
    "MANAGED_KNOWLEDGE_BASE_CONNECTOR",
    "NumberOfEmptyReceives",
    "S3_LOCATION",
    "S3_VECTORS",
    "STRING_LIST",
    "delete_knowledge_base_documents",
    "parameter_overrides",
    "put-function-concurrency",
];
/// Cargo's own commands, and those of tools that the documents ask for.
const CARGO: [&str; 12] =
    ["build", "check", "clippy", "deny", "doc", "fmt", "install", "lambda", "metadata", "mutants", "run", "test"];
const MAX_COLUMNS: usize = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every document, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["", "docs/"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = format!("{folder}{}", entry.expect("an entry").file_name().to_string_lossy());
            if name.ends_with(".md") {
                let text = read(&name);
                found.push((name, text));
            }
        }
    }
    assert!(found.len() > 10, "only {} documents", found.len());
    found
}

/// Fails with what is missing in each document, but those that also name what was or should not be.
fn for_each_document(missing: impl Fn(&str) -> Vec<String>) {
    let of = |(path, text): (String, String)| {
        missing(&text).into_iter().map(move |name| format!("{path}: {name}")).collect::<Vec<_>>()
    };
    let current = documents().into_iter().filter(|(path, _)| !OTHER_NAMES.contains(&path.as_str()));
    assert_eq!(current.flat_map(of).collect::<Vec<_>>(), Vec::<String>::new());
}

/// The text of everything that is not a document: code, template, scripts, and settings of tools.
fn code() -> String {
    let mut text = String::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let is_code = [".rs", ".py", ".toml", ".yaml"].iter().any(|end| name.ends_with(end)) || name == "run";
            if path.is_dir() {
                let skipped = ["target", ".git", ".aws-sam", "data", "corpus"].contains(&name.as_str());
                folders.extend((!skipped).then_some(path));
            } else if is_code && name != "documents.rs" {
                text.push_str(&fs::read_to_string(&path).expect("text"));
            }
        }
    }
    text
}

fn found<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found.get(1).expect("a group").as_str()).collect()
}

/// The text outside its blocks of code.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    };
    text.lines().filter(outside).collect::<Vec<_>>().join("\n")
}

/// What is between backticks in the prose.
fn quoted(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")).collect()
}

/// The anchors that GitHub makes of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let plain = |heading: &str| {
        let kept =
            heading.to_lowercase().chars().filter(|of| of.is_alphanumeric() || " -_".contains(*of)).collect::<String>();
        kept.replace(' ', "-")
    };
    prose(text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| plain(line.trim_start_matches('#').trim()))
        .collect()
}

/// The links of a document that lead nowhere.
fn broken_links(document: &str, text: &str) -> Vec<String> {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let leads = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = if file.is_empty() { PathBuf::from(document) } else { folder.join(file) };
        let whole = root().join(path);
        let has_anchor = || fs::read_to_string(&whole).is_ok_and(|target| anchors(&target).contains(anchor));
        whole.exists() && (anchor.is_empty() || has_anchor())
    };
    let links = found(r"\]\(([^)\s]+)\)", text).into_iter().filter(|link| !link.contains("://"));
    links.filter(|link| !leads(link)).map(str::to_owned).collect()
}

/// The paths in a document that are not there: whatever begins with a folder of ours, or is a source file.
fn missing_paths(text: &str) -> Vec<String> {
    let ours = ["cli", "docs", "functions", "fuzz", "local", "shared", "tests", ".ci", ".cargo"];
    let is_path = |span: &&str| {
        let first = span.split('/').next().unwrap_or_default();
        let named = span.contains('/') && ours.contains(&first) || span.ends_with(".rs");
        named && !span.contains(['*', '{', '…'])
    };
    let spans = quoted(text);
    let words = spans.iter().map(|span| span.split(' ').next().unwrap_or_default());
    words.filter(is_path).filter(|path| !root().join(path).exists()).map(str::to_owned).collect()
}

/// The names in a document that the code does not have.
fn missing_names(text: &str, code: &str, words: &BTreeSet<&str>) -> Vec<String> {
    let constant = r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b";
    let spans = quoted(text);
    let camel = Regex::new(r"^[A-Z][a-z]+(?:[A-Z][a-z]+)+$").expect("a pattern");
    let snake = Regex::new(r"^[a-z][a-z0-9]*(?:[._-][a-z0-9]+)+$").expect("a pattern");
    let is_field = |name: &str| name.split('.').all(|part| words.contains(part));
    let is_known = |name: &str| {
        PLACEHOLDERS.contains(&name)
            || FOREIGN.contains(&name)
            || is_field(name)
            || name.contains('-') && code.contains(name)
    };
    let kinds = ["html", "json", "jsonl", "md", "py", "rs", "srt", "toml", "txt", "vtt", "yaml"];
    let is_file = |name: &str| name.rsplit('.').next().is_some_and(|end| kinds.contains(&end));
    let spans = spans.iter().map(|span| span.split(['=', ' ']).next().unwrap_or_default());
    let named = spans.filter(|span| camel.is_match(span) || snake.is_match(span) && !is_file(span));
    let missing = found(constant, text).into_iter().chain(named).filter(|name| !is_known(name));
    missing.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The words of the code.
fn words(code: &str) -> BTreeSet<&str> {
    code.split(|of: char| !of.is_ascii_alphanumeric() && of != '_').collect()
}

/// The commands of cargo and of `.ci/run` in a document that do not exist.
fn missing_commands(text: &str) -> Vec<String> {
    let (config, run) = (read(".cargo/config.toml"), read(".ci/run"));
    let aliases = found(r"(?m)^(\w+) = ", &config);
    let steps = found(r"(?m)^step ([a-z0-9]+) ", &run);
    let members = read("Cargo.toml");
    let members = members.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let packages = found(r#"([a-z]+)""#, members);
    let cargo =
        found(r"\bcargo ([a-z]+)\b", text).into_iter().filter(|word| !aliases.contains(word) && !CARGO.contains(word));
    // A word after "cargo" in a sentence is no command.
    let cargo =
        cargo.filter(|word| text.contains(&format!("`cargo {word}")) || text.contains(&format!("\ncargo {word}")));
    let package = found(r"(?:-p|--package) ([a-z]+)", text).into_iter().filter(|name| !packages.contains(name));
    let step =
        found(r"`\.ci/run ([a-z0-9]+)", text).into_iter().filter(|name| *name != "fast" && !steps.contains(name));
    cargo.chain(package).chain(step).map(str::to_owned).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    for (path, text) in documents() {
        assert_eq!(broken_links(&path, &text), Vec::<String>::new(), "{path}");
    }
    let wrong = "[a](missing.md) [b](README.md#missing) [c](#missing) [d](README.md#documents) [e](https://x/y)";
    assert_eq!(broken_links("README.md", wrong), ["missing.md", "README.md#missing", "#missing"]);
}

#[test]
fn paths_exist() {
    for_each_document(missing_paths);
    assert_eq!(
        missing_paths("`docs/missing.md` `missing.rs` `tests` `fuzz/run TARGET`"),
        ["docs/missing.md", "missing.rs"]
    );
}

#[test]
fn names_are_those_of_the_code() {
    let code = code();
    let words = words(&code);
    for_each_document(|text| missing_names(text, &code, &words));
    let wrong = "RECALL_MISSING, `MissingMetric`, `missing-alarm`, `log.missing_name`, `missing_field`";
    let missing = ["MissingMetric", "RECALL_MISSING", "log.missing_name", "missing-alarm", "missing_field"];
    assert_eq!(missing_names(wrong, &code, &words), missing);
    let right =
        "RECALL_REGION, `TranscriptsPaid`, `PaidPerDay=5`, `paid-per-day`, `webhook.refused`, `transcript_count`";
    assert_eq!(missing_names(right, &code, &words), Vec::<String>::new());
}

#[test]
fn log_lines_in_the_runbook_are_written() {
    let manual = read("docs/operating.md");
    let table = manual.split("## Log lines").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the table");
    let names = found(r"(?m)^\| `([a-z_.]+)` \|", table);
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        assert!(pipeline::logs::ALL.contains(&name), "no function logs {name}");
    }
    assert!(!pipeline::logs::ALL.contains(&"webhook.missing"));
}

/// The text below this heading, up to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let rest = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    rest.split("\n#").next().expect("a section")
}

#[test]
fn events_to_select_are_those_that_are_handled() {
    let deploying = read("docs/deploying.md");
    for heading in ["## Which events", "### The \"send example\" button"] {
        let named: BTreeSet<&str> =
            found(r"`((?:recording|transcript)\.\w+)`", section(&deploying, heading)).into_iter().collect();
        assert_eq!(named, job::Event::names_from_recall(), "{heading}");
    }
}

/// The first cells of the rows of a table whose header begins with this cell.
fn first_cells<'a>(text: &'a str, header: &str) -> BTreeSet<&'a str> {
    let begin = text.find(&format!("\n| {header} |")).unwrap_or_else(|| panic!("no table of each {header}"));
    let rows = text[begin + 1..].lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.split('`').nth(1)).collect()
}

#[test]
fn statuses_are_all_explained() {
    let statuses: BTreeSet<&str> = job::Status::samples().into_iter().map(job::Status::as_str).collect();
    assert_eq!(first_cells(&read("docs/outputs.md"), "`status` | Meaning"), statuses);
    let bad: BTreeSet<&str> =
        job::Status::samples().into_iter().filter(|status| status.is_bad_end()).map(job::Status::as_str).collect();
    let page = read("local/src/page/page.js");
    let (_, rest) = page.split_once("const bad = [").expect("the bad ends");
    assert_eq!(found(r#""(\w+)""#, rest.split(']').next().expect("a list")).into_iter().collect::<BTreeSet<_>>(), bad);
}

#[test]
fn series_of_metrics_are_counted_for_the_bill() {
    let cost = read("docs/cost.md");
    let bad = job::Status::samples().into_iter().filter(|status| status.is_bad_end()).count();
    for (row, values) in [
        ("| `WebhooksReceived` | each event |", job::Event::names_from_recall().len()),
        ("| `JobsFailed` | each status |", bad),
    ] {
        assert!(cost.contains(&format!("\n{row} {} |", values + 1)), "{row} {values} and one without dimensions");
    }
}

#[test]
fn formats_are_in_every_list_of_the_files() {
    let (outputs, readme, page) = (read("docs/outputs.md"), read("README.md"), read("local/src/page/page.js"));
    let tree = section(&outputs, "## Objects in S3");
    let kinds = page.lines().find(|line| line.starts_with("const KINDS")).expect("the kinds");
    let readable = found(r"transcript\.\{([a-z,]+)\}", &readme);
    let readable: BTreeSet<&str> = readable[0].split(',').collect();
    let mut expected = BTreeSet::new();
    for spec in renditions::Format::ALL.map(renditions::Format::spec) {
        let ending = spec.file_name.rsplit('.').next().expect("an ending");
        assert!(found(r"\b([a-z]+): ", kinds).contains(&ending), "the page has no name for {ending}");
        if spec.file_name.starts_with("transcript.") {
            assert!(tree.contains(&format!("/{} ", spec.file_name)), "docs/outputs.md has no {}", spec.file_name);
            expected.insert(ending);
        }
    }
    assert_eq!(readable, expected, "README.md");
}

#[test]
fn constants_have_the_documented_names() {
    let reliability = read("docs/reliability.md");
    let rows: Vec<&str> = reliability.lines().filter(|line| line.matches(" | ").count() == 3).collect();
    let mut seen = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let folder = match cells[3].trim() {
            "`job`" => "shared/job/src",
            "`pipeline`" => "shared/pipeline/src",
            "`transcript`" => "functions/transcript/src",
            "`sweep`" => "functions/sweep/src",
            _ => continue,
        };
        let code = folder_text(&root().join(folder));
        for name in found(r"`([A-Z_]+)`", cells[2]) {
            assert!(code.contains(&format!("const {name}: ")), "{folder} has no {name}");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} constants");
}

fn folder_text(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&folder_text(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
    text
}

#[test]
fn commands_exist() {
    for (path, text) in documents() {
        assert_eq!(missing_commands(&text), Vec::<String>::new(), "{path}");
    }
    let wrong = "`cargo missing`, `cargo dev`, `cargo test -p nothing`, `.ci/run missing`, `.ci/run fast`";
    assert_eq!(missing_commands(wrong), ["missing", "nothing", "missing"]);
}

#[test]
fn outputs_of_the_stack_are_all_explained() {
    let (template, deploying) = (read("template.yaml"), read("docs/deploying.md"));
    let outputs = template.split("\nOutputs:\n").nth(1).expect("the outputs");
    let outputs: BTreeSet<&str> = found(r"(?m)^  (\w+):$", outputs).into_iter().collect();
    let table = deploying.split("## Outputs of the stack").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = table.expect("the table").lines().filter(|line| line.starts_with("| `")).collect::<Vec<_>>().join("\n");
    let cells = rows.lines().filter_map(|row| row.split(" | ").next()).collect::<Vec<_>>().join("\n");
    let explained: BTreeSet<&str> = found(r"`(\w+)`", &cells).into_iter().collect();
    assert_eq!(explained, outputs);
}

#[test]
fn lines_fit() {
    let mut too_long = Vec::new();
    for (path, text) in documents() {
        let is_link = |line: &str| line.starts_with('[') && line.contains("]: http");
        let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > MAX_COLUMNS);
        let lines = lines.filter(|(_, line)| !line.starts_with('|') && !is_link(line));
        too_long.extend(lines.map(|(number, _)| format!("{path}:{}", number + 1)));
    }
    assert_eq!(too_long, Vec::<String>::new());
}
