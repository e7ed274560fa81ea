//! Checks what the pure crates may depend on, and what they must not use.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use expect_test::expect_file;
use serde_json::Value;

/// All dependencies of the pure crates. A new entry must not do I/O, read a clock, or be asynchronous.
const PURE: [(&str, &[&str]); 2] = [
    ("job", &["serde", "thiserror", "time", "uuid"]),
    (
        "renditions",
        &[
            "base64",
            "icu_normalizer",
            "icu_properties",
            "job",
            "ring",
            "serde",
            "serde_json",
            "unicode-segmentation",
            "unicode-width",
        ],
    ),
];

/// Parts of the standard library that reach outside the program, and the clock.
const OUTSIDE: [&str; 9] =
    ["std::env", "std::fs", "std::io", "std::net", "std::os", "std::process", "std::thread", "Instant", "SystemTime"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the packages of the workspace, each with its dependencies outside of tests.
fn workspace() -> BTreeMap<String, BTreeSet<String>> {
    let arguments = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let ships = |dependency: &&Value| dependency["kind"] != "dev";
    let of = |package: &Value| {
        package["dependencies"].as_array().expect("a list").iter().filter(ships).map(name).collect::<BTreeSet<_>>()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn pure_crates_depend_on_what_is_listed_and_on_nothing_else() {
    let workspace = workspace();
    for (name, listed) in PURE {
        let listed: BTreeSet<String> = listed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(workspace[name], listed, "the dependencies of `{name}`");
    }
}

#[test]
fn pure_crates_do_not_name_what_is_outside_the_program() {
    let mut seen = 0;
    for (name, _) in PURE {
        for (path, code) in sources(&root().join("shared").join(name).join("src")) {
            for outside in OUTSIDE {
                assert!(!code.contains(outside), "{} names {outside}", path.display());
            }
            assert!(!code.contains("async "), "{} is asynchronous", path.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} files");
}

#[test]
fn functions_share_code_through_the_shared_crates_alone() {
    let workspace = workspace();
    let functions: BTreeSet<&str> = ["sweep", "transcript", "webhook"].into();
    let tools: BTreeSet<&str> = ["local", "tests"].into();
    for (name, dependencies) in &workspace {
        let ours = dependencies.iter().map(String::as_str).filter(|other| workspace.contains_key(*other));
        let allowed = |other: &str| match name.as_str() {
            "local" => !tools.contains(other),
            "tests" => true,
            _ => !tools.contains(other) && !functions.contains(other),
        };
        for other in ours {
            assert!(allowed(other), "`{name}` depends on `{other}`");
        }
    }
    assert_eq!(workspace["pipeline"].get("job").map(String::as_str), Some("job"));
}

/// The packages in the functions' binaries. What the operator's command or the tests need must not get into them.
#[test]
fn functions_are_built_from_the_listed_packages() {
    let arguments = ["tree", "--offline", "--locked", "--edges=normal", "--prefix=none", "--format={p}"];
    let functions = ["--package=webhook", "--package=transcript", "--package=sweep"];
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo.args(arguments).args(functions).current_dir(root()).output().expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("text");
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let listed = packages.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("\n") + "\n";
    expect_file!["architecture/packages.txt"].assert_eq(&listed);
}

/// Returns the Rust files below a folder, without their tests and comments.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if path.is_dir() && name != "tests" && name != "fuzzing" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "fuzzing.rs" {
            let text = std::fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.push((path, code.collect::<Vec<_>>().join("\n")));
        }
    }
    found
}
