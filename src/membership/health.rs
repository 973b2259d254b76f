//! How well this node itself is doing (Lifeguard's local health multiplier).
//!
//! A node that is slow (starved of CPU, swapping, behind a lossy link) misses answers and would suspect healthy members.
//! So it keeps a score of signs against itself and stretches its own probe and suspicion timers by it.

use std::time::Duration;

/// The highest score: timers stretch to nine times at most, as in Lifeguard's evaluation.
const WORST: u32 = 8;

/// A score from 0 (healthy) to 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    score: u32,
}

impl Health {
    /// A probe was answered in time.
    pub(super) fn probe_answered(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// A probe was not answered, neither directly nor through others: perhaps this node's fault.
    pub(super) fn probe_missed(&mut self) {
        self.worsen();
    }

    /// Others suspected this node, though it is alive.
    pub(super) fn suspected(&mut self) {
        self.worsen();
    }

    /// A timer came much too late.
    pub(super) fn timer_late(&mut self) {
        self.worsen();
    }

    fn worsen(&mut self) {
        self.score = WORST.min(self.score + 1);
    }

    /// The score: 0 is healthy.
    pub fn score(self) -> u32 {
        self.score
    }

    /// A delay as long as this node's health asks for.
    pub(super) fn stretch(self, delay: Duration) -> Duration {
        delay * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_against_this_node_stretch_its_timers_and_answers_restore_them() {
        let mut health = Health::default();
        let second = Duration::from_secs(1);
        assert_eq!(health.stretch(second), second);
        health.probe_missed();
        health.suspected();
        health.timer_late();
        assert_eq!(health.stretch(second), second * 4);
        for _ in 0..100 {
            health.probe_missed();
        }
        assert_eq!(health.stretch(second), second * 9, "bounded");
        for _ in 0..100 {
            health.probe_answered();
        }
        assert_eq!(health.score(), 0);
    }
}
