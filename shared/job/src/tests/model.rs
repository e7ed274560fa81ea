//! A model of paying once. The checker visits every state of it.
//!
//! One recording; two workers around the real decision functions, one row with conditional writes, and Recall as far as
//! payment goes: keys, calls whose caller is gone, a list that lags. `simulation.rs` searches a larger world at random;
//! this model leaves nothing out within its bounds.
//!
//! # Worlds
//!
//! Each world starts with `recording.done` and ends when nothing is pending. Until then, everything that is possible
//! happens in every order: any worker's next step (decide, save, act), its death between any two of them, the same
//! event again, a wake-up of a job that is due, a call's effect, the passing of time. [`WORLDS`] says how many faults
//! can happen in each world; [`recall::Call`] says what can go wrong with a call.
//!
//! Time jumps from one moment at which anything can change to the next one: the time that the row waits for, the last
//! second in which the core uses a key and the moment at which it stops, the moment at which Recall forgets the key,
//! the latest moment at which a call takes effect, the last second of a worker. The timestamps are real, so
//! `KEY_REUSE`, `LIST_SETTLE`, and leases have their real values.
//!
//! # Assumptions
//!
//! - About Recall: those of docs/reliability.md. A call whose caller is gone takes effect within a minute, and is
//!   listed within another.
//! - About workers: they act before their deadline, or never. That is 14 seconds for `recording.done`, and 15 minutes
//!   for everything else, the longest that Lambda allows. An event that finds a lease, or nothing to do, is delivered
//!   again.
//! - The SDK repeats a write whose answer is lost, and the write meets its own token. So it counts as a write or a
//!   crash.
//! - Steps that change nothing are left out: an event that is ignored, a crash before the first save.
//! - One provider with three tries, a limit of two, no deletions, no transcripts of others, no clock skew beyond
//!   what a lease allows for. The recording is done and its metadata was read, so nothing has to be retrieved, and
//!   `recording.failed` is ignored.
//!
//! # What must hold
//!
//! In every state ([`protocol`]): no attempt takes effect twice; none takes effect beside one that has not failed; no
//! more transcripts than the limit are made; and whenever no worker is active, the job is due later, or a wake-up
//! continues it now, or it has reached an end that knows of everything paid for. No path through a world is endless,
//! because every step uses up a fault, a call, an attempt, or time. So every job reaches such an end.
//!
//! [Four mutants](worker::Mutant), each without one part of the protocol, break a promise in one of these worlds.
//!
//! `cargo test -p job model -- --nocapture` prints the numbers of states. With `DEEPER=1`, one more worker
//! dies and one more call fails in each world, which takes ten minutes.

mod protocol;
mod recall;
mod view;
mod ways;
mod worker;
mod world;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use stateright::{Checker, HasDiscoveries, Model};

use self::protocol::Protocol;
use super::{figures, variable};

const MINUTE: Duration = Duration::from_secs(60);
const THREADS: usize = 2;

/// What can happen in a world.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    budget: Budget,
    /// A worker may stall before any of its steps, for as long as it lives.
    stalls: bool,
    /// A call whose caller is gone takes effect within this time; zero: there are no such calls.
    flight: Duration,
    /// A transcript is listed within this time after the call's effect.
    lag: Duration,
    /// How long Recall remembers a key after its call has ended.
    key_life: Duration,
}

/// How many faults of each kind can happen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Budget {
    /// Workers that die.
    crashes: u8,
    /// Calls and lists that fail.
    faults: u8,
    /// Events that are delivered although a worker is active, or was.
    repeats: u8,
    /// `transcript.done` webhooks, early and late.
    dones: u8,
    /// Transcripts that Recall cannot make, and says so.
    failures: u8,
}

const SLOW_RECALL: Bounds = Bounds {
    budget: Budget { crashes: 2, faults: 2, repeats: 1, dones: 0, failures: 0 },
    stalls: false,
    flight: MINUTE,
    lag: MINUTE,
    key_life: MINUTE.saturating_mul(60),
};
const MANY_FAULTS: Bounds =
    Bounds { budget: Budget { crashes: 1, faults: 3, repeats: 0, dones: 0, failures: 0 }, ..SLOW_RECALL };
const NEWS: Bounds =
    Bounds { budget: Budget { crashes: 1, faults: 1, repeats: 2, dones: 1, failures: 2 }, ..SLOW_RECALL };
const SLOW_WORKERS: Bounds =
    Bounds { budget: Budget { crashes: 1, faults: 1, repeats: 1, dones: 0, failures: 0 }, stalls: true, ..SLOW_RECALL };
/// Each world has at least this many states, so that none becomes empty by accident.
const WORLDS: [(&str, Bounds, usize); 4] = [
    ("slow Recall", SLOW_RECALL, 500_000),
    ("many faults", MANY_FAULTS, 200_000),
    ("news", NEWS, 200_000),
    ("slow workers", SLOW_WORKERS, 150_000),
];

#[test]
fn model_never_pays_twice_or_gets_stuck() {
    let deeper = u8::from(variable("DEEPER").is_some());
    let mut states = 0;
    for (name, bounds, at_least) in WORLDS {
        let Budget { crashes, faults, .. } = bounds.budget;
        let budget = Budget { crashes: crashes + deeper, faults: faults + deeper, ..bounds.budget };
        let checker = check(name, Bounds { budget, ..bounds }, HasDiscoveries::All);
        for property in checker.model().properties() {
            let found = checker.discovery(property.name);
            match (property.expectation.discovery_is_failure(), found) {
                (true, Some(path)) => panic!("{name}: not so: {}\n{}", property.name, ways::of(path)),
                (false, None) => panic!("{name}: this never happens: {}", property.name),
                (true, None) | (false, Some(_)) => {}
            }
        }
        assert!(checker.unique_state_count() >= at_least, "{name}: only {} states", checker.unique_state_count());
        states += checker.unique_state_count();
    }
    if deeper == 0 {
        figures::check("States of the model", states);
    }
}

/// `view.rs` says which states are equal. In smaller worlds, all states are visited without it: those that it calls
/// equal keep the same promises and have equal successors.
#[test]
fn equal_views_have_equal_futures() {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    for (bounds, [crashes, faults, repeats, dones, failures]) in [
        (SLOW_RECALL, [1, 1, 0, 0, 0]),
        (SLOW_RECALL, [0, 1, 1, 0, 0]),
        (SLOW_RECALL, [0, 1, 0, 1, 2]),
        (SLOW_WORKERS, [1, 1, 0, 0, 0]),
        (SLOW_WORKERS, [1, 0, 1, 1, 0]),
    ] {
        let budget = Budget { crashes, faults, repeats, dones, failures };
        let model = Protocol::new(Bounds { budget, ..bounds }, None);
        let properties = model.properties();
        let (mut open, mut met, mut futures) = (model.init_states(), HashSet::new(), HashMap::new());
        while let Some(world) = open.pop() {
            if !met.insert(hasher.hash_one(format!("{world:?}"))) {
                continue;
            }
            let next = model.next_states(&world);
            let mut views: Vec<u64> = next.iter().map(|next| hasher.hash_one(next)).collect();
            views.sort_unstable();
            views.dedup();
            let promises = properties.iter().filter(|property| property.expectation.discovery_is_failure());
            let holds: Vec<bool> = promises.map(|property| (property.condition)(&model, &world)).collect();
            match futures.entry(hasher.hash_one(&world)) {
                Entry::Vacant(entry) => drop(entry.insert((views, holds))),
                Entry::Occupied(entry) => assert_eq!(*entry.get(), (views, holds), "{world:#?}"),
            }
            open.extend(next);
        }
        tell(&format!("{} states look like {}", met.len(), futures.len()));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it took is shown to people only")]
fn check(name: &str, bounds: Bounds, retry_at: HasDiscoveries) -> impl Checker<Protocol> {
    let watch = std::time::Instant::now();
    let checker = Protocol::new(bounds, None).checker().threads(THREADS).finish_when(retry_at).spawn_bfs().join();
    let (states, depth, millis) = (checker.unique_state_count(), checker.max_depth(), watch.elapsed().as_millis());
    tell(&format!("{name}: {states} states, at most {depth} steps, {millis} ms"));
    checker
}

#[expect(clippy::print_stdout, reason = "shown on request only, by --nocapture")]
fn tell(what: &str) {
    println!("{what}");
}
