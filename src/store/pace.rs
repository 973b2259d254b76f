//! How fast commits follow each other: at once while edits come singly, a few milliseconds apart while they come in a
//! stream, so that one wait for the disk keeps several of them.

use std::time::{Duration, Instant};

/// From the beginning of one commit to the next in a stream of edits. A commit costs the same for ten edits as for one;
/// that an edit among many waits this long is not felt.
const GATHER: Duration = Duration::from_millis(10);

/// Commits that begin within this time of each other are a stream. Edits of which each is made when the last is seen
/// everywhere are further apart.
const NEAR: Duration = Duration::from_millis(2);

/// A commit of so many sets of writes is part of a stream, and goes on with it for [`GATHER`] and as much again.
const COMPANY: usize = 3;

/// How many commits of a stream go at once: what one edit brings about, and then the next, is not a stream yet.
const EAGER: u32 = 4;

/// When the last commit began, and how many before it began close to each other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    row: u32,
    /// Whether the last one had company.
    had_company: bool,
}

impl Pace {
    /// How long to wait before the commit that is wanted now.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let near = if self.had_company { 2 * GATHER } else { NEAR };
        let since = self.last.map(|last| now.saturating_duration_since(last));
        match since.filter(|since| *since < near) {
            Some(since) if self.row >= EAGER => GATHER.saturating_sub(since),
            Some(_) => {
                self.row += 1;
                Duration::ZERO
            }
            None => {
                self.row = 0;
                Duration::ZERO
            }
        }
    }

    /// A commit of so many sets of writes begins.
    pub(super) fn began(&mut self, now: Instant, sets: usize) {
        (self.last, self.had_company) = (Some(now), sets >= COMPANY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_lone_commit_goes_at_once_and_one_of_a_stream_waits_for_company() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..=EAGER {
            assert_eq!(pace.pause(now), Duration::ZERO);
            pace.began(now, 1);
            now += MS;
        }
        for _ in 0..3 {
            let pause = pace.pause(now);
            assert_eq!(pause, GATHER - MS);
            now += pause;
            pace.began(now, COMPANY);
            now += MS;
        }
        now += 2 * GATHER;
        assert_eq!(pace.pause(now), Duration::ZERO, "the stream has ended");
        pace.began(now, 1);
        assert_eq!(pace.pause(now + MS), Duration::ZERO);
    }

    #[test]
    fn edits_that_wait_for_each_other_are_no_stream() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(pace.pause(now), Duration::ZERO);
            pace.began(now, 2);
            now += NEAR;
        }
    }
}
