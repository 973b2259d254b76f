//! What the protocol trades off: speed of detection against false alarms and traffic.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

/// The most bytes in a datagram of this module. Sealed, and with a tag of whoever multiplexes it, it stays below the
/// 1400 bytes that pass nearly every path unfragmented.
pub const MAX_PAYLOAD: usize = 1300;

/// How long foca remembers that a life of a member is over. Must not exceed what the roster shows, or members would
/// appear again.
const REMEMBER_DOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// A cluster up to this size uses the settings as they are; beyond it times and transmissions grow with the logarithm.
const SMALL_CLUSTER: usize = 8;

/// The protocol's settings. The default suits a LAN and works over a WAN.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How often one member, in turn, is probed. Shorter finds a failure sooner and costs two datagrams each.
    pub probe_period: Duration,
    /// How long to wait for an answer before others are asked to probe. At most a third of the period, so that their
    /// answers can still arrive in it.
    pub probe_rtt: Duration,
    /// How long a suspected member may take to refute, in a small cluster. Longer means fewer false alarms.
    pub suspect_to_down: Duration,
    /// How often news about members is passed on besides what probes carry.
    pub gossip_period: Duration,
    /// How often seeds and members that are not alive are tried again.
    pub announce_period: Duration,
    /// The same while no member is alive.
    pub announce_period_alone: Duration,
    /// How many members are asked to probe another on behalf of this node, and how many each gossip goes to.
    pub indirect_probes: NonZeroUsize,
    /// How often each piece of news is sent, in a small cluster. At least 8: below that news dies out under loss.
    pub max_transmissions: NonZeroU8,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            probe_period: Duration::from_secs(1),
            probe_rtt: Duration::from_millis(300),
            suspect_to_down: Duration::from_secs(4),
            gossip_period: Duration::from_millis(200),
            announce_period: Duration::from_secs(5),
            announce_period_alone: Duration::from_secs(1),
            indirect_probes: NonZeroUsize::new(3).expect("3 is not 0"),
            max_transmissions: NonZeroU8::new(10).expect("10 is not 0"),
        }
    }
}

impl Settings {
    /// foca's configuration for a cluster of this many live members.
    pub(super) fn config(&self, members: usize) -> Config {
        let growth = growth(members);
        let least = self.max_transmissions.max(NonZeroU8::new(8).expect("8 is not 0"));
        let max_transmissions = least.saturating_add(u8::try_from(2 * growth).unwrap_or(u8::MAX));
        Config {
            probe_period: self.probe_period,
            probe_rtt: self.probe_rtt,
            num_indirect_probes: self.indirect_probes,
            max_transmissions,
            // A third more for each doubling: news takes a number of rounds that grows with the logarithm.
            suspect_to_down_after: self.suspect_to_down + self.suspect_to_down * growth / 3,
            remove_down_after: Some(REMEMBER_DOWN),
            // One byte tells a SWIM packet from a notice.
            max_packet_size: NonZeroUsize::new(MAX_PAYLOAD - 1).expect("MAX_PAYLOAD is more than 1"),
            notify_down_members: true,
            periodic_announce: Some(PeriodicParams {
                frequency: self.announce_period * 6,
                num_members: NonZeroUsize::MIN,
            }),
            // `Membership` does this itself, together with seeds and saved peers.
            periodic_announce_to_down_members: None,
            periodic_gossip: Some(PeriodicParams { frequency: self.gossip_period, num_members: self.indirect_probes }),
        }
    }
}

/// How many times a cluster of this size doubled beyond a small one.
fn growth(members: usize) -> u32 {
    (members / SMALL_CLUSTER).checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_and_transmissions_grow_slowly_with_the_cluster() {
        let settings = Settings::default();
        let of = |members| {
            let config = settings.config(members);
            (config.suspect_to_down_after.as_millis(), config.max_transmissions.get())
        };
        assert_eq!(of(0), (4000, 10));
        assert_eq!(of(8), (4000, 10));
        assert_eq!(of(64), (8000, 16));
        assert_eq!(of(1024), (13_333, 24));
    }

    #[test]
    fn news_is_sent_at_least_eight_times() {
        let settings = Settings { max_transmissions: NonZeroU8::MIN, ..Settings::default() };
        assert_eq!(settings.config(3).max_transmissions.get(), 8);
    }
}
