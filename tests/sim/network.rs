//! The network between machines: what is lost, repeated, late, and which links are down in which direction.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// How the network behaves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) delay: Duration,
    /// Of each message the delay is this much longer at random, which reorders them.
    pub(crate) jitter: Duration,
    /// Pairs of machines of which the second does not hear the first.
    cut: BTreeSet<(usize, usize)>,
    /// Links that go down and come up again, and how long they do either.
    flapping: BTreeMap<(usize, usize), Duration>,
}

impl Network {
    /// One of the networks that seeds choose from: LAN to bad radio.
    pub(crate) fn of(seed: u64) -> Network {
        Network {
            loss: [0.0, 0.01, 0.1, 0.3][(seed / 5 % 4) as usize],
            duplication: [0.0, 0.05, 0.3][(seed / 20 % 3) as usize],
            jitter: Duration::from_millis([1, 20, 300][(seed / 60 % 3) as usize]),
            ..Network::good()
        }
    }

    /// A LAN.
    pub(crate) fn good() -> Network {
        Network {
            loss: 0.0,
            duplication: 0.0,
            delay: Duration::from_micros(100),
            jitter: Duration::from_millis(1),
            cut: BTreeSet::new(),
            flapping: BTreeMap::new(),
        }
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Lets both directions between two machines come and go.
    pub(crate) fn flap(&mut self, a: usize, b: usize, period: Duration) {
        self.flapping.insert((a, b), period);
        self.flapping.insert((b, a), period);
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.flapping.clear();
    }

    /// Whether what `from` sends now reaches `to`.
    pub(crate) fn reaches(&self, from: usize, to: usize, now: Duration) -> bool {
        let up = |period: &Duration| (now.as_micros() / period.as_micros()).is_multiple_of(2);
        !self.cut.contains(&(from, to)) && self.flapping.get(&(from, to)).is_none_or(up)
    }

    pub(crate) fn delay(&self, rng: &mut StdRng) -> Duration {
        self.delay + self.jitter.mul_f64(rng.random::<f64>().powi(3))
    }
}

/// Where a machine is found: its index in 10.0.0.0/8.
pub(crate) fn addr_of(index: usize) -> SocketAddr {
    let ip = Ipv4Addr::from_bits((10 << 24) + index as u32 + 1);
    SocketAddr::from((ip, 7946))
}

/// Which machine is found there.
pub(crate) fn index_of(addr: SocketAddr) -> Option<usize> {
    let IpAddr::V4(ip) = addr.ip() else { return None };
    usize::try_from(ip.to_bits().checked_sub((10 << 24) + 1)?).ok()
}
