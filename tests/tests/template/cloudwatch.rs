//! How CloudWatch decides on the state of an alarm, as far as our alarms need it.
//!
//! Documented by AWS ("Alarm evaluation", "Alarm evaluation window", "Configuring how CloudWatch alarms treat missing
//! data", "Using math expressions with CloudWatch metrics"):
//!
//! - An alarm whose period is a minute or longer is evaluated every minute, over periods that end with that minute: at
//!   the end of minute 5 over the minutes 1 to 5, at the end of minute 6 over the minutes 2 to 6. With a wall clock
//!   window, they are complete periods of the clock: hours begin at the full hour.
//! - M of the N newest data points have to breach. A period without a sample has no data point.
//! - CloudWatch looks at more than N periods. If N or more of them have data, the newest N that have data decide alone.
//!   If fewer have data, `breaching` and `notBreaching` replace as few as possible of the missing ones.
//! - `ignore` keeps the state if the data that would decide is missing. The existing data decides if it can.
//! - `FILL(x, 0)` puts a zero where a series has no data point. `+` takes a missing data point for 0.
//!
//! `published.rs` has AWS's own examples.
//!
//! Assumed, because AWS does not say it:
//!
//! - How many further periods CloudWatch looks at. AWS's examples have 2 more for N = 3.
//! - Whether `FILL` creates data points for a series that has none in all of the time that CloudWatch looks at.
//! - What `+` returns if no operand has a data point: nothing.
//! - The value of a percentile between two samples: the upper one.
//! - How long a sample takes to arrive. Metrics in log lines are read from the log.
//! - That an alarm with a wall clock window is evaluated again when a sample arrives after the end of its period.
//!
//! No alarm may depend on an assumption: `alarm_times.rs` runs everything under several of them.

mod expression;
mod published;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(crate) use self::expression::Expression;
use crate::text;

/// What AWS does not specify.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assumptions {
    /// How many periods CloudWatch looks at beyond those of the alarm.
    pub(crate) further_periods: usize,
    /// Whether `FILL` of an empty series returns zeros.
    pub(crate) fills_nothing: bool,
    /// How many minutes a sample takes to arrive.
    pub(crate) late_min: i64,
    /// How many minutes before minute 0 a period of the clock began.
    pub(crate) phase_min: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Alarm,
    InsufficientData,
}

/// `TreatMissingData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingData {
    Breaching,
    NotBreaching,
    Ignore,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Statistic {
    Sum,
    SampleCount,
    Minimum,
    Maximum,
    Percentile(f64),
}

/// The samples of a metric, by the minute in which they were sent.
pub(crate) type Samples = BTreeMap<i64, Vec<f64>>;

/// A time series: one data point for each period, the oldest first.
type Series = Vec<Option<f64>>;

#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    statistics: BTreeMap<String, Statistic>,
    /// The series that is compared with the threshold.
    pub(crate) compared: Expression,
    pub(crate) period_min: i64,
    /// Whether the periods are those of the clock.
    pub(crate) by_the_clock: bool,
    periods: usize,
    pub(crate) datapoints: usize,
    below: bool,
    threshold: f64,
    pub(crate) missing: MissingData,
}

impl Alarm {
    /// Reads an alarm of the template. `number` returns the values of parameters. An alarm on a single metric calls it
    /// `seen`.
    pub(crate) fn read(alarm: &Value, number: &dyn Fn(&Value) -> f64) -> Self {
        let whole = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} is not a whole number"));
        let mut statistics = BTreeMap::new();
        let mut periods = BTreeSet::new();
        let mut compared = None;
        for part in alarm["Metrics"].as_array().into_iter().flatten() {
            let id = text(&part["Id"]);
            if let Some(stat) = part.get("MetricStat") {
                statistics.insert(id.to_owned(), Statistic::read(text(&stat["Stat"])));
                periods.insert(whole(&stat["Period"]));
            }
            if part.get("ReturnData").is_none_or(|returned| returned == true) {
                let returned = Expression::read(part["Expression"].as_str().unwrap_or(id));
                assert!(compared.replace(returned).is_none(), "two series are compared: {alarm}");
            }
        }
        if alarm.get("MetricName").is_some() {
            let statistic = alarm.get("Statistic").unwrap_or(&alarm["ExtendedStatistic"]);
            statistics.insert("seen".to_owned(), Statistic::read(text(statistic)));
            periods.insert(whole(&alarm["Period"]));
            compared = Some(Expression::read("seen"));
        }
        let [period] = periods.into_iter().collect::<Vec<_>>()[..] else { panic!("several periods: {alarm}") };
        assert!(period >= 60 && period.is_multiple_of(60), "{period} s is not a whole number of minutes");
        assert!(period * whole(&alarm["EvaluationPeriods"]) <= 86_400, "AWS has other rules for more than a day");
        let all = usize::try_from(whole(&alarm["EvaluationPeriods"])).expect("a small number");
        let datapoints = alarm.get("DatapointsToAlarm").map(whole);
        let compared = compared.expect("a series to compare");
        assert!(compared.ids().all(|id| statistics.contains_key(id)), "{compared:?} names an unknown metric");
        Self {
            statistics,
            compared,
            period_min: i64::try_from(period / 60).expect("a small number"),
            by_the_clock: match &alarm["EvaluationWindow"] {
                Value::Null => false,
                window if *window == json!({"WallClockWindow": {"Timezone": "UTC"}}) => true,
                other => panic!("the model does not support {other}"),
            },
            periods: all,
            datapoints: datapoints.map_or(all, |some| usize::try_from(some).expect("a small number")),
            below: match text(&alarm["ComparisonOperator"]) {
                "GreaterThanThreshold" => false,
                "LessThanThreshold" => true,
                other => panic!("the model does not support {other}"),
            },
            threshold: number(&alarm["Threshold"]),
            missing: MissingData::read(text(&alarm["TreatMissingData"])),
        }
    }

    /// Returns the names of the alarm's metrics.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &str> {
        self.statistics.keys().map(String::as_str)
    }

    /// Returns the state at the end of every minute from `begin` to `end`. The alarm begins without a state, as a new
    /// alarm does.
    pub(crate) fn states(
        &self,
        samples: &BTreeMap<String, Samples>,
        (begin, end): (i64, i64),
        assumed: Assumptions,
    ) -> Vec<(i64, State)> {
        let mut state = State::InsufficientData;
        let mut seen: Option<(i64, Series)> = None;
        let after = |now| {
            let end = self.end_of_last_period(now, assumed);
            // Until the next period of the clock ends, the state only changes if a sample arrives late.
            let unchanged = seen.take().filter(|(of, _)| *of == end && assumed.late_min == 0);
            let points = unchanged.map_or_else(|| self.data_points(samples, now, end, assumed), |(_, points)| points);
            state = self.next(&points, state);
            seen = Some((end, points));
            (now, state)
        };
        (begin..=end).map(after).collect()
    }

    fn end_of_last_period(&self, now: i64, assumed: Assumptions) -> i64 {
        if self.by_the_clock { now - (now + assumed.phase_min).rem_euclid(self.period_min) } else { now }
    }

    /// Returns the data points that CloudWatch looks at when the minutes up to `now` have passed.
    fn data_points(&self, samples: &BTreeMap<String, Samples>, now: i64, last: i64, assumed: Assumptions) -> Series {
        let looked_at = i64::try_from(self.periods + assumed.further_periods).expect("a small number");
        let series_of = |id: &str| -> Series {
            let (Some(samples), statistic) = (samples.get(id), self.statistics[id]) else {
                return vec![None; self.periods + assumed.further_periods];
            };
            let of_period = |back: i64| {
                let (begin, end) = (last - (back + 1) * self.period_min, last - back * self.period_min);
                let arrived = samples.range(begin..end).filter(|(minute, _)| *minute + assumed.late_min < now);
                statistic.of(&arrived.flat_map(|(_, values)| values).copied().collect::<Vec<_>>())
            };
            (0..looked_at).rev().map(of_period).collect()
        };
        self.compared.series(&series_of, assumed.fills_nothing)
    }

    /// Returns the next state. Without gaps, the newest N data points decide. For gaps, see above.
    fn next(&self, points: &[Option<f64>], before: State) -> State {
        let real: Vec<bool> = points.iter().flatten().map(|point| self.breaches(*point)).collect();
        let breaching = |of: &[bool]| of.iter().filter(|breaches| **breaches).count();
        let decided = |breaching| if breaching >= self.datapoints { State::Alarm } else { State::Ok };
        if real.len() >= self.periods {
            return decided(breaching(&real[real.len() - self.periods..]));
        }
        match self.missing {
            MissingData::Breaching => decided(breaching(&real) + self.periods - real.len()),
            MissingData::NotBreaching => decided(breaching(&real)),
            MissingData::Ignore | MissingData::Missing if breaching(&real) >= self.datapoints => State::Alarm,
            MissingData::Ignore | MissingData::Missing if breaching(&real) < real.len() => State::Ok,
            MissingData::Ignore => before,
            MissingData::Missing => {
                let oldest = points.iter().position(Option::is_some).map(|index| points.len() - index);
                let old_enough = oldest.is_some_and(|age| age >= self.datapoints);
                if old_enough { State::Alarm } else { State::InsufficientData }
            }
        }
    }

    fn breaches(&self, point: f64) -> bool {
        if self.below { point < self.threshold } else { point > self.threshold }
    }
}

impl MissingData {
    fn read(name: &str) -> Self {
        match name {
            "breaching" => Self::Breaching,
            "notBreaching" => Self::NotBreaching,
            "ignore" => Self::Ignore,
            "missing" => Self::Missing,
            other => panic!("{other} is not a way to treat missing data"),
        }
    }
}

impl Statistic {
    fn read(name: &str) -> Self {
        match name {
            "Sum" => Self::Sum,
            "SampleCount" => Self::SampleCount,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            other => match other.strip_prefix('p').and_then(|percent| percent.parse().ok()) {
                Some(percent) => Self::Percentile(percent),
                None => panic!("the model does not support {other}"),
            },
        }
    }

    /// Returns a data point, if there are samples for it.
    fn of(self, samples: &[f64]) -> Option<f64> {
        let (&first, rest) = samples.split_first()?;
        Some(match self {
            Self::Sum => samples.iter().sum(),
            #[allow(clippy::cast_precision_loss, reason = "a few samples")]
            Self::SampleCount => samples.len() as f64,
            Self::Minimum => rest.iter().copied().fold(first, f64::min),
            Self::Maximum => rest.iter().copied().fold(first, f64::max),
            Self::Percentile(percent) => {
                let mut sorted = samples.to_vec();
                sorted.sort_by(f64::total_cmp);
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a few samples"
                )]
                let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
                sorted[rank.clamp(1, sorted.len()) - 1]
            }
        })
    }
}
