//! The function binaries, as processes, against the whole local stack.

mod deadlines;
mod edge;
mod example;
mod failures;
mod happy;
mod hostile;
mod kills;
mod page;
mod policy;
mod renditions;
mod repeats;
mod seeing;
mod sweep;
mod threats;

/// A test that does not look does not see a fault that never struck, nor a broken promise.
#[test]
fn every_test_of_a_pipeline_checks_its_promises() {
    /// It spoils what is stored itself.
    const EXEMPT: &str = "what_is_not_as_stored_is_not_rendered";
    let (mut folders, mut seen) = (vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for test in text.split("#[tokio::test").skip(1) {
                let body = test.split("\n}\n").next().unwrap_or_default();
                let (_, name) = body.split_once("async fn ").expect("a test is a function");
                let name = name.split('(').next().unwrap_or_default();
                if body.contains("pipeline.") && name != EXEMPT {
                    assert!(body.contains(".check_promises()"), "{name} in {}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} tests were found");
}
