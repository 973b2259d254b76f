//! What is known of the other members' zones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::replica::{ActorId, Digest, IncarnationId, Summary, VersionHash};

/// One member's zones as it last told them.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Its digest over all zones.
    pub(super) root: Option<Digest>,
    /// As whom it makes its edits.
    pub(super) actor: Option<ActorId>,
    /// Whether it has synced with the cluster or started it.
    pub(super) initialised: bool,
    /// Its version and digest of each zone, when it was last asked.
    zones: BTreeMap<IncarnationId, (VersionHash, Digest)>,
    /// When a session with it last began.
    pub(super) asked: Option<Duration>,
}

/// All members' zones, by gossip address.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(BTreeMap<SocketAddr, Peer>);

impl Peers {
    pub(super) fn get(&self, addr: SocketAddr) -> Option<&Peer> {
        self.0.get(&addr)
    }

    pub(super) fn entry(&mut self, addr: SocketAddr) -> &mut Peer {
        self.0.entry(addr).or_default()
    }

    /// Forgets what a member held that is not alive any more.
    pub(super) fn forget(&mut self, addr: SocketAddr) {
        self.0.remove(&addr);
    }

    /// Notes what a member told of itself.
    pub(super) fn note(&mut self, addr: SocketAddr, root: Digest, initialised: bool) {
        let peer = self.entry(addr);
        peer.root = Some(root);
        peer.initialised = initialised;
    }

    /// Notes a member's zones.
    pub(super) fn note_zones(&mut self, addr: SocketAddr, zones: &[Summary]) {
        self.entry(addr).zones =
            zones.iter().map(|zone| (zone.incarnation, (zone.version.hash(), zone.digest))).collect();
    }

    /// Whether a member is known to hold this content of a zone.
    pub(super) fn holds(&self, addr: SocketAddr, my_root: Digest, zone: IncarnationId, digest: Digest) -> bool {
        self.get(addr).is_some_and(|peer| {
            peer.root == Some(my_root) || peer.zones.get(&zone).is_some_and(|(_, held)| *held == digest)
        })
    }

    /// The version and digest of a zone that a member told when it was last asked.
    pub(super) fn zone(&self, addr: SocketAddr, zone: IncarnationId) -> Option<(VersionHash, Digest)> {
        self.get(addr)?.zones.get(&zone).copied()
    }
}
