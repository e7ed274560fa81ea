//! `cargo figures`: what the functions cost, measured on the binaries that ship. Sizes and memory have limits. Times do
//! not, because they depend on the machine: compare them with those of an older version.
//! `cargo figures --write` writes them into docs/development.md. `cargo figures --before DIR` compares them with those of
//! older binaries: both are measured in turn, in one run, so that a busy machine slows both.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints for a person")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use ::tests::{
    large_transcripts::{by_participant, by_utterance},
    measure::{Copied, Copier, init, median},
};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use local::{
    build::Binaries,
    recall::{Meeting, MeetingFile, many_events, many_participants},
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/development.md");
/// The document has the figures between these two lines.
const BEGIN: &str = "<!-- cargo figures --write -->\n";
const END: &str = "<!-- end of the figures -->\n";

/// With a cold page cache, a megabyte costs about a millisecond of a cold start.
const MAX_BINARY_BYTES: u64 = 9_000_000;
/// The limit for every length and shape of a transcript, including its renditions, and for any number of people.
const MAX_PEAK_MIB: f64 = 32.0;

/// How many runs a median is taken of. The start-up figures have one more run, which only loads the binary into memory.
const RUNS: usize = 9;
const RUNS_OF_LARGE: usize = 3;
/// The number of words in a day of speech, which is about 40 MB.
const WORDS_OF_A_DAY: usize = 270_000;
/// The number of speakers up to which a transcript is rendered.
const MAX_SPEAKERS: usize = 1_000;
const PEOPLE: usize = 100_000;
const EVENTS_BYTES: usize = 200_000_000;
/// The longest possible recording, so that no timestamp is after its end.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// A meeting whose transcript is copied.
struct Case {
    name: &'static str,
    meeting: fn() -> Meeting,
    runs: usize,
}

impl Case {
    const fn new(name: &'static str, runs: usize, meeting: fn() -> Meeting) -> Self {
        Self { name, meeting, runs }
    }
}

/// A talkative meeting of one hour, of ten hours, and of a day in several shapes; a file that is too long to render,
/// which is only copied; and a meeting with more people and more events than are remembered.
const CASES: [Case; 8] = [
    Case::new("1.6 MB: an hour", RUNS, || large(1_600_000)),
    Case::new("16 MB: ten hours", RUNS, || large(16_000_000)),
    Case::new("40 MB: a day", RUNS_OF_LARGE, || large(40_000_000)),
    Case::new("One turn of 100,000 words", RUNS_OF_LARGE, || with_content(by_participant(100_000, 1))),
    Case::new("A day, one entry a participant", RUNS_OF_LARGE, || with_content(by_participant(WORDS_OF_A_DAY, 8))),
    Case::new("A day of 1,000 speakers", RUNS_OF_LARGE, || with_content(by_utterance(WORDS_OF_A_DAY, MAX_SPEAKERS))),
    Case::new("200 MB: too long to be rendered", RUNS_OF_LARGE, || large(200_000_000)),
    Case::new("An hour, 100,000 people, 200 MB of events", RUNS_OF_LARGE, || {
        let meeting = large(1_600_000).with_file(MeetingFile::Participants, many_participants(PEOPLE));
        meeting.with_file(MeetingFile::Events, many_events(PEOPLE, EVENTS_BYTES))
    }),
];

fn large(bytes: usize) -> Meeting {
    with_content(Meeting::large(bytes).content().clone())
}

fn with_content(content: Bytes) -> Meeting {
    Meeting::with_content(content).lasting(LONGEST).transcribed_like(Duration::from_secs(20))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run(false).await,
        ["--write"] => run(true).await,
        ["--before", folder] => compare(Path::new(folder)).await.map(|()| true),
        _ => {
            eprintln!("error: the options are --write, which writes the figures into docs/development.md, and");
            eprintln!("--before DIR, which compares them with the binaries of an older version in DIR");
            return ExitCode::FAILURE;
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: a limit is exceeded");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every figure is within its limit.
async fn run(write: bool) -> Result<bool> {
    println!("building the functions in release mode …");
    let binaries = Binaries::build_release().await?;
    let functions = [("webhook", &binaries.webhook), ("transcript", &binaries.transcript), ("sweep", &binaries.sweep)];
    println!("\n{:<44}{:>14}{:>14}", "figure", "median", "limit");
    let mut good = true;
    let (mut sizes, mut starts) = (Vec::new(), Vec::new());
    for (name, binary) in functions {
        let bytes = fs::metadata(binary).with_context(|| format!("{} is not there", binary.display()))?.len();
        good &= line(&format!("{name}: binary"), bytes as f64 / 1e6, Some(MAX_BINARY_BYTES as f64 / 1e6), "MB");
        sizes.push(format!("{:.1} MB", bytes as f64 / 1e6));
    }
    for (name, binary) in functions {
        let inits = (0..=RUNS).map(|_| init(binary)).skip(1).collect::<Result<Vec<_>>>()?;
        let init = median(inits);
        line(&format!("{name}: CPU to the first poll"), init, None, "ms");
        starts.push(format!("{init:.1} ms"));
    }
    let mut rows = Vec::new();
    for case in CASES {
        let copies = copies(&binaries, &case).await?;
        let of = |figure: fn(&Copied) -> f64| median(copies.iter().map(figure).collect());
        let (name, peak, cpu) = (case.name, of(|copy| copy.peak_mib), of(|copy| copy.cpu_ms));
        good &= line(&format!("{name}: peak memory"), peak, Some(MAX_PEAK_MIB), "MiB");
        line(&format!("{name}: CPU with init"), cpu, None, "ms");
        line(&format!("{name}: time"), of(|copy| copy.wall_ms), None, "ms");
        rows.push(copy_row(&case, &format!("{peak:.1} MiB"), &format!("{cpu:.0} ms")));
    }
    println!(
        "\nThe time depends on the local stack, which is not optimized. The other figures are the function's own."
    );
    if write {
        let document = fs::read_to_string(DOCUMENT).context("docs/development.md cannot be read")?;
        fs::write(DOCUMENT, with_tables(&document, &tables(&sizes, &starts, &rows))?)
            .context("docs/development.md cannot be written")?;
    }
    Ok(good)
}

/// The tables of docs/development.md.
fn tables(sizes: &[String], starts: &[String], rows: &[String]) -> String {
    format!(
        "| Figure | `webhook` | `transcript` | `sweep` | Limit |\n|---|---|---|---|---|\n\
         | Binary | {} | {:.1} MB |\n| CPU time from the start to the first poll | {} | – |\n\n\
         One copy, with every rendition:\n\n\
         | Meeting | CPU time with init | Peak memory | Limit |\n|---|---|---|---|\n{}",
        sizes.join(" | "),
        MAX_BINARY_BYTES as f64 / 1e6,
        starts.join(" | "),
        rows.concat(),
    )
}

fn copy_row(case: &Case, peak: &str, cpu: &str) -> String {
    format!("| {} | {cpu} | {peak} | {MAX_PEAK_MIB:.0} MiB |\n", case.name)
}

/// Returns the text with its tables replaced by these.
fn with_tables(text: &str, tables: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("docs/development.md has no place for the figures")?;
    let (_, after) = rest.split_once(END).context("docs/development.md has no end of the figures")?;
    Ok(format!("{before}{BEGIN}{tables}{END}{after}"))
}

/// Prints one figure and returns whether it is within its limit.
fn line(name: &str, value: f64, limit: Option<f64>, unit: &str) -> bool {
    let good = limit.is_none_or(|limit| value <= limit);
    let limit = limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.2} {unit}"));
    let verdict = if good { "" } else { "  EXCEEDED" };
    println!("{name:<44}{:>14}{limit:>14}{verdict}", format!("{value:.2} {unit}"));
    good
}

async fn copies(binaries: &Binaries, case: &Case) -> Result<Vec<Copied>> {
    let copier = Copier::start(binaries).await?;
    let meeting = (case.meeting)();
    let mut copies = Vec::new();
    for _ in 0..case.runs {
        copies.push(copier.copy(&meeting).await?);
    }
    Ok(copies)
}

/// Compares the functions with older ones: every figure of both in turn, and the median of their ratios.
async fn compare(folder: &Path) -> Result<()> {
    let binary = |name: &str| -> Result<PathBuf> {
        folder.join(name).canonicalize().with_context(|| format!("{} has no binary `{name}`", folder.display()))
    };
    let before = Binaries { webhook: binary("webhook")?, transcript: binary("transcript")?, sweep: binary("sweep")? };
    println!("building the functions in release mode …");
    let after = Binaries::build_release().await?;
    println!("\n{:<44}{:>12}{:>12}{:>8}", "figure, as a median", "before", "after", "ratio");
    let functions = [
        ("webhook", &before.webhook, &after.webhook),
        ("transcript", &before.transcript, &after.transcript),
        ("sweep", &before.sweep, &after.sweep),
    ];
    for (name, before, after) in functions {
        let bytes = |path: &PathBuf| fs::metadata(path).map(|data| data.len() as f64 / 1e6);
        ratio(&format!("{name}: binary"), vec![(bytes(before)?, bytes(after)?)], "MB");
        let inits = (0..=RUNS).map(|_| Ok((init(before)?, init(after)?))).skip(1).collect::<Result<_>>()?;
        ratio(&format!("{name}: CPU to the first poll"), inits, "ms");
    }
    for case in CASES {
        let (older, newer) = (Copier::start(&before).await?, Copier::start(&after).await?);
        let meeting = (case.meeting)();
        let mut copies: Vec<(Copied, Copied)> = Vec::new();
        for _ in 0..RUNS.max(case.runs) {
            copies.push((older.copy(&meeting).await?, newer.copy(&meeting).await?));
        }
        let pairs =
            |figure: fn(&Copied) -> f64| copies.iter().map(|(one, other)| (figure(one), figure(other))).collect();
        ratio(&format!("{}: peak memory", case.name), pairs(|copy| copy.peak_mib), "MiB");
        ratio(&format!("{}: CPU with init", case.name), pairs(|copy| copy.cpu_ms), "ms");
    }
    Ok(())
}

/// Prints the medians of both, and the median of their ratios.
fn ratio(name: &str, pairs: Vec<(f64, f64)>, unit: &str) {
    let before = median(pairs.iter().map(|(before, _)| *before).collect());
    let after = median(pairs.iter().map(|(_, after)| *after).collect());
    let ratio = median(pairs.iter().map(|(before, after)| after / before).collect());
    println!("{name:<44}{:>12}{:>12}{ratio:>8.3}", format!("{before:.2} {unit}"), format!("{after:.2} {unit}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measured values in the document may be older, so the test only checks the limits.
    #[test]
    fn the_document_has_every_figure_with_its_limit() {
        let document = fs::read_to_string(DOCUMENT).expect("the document");
        let (_, rest) = document.split_once(BEGIN).expect("the figures");
        let written = rest.split_once(END).expect("their end").0;
        let cells = |line: &str| line.split(" | ").map(str::to_owned).collect::<Vec<_>>();
        let measured = |prefix: &str, from: usize| {
            let line = written.lines().find(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("no {prefix}"));
            cells(line).get(from..from + 3).map(<[String]>::to_vec).unwrap_or_default()
        };
        let row = |case: &Case| {
            let of_case = measured(&format!("| {} |", case.name), 1);
            copy_row(case, &of_case[1], &of_case[0])
        };
        let rows: Vec<String> = CASES.iter().map(row).collect();
        let (sizes, starts) = (measured("| Binary |", 1), measured("| CPU time from", 1));
        assert_eq!(written, tables(&sizes, &starts, &rows));
        assert_eq!(with_tables(&document, written).expect("the place"), document);
        assert!(with_tables(&document, "other").expect("the place").contains(&format!("{BEGIN}other{END}")));
    }
}
