//! A model of paying once, of which every state is visited.
//!
//! One recording; two workers around the real decision functions, one row with conditional writes, and Recall as far
//! as it is paid: keys, calls that nobody waits for any more, a list that lags. `simulation.rs` searches a larger world
//! by chance; this one leaves nothing out within its bounds.
//!
//! # Worlds
//!
//! Each starts with `recording.done` and ends when nothing more is to come. Until then everything that is possible
//! happens in every order: any worker's next step (decide, save, act), its death between any two of them, the same
//! event again, a wake-up of a job that is due, a call's effect, the passing of time. [`WORLDS`] says how often what is
//! bad can happen in each; [`recall::Call`], what can go wrong with a call.
//!
//! Time goes from one moment at which anything can become different to the next one: what the row waits for, a second
//! before and the very moment at which the core stops to use a key, the moment at which Recall forgets it, the latest
//! moment at which a call takes effect, the last second of a worker. They are real time stamps, so `KEY_REUSE`,
//! `LIST_SETTLE` and leases are what they are.
//!
//! # Assumptions
//!
//! - Of Recall: those of ARCHITECTURE.md. A call that nobody waits for takes effect within a minute, and is listed
//!   within another.
//! - Of workers: they act before their deadline, or never; that is 14 seconds for `recording.done`, and 15 minutes for
//!   everything else, the longest that Lambda allows. Who finds somebody else at it, or nothing to do, comes again.
//! - A write whose answer is lost is repeated by the SDK and meets its own token, so it is a write, or a death.
//! - What changes nothing is left out: an event that is ignored, a death before the first save.
//! - One provider with three tries, a limit of two, nothing deleted, nobody else's transcripts, no skewed clocks beyond
//!   what a lease allows for. The recording is done and its metadata was read: nothing has to be retrieved, and
//!   `recording.failed` is ignored.
//!
//! # What must hold
//!
//! In every state ([`protocol`]): no attempt takes effect twice; none takes effect beside one that has not failed; not
//! more than the limit are made; and whenever nobody is at it, either the job is due later, or a wake-up goes on with
//! it now, or it has come to an end that knows of everything paid for. No way through a world is endless, since every
//! step uses up a fault, a call, an attempt or time; so every job comes to such an end.
//!
//! And [four mutants](worker::Mutant), each without one part of the protocol, break it in one of these worlds.
//!
//! `cargo test -p job model -- --nocapture` tells the numbers of states. With `DEEPER=1` one more worker
//! dies and one more call goes wrong in each world, which takes ten minutes.

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
    /// A worker may stand still before any of its steps, for as long as it lives.
    stalls: bool,
    /// Within this a call that nobody waits for any more takes effect; zero: there are no such calls.
    flight: Duration,
    /// Within this after its effect it is listed.
    lag: Duration,
    /// How long Recall remembers a key after its call has ended.
    key_life: Duration,
}

/// How often what is bad can happen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Budget {
    /// Workers that die.
    crashes: u8,
    /// Calls and lists that go wrong.
    faults: u8,
    /// Events that come although somebody is at it, or was.
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
/// With at least so many states, so that none of them becomes empty by accident.
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

/// `view.rs` says which states are the same. In smaller worlds all states are visited as they are, and those that are
/// said to be the same keep the same promises, and the same can become of them.
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
