//! The counters of a daemon: one struct, whose doc comments are the metrics' help texts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $name:ident,)*) => {
        /// Every counter. Shared by reference; reading never blocks a writer.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $help])+ pub $name: Counter,)*
        }

        impl Metrics {
            /// Name, help and value of each counter.
            pub fn read(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($help),+).trim_ascii(), self.$name.get()),)*]
            }
        }
    };
}

counters! {
    /// DNS queries received over UDP.
    queries_udp,
    /// DNS queries received over TCP.
    queries_tcp,
    /// DNS queries received over TLS.
    queries_tls,
    /// DNS queries received over QUIC.
    queries_quic,
    /// DNS packets dropped without a response: malformed, or themselves responses.
    queries_dropped,
    /// Queries that made the lookup panic and were dropped. Each is a bug.
    answers_panicked,
    /// UDP responses withheld by rate limiting.
    responses_withheld,
    /// UDP responses sent empty with TC set by rate limiting.
    responses_slipped,
    /// UDP responses sent with TC set.
    responses_truncated,
    /// UDP responses that the system would not send: no route, a full queue or a firewall.
    responses_unsent,
    /// Zone transfers served.
    transfers,
    /// Zone transfers refused.
    transfers_refused,
    /// TCP and TLS connections refused or cut: over a limit, idle or too slow.
    tcp_limited,
    /// TLS connections dropped in the handshake: garbage, no version or cipher in common, or too slow.
    tls_refused,
    /// Gossip datagrams received and accepted.
    gossip_datagrams,
    /// Gossip datagrams dropped: not authentic (wrong key, wrong cluster, garbage, truncated).
    gossip_unauthentic,
    /// Gossip datagrams dropped: seen before, or too old.
    gossip_replayed,
    /// Gossip messages dropped: authentic but not understood, as from another version.
    gossip_malformed,
    /// Gossip streams accepted.
    gossip_streams,
    /// Gossip streams dropped in the handshake: wrong key, wrong cluster, garbage.
    gossip_streams_unauthentic,
    /// Edits made on this node.
    edits_local,
    /// Edits refused because they could not be stored.
    edits_refused,
    /// Batches of other nodes applied.
    batches_remote,
    /// Serials found to have stood for two contents while edits were concurrent.
    ambiguous_serials,
    /// Zone files held because of errors.
    files_held,
    /// Zone files patched with the edits of other nodes.
    files_written,
}

impl Metrics {
    /// The Prometheus text exposition format.
    pub fn render(&self) -> String {
        self.read()
            .into_iter()
            .map(|(name, help, value)| {
                format!("# HELP grapevine_{name} {help}\n# TYPE grapevine_{name} counter\ngrapevine_{name} {value}\n")
            })
            .collect()
    }
}
