//! Our verifier and two others, `svix` and `standardwebhooks`, see the same deliveries: valid ones, and ones that are
//! wrong in one way or several. Where they differ it has to be for a reason that is listed in `reasons.rs`; a difference
//! without one fails, and its case is printed.
//!
//! Usage: differential [CASES [SEED]]

mod cases;
mod reasons;
mod verifiers;

use std::{collections::BTreeMap, process::ExitCode, thread};

// Brings what instrumented code calls.
use libfuzzer_sys as _;

use self::{
    cases::Case,
    reasons::{REASONS, Reason, Who, explain, sets},
    verifiers::{Other, PANIC, at_one_moment},
};

const CASES: u64 = 1_000_000;
const SEED: u64 = 20_261_125;

/// How often each pair of verdicts came, with the reasons where they differ.
type Tally = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let number = |at| std::env::args().nth(at).map(|text| text.parse().expect("a number"));
    let (cases, seed): (u64, u64) = (number(1).unwrap_or(CASES), number(2).unwrap_or(SEED));
    // What panics is `standardwebhooks`, and that is counted.
    std::panic::set_hook(Box::new(|_| {}));

    let workers = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let tallies: Vec<Result<Tally, String>> = thread::scope(|scope| {
        let work = |worker| scope.spawn(move || compare((seed + worker..seed + cases).step_by(workers as usize)));
        let threads: Vec<_> = (0..workers).map(work).collect();
        threads.into_iter().map(|thread| thread.join().expect("our own code does not panic")).collect()
    });
    let mut tally = Tally::new();
    for part in tallies {
        match part {
            Ok(part) => part.into_iter().for_each(|(verdict, count)| *tally.entry(verdict).or_default() += count),
            Err(unexplained) => {
                println!("{unexplained}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{cases} cases from seed {seed}");
    tally.iter().for_each(|(verdict, count)| println!("{count:>9}  {verdict}"));
    println!("where");
    REASONS.iter().for_each(|Reason { name, what, .. }| println!("{name:>17}: {what}"));

    // A generator that makes nothing valid, or nothing else, would show nothing; a reason that never came is none.
    let all =
        |word: &str| tally.iter().filter(|(verdict, _)| verdict.contains(word)).map(|(_, count)| count).sum::<u64>();
    let both = all("both believe");
    let complete = both > cases / 4 && all("both refuse") > cases / 4;
    let unused = REASONS.iter().find(|reason| all(reason.name) == 0);
    match unused {
        None if complete => ExitCode::SUCCESS,
        None => {
            println!("too few deliveries that all believe, or too few that all refuse");
            ExitCode::FAILURE
        }
        Some(Reason { name, .. }) => {
            println!("nothing came of: {name}");
            ExitCode::FAILURE
        }
    }
}

/// # Errors
/// The first difference without a reason.
fn compare(seeds: impl Iterator<Item = u64>) -> Result<Tally, String> {
    let (we_alone, they_alone) = (sets(Who::We), sets(Who::They));
    let mut tally = Tally::new();
    for seed in seeds {
        let case = Case::generate(&mut fastrand::Rng::with_seed(seed));
        for other in Other::ALL {
            let (ours, theirs) = at_one_moment(&case, other, |_| {});
            let verdict = match (ours.is_ok(), theirs.is_ok()) {
                (true, true) => format!("{other:?}: both believe it"),
                (false, false) if theirs == Err(PANIC.to_owned()) => {
                    format!("{other:?}: both refuse it, they by a panic")
                }
                (false, false) => format!("{other:?}: both refuse it"),
                (we_do, _) => {
                    let unexplained =
                        || format!("unexplained, seed {seed}: ours {ours:?}, {other:?} {theirs:?}\n{case:?}");
                    let (who, sets) = if we_do { ("we", &we_alone) } else { ("they", &they_alone) };
                    let reasons = explain(sets, &case, other).ok_or_else(unexplained)?;
                    format!("{other:?}: only {who} believe it: {reasons}")
                }
            };
            *tally.entry(verdict).or_default() += 1;
        }
    }
    Ok(tally)
}
