//! What every transport shares: the snapshot of zones, the call to `answer`, and the guard around it.
//!
//! Must not know about sockets.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use ipnet::IpNet;

use crate::answer::{Context, Outcome, Server, Transfer, Transport, answer};
use crate::metrics::Metrics;
use crate::zone::ZoneSet;

/// Answers queries of every transport from the newest snapshot.
#[derive(Debug)]
pub(super) struct Responder {
    zones: Arc<ArcSwap<ZoneSet>>,
    server: Arc<Server>,
    allow_transfer: Vec<IpNet>,
    pub(super) metrics: Arc<Metrics>,
}

/// The lookup panicked. It was counted and logged.
#[derive(Debug)]
pub(super) struct Panicked;

impl Responder {
    pub(super) fn new(
        zones: Arc<ArcSwap<ZoneSet>>,
        server: Arc<Server>,
        allow_transfer: Vec<IpNet>,
        metrics: Arc<Metrics>,
    ) -> Responder {
        Responder { zones, server, allow_transfer, metrics }
    }

    /// The newest snapshot. To be held for a batch and not while waiting, so that old snapshots go.
    pub(super) fn zones(&self) -> Guard<Arc<ZoneSet>> {
        self.zones.load()
    }

    pub(super) fn may_transfer(&self, client: IpAddr) -> bool {
        self.allow_transfer.iter().any(|net| net.contains(&client))
    }

    /// Answers one query into `response`. A panic in the lookup costs its query an answer and nothing else.
    pub(super) fn respond(
        &self,
        zones: &ZoneSet,
        query: &[u8],
        transport: Transport,
        may_transfer: bool,
        response: &mut Vec<u8>,
    ) -> Outcome {
        let context = Context { server: &self.server, transport, may_transfer };
        // Unwind safety: the snapshot is immutable and `answer` clears the buffer before it writes to it.
        let outcome = catch_unwind(AssertUnwindSafe(|| answer(zones, query, &context, response)));
        outcome.unwrap_or_else(|_| {
            self.count_panic(query);
            Outcome::Drop
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
