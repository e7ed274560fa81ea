//! AWS's own examples, from "Configuring how CloudWatch alarms treat missing data". Each looks at five periods, three
//! of which are evaluated: 0 is within the threshold, X breaches it, and - is missing.

use super::{Alarm, Expression, MissingData, State, State::InsufficientData as I};

/// The data points, then the states with `missing`, `ignore`, `breaching` and `notBreaching`. The alarm that ignores
/// missing data has no state before, so that the test shows when it keeps its state.
type Row = (&'static str, [State; 4]);

use State::{Alarm as X, Ok as O};

const THREE_OF_THREE: [Row; 6] = [
    ("0 - X - X", [O, O, O, O]),
    ("0 - - - -", [O, O, O, O]),
    ("- - - - -", [I, I, X, O]),
    ("0 X X - X", [X, X, X, X]),
    ("- - X - -", [X, I, X, O]),
    ("- - - - X", [I, I, X, O]),
];

const TWO_OF_THREE: [Row; 6] = [
    ("0 - X - X", [X, X, X, X]),
    ("0 0 X 0 X", [X, X, X, X]),
    ("0 - X - -", [O, O, X, O]),
    ("- - - - 0", [O, O, X, O]),
    ("- - - X -", [X, I, X, O]),
    ("- - - - X", [I, I, X, O]),
];

fn alarm(datapoints: usize, missing: MissingData) -> Alarm {
    Alarm {
        statistics: [].into(),
        compared: Expression::read("seen"),
        period_min: 5,
        by_the_clock: false,
        periods: 3,
        datapoints,
        below: false,
        threshold: 0.0,
        missing,
    }
}

#[test]
fn the_model_agrees_with_the_published_examples() {
    for (datapoints, rows) in [(3, THREE_OF_THREE), (2, TWO_OF_THREE)] {
        for (row, states) in rows {
            let points: Vec<Option<f64>> = row
                .split(' ')
                .map(|point| match point {
                    "0" => Some(0.0),
                    "X" => Some(1.0),
                    _ => None,
                })
                .collect();
            let treatments =
                [MissingData::Missing, MissingData::Ignore, MissingData::Breaching, MissingData::NotBreaching];
            for (missing, state) in treatments.into_iter().zip(states) {
                let found = alarm(datapoints, missing).next(&points, State::InsufficientData);
                assert_eq!(found, state, "{row}, {datapoints} of 3, {missing:?}");
            }
        }
    }
}
