//! Who may connect: caps on connections and transfers over all listeners (RFC 7766 §6.2.2).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::TcpLimits;

/// The bits of an IPv6 address that stand for one client: a network of its own has the rest to choose from.
const CLIENT_PREFIX_V6: u128 = !0 << 64;

/// Counts connections and transfers.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) limits: TcpLimits,
    open: Mutex<Open>,
    transfers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// No entry is zero, so the map is never larger than `total`.
    per_client: HashMap<IpAddr, usize>,
}

/// The right to be connected, given back when dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    client: IpAddr,
}

impl Admission {
    pub(super) fn new(limits: TcpLimits) -> Arc<Admission> {
        let transfers = Arc::new(Semaphore::new(limits.max_transfers.min(Semaphore::MAX_PERMITS)));
        Arc::new(Admission { limits, open: Mutex::default(), transfers })
    }

    /// Admits a connection unless that would be one too many.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Admitted> {
        let client = client_of(client);
        let mut open = self.open();
        let of_client = open.per_client.get(&client).copied().unwrap_or(0);
        if open.total >= self.limits.max_connections || of_client >= self.limits.max_connections_per_client {
            return None;
        }
        open.total += 1;
        open.per_client.insert(client, of_client + 1);
        Some(Admitted { admission: Arc::clone(self), client })
    }

    /// Admits a transfer unless that would be one too many.
    pub(super) fn admit_transfer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.transfers).try_acquire_owned().ok()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held; the counts are right even so.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total -= 1;
        if let Some(count) = open.per_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.per_client.remove(&self.client);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & CLIENT_PREFIX_V6).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_for_its_client_and_in_total_until_it_ends() {
        let limits = TcpLimits { max_connections: 3, max_connections_per_client: 2, ..TcpLimits::default() };
        let admission = Admission::new(limits);
        let [one, other, third] = ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let first = admission.admit(one).unwrap();
        let second = admission.admit(other).unwrap();
        assert!(admission.admit(one).is_none(), "one /64 is one client");
        let _third = admission.admit(third).unwrap();
        drop(first);
        let _fourth = admission.admit(third).unwrap();
        assert!(admission.admit(one).is_none(), "three are open");
        drop(second);
        assert!(admission.admit(one).is_some());
    }
}
