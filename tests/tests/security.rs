//! `docs/security.md` names the tests and files behind each of its claims. These tests check that they exist, and that
//! the build uses only what the lock files name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every source file of ours, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut folders: Vec<_> = ["functions", "shared", "cli", "local", "tests"].map(|folder| root().join(folder)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found
}

/// Returns the tests of a file: each `fn name` with a test attribute in the lines before it.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if std::mem::take(&mut is_test) {
                tests.extend(rest.split('(').next());
            }
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            is_test = false;
        }
    }
    tests
}

/// Returns the text between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Parses `module::name`, where the module is the name of the file or of a folder above it.
fn as_test(token: &str) -> Option<(&str, &str)> {
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    token.split_once("::").filter(|(module, name)| plain(module) && plain(name))
}

fn is_there(sources: &[(String, String)], (module, name): (&str, &str)) -> bool {
    sources.iter().any(|(path, source)| {
        let of_module = path.trim_end_matches(".rs").split('/').any(|part| part == module);
        of_module && tests_in(source).contains(name)
    })
}

#[test]
fn every_threat_names_tests_that_exist() {
    let (text, sources) = (read("docs/security.md"), sources());
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| **")).collect();
    assert!(rows.len() >= 12, "only {} threats", rows.len());
    for row in rows {
        let shown_by = row.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
        let tests: Vec<_> = quoted(shown_by).into_iter().filter_map(as_test).collect();
        assert!(!tests.is_empty(), "no test in: {row}");
    }
    let named: Vec<_> = quoted(&text).into_iter().filter_map(as_test).collect();
    for (module, name) in named {
        assert!(is_there(&sources, (module, name)), "there is no test {module}::{name}");
    }
    assert!(!is_there(&sources, ("hostile", "a_test_that_is_not_there")));
    assert!(!is_there(&sources, ("hostile", "done")), "a helper is not a test");
}

#[test]
fn every_file_that_the_threats_name_exists() {
    let text = read("docs/security.md");
    let is_path = |token: &&str| token.contains('/') && token.rsplit('.').next().is_some_and(|end| end.len() <= 5);
    let paths: Vec<_> = quoted(&text).into_iter().filter(is_path).filter(|token| !token.contains([' ', '*'])).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "there is no {path}");
    }
}

#[test]
fn every_fuzz_target_has_a_corpus_and_runs_on_every_change() {
    let run = read(".ci/run");
    for target in fs::read_dir(root().join("fuzz/fuzz_targets")).expect("the targets") {
        let path = target.expect("a target").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let corpus = fs::read_dir(root().join("fuzz/corpus").join(&name)).expect("a corpus").count();
        assert!(corpus >= 5, "{name} begins with {corpus} inputs");
        let targets = run.lines().map(str::trim).find(|line| line.starts_with("for target in ")).unwrap_or_default();
        assert!(targets.split([' ', ';']).any(|word| word == name), "{name} does not run in .ci/run");
    }
}

/// A package from another source, or one that could change under its version, must not ship.
#[test]
fn every_package_comes_from_crates_io_with_its_checksum() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let text = read(lock);
        let mut foreign = 0;
        for package in text.split("[[package]]").skip(1) {
            let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            let Some(source) = value("source") else { continue };
            assert_eq!(source, "\"registry+https://github.com/rust-lang/crates.io-index\"", "{lock}: {package}");
            assert!(value("checksum").is_some_and(|sum| sum.len() == 66), "{lock}: {package}");
            foreign += 1;
        }
        assert!(foreign > 100, "{lock} has {foreign} packages of others");
    }
}

/// Without `--locked`, a build may take newer packages than the reviewed ones.
#[test]
fn builds_on_every_change_use_the_lock_files() {
    let mut builds = 0;
    for (path, text) in [".ci/run", "fuzz/run"].map(|path| (path, read(path))) {
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let words = ["clippy", "test", "doc", "run", "build", "deny"].map(|word| format!("cargo {word} "));
            if words.iter().any(|word| line.contains(word)) && !line.contains("--version") {
                assert!(line.contains("--locked"), "{path}: {line}");
                builds += 1;
            }
        }
    }
    assert!(builds >= 5, "only {builds} lines build something");
}
