//! Response rate limiting: of many responses to one network over UDP, where sources can be forged, most are withheld.
//!
//! The account is the client's network, whatever is asked, as in Knot 3.4: an attacker gains nothing by varying names.
//! What is withheld is dropped, but every so-manieth is answered empty and truncated ("slip"), so that an honest client
//! comes again over TCP; one with a good cookie is not limited at all (`answer` sees to that).
//!
//! An account is one word, the time at which all responses so far would have been due at the allowed rate (the virtual
//! scheduling algorithm, GCRA, of ITU-T I.371). Up to a second's worth may come at once. Withheld responses count too,
//! until the window is full: a flood has to pause before it is served again. Accounts live in a table of fixed size, one
//! cache line for each hash; of a full line, the account that is idle soonest makes room. Nothing is allocated or locked.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use siphasher::sip::SipHasher13;

use crate::answer::Limited;

/// Lines of the table, a power of two: with eight accounts each, 65,536 networks in half a mebibyte.
const LINES: usize = 8192;
/// Accounts in a cache line of 64 bytes.
const ACCOUNTS: usize = 8;
/// The bits of an account that hold the time, in microseconds since the start: enough for nine years.
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const SECOND_US: u64 = 1_000_000;

/// How responses over UDP are limited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Responses a second to one network, at least 1. Too low a rate slows down big resolvers, which fall back to TCP.
    pub rate: u32,
    /// Of the responses withheld, one in so many is sent truncated; 0 for none, 1 for all.
    pub slip: u32,
    /// For how long a flood is remembered: after it ends, its network waits for so long.
    pub window: Duration,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
    /// Networks that are never limited.
    pub exempt: Vec<IpNet>,
}

/// The accounts of all networks. Shared by the UDP threads.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limit: RateLimit,
    lines: Box<[Line]>,
    /// So that nobody can choose networks that share a line.
    hash: SipHasher13,
    started: Instant,
    /// Microseconds that one response takes at the allowed rate.
    cost_us: u64,
    withheld: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; ACCOUNTS]);

impl RateLimiter {
    /// Without any account yet; `key` should be random.
    pub(super) fn new(limit: RateLimit, key: &[u8; 16]) -> RateLimiter {
        RateLimiter {
            cost_us: (SECOND_US / u64::from(limit.rate.max(1))).max(1),
            lines: (0..LINES).map(|_| Line::default()).collect(),
            hash: SipHasher13::new_with_key(key),
            started: Instant::now(),
            withheld: AtomicU64::new(0),
            limit,
        }
    }

    /// The time as [`RateLimiter::charge`] wants it. One reading does for a batch.
    pub(super) fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Charges a response to a client's network; what becomes of it if that has had enough.
    pub(super) fn charge(&self, client: IpAddr, now_us: u64) -> Option<Limited> {
        let client = client.to_canonical();
        if self.limit.exempt.iter().any(|net| net.contains(&client)) || !self.is_exceeded(client, now_us) {
            return None;
        }
        let count = self.withheld.fetch_add(1, Ordering::Relaxed);
        let slips = self.limit.slip > 0 && (count + 1).is_multiple_of(self.limit.slip.into());
        Some(if slips { Limited::Slip } else { Limited::Drop })
    }

    fn is_exceeded(&self, client: IpAddr, now_us: u64) -> bool {
        let hash = self.hash.hash(&self.network(client).to_be_bytes());
        let tag = hash & !TIME_MASK;
        let Line(accounts) = &self.lines[hash as usize % LINES];
        let load = |account: &AtomicU64| account.load(Ordering::Relaxed);
        let own = accounts.iter().find(|account| load(account) & !TIME_MASK == tag);
        let soonest_idle = || accounts.iter().min_by_key(|account| load(account) & TIME_MASK);
        let Some(account) = own.or_else(soonest_idle) else { return false };
        let due = |seen: u64| if seen & !TIME_MASK == tag { (seen & TIME_MASK).max(now_us) } else { now_us };
        let latest = now_us + SECOND_US + self.limit.window.as_micros() as u64;
        let charged = |seen| Some(tag | (due(seen) + self.cost_us).min(latest) & TIME_MASK);
        // The closure never refuses, so both outcomes hold what the account was.
        let (Ok(seen) | Err(seen)) = account.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
        due(seen) + self.cost_us > now_us + SECOND_US
    }

    /// The client's network as a number; both families in one space, as an IPv4-mapped address is never a client's here.
    fn network(&self, client: IpAddr) -> u128 {
        let keep = |bits: u32| u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        match client {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits() & keep(96 + u32::from(self.limit.ipv4_prefix.min(32))),
            IpAddr::V6(ip) => ip.to_bits() & keep(self.limit.ipv6_prefix.min(128).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(change: impl FnOnce(&mut RateLimit)) -> RateLimiter {
        let window = Duration::from_secs(5);
        let mut limit = RateLimit { rate: 10, slip: 0, window, ipv4_prefix: 24, ipv6_prefix: 56, exempt: Vec::new() };
        change(&mut limit);
        RateLimiter::new(limit, &[3; 16])
    }

    fn passed(limiter: &RateLimiter, client: &str, now_us: u64, times: usize) -> usize {
        let client = client.parse().expect("an address");
        (0..times).filter(|_| limiter.charge(client, now_us).is_none()).count()
    }

    #[test]
    fn a_second_s_worth_passes_at_once_and_then_the_rate() {
        let limiter = limiter(|_| {});
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 10), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", 100_000, 1), 1);
        for tenth in 1..50 {
            assert_eq!(passed(&limiter, "192.0.2.1", SECOND_US + tenth * 100_000, 1), 1, "{tenth}");
        }
    }

    #[test]
    fn a_flood_is_withheld_until_it_has_paused_for_the_window() {
        let limiter = limiter(|_| {});
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 10_000), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", 5 * SECOND_US - 1, 1), 0);
        let later = limiter.limit.window.as_micros() as u64 + 2 * SECOND_US;
        assert_eq!(passed(&limiter, "192.0.2.1", later, 10_000), 10);
    }

    #[test]
    fn networks_are_counted_whole_and_apart() {
        let limiter = limiter(|_| {});
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 10), 10);
        assert_eq!(passed(&limiter, "192.0.2.254", 0, 1), 0, "the same /24");
        assert_eq!(passed(&limiter, "::ffff:192.0.2.3", 0, 1), 0, "seen through a socket for both families");
        assert_eq!(passed(&limiter, "192.0.3.1", 0, 1), 1);
        assert_eq!(passed(&limiter, "2001:db8::1", 0, 10), 10);
        assert_eq!(passed(&limiter, "2001:db8:0:ff::1", 0, 1), 0, "the same /56");
        assert_eq!(passed(&limiter, "2001:db8:0:100::1", 0, 1), 1);
    }

    #[test]
    fn exempt_networks_are_never_limited() {
        let limiter = limiter(|limit| limit.exempt = vec!["192.0.2.0/25".parse().expect("a network")]);
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 1000), 1000);
        assert_eq!(passed(&limiter, "192.0.2.200", 0, 1000), 10);
    }

    #[test]
    fn one_in_so_many_slips() {
        let client = "192.0.2.1".parse().expect("an address");
        for (slip, slipped) in [(0, 0), (1, 90), (2, 45), (3, 30)] {
            let limiter = limiter(|limit| limit.slip = slip);
            let verdicts = (0..100).filter_map(|_| limiter.charge(client, 0));
            assert_eq!(verdicts.filter(|&verdict| verdict == Limited::Slip).count(), slipped, "slip {slip}");
        }
    }

    #[test]
    fn more_networks_than_accounts_do_not_free_one_that_floods() {
        let limiter = limiter(|_| {});
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 1000), 10);
        for network in 0..(2 * LINES * ACCOUNTS) as u32 {
            let client = std::net::Ipv4Addr::from(0x0a00_0000 | network << 8);
            assert_eq!(limiter.charge(client.into(), 0), None, "{client}");
        }
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 1), 0);
    }

    #[test]
    fn prefixes_of_any_length_are_networks() {
        let limiter = limiter(|limit| (limit.ipv4_prefix, limit.ipv6_prefix) = (0, 0));
        assert_eq!(passed(&limiter, "192.0.2.1", 0, 10), 10);
        assert_eq!(passed(&limiter, "203.0.113.1", 0, 1), 0);
        assert_eq!(passed(&limiter, "2001:db8::1", 0, 10), 10, "the other family has its own account");
        assert_eq!(passed(&limiter, "fe80::1", 0, 1), 0);
    }
}
