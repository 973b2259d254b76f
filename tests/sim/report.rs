//! What runs amounted to: how often each thing happened.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name, and the longest time a cluster took to agree once all was well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    counts: BTreeMap<&'static str, u64>,
    pub(crate) converged_after_ms: u64,
}

impl Report {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub(crate) fn count_if(&mut self, happened: bool, what: &'static str) {
        self.count_many(what, happened.into());
    }

    pub(crate) fn count_many(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Report) {
        for (what, times) in &other.counts {
            self.count_many(what, *times);
        }
        self.converged_after_ms = self.converged_after_ms.max(other.converged_after_ms);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.counts {
            writeln!(f, "{times:>10}  {what}")?;
        }
        write!(f, "{:>10}  ms until all agreed, at the longest", self.converged_after_ms)
    }
}
