//! What every transport shares: the snapshot of zones, the clock for cookies, the call to `answer`, and the guard around it.
//!
//! Must not know about sockets.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::Guard;
use ipnet::IpNet;

use super::ServeConfig;
use super::cookies::{CookieRoots, Current};
use super::rate_limit::RateLimiter;
use crate::answer::{Context, Cookies, Limited, Outcome, Server, Transfer, Transport, answer_on_basis};
use crate::metrics::Metrics;
use crate::published::{Published, Snapshot};
use crate::zone::Basis;

/// Answers queries of every transport from the newest snapshot.
#[derive(Debug)]
pub(super) struct Responder {
    pub(super) zones: Arc<Published>,
    server: Arc<Server>,
    allow_transfer: Networks,
    cookies: Option<Arc<CookieRoots>>,
    /// For UDP.
    pub(super) rate_limiter: Option<RateLimiter>,
    pub(super) metrics: Arc<Metrics>,
}

/// Networks as their first and last addresses, since every query is held against them.
#[derive(Debug, Default)]
struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    fn new(networks: &[IpNet]) -> Networks {
        let mut ranges = Networks::default();
        for network in networks {
            match network {
                IpNet::V4(network) => ranges.v4.push((network.network().into(), network.broadcast().into())),
                IpNet::V6(network) => ranges.v6.push((network.network().into(), network.broadcast().into())),
            }
        }
        ranges
    }

    #[inline]
    fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(ip) => self.v4.iter().any(|&(first, last)| (first..=last).contains(&ip.into())),
            IpAddr::V6(ip) => self.v6.iter().any(|&(first, last)| (first..=last).contains(&ip.into())),
        }
    }
}

/// What answers are made from at one time. To be held for a batch and not while waiting, so that old snapshots go.
pub(super) struct Moment {
    zones: Guard<Arc<Snapshot>>,
    cookies: Option<Guard<Arc<Current>>>,
    unix_s: u64,
}

impl Moment {
    /// The snapshot's number.
    pub(super) fn generation(&self) -> u64 {
        self.zones.generation()
    }
}

/// Where a query came from, and what its sender may have.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) address: IpAddr,
    pub(super) may_transfer: bool,
    pub(super) limited: Option<Limited>,
}

impl Client {
    /// A client that is not limited and may not transfer zones.
    pub(super) fn new(transport: Transport, address: IpAddr) -> Client {
        Client { transport, address, may_transfer: false, limited: None }
    }
}

/// The lookup panicked. It was counted and logged.
#[derive(Debug)]
pub(super) struct Panicked;

impl Responder {
    pub(super) fn new(
        zones: Arc<Published>,
        server: Arc<Server>,
        config: &ServeConfig,
        metrics: Arc<Metrics>,
    ) -> Responder {
        let (allow_transfer, cookies) = (Networks::new(&config.allow_transfer), config.cookies.clone());
        let rate_limiter = config.rate_limit.clone().map(|limit| RateLimiter::new(limit, &rand::random()));
        Responder { zones, server, allow_transfer, cookies, rate_limiter, metrics }
    }

    /// The newest snapshot and the secrets of this time.
    pub(super) fn now(&self) -> Moment {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let cookies = self.cookies.as_ref().map(|roots| roots.at(unix_s));
        Moment { zones: self.zones.load(), cookies, unix_s }
    }

    /// Whether the same query gets the same response as long as the zones are the same.
    pub(super) fn is_repetitive(&self) -> bool {
        !self.server.rotate
    }

    pub(super) fn may_transfer(&self, client: IpAddr) -> bool {
        self.allow_transfer.contains(client)
    }

    /// Answers one query into `response`. A panic in the lookup costs its query an answer and nothing else.
    pub(super) fn respond(&self, now: &Moment, query: &[u8], client: Client, response: &mut Vec<u8>) -> Outcome {
        self.respond_on_basis(now, query, client, response).0
    }

    /// As [`Responder::respond`], with what the response was made from.
    pub(super) fn respond_on_basis(
        &self,
        now: &Moment,
        query: &[u8],
        client: Client,
        response: &mut Vec<u8>,
    ) -> (Outcome, Basis) {
        let Client { transport, address, may_transfer, limited } = client;
        let cookies =
            now.cookies.as_ref().map(|current| Cookies { now_s: now.unix_s as u32, secrets: &current.secrets });
        let context = Context { server: &self.server, transport, client: address, may_transfer, cookies, limited };
        // Unwind safety: the snapshot is immutable and `answer` clears the buffer before it writes to it.
        let outcome = catch_unwind(AssertUnwindSafe(|| answer_on_basis(&now.zones, query, &context, response)));
        outcome.unwrap_or_else(|_| {
            self.count_panic(query);
            (Outcome::Drop, Basis::NOTHING)
        })
    }

    /// The next message of a transfer, as [`Transfer::next_message`].
    pub(super) fn next_message(&self, transfer: &mut Transfer, response: &mut Vec<u8>) -> Result<bool, Panicked> {
        // Unwind safety: neither is used again after a panic.
        catch_unwind(AssertUnwindSafe(|| transfer.next_message(response))).map_err(|_| {
            self.count_panic(&[]);
            Panicked
        })
    }

    /// Counts and, at the first, second, fourth, eighth, … panic, logs: a client that found a fatal query must not
    /// fill the disk too.
    #[cold]
    fn count_panic(&self, query: &[u8]) {
        self.metrics.answers_panicked.inc();
        let count = self.metrics.answers_panicked.get();
        if count.is_power_of_two() {
            let query = data_encoding::HEXLOWER.encode(query);
            tracing::error!(count, query, "a query made the lookup panic and was dropped; please report it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_from_its_first_to_its_last() {
        let networks =
            ["127.0.0.0/8", "192.0.2.7/32", "2001:db8::/33"].map(|network| network.parse().expect("a network"));
        let networks = Networks::new(&networks);
        let contains = |address: &str| networks.contains(address.parse().expect("an address"));
        for inside in ["127.0.0.0", "127.255.255.255", "192.0.2.7", "2001:db8::", "2001:db8:7fff::1"] {
            assert!(contains(inside), "{inside}");
        }
        for outside in ["126.255.255.255", "128.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db8:8000::", "::1", "::7f00:1"]
        {
            assert!(!contains(outside), "{outside}");
        }
        assert!(!Networks::default().contains(IpAddr::from([0, 0, 0, 0])));
    }
}
