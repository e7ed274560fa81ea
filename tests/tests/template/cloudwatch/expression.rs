//! Metric math: a sum of metrics, each of which may be filled with zeros.

use super::Series;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    id: String,
    filled: bool,
}

impl Expression {
    /// Parses `a`, `FILL(a, 0)`, and `FILL(a, 0) + FILL(b, 0)`. Refuses what the model does not support, such as
    /// `SUM(METRICS())`: AWS does not say how that treats gaps.
    pub(crate) fn read(text: &str) -> Self {
        let name = |id: &str| {
            let plain = id.chars().all(|one| one.is_ascii_lowercase() || one == '_') && !id.is_empty();
            assert!(plain, "the model does not support {text:?}");
            id.to_owned()
        };
        let term = |term: &str| match term.strip_prefix("FILL(").and_then(|rest| rest.strip_suffix(", 0)")) {
            Some(id) => Term { id: name(id), filled: true },
            None => Term { id: name(term), filled: false },
        };
        Self(text.split(" + ").map(term).collect())
    }

    /// Returns the metrics of the expression.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|term| term.id.as_str())
    }

    /// Returns whether the result has no gaps.
    pub(crate) fn is_filled(&self) -> bool {
        self.0.iter().all(|term| term.filled)
    }

    pub(super) fn series(&self, of: &dyn Fn(&str) -> Series, fills_nothing: bool) -> Series {
        let evaluated = self.0.iter().map(|term| {
            let series = of(&term.id);
            let fill = term.filled && (fills_nothing || series.iter().any(Option::is_some));
            series.into_iter().map(|point| point.or(fill.then_some(0.0))).collect::<Series>()
        });
        let added = |all: Series, series: Series| {
            let sum = |(one, other): (Option<f64>, Option<f64>)| match (one, other) {
                (None, None) => None,
                (one, other) => Some(one.unwrap_or_default() + other.unwrap_or_default()),
            };
            all.into_iter().zip(series).map(sum).collect()
        };
        evaluated.reduce(added).unwrap_or_default()
    }
}

#[test]
fn gaps_are_filled_and_added_up() {
    let of = |id: &str| match id {
        "a" => vec![Some(1.0), None, None],
        "b" => vec![None, Some(2.0), None],
        _ => vec![None; 3],
    };
    let series = |text: &str, fills_nothing| Expression::read(text).series(&of, fills_nothing);
    assert_eq!(series("a", true), [Some(1.0), None, None]);
    assert_eq!(series("a + b", true), [Some(1.0), Some(2.0), None]);
    assert_eq!(series("FILL(a, 0) + FILL(b, 0)", true), [Some(1.0), Some(2.0), Some(0.0)]);
    assert_eq!(series("FILL(none, 0)", true), [Some(0.0); 3]);
    assert_eq!(series("FILL(none, 0)", false), [None; 3]);
    assert_eq!(series("FILL(none, 0) + FILL(a, 0)", false), [Some(1.0), Some(0.0), Some(0.0)]);
}

#[test]
#[should_panic(expected = "the model does not support")]
fn a_sum_over_gaps_is_refused() {
    Expression::read("SUM(METRICS())");
}
