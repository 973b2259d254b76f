//! When a worker pauses between batches, so that queries under load come several to a wake-up.
//!
//! At a hundred thousand queries a second a worker that blocks for each is woken for one or two at a time, and waking up
//! costs more than answering. A pause of some microseconds lets the next ones gather, as network cards delay their
//! interrupts under load; at fewer queries a second nothing would gather in it, so there is none. Pure: the time is passed
//! in.

use std::time::{Duration, Instant};

/// How long a pause is. Longer ones save little more; see `docs/performance.md`.
const PAUSE: Duration = Duration::from_micros(60);
/// Pauses are made while at least so many queries come in one on average.
const GATHERED: u32 = 4;
/// A batch of this size has gathered already.
const ENOUGH: usize = 16;
/// The average interval follows the newest by one part in so many.
const INERTIA: u32 = 8;
/// A longer interval counts as this: a lull ends the pauses at once.
const LULL: Duration = Duration::from_millis(1);

/// How queries came of late.
pub(super) struct Moderation {
    last: Instant,
    /// The average time from one query to the next.
    interval: Duration,
}

impl Moderation {
    /// As if nothing had come for long.
    pub(super) fn new(now: Instant) -> Moderation {
        Moderation { last: now, interval: LULL }
    }

    /// Takes note of a batch, and says how long to wait before the next is received.
    pub(super) fn pause_after(&mut self, received: usize, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.last).min(LULL);
        self.last = now;
        let each = elapsed / u32::try_from(received).unwrap_or(u32::MAX).max(1);
        self.interval = self.interval * (INERTIA - 1) / INERTIA + each / INERTIA;
        (received < ENOUGH && self.interval * GATHERED <= PAUSE).then_some(PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of a hundred batches of this size at this interval.
    fn pauses(moderation: &mut Moderation, now: &mut Instant, size: usize, interval: Duration) -> usize {
        let pauses = (0..100).filter(|_| {
            *now += interval;
            moderation.pause_after(size, *now).is_some()
        });
        pauses.count()
    }

    #[test]
    fn there_are_pauses_under_load_and_none_below_or_above() {
        let mut now = Instant::now();
        let mut moderation = Moderation::new(now);
        let fifty_thousand = Duration::from_micros(20);
        assert_eq!(pauses(&mut moderation, &mut now, 1, fifty_thousand), 0, "nothing would gather");
        assert!(pauses(&mut moderation, &mut now, 1, Duration::from_micros(10)) > 50);
        assert_eq!(pauses(&mut moderation, &mut now, 4, Duration::from_micros(40)), 100);
        assert_eq!(pauses(&mut moderation, &mut now, ENOUGH, Duration::from_micros(80)), 0, "it has gathered");
    }

    #[test]
    fn a_lull_ends_the_pauses_at_once() {
        let mut now = Instant::now();
        let mut moderation = Moderation::new(now);
        assert!(pauses(&mut moderation, &mut now, 4, Duration::from_micros(40)) > 50);
        now += Duration::from_secs(1);
        assert_eq!(moderation.pause_after(1, now), None);
    }
}
