//! The shortest paths to a broken promise: of the four mutants, and beyond the bounds.

use std::{fmt::Write as _, time::Duration};

use expect_test::{Expect, expect};
use stateright::{Checker, HasDiscoveries, Model, Path};

use super::{
    Bounds, Budget, SLOW_RECALL, SLOW_WORKERS, check,
    protocol::{ALONE, Action, LONGEST, ONCE, Protocol},
    worker::Mutant,
    world::World,
};
use crate::{KEY_REUSE, tests::NOW};

/// No path that the tests look for is longer.
const MOST_STEPS: usize = 40;

/// Leases that end at once: while one worker stalls before its call, another one looks the attempt up, finds nothing,
/// and continues.
#[test]
fn mutant_without_leases_pays_twice() {
    breaks(
        Mutant::NoLease,
        ALONE,
        &expect![[r#"
            0:00:00  recording.done comes               no row
            0:00:00  A saves                            creating
            0:00:00  A dies                             creating
            0:39:59  time passes                        creating
            0:39:59  a wake-up comes                    creating
            0:39:59  A saves                            creating
            0:40:00  time passes                        creating
            0:54:58  time passes                        creating
            0:54:58  a wake-up comes                    creating
            0:54:58  B saves                            creating
            0:54:58  B acts: List                       creating
            0:54:58  B saves                            creating
            0:54:58  B acts: Create(Fine)               creating     paid 2
            0:54:58  A acts: Create(Fine)               creating     paid 2 and 1
        "#]],
    );
}

/// A call before its claim is saved: when its worker dies, the row does not know it, and an hour later Recall does not.
#[test]
fn mutant_that_calls_before_its_claim_pays_twice() {
    breaks(
        Mutant::CallFirst,
        ONCE,
        &expect![[r#"
        0:00:00  recording.done comes               no row
        0:00:00  A acts: Create(Fine)               no row       paid 1
        0:00:00  A dies                             no row       paid 1
        1:00:00  time passes                        no row       paid 1
        1:00:00  recording.done comes               no row       paid 1
        1:00:00  A acts: Create(Fine)               no row       paid 1 and 1
    "#]],
    );
}

/// Keys alone: when a key is too old to be used, the outcome of its call stays unknown.
#[test]
fn mutant_with_keys_alone_pays_twice() {
    breaks(
        Mutant::KeyOnly,
        ALONE,
        &expect![[r#"
        0:00:00  recording.done comes               no row
        0:00:00  A saves                            creating
        0:00:00  A acts: Create(Fine)               creating     paid 1
        0:00:00  A dies                             creating     paid 1
        0:00:16  time passes                        creating     paid 1
        0:39:59  time passes                        creating     paid 1
        0:40:00  time passes                        creating     paid 1
        0:40:00  a wake-up comes                    creating     paid 1
        0:40:00  A saves                            creating     paid 1
        0:40:00  A acts: List                       creating     paid 1
        0:40:00  A saves                            creating     paid 1
        0:40:00  A acts: Create(Fine)               creating     paid 1 and 2
    "#]],
    );
}

/// Look-ups alone: a call whose answer is lost is repeated.
#[test]
fn mutant_with_look_ups_alone_pays_twice() {
    breaks(
        Mutant::ListOnly,
        ONCE,
        &expect![[r#"
        0:00:00  recording.done comes               no row
        0:00:00  A saves                            creating
        0:00:00  A acts: Create(Fine)               creating     paid 1
        0:00:00  A dies                             creating     paid 1
        0:00:16  time passes                        creating     paid 1
        0:00:16  a wake-up comes                    creating     paid 1
        0:00:16  A saves                            creating     paid 1
        0:00:16  A acts: Create(Fine)               creating     paid 1 and 1
    "#]],
    );
}

/// The constants have no slack: with lists that are one second slower, or keys that are forgotten before
/// the last second of a worker that took over in the last second of `KEY_REUSE`, the protocol breaks.
#[test]
fn constants_have_nothing_to_spare() {
    let second = Duration::from_secs(1);
    let budget = Budget { crashes: 0, faults: 2, repeats: 0, dones: 0, failures: 0 };
    let slower = Bounds { budget, lag: SLOW_RECALL.lag + second, ..SLOW_RECALL };
    assert!(check("slower lists", slower, HasDiscoveries::AnyFailures).discovery(ALONE).is_some());
    let forgetful = Bounds { key_life: KEY_REUSE + LONGEST - 2 * second, ..SLOW_WORKERS };
    assert!(check("shorter keys", forgetful, HasDiscoveries::AnyFailures).discovery(ONCE).is_some());
}

/// Stalling workers and one crash are enough for this mutant to break this promise, on this path.
fn breaks(mutant: Mutant, promise: &'static str, how: &Expect) {
    let budget = Budget { faults: 0, ..SLOW_WORKERS.budget };
    how.assert_eq(&shortest(Bounds { budget, ..SLOW_WORKERS }, Some(mutant), promise));
}

/// The shortest path to a broken promise.
fn shortest(bounds: Bounds, mutant: Option<Mutant>, promise: &'static str) -> String {
    let found = (1..MOST_STEPS).find_map(|steps| {
        let retry_at = HasDiscoveries::AllOf([promise].into());
        let checker = Protocol::new(bounds, mutant).checker().target_max_depth(steps).finish_when(retry_at).spawn_bfs();
        checker.join().discovery(promise)
    });
    of(found.expect("it holds"))
}

/// One line for each step: when, what, and the row and Recall afterwards.
pub(super) fn of(path: Path<World, Action>) -> String {
    let mut text = String::new();
    let mut step = None;
    for (world, next) in path.into_vec() {
        if let Some(action) = std::mem::replace(&mut step, next) {
            let seconds = world.now.since(NOW).as_secs();
            let at = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            let status = if world.row.version == 0 { "no row" } else { world.row.status().as_str() };
            let paid: Vec<String> = world.recall.made.iter().map(|made| made.attempt.to_string()).collect();
            let paid = if paid.is_empty() { String::new() } else { format!("paid {}", paid.join(" and ")) };
            let line = format!("{at}  {:<34} {status:<12} {paid}", action.to_string());
            writeln!(text, "{}", line.trim_end()).expect("a String");
        }
    }
    text
}
