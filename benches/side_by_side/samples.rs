//! What was measured, round by round, and what is said of it: medians, spread, and ratios within a round, so that what
//! disturbs a round disturbs both sides of its ratio.

use std::collections::BTreeMap;

use crate::servers::Kind;

/// Values by what was measured and of whom.
#[derive(Debug, Default)]
pub(crate) struct Samples(BTreeMap<(&'static str, Kind), Vec<f64>>);

/// The middle of some values, and the least and the greatest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The least value.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) most: f64,
}

impl Samples {
    /// Adds the value of one round.
    pub(crate) fn add(&mut self, what: &'static str, of: Kind, value: f64) {
        self.0.entry((what, of)).or_default().push(value);
    }

    /// What was measured of one server.
    pub(crate) fn spread(&self, what: &'static str, of: Kind) -> Option<Spread> {
        Spread::of(self.0.get(&(what, of))?.clone())
    }

    /// One server's value as a ratio to another's in the same round.
    pub(crate) fn ratio(&self, what: &'static str, of: Kind, to: Kind) -> Option<Spread> {
        let (of, to) = (self.0.get(&(what, of))?, self.0.get(&(what, to))?);
        Spread::of(of.iter().zip(to).filter(|(_, to)| **to > 0.0).map(|(of, to)| of / to).collect())
    }
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Spread { median, least, most })
    }
}
