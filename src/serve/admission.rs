//! Who may connect: caps on connections and transfers over all listeners (RFC 7766 §6.2.2).
//!
//! At a cap the connection that has waited longest for a query makes room for the new one: a server that is short of
//! connections need not keep them open (RFC 7766 §6.2.3), and those who fill it with connections that ask nothing, or drip,
//! lose them first. Only where all are busy is the new one turned away.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::TcpLimits;

/// The bits of an IPv6 address that stand for one client: a network of its own has the rest to choose from.
const CLIENT_PREFIX_V6: u128 = !0 << 64;
/// Not waiting for a query.
const BUSY: u64 = u64::MAX;

/// Counts connections and transfers.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) limits: TcpLimits,
    began: Instant,
    open: Mutex<Open>,
    transfers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// No entry is empty, so the map is never larger than `total`.
    per_client: HashMap<IpAddr, Vec<Arc<Seat>>>,
}

/// A connection, as others see it.
#[derive(Debug)]
struct Seat {
    /// Since when it waits for a query, in µs; or [`BUSY`].
    waits_since: AtomicU64,
    stop: CancellationToken,
}

/// The right to be connected, given back when dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    client: IpAddr,
    seat: Arc<Seat>,
    /// Whether another connection had to end for it.
    pub(super) takes_place: bool,
}

impl Admission {
    pub(super) fn new(limits: TcpLimits) -> Arc<Admission> {
        let transfers = Arc::new(Semaphore::new(limits.max_transfers.min(Semaphore::MAX_PERMITS)));
        Arc::new(Admission { limits, began: Instant::now(), open: Mutex::default(), transfers })
    }

    /// Admits a connection, if need be in place of one that waits. It is to end, when what has arrived is answered, once
    /// [`Admitted::stop`] is cancelled, which `stop` does too.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr, stop: &CancellationToken) -> Option<Admitted> {
        let client = client_of(client);
        let mut open = self.open();
        let of_client = open.per_client.get(&client).map_or(0, Vec::len);
        let makes_room = if of_client >= self.limits.max_connections_per_client {
            Some(client)
        } else if open.total >= self.limits.max_connections {
            Some(open.most_of_those_who_wait()?)
        } else {
            None
        };
        if let Some(client) = makes_room {
            open.end_longest_waiting(client)?;
        }
        let seat = Arc::new(Seat { waits_since: self.micros(Instant::now()).into(), stop: stop.child_token() });
        open.total += 1;
        open.per_client.entry(client).or_default().push(Arc::clone(&seat));
        Some(Admitted { admission: Arc::clone(self), client, seat, takes_place: makes_room.is_some() })
    }

    /// Admits a transfer unless that would be one too many.
    pub(super) fn admit_transfer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.transfers).try_acquire_owned().ok()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held; the counts are right even so.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_micros() as u64
    }
}

impl Open {
    /// Of the clients with a connection that waits the one with the most connections.
    fn most_of_those_who_wait(&self) -> Option<IpAddr> {
        let waiting = self.per_client.iter().filter(|(_, seats)| seats.iter().any(|seat| seat.waits()));
        waiting.max_by_key(|(_, seats)| seats.len()).map(|(&client, _)| client)
    }

    /// Tells the client's connection that has waited longest to end; `None` if all are busy.
    fn end_longest_waiting(&mut self, client: IpAddr) -> Option<()> {
        let seats = self.per_client.get(&client)?;
        let longest =
            seats.iter().filter(|seat| seat.waits()).min_by_key(|seat| seat.waits_since.load(Ordering::Relaxed));
        let longest = Arc::clone(longest?);
        longest.stop.cancel();
        self.remove(client, &longest);
        Some(())
    }

    /// Forgets a connection, if that has not been done.
    fn remove(&mut self, client: IpAddr, seat: &Arc<Seat>) {
        let Some(seats) = self.per_client.get_mut(&client) else { return };
        let Some(at) = seats.iter().position(|other| Arc::ptr_eq(other, seat)) else { return };
        seats.swap_remove(at);
        self.total -= 1;
        if seats.is_empty() {
            self.per_client.remove(&client);
        }
    }
}

impl Seat {
    fn waits(&self) -> bool {
        self.waits_since.load(Ordering::Relaxed) != BUSY
    }
}

impl Admitted {
    /// Cancelled when the connection is to end.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.seat.stop
    }

    /// The connection waits for a query, and has done so since then.
    pub(super) fn set_waiting(&self, since: Instant) {
        self.seat.waits_since.store(self.admission.micros(since), Ordering::Relaxed);
    }

    /// The connection does not wait any more: it has something to answer.
    pub(super) fn set_busy(&self) {
        self.seat.waits_since.store(BUSY, Ordering::Relaxed);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.open().remove(self.client, &self.seat);
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
    use std::time::Duration;

    use super::*;

    fn admission(max_connections: usize, max_connections_per_client: usize) -> Arc<Admission> {
        Admission::new(TcpLimits { max_connections, max_connections_per_client, ..TcpLimits::default() })
    }

    fn admit(admission: &Arc<Admission>, client: &str) -> Option<Admitted> {
        admission.admit(client.parse().expect("an address"), &CancellationToken::new())
    }

    /// One that has something to answer.
    fn busy(admission: &Arc<Admission>, client: &str) -> Option<Admitted> {
        admit(admission, client).inspect(Admitted::set_busy)
    }

    #[test]
    fn a_connection_counts_for_its_client_and_in_total_until_it_ends() {
        let admission = admission(3, 2);
        let first = busy(&admission, "2001:db8::1").unwrap();
        let second = busy(&admission, "2001:db8::2").unwrap();
        assert!(admit(&admission, "2001:db8::1").is_none(), "one /64 is one client");
        let _third = busy(&admission, "192.0.2.1").unwrap();
        drop(first);
        let _fourth = busy(&admission, "192.0.2.1").unwrap();
        assert!(admit(&admission, "2001:db8::1").is_none(), "three are open");
        drop(second);
        assert!(admit(&admission, "2001:db8::1").is_some_and(|admitted| !admitted.takes_place));
        assert_eq!(admission.open().total, 2);
    }

    #[test]
    fn the_client_s_connection_that_has_waited_longest_makes_room() {
        let admission = admission(9, 3);
        let _other = admit(&admission, "192.0.2.9").unwrap();
        let seats = [(); 3].map(|()| admit(&admission, "192.0.2.1").unwrap());
        let now = Instant::now();
        for (seat, ms) in seats.iter().zip([10, 30, 20]) {
            seat.set_waiting(now + Duration::from_millis(ms));
        }
        seats[0].set_busy();
        let fourth = busy(&admission, "192.0.2.1").unwrap();
        assert!(fourth.takes_place);
        let ended = || seats.iter().map(|seat| seat.stop().is_cancelled()).collect::<Vec<_>>();
        assert_eq!(ended(), [false, false, true]);
        let _fifth = busy(&admission, "192.0.2.1").unwrap();
        assert_eq!(ended(), [false, true, true]);
        assert!(admit(&admission, "192.0.2.1").is_none(), "all are busy");
        drop(seats);
        assert_eq!(admission.open().total, 3);
    }

    #[test]
    fn where_all_places_are_taken_who_has_most_makes_room() {
        let admission = admission(3, 2);
        let one = admit(&admission, "192.0.2.1").unwrap();
        let two = [(); 2].map(|()| admit(&admission, "192.0.2.2").unwrap());
        let _three = busy(&admission, "192.0.2.3").unwrap();
        assert!(!one.stop().is_cancelled() && two.iter().filter(|seat| seat.stop().is_cancelled()).count() == 1);
        two.iter().for_each(Admitted::set_busy);
        let _four = busy(&admission, "192.0.2.4").unwrap();
        assert!(one.stop().is_cancelled());
        assert!(admit(&admission, "192.0.2.5").is_none(), "all are busy");
    }
}
