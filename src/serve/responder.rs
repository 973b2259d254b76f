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
    allow_transfer: Vec<IpNet>,
    cookies: Option<Arc<CookieRoots>>,
    /// For UDP.
    pub(super) rate_limiter: Option<RateLimiter>,
    pub(super) metrics: Arc<Metrics>,
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
        let (allow_transfer, cookies) = (config.allow_transfer.clone(), config.cookies.clone());
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
        self.allow_transfer.iter().any(|net| net.contains(&client))
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
