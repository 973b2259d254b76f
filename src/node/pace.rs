//! When commands that wait are staged: at once while they come singly, together while they come in a stream.
//!
//! To keep edits costs about as much for ten as for one, so in a stream those of a few milliseconds are staged together.
//! Clients that wait for their answer before they send the next edit send no more until then: once as many have come as
//! came together before, the wait for others is over. Now and then it is tried whether twice as many come in time.

use std::time::Duration;

/// From one staging to the next in a stream, at most: an edit among many waits half as long on average, which is not felt.
pub(super) const GATHER: Duration = Duration::from_millis(10);

/// Stagings within this time of each other are a stream.
const NEAR: Duration = Duration::from_millis(20);

/// How many stagings of a stream go at once: what one edit brings about, and then the next, is not a stream yet.
const EAGER: u32 = 4;

/// After how many stagings with the usual company it is tried whether more would come: rarely, for one client that sends
/// edit after edit waits in vain.
const TRY_EVERY: u32 = 32;

/// How stagings have followed each other.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Duration>,
    /// How many followed each other closely.
    row: u32,
    /// How many commands are waited for.
    company: usize,
    /// Whether those are more than came before.
    tries: bool,
    /// Stagings since more were waited for.
    usual: u32,
}

impl Pace {
    /// Until when more commands are waited for, with so many waiting at this time; `None` if they are to be staged.
    pub(super) fn wait_until(&self, waiting: usize, mono: Duration) -> Option<Duration> {
        let until = self.last.filter(|_| self.row >= EAGER && waiting < self.company)? + GATHER;
        (mono < until).then_some(until)
    }

    /// So many commands were staged together.
    pub(super) fn staged(&mut self, count: usize, mono: Duration) {
        let since = self.last.map_or(NEAR, |last| mono.saturating_sub(last));
        self.last = Some(mono);
        if since >= NEAR {
            *self = Pace { last: self.last, company: 2, tries: true, ..Pace::default() };
            return;
        }
        self.row = self.row.saturating_add(1);
        if self.row <= EAGER {
            return;
        }
        let complete = since < GATHER;
        self.usual = if complete && !self.tries { self.usual + 1 } else { 0 };
        self.company = match (complete, self.tries) {
            (true, true) => 2 * count,
            (true, false) if self.usual >= TRY_EVERY => 2 * count,
            // A lull may pass.
            (false, false) => count + self.company.saturating_sub(count) / 2,
            _ => count,
        };
        self.tries = self.company > count && complete;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Stages what comes at these times, and says how many went together and how long the first of them waited. With
    /// `clients` no more than so many are waiting at a time, and each sends its next edit when its last is staged.
    fn staged(clients: usize, every: Duration, count: usize) -> Vec<(usize, Duration)> {
        let (mut pace, mut now, mut groups) = (Pace::default(), Duration::ZERO, Vec::new());
        let mut waiting: Vec<Duration> = Vec::new();
        while groups.len() < count {
            let next = now + every;
            match pace.wait_until(waiting.len(), now).filter(|_| !waiting.is_empty()) {
                None if !waiting.is_empty() => {
                    pace.staged(waiting.len(), now);
                    groups.push((waiting.len(), now - waiting[0]));
                    waiting.clear();
                }
                Some(until) if waiting.len() == clients || until <= next => now = until,
                _ => {
                    now = next;
                    waiting.push(now);
                }
            }
        }
        groups
    }

    #[test]
    fn lone_commands_go_at_once_and_so_do_the_first_of_a_stream() {
        assert!(staged(100, NEAR, 50).iter().all(|&group| group == (1, Duration::ZERO)));
        assert!(staged(100, MS, EAGER as usize).iter().all(|&group| group == (1, Duration::ZERO)));
    }

    #[test]
    fn a_stream_is_gathered_and_none_of_it_waits_long() {
        let groups = staged(100, MS, 200);
        assert!(groups.iter().all(|(_, waited)| *waited < GATHER));
        assert!(groups[20..].iter().all(|(count, _)| *count >= 8), "{groups:?}");
    }

    #[test]
    fn nobody_waits_for_more_than_there_are_clients() {
        for clients in [1, 2, 7] {
            let groups = staged(clients, MS / 10, 40 + 10 * TRY_EVERY as usize);
            let in_vain = groups[40..].iter().filter(|(_, waited)| *waited >= GATHER / 2).count();
            assert!((1..=11).contains(&in_vain), "{clients}: {in_vain} of {}", groups.len());
            assert!(groups[40..].iter().all(|(count, _)| *count == clients), "{groups:?}");
        }
    }
}
