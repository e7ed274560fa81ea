//! What may happen to a stack, as samples of metrics: for each alarm, when it must fire and when it must not.
//!
//! Times are minutes, and 0 is when something begins. A metric that is reported in every run was also reported before
//! that.

use std::collections::BTreeMap;

use crate::cloudwatch::Samples;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

pub(crate) struct Story {
    pub(crate) alarm: &'static str,
    pub(crate) what: &'static str,
    /// The samples, by the ids of the alarm's metrics.
    pub(crate) samples: BTreeMap<String, Samples>,
    /// The first and the last minute at whose end the alarm is evaluated.
    pub(crate) minutes: (i64, i64),
    /// The story is so close to a limit that one minute decides.
    pub(crate) is_about_time: bool,
}

impl Story {
    fn new(alarm: &'static str, what: &'static str, end: i64, samples: &[(&str, Samples)]) -> Self {
        let samples = samples.iter().map(|(id, samples)| ((*id).to_owned(), samples.clone())).collect();
        Self { alarm, what, samples, minutes: (-HOUR, end), is_about_time: false }
    }

    fn since(mut self, begin: i64) -> Self {
        self.minutes.0 = begin;
        self
    }

    fn about_time(mut self) -> Self {
        self.is_about_time = true;
        self
    }
}

/// One sample at each of these minutes.
fn at(minutes: impl IntoIterator<Item = i64>, value: f64) -> Samples {
    minutes.into_iter().map(|minute| (minute, vec![value])).collect()
}

/// This many samples of 1 at the same minute.
fn many(minute: i64, count: usize) -> Samples {
    [(minute, vec![1.0; count])].into()
}

fn both(one: Samples, other: Samples) -> Samples {
    let mut all = one;
    for (minute, values) in other {
        all.entry(minute).or_default().extend(values);
    }
    all
}

/// An age that grows by a minute each minute from `begin` to `end`, and is 0 otherwise.
fn age(begin: i64, (from, to): (i64, i64), end: i64) -> Samples {
    #[allow(clippy::cast_precision_loss, reason = "some days")]
    let grown = |minute: i64| if (begin..end).contains(&minute) { ((minute - begin) * 60) as f64 } else { 0.0 };
    (from..to).map(|minute| (minute, vec![grown(minute)])).collect()
}

pub(crate) fn stories() -> Vec<Story> {
    [counted(), repeated(), paid(), webhooks(), measured(), swept(), of_lambda()].into_iter().flatten().collect()
}

/// One sample is enough, and the alarm stays on for an hour.
fn counted() -> Vec<Story> {
    let each = [
        "jobs-failed",
        "paid-twice",
        "key-refused",
        "secret-unavailable",
        "rendering-errors",
        "copies-unverified",
        "recordings-expiring",
        "providers-refused",
        "deletions-stopped",
    ];
    each.into_iter()
        .flat_map(|alarm| {
            [
                Story::new(alarm, "once", 3 * HOUR, &[("seen", at([0], 1.0))]),
                Story::new(
                    alarm,
                    "every 20 minutes, the last time at 2:00",
                    5 * HOUR,
                    &[("seen", at((0..=2 * HOUR).step_by(20), 1.0))],
                ),
            ]
        })
        .collect()
}

/// A single short incident must not fire.
fn repeated() -> Vec<Story> {
    // Ten seconds, doubled up to a quarter of an hour.
    let announced_again = [0, 1, 2, 5, 10, 21, 36, 51, 66, 81];
    vec![
        Story::new("announcements-failed", "three minutes without the bus", 3 * HOUR, &[("seen", at(0..3, 20.0))]),
        Story::new(
            "announcements-failed",
            "one event that fails, tried again until 1:21",
            4 * HOUR,
            &[("seen", at(announced_again, 1.0))],
        ),
        Story::new("lists-stopped", "four minutes", 3 * HOUR, &[("seen", at(0..4, 1.0))]),
        Story::new("lists-stopped", "twenty minutes", 3 * HOUR, &[("seen", at(0..20, 1.0))]),
        Story::new("lists-stopped", "two hours", 4 * HOUR, &[("seen", at(0..2 * HOUR, 1.0))]),
    ]
}

fn paid() -> Vec<Story> {
    vec![
        Story::new("recordings-unknown", "four presses of \"send example\"", 3 * HOUR, &[("seen", at(0..4, 1.0))]),
        Story::new("recordings-unknown", "five recordings of another workspace", 3 * HOUR, &[("seen", at(0..5, 1.0))]),
        Story::new("attempts-failed", "five at once", 3 * HOUR, &[("seen", many(0, 5))]),
        Story::new("attempts-failed", "six at once", 4 * HOUR, &[("seen", many(0, 6))]),
        Story::new(
            "attempts-failed",
            "one every twelve minutes until 2:00",
            5 * HOUR,
            &[("seen", at((0..=2 * HOUR).step_by(12), 1.0))],
        ),
        Story::new(
            "attempts-failed",
            "one every eight minutes until 2:00",
            5 * HOUR,
            &[("seen", at((0..=2 * HOUR).step_by(8), 1.0))],
        ),
        Story::new(
            "paid-per-day",
            "40 an hour, as every day",
            3 * DAY,
            &[("seen", at((-2 * DAY..3 * DAY).step_by(15), 10.0))],
        ),
        Story::new("paid-per-day", "1,500 within an hour", 5 * DAY, &[("seen", at(0..HOUR, 25.0))]),
        Story::new("paid-per-day", "60 an hour from 0:00 on", 2 * DAY, &[("seen", at((0..2 * DAY).step_by(5), 5.0))]),
    ]
}

fn webhooks() -> Vec<Story> {
    let missed = |what, end, samples| Story::new("webhooks-missed", what, end, &[("seen", samples)]);
    vec![
        Story::new("signatures-refused", "four minutes", 3 * HOUR, &[("wrong_signature", at(0..4, 3.0))]),
        Story::new(
            "signatures-refused",
            "twelve minutes, the reasons in turn",
            3 * HOUR,
            &[("wrong_signature", at([0, 1, 2, 3, 8, 9, 10, 11], 1.0)), ("no_secret", at(4..8, 1.0))],
        ),
        Story::new(
            "signatures-refused",
            "one every quarter of an hour until 3:00",
            6 * HOUR,
            &[("no_secret", at((0..=3 * HOUR).step_by(15), 1.0))],
        ),
        missed("eight recordings within four minutes", 2 * DAY, at(0..4, 2.0)),
        missed("55 minutes without webhooks", 2 * DAY, at(0..55, 1.0)),
        missed("a new stack finds those of two days within half an hour", 2 * DAY, at(0..30, 50.0)),
        missed("one recording in each of two hours", 2 * DAY, at([0, 90], 1.0)),
        missed("four minutes, and four minutes six hours later", 2 * DAY, both(at(0..4, 1.0), at(360..364, 1.0))),
        missed("no webhooks at all, a recording an hour until 20:00", 3 * DAY, at((0..=20 * HOUR).step_by(60), 1.0)),
    ]
}

fn measured() -> Vec<Story> {
    let slow = |what, end, samples| Story::new("slow", what, end, &[("seen", samples)]);
    let quick = |from: i64, to: i64| at((from..to).step_by(2), 300.0);
    vec![
        slow("one transcript, and no other", DAY, at([0], 9000.0)),
        slow("ten transcripts within ten minutes, and no other", DAY, at(0..10, 9000.0)),
        slow("55 minutes, after an outage", DAY, at(0..55, 9000.0)),
        slow("one in a hundred, all the time", DAY, both(quick(-HOUR, DAY), at((0..DAY).step_by(200), 9000.0))),
        slow("one an hour, until 5:00, and no other", DAY, at((0..=5 * HOUR).step_by(60), 9000.0)),
        slow("one in five, until 5:00", DAY, both(quick(-HOUR, DAY), at((0..5 * HOUR).step_by(8), 9000.0))),
        Story::new("oldest-unfinished", "stored after three hours", DAY, &[("seen", age(0, (-DAY, DAY), 3 * HOUR))]),
        Story::new("oldest-unfinished", "stored after nine hours", DAY, &[("seen", age(0, (-DAY, DAY), 9 * HOUR))]),
        Story::new(
            "oldest-unfinished",
            "the sweep is silent from 8:00 to 10:00, stored at 9:00",
            DAY,
            &[("seen", both(age(0, (-DAY, 8 * HOUR), DAY), age(0, (10 * HOUR, DAY), 9 * HOUR)))],
        ),
        Story::new("workers-behind", "done after ten minutes", 3 * HOUR, &[("seen", age(0, (-DAY, 3 * HOUR), 10))]),
        Story::new(
            "workers-behind",
            "no function takes up a job until 1:00",
            3 * HOUR,
            &[("seen", age(0, (-DAY, 3 * HOUR), HOUR))],
        ),
        Story::new(
            "workers-behind",
            "the sweep is silent from 0:50 to 2:00",
            3 * HOUR,
            &[("seen", both(age(0, (-DAY, 50), HOUR), age(0, (2 * HOUR, 3 * HOUR), HOUR)))],
        ),
    ]
}

fn swept() -> Vec<Story> {
    let silent = |what, end, samples| Story::new("sweep-silent", what, end, &[("seen", samples)]);
    // SQS keeps reporting for six hours after the last message is gone.
    let on_the_queue = both(at(0..40, 2.0), at(40..40 + 6 * HOUR, 0.0));
    vec![
        silent("a run every minute", 3 * HOUR, at(-DAY..3 * HOUR, 0.0)),
        silent("three runs in four fail", 3 * HOUR, at((-DAY..3 * HOUR).step_by(4), 0.0)),
        silent("ten minutes without a run", 3 * HOUR, both(at(-DAY..=0, 0.0), at(10..3 * HOUR, 0.0))),
        silent("the last run is at 0:00", 3 * HOUR, at(-DAY..=-1, 0.0)),
        silent("no run from 0:00 to 1:00", 3 * HOUR, both(at(-DAY..=-1, 0.0), at(HOUR..3 * HOUR, 0.0))),
        silent("a first deployment, the first run a minute after the alarm", HOUR, at(1..HOUR, 0.0)).since(0),
        silent("a first deployment, the first run before the alarm", HOUR, at(-2..HOUR, 0.0)).since(0).about_time(),
        silent("a first deployment whose sweep does not start", HOUR, Samples::new()).since(0),
        Story::new("dead-letters", "two messages until 0:40", 8 * HOUR, &[("seen", on_the_queue)]),
    ]
}

/// Lambda reports 0 or 1 for each invocation, so it reports every minute for the sweep.
fn of_lambda() -> Vec<Story> {
    let sweep = || ("sweep", at(-DAY..DAY, 0.0));
    ["errors", "throttles"]
        .into_iter()
        .flat_map(|alarm| {
            [
                Story::new(alarm, "one invocation", 3 * HOUR, &[("webhook", at([0], 1.0)), sweep()]),
                Story::new(alarm, "four minutes", 3 * HOUR, &[("webhook", at(0..4, 5.0)), sweep()]),
                Story::new(
                    alarm,
                    "each function once, a quarter of an hour apart",
                    3 * HOUR,
                    &[
                        ("webhook", at([0], 1.0)),
                        ("transcript", at([15], 1.0)),
                        ("sweep", both(at(-DAY..DAY, 0.0), at([30], 1.0))),
                    ],
                ),
                Story::new(
                    alarm,
                    "the transcript function alone, ten minutes, while no other runs",
                    3 * HOUR,
                    &[("transcript", at(0..10, 1.0))],
                ),
                Story::new(
                    alarm,
                    "every run of the sweep until 2:00",
                    5 * HOUR,
                    &[("sweep", both(at(0..2 * HOUR, 1.0), at(2 * HOUR..5 * HOUR, 0.0)))],
                ),
            ]
        })
        .collect()
}
