//! Seeds by name: resolved again and again, as the machines behind names change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

/// How often names are resolved again.
const PERIOD: Duration = Duration::from_secs(30);

/// The same while a name has not been resolved yet, as when the network comes up after the node.
const PERIOD_UNRESOLVED: Duration = Duration::from_secs(3);

/// The most addresses that one name may add: a name is a handful of machines.
const MAX_ADDRESSES: usize = 16;

/// Resolves `host:port` names and reports the addresses of all whenever they change. Addresses of a name that fails to
/// resolve stay as they were. Ends at once if there is nothing to resolve, and when nobody listens any more.
pub(super) async fn resolve(names: Vec<String>, found: mpsc::Sender<Vec<SocketAddr>>) {
    let mut known: BTreeMap<&str, BTreeSet<SocketAddr>> = BTreeMap::new();
    let mut reported = None;
    while !names.is_empty() {
        for name in &names {
            match tokio::net::lookup_host(name.as_str()).await {
                Ok(addresses) => {
                    known.insert(name, addresses.take(MAX_ADDRESSES).collect());
                }
                Err(error) => tracing::warn!(seed = %name, %error, "seed not resolved"),
            }
        }
        let all: BTreeSet<SocketAddr> = known.values().flatten().copied().collect();
        if reported.as_ref() != Some(&all) {
            if found.send(all.iter().copied().collect()).await.is_err() {
                return;
            }
            reported = Some(all);
        }
        let period = if known.len() < names.len() { PERIOD_UNRESOLVED } else { PERIOD };
        tokio::time::sleep(period).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_addresses_are_resolved_and_unusable_names_do_not_hinder_them() {
        let (found, mut seeds) = mpsc::channel(1);
        let names = ["localhost:7946", "127.0.0.9:1", "no-such-port:99999"];
        let resolving = tokio::spawn(resolve(names.map(str::to_owned).to_vec(), found));
        let seeds = seeds.recv().await.unwrap();
        assert!(seeds.contains(&"127.0.0.9:1".parse().unwrap()));
        assert!(seeds.iter().any(|addr| addr.ip().is_loopback() && addr.port() == 7946));
        resolving.abort();
    }
}
