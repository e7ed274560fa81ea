//! The figures in docs/reliability.md that these tests measure.

use std::path::Path;

/// Checks that the table in docs/reliability.md has this figure in this row.
pub(super) fn check(row: &str, measured: impl ToString) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let cells = text.lines().find_map(|line| line.strip_prefix(&format!("| {row} | ")));
    let written = cells.and_then(|cells| cells.split(" |").next());
    let measured = thousands(&measured.to_string());
    assert_eq!(written, Some(&*measured), "docs/reliability.md: the figure of `{row}` is {measured}");
}

fn thousands(digits: &str) -> String {
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[test]
fn figures_are_written_with_commas() {
    assert_eq!(["7", "163", "1000", "1523192"].map(thousands), ["7", "163", "1,000", "1,523,192"]);
}
