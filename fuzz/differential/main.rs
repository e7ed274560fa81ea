//! Compares our signature verifier with two others, `svix` and `standardwebhooks`, over the same generated deliveries.
//!
//! Some deliveries are valid, and others are wrong in one or several ways. Each difference between two verdicts must
//! have a reason that `reasons.rs` lists. The first difference without such a reason is printed, and the run fails.
//!
//! Usage: differential [CASES [SEED]]

mod cases;
mod reasons;
mod verifiers;

use std::{collections::BTreeMap, process::ExitCode, thread};

// Provides the functions that instrumented code calls.
use libfuzzer_sys as _;

use self::{
    cases::Case,
    reasons::{Accepts, REASONS, Reason, explain, sets},
    verifiers::{Other, PANIC, at_one_moment},
};

const CASES: u64 = 1_000_000;
const SEED: u64 = 20_261_125;

/// How many times each pair of verdicts occurred, with the reasons if the verdicts differ.
type Tally = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let number = |at| std::env::args().nth(at).map(|text| text.parse().expect("a number"));
    let (cases, seed): (u64, u64) = (number(1).unwrap_or(CASES), number(2).unwrap_or(SEED));
    // Only `standardwebhooks` panics, and those panics are counted, so they need not be printed.
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
    println!("reasons:");
    REASONS.iter().for_each(|Reason { name, what, .. }| println!("{name:>17}: {what}"));

    // The comparison proves nothing if nearly all deliveries are valid or nearly all are invalid. A listed reason that
    // explains no difference is out of date.
    let count =
        |text: &str| tally.iter().filter(|(verdict, _)| verdict.contains(text)).map(|(_, count)| count).sum::<u64>();
    let is_balanced = count("both accept") > cases / 4 && count("both refuse") > cases / 4;
    let unused = REASONS.iter().find(|reason| count(reason.name) == 0);
    match unused {
        None if is_balanced => ExitCode::SUCCESS,
        None => {
            println!("too few deliveries are accepted by both verifiers, or too few are refused by both");
            ExitCode::FAILURE
        }
        Some(Reason { name, .. }) => {
            println!("no difference has this reason: {name}");
            ExitCode::FAILURE
        }
    }
}

/// Compares the verdicts on the cases with these seeds.
///
/// # Errors
/// Describes the first difference without a reason.
fn compare(seeds: impl Iterator<Item = u64>) -> Result<Tally, String> {
    let (only_ours, only_theirs) = (sets(Accepts::Ours), sets(Accepts::Theirs));
    let mut tally = Tally::new();
    for seed in seeds {
        let case = Case::generate(&mut fastrand::Rng::with_seed(seed));
        for other in Other::ALL {
            let (ours, theirs) = at_one_moment(&case, other, |_| {});
            let verdict = match (ours.is_ok(), theirs.is_ok()) {
                (true, true) => format!("{other:?}: both accept it"),
                (false, false) if theirs == Err(PANIC.to_owned()) => {
                    format!("{other:?}: both refuse it, the other by a panic")
                }
                (false, false) => format!("{other:?}: both refuse it"),
                (ours_accepts, _) => {
                    let unexplained =
                        || format!("no reason explains seed {seed}: ours {ours:?}, {other:?} {theirs:?}\n{case:?}");
                    let (who, sets) = if ours_accepts { ("ours", &only_ours) } else { ("theirs", &only_theirs) };
                    let reasons = explain(sets, &case, other).ok_or_else(unexplained)?;
                    format!("{other:?}: only {who} accepts it: {reasons}")
                }
            };
            *tally.entry(verdict).or_default() += 1;
        }
    }
    Ok(tally)
}
