//! How fast commits follow each other: at once while edits come singly, a few milliseconds apart while they come in a
//! stream, so that one wait for the disk keeps several of them.

use std::time::{Duration, Instant};

/// From the beginning of one commit to the next in a stream of edits. A commit costs the same for ten edits as for one;
/// that an edit among many waits this long is not felt.
const GATHER: Duration = Duration::from_millis(10);

/// Commits that begin within this time of each other are a stream.
const NEAR: Duration = Duration::from_millis(20);

/// How many commits of a stream go at once: what one edit brings about, and then the next, is not a stream yet.
const EAGER: u32 = 4;

/// When the last commit began, and how many before it began close to each other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    row: u32,
}

impl Pace {
    /// How long to wait before the commit that is wanted now.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        match since.filter(|since| *since < NEAR) {
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

    /// A commit begins.
    pub(super) fn began(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_commit_goes_at_once_and_one_of_a_stream_waits_for_company() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..=EAGER {
            assert_eq!(pace.pause(now), Duration::ZERO);
            pace.began(now);
            now += Duration::from_millis(1);
        }
        let pause = pace.pause(now);
        assert_eq!(pause, GATHER - Duration::from_millis(1));
        pace.began(now + pause);
        now += pause + NEAR;
        assert_eq!(pace.pause(now), Duration::ZERO, "the stream has ended");
        pace.began(now);
        assert_eq!(pace.pause(now + Duration::from_millis(1)), Duration::ZERO);
    }
}
