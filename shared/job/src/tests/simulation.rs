//! The whole system around the core, in random schedules of everything that can go wrong, each from a seed.
//!
//! One recording (`world.rs`); the webhook function and the transcript function as they call the core (`worker.rs`,
//! `act.rs`); the sweep (`sweep.rs`); a queue with visibility, delays and a limit of receives, and a sender that gives
//! up after 27.6 hours (`mail.rs`); a table with versions; and models of Recall, S3 and the event bus. A worker can die
//! before or after each of its steps, and certainly dies at its deadline. For a while there are faults; after that
//! everything works, and the job must come to an end.
//!
//! The tests run some of them. `SCHEDULES=1000000 cargo test --release -p job no_schedule` runs more, and
//! `SEED=… cargo test -p job no_schedule` replays one.
//!
//! Assumptions about Recall: a call whose caller is gone ends within a minute, a new transcript is listed within
//! another, a key is remembered for an hour after its call has ended, and a deletion is seen at once. About clocks: no
//! two workers differ by more than a second.

mod act;
mod checks;
mod mail;
mod recall;
mod sweep;
mod trouble;
mod worker;
mod world;

use std::{collections::HashMap, time::Duration};

use self::world::World;
use super::{figures, variable};
use crate::Status;

/// How many schedules the tests run.
const SCHEDULES: u64 = 100_000;
const THREADS: u64 = 2;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

#[test]
fn no_schedule_pays_twice_or_gets_stuck() {
    let only = variable("SEED");
    let seeds = only.map_or(0..variable("SCHEDULES").unwrap_or(SCHEDULES), |seed| seed..seed + 1);
    let mut endings: HashMap<Status, u32> = HashMap::new();
    std::thread::scope(|scope| {
        let share = |first: u64| {
            let seeds = seeds.clone().skip(usize::try_from(first).expect("few")).step_by(THREADS as usize);
            scope.spawn(move || seeds.map(end_of).collect::<Vec<Status>>())
        };
        let shares: Vec<_> = (0..THREADS).map(share).collect();
        for share in shares {
            for status in share.join().expect("a seed fails; it is named above") {
                *endings.entry(status).or_default() += 1;
            }
        }
    });
    if only.is_none() {
        figures::check("Schedules of the simulation, with the tests", SCHEDULES);
        for status in [Status::Stored, Status::Failed, Status::Lost, Status::LimitReached, Status::Skipped] {
            let count = endings.get(&status).copied().unwrap_or_default();
            assert!(count > 100, "{status:?} is hardly reached: {endings:?}");
        }
    }
}

/// Runs one schedule and returns how it ends. A panic inside does not name the seed, so this function does.
fn end_of(seed: u64) -> Status {
    let ended = std::panic::catch_unwind(|| World::new(seed).run());
    ended.unwrap_or_else(|_| panic!("seed {seed} fails: SEED={seed} cargo test -p job no_schedule"))
}
