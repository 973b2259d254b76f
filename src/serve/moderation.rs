//! When a worker pauses between batches, so that queries under load come several to a wake-up.
//!
//! At a hundred thousand queries a second a worker that blocks for each is woken for one or two at a time, and on many
//! machines waking up costs more than answering. A pause of some microseconds lets the next ones gather, as network cards
//! delay their interrupts under load; at fewer queries a second nothing would gather in it, so there is none.
//!
//! Whether it saves anything depends on the machine: where an idle processor polls for a moment before it sleeps, as guests
//! of KVM do, waking up is cheap and a timer is not. So the worker tries it, again and again, and goes by the CPU time
//! that queries took. Pure: both clocks are passed in.

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
/// Without pauses the clock is read after so many batches.
const LOOK_EVERY: u32 = 8;

/// How many queries are taken to tell what one costs.
const SPELL: u32 = 2048;
/// A trial is so many spells without pauses and with them, in turn.
const TRIAL: u32 = 4;
/// How many spells what it showed is gone by: two or three seconds.
const HOLD: u32 = 128;
/// The least that pauses must save, one part in so many: they cost time.
const WORTH: u32 = 16;

/// How queries came of late.
pub(super) struct Moderation {
    last: Instant,
    /// The average time from one query to the next.
    interval: Duration,
    /// Batches and queries since the clock was read.
    batches: u32,
    queries: u32,
    is_pausing: bool,
    trial: Trial,
}

/// Whether pauses save CPU time, as far as is known.
struct Trial {
    /// Counts through the spells of a trial and those after it.
    spell: u32,
    /// The CPU time at the start of this spell, and the queries since then.
    since: Option<Duration>,
    queries: u32,
    /// The CPU time of this trial's queries without pauses, and with them.
    costs: [Duration; 2],
    /// What the last trial showed.
    saves: bool,
}

impl Moderation {
    /// As if nothing had come for long.
    pub(super) fn new(now: Instant) -> Moderation {
        let trial = Trial { spell: 0, since: None, queries: 0, costs: [Duration::ZERO; 2], saves: false };
        Moderation { last: now, interval: LULL, batches: 0, queries: 0, is_pausing: false, trial }
    }

    /// Takes note of a batch, and says how long to wait before the next is received. The clocks, of which the second is that of
    /// the CPU time of this thread, are read only if need be.
    #[inline]
    pub(super) fn pause_after(
        &mut self,
        received: usize,
        now: impl FnOnce() -> Instant,
        cpu_time: impl FnOnce() -> Duration,
    ) -> Option<Duration> {
        self.batches += 1;
        self.queries = self.queries.saturating_add(u32::try_from(received).unwrap_or(u32::MAX));
        if !self.is_pausing && self.batches < LOOK_EVERY {
            return None;
        }
        let now = now();
        let elapsed = now.saturating_duration_since(self.last).min(LULL * self.batches);
        self.last = now;
        self.interval = self.interval * (INERTIA - 1) / INERTIA + elapsed / self.queries.max(1) / INERTIA;
        let would_gather = self.interval * GATHERED <= PAUSE;
        if would_gather {
            self.trial.note(self.queries, cpu_time);
        } else {
            self.trial.interrupt();
        }
        (self.batches, self.queries) = (0, 0);
        self.is_pausing = would_gather && received < ENOUGH && self.trial.pauses();
        self.is_pausing.then_some(PAUSE)
    }
}

impl Trial {
    /// Whether pauses are made in this spell.
    fn pauses(&self) -> bool {
        if self.spell < TRIAL { !self.spell.is_multiple_of(2) } else { self.saves }
    }

    /// Takes note of queries that came while they would gather in a pause.
    fn note(&mut self, queries: u32, cpu_time: impl FnOnce() -> Duration) {
        self.queries = self.queries.saturating_add(queries);
        if self.since.is_some() && self.queries < SPELL {
            return;
        }
        let now = cpu_time();
        let Some(since) = self.since.replace(now) else {
            self.queries = 0;
            return;
        };
        if self.spell < TRIAL {
            self.costs[usize::from(self.pauses())] += now.saturating_sub(since) / self.queries;
        }
        self.queries = 0;
        self.spell += 1;
        match self.spell {
            TRIAL => {
                let [without, with] = self.costs;
                self.saves = with < without - without / WORTH;
            }
            spell if spell == TRIAL + HOLD => (self.spell, self.costs) = (0, [Duration::ZERO; 2]),
            _ => {}
        }
    }

    /// What came meanwhile is not to be compared.
    fn interrupt(&mut self) {
        (self.since, self.queries) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker and its clocks. What waking up costs, after a pause and without one, in ns.
    struct Worker {
        moderation: Moderation,
        now: Instant,
        cpu_time: Duration,
        costs: [u64; 2],
        is_pausing: bool,
    }

    impl Worker {
        fn new(cost: u64, cost_with_pauses: u64) -> Worker {
            let now = Instant::now();
            let (moderation, costs) = (Moderation::new(now), [cost, cost_with_pauses]);
            Worker { moderation, now, cpu_time: Duration::ZERO, costs, is_pausing: false }
        }

        /// How many pauses come of so many batches of this size at this interval.
        fn pauses(&mut self, batches: u32, size: usize, interval: Duration) -> u32 {
            let mut pauses = 0;
            for _ in 0..batches {
                self.now += interval;
                self.cpu_time += Duration::from_nanos(self.costs[usize::from(self.is_pausing)]) * size as u32;
                let (now, cpu_time) = (self.now, self.cpu_time);
                self.is_pausing = self.moderation.pause_after(size, || now, || cpu_time).is_some();
                pauses += u32::from(self.is_pausing);
            }
            pauses
        }
    }

    const MANY: u32 = 100_000;
    const HUNDRED_THOUSAND: Duration = Duration::from_micros(10);
    const FIFTY_THOUSAND: Duration = Duration::from_micros(20);

    #[test]
    fn where_pauses_save_there_are_some_under_load_and_none_below_or_above() {
        let mut worker = Worker::new(3000, 2000);
        assert_eq!(worker.pauses(MANY, 1, FIFTY_THOUSAND), 0, "nothing would gather");
        assert!(worker.pauses(MANY, 1, HUNDRED_THOUSAND) > MANY * 9 / 10);
        assert_eq!(worker.pauses(MANY, ENOUGH, 8 * HUNDRED_THOUSAND), 0, "it has gathered");
        // What has gathered by itself told nothing about pauses; soon they are tried again.
        worker.pauses(SPELL * (TRIAL + HOLD) / 4, 4, 4 * HUNDRED_THOUSAND);
        assert!(worker.pauses(MANY, 4, 4 * HUNDRED_THOUSAND) > MANY * 9 / 10);
    }

    #[test]
    fn where_they_save_nothing_there_are_none_but_to_try() {
        for with in [2000, 1950, 3000] {
            let mut worker = Worker::new(2000, with);
            let tried = worker.pauses(10 * MANY, 1, HUNDRED_THOUSAND);
            assert!(tried > 0 && tried < 10 * MANY / 40, "{tried} pauses");
        }
    }

    #[test]
    fn they_begin_and_end_with_what_they_save() {
        let mut worker = Worker::new(2000, 3000);
        worker.pauses(MANY, 1, HUNDRED_THOUSAND);
        worker.costs = [3000, 2000];
        worker.pauses(SPELL * (TRIAL + HOLD), 1, HUNDRED_THOUSAND);
        assert!(worker.pauses(MANY, 1, HUNDRED_THOUSAND) > MANY * 9 / 10);
        worker.costs = [2000, 3000];
        worker.pauses(SPELL * (TRIAL + HOLD), 1, HUNDRED_THOUSAND);
        assert!(worker.pauses(MANY, 1, HUNDRED_THOUSAND) < MANY / 20);
    }

    #[test]
    fn a_lull_ends_the_pauses_at_once() {
        let mut worker = Worker::new(3000, 2000);
        worker.pauses(MANY, 1, HUNDRED_THOUSAND);
        assert!(worker.is_pausing);
        worker.now += Duration::from_secs(1);
        assert_eq!(worker.pauses(1, 1, HUNDRED_THOUSAND), 0);
    }

    #[test]
    fn while_few_come_the_clock_is_hardly_read() {
        let mut worker = Worker::new(3000, 2000);
        let (now, mut reads) = (worker.now, 0);
        for _ in 0..LOOK_EVERY * 10 {
            let read = || {
                reads += 1;
                now + LULL * reads
            };
            worker.moderation.pause_after(1, read, || unreachable!("nothing is tried"));
        }
        assert_eq!(reads, 10);
    }
}
