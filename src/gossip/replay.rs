//! Which datagrams were seen already: a sliding window for each sender, as in IPsec (RFC 4303, section 3.4.3).

use std::collections::HashMap;

/// How many datagrams may overtake one: more than reordering on any path brings about.
const WIDTH: u64 = 128;

/// For how many senders windows are kept. Each start of a node is another sender; those heard least recently go first.
const MAX_SENDERS: usize = 4096;

/// Windows by sender. Only authentic datagrams may come here, so outsiders cannot push windows out.
///
/// A recording of a sender that this node never heard, as one of last year's, is let in once: the messages carry
/// generations and dots of their own, which make old ones harmless.
#[derive(Debug, Default)]
pub(super) struct ReplayWindows {
    windows: HashMap<u64, Window>,
    /// Counts datagrams, to know which window was used last.
    clock: u64,
}

#[derive(Debug, Default)]
struct Window {
    /// The highest counter seen.
    highest: u64,
    /// Bit `i` stands for the counter `highest - i`.
    seen: u128,
    used: u64,
}

impl ReplayWindows {
    /// Whether the `counter`th datagram of a sender is new; then it is not any more.
    pub(super) fn accept(&mut self, sender: u64, counter: u64) -> bool {
        self.clock += 1;
        if self.windows.len() >= MAX_SENDERS && !self.windows.contains_key(&sender) {
            let oldest = self.windows.iter().min_by_key(|(_, window)| window.used).map(|(&sender, _)| sender);
            oldest.and_then(|sender| self.windows.remove(&sender));
        }
        let window = self.windows.entry(sender).or_default();
        window.used = self.clock;
        window.accept(counter)
    }
}

impl Window {
    fn accept(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            let ahead = counter - self.highest;
            self.seen = if ahead < WIDTH { self.seen << ahead } else { 0 };
            self.highest = counter;
        }
        let behind = self.highest - counter;
        // Counters begin at 1.
        if behind >= WIDTH || counter == 0 || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_counter_is_accepted_once_and_old_ones_never() {
        let mut windows = ReplayWindows::default();
        assert!(windows.accept(1, 1) && windows.accept(1, 3) && windows.accept(1, 2));
        assert!(!windows.accept(1, 1) && !windows.accept(1, 2) && !windows.accept(1, 3));
        assert!(windows.accept(1, 1000));
        assert!(windows.accept(1, 1000 - WIDTH + 1) && !windows.accept(1, 1000 - WIDTH));
        assert!(!windows.accept(1, 0));
        assert!(windows.accept(2, 1), "senders do not disturb each other");
        assert!(windows.accept(1, u64::MAX) && !windows.accept(1, u64::MAX));
    }

    #[test]
    fn the_number_of_senders_is_bounded_and_the_busy_ones_stay() {
        let mut windows = ReplayWindows::default();
        for sender in 0..3 * MAX_SENDERS as u64 {
            assert!(windows.accept(sender + 10, 1));
            assert!(windows.accept(7, sender + 1));
        }
        assert_eq!(windows.windows.len(), MAX_SENDERS);
        assert!(!windows.accept(7, 3 * MAX_SENDERS as u64));
    }

    proptest! {
        #[test]
        fn nothing_is_accepted_twice(counters in proptest::collection::vec(0u64..400, 0..600)) {
            let mut windows = ReplayWindows::default();
            let mut accepted = BTreeSet::new();
            for counter in counters {
                let newest = accepted.last().copied().unwrap_or(0);
                let expected = counter > 0 && !accepted.contains(&counter) && counter + WIDTH > newest.max(counter);
                prop_assert_eq!(windows.accept(9, counter), expected);
                if expected {
                    accepted.insert(counter);
                }
            }
        }
    }
}
