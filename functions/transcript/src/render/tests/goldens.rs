//! Small meetings whose renditions are beside them in `fixtures/`. `UPDATE_EXPECT=1 cargo test` writes them anew.

use std::path::{Path, PathBuf};

use expect_test::expect_file;

use super::{html, meeting, render};
use crate::render::Format;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/fixtures")
}

#[test]
fn renditions_are_as_they_were_judged() {
    let mut seen = 0;
    for entry in fixtures().read_dir().expect("the folder of fixtures") {
        let folder = entry.expect("a fixture").path();
        let file = std::fs::read(folder.join("transcript.json")).expect("a transcript");
        let meeting = meeting(&file, 7).expect("a transcript that can be read");
        for format in Format::ALL {
            let name = format!("transcript.{}", format.name());
            expect_file![folder.join(name)].assert_eq(&html::bare(&render(&meeting, format)));
        }
        // What is not written is not there either.
        assert_eq!(folder.join("transcript.srt").exists(), !meeting.is_empty(), "{}", folder.display());
        seen += 1;
    }
    assert!(seen > 10, "only {seen} fixtures");
}
