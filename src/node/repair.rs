//! When two nodes hold different contents at the same version: what never happens, unless memory or a disk failed.
//!
//! First the running digest is checked against the content. If the contents do differ, the one that most live members
//! hold is right: the others fetch it whole. It is decided only once every live member's content of that version is
//! known, so that nobody takes over the wrong one for want of a witness.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::node::Node;
use super::{Now, Severity};
use crate::replica::{Digest, IncarnationId, Summary};

impl Node {
    /// The zones in which a peer holds another content than this node at the same version, and most members the peer's.
    pub(super) fn diverged_from(&mut self, theirs: &[Summary], now: Now) -> VecDeque<IncarnationId> {
        let mut wrong = VecDeque::new();
        for theirs in theirs {
            let Some(mine) = self.replica.get(theirs.incarnation) else { continue };
            if *mine.state().version() != theirs.version || mine.state().digest() == theirs.digest {
                continue;
            }
            let zone = mine.state().zone().clone();
            if !self.replica.recount(theirs.incarnation) {
                let message = format!("zone {zone}: its running digest was wrong and is corrected; this is a bug");
                self.report(Severity::Error, message);
                continue;
            }
            let message = format!("zone {zone}: content differs from a member's at the same version");
            self.report_once(Severity::Error, message, now);
            if self.is_outvoted(theirs) {
                wrong.push_back(theirs.incarnation);
            }
        }
        wrong
    }

    /// Whether more members hold the peer's content than this node's; of two halves that with the higher digest counts
    /// as more. Not as long as some live member's content of this version is unknown.
    fn is_outvoted(&self, theirs: &Summary) -> bool {
        let Some(mine) = self.replica.get(theirs.incarnation) else { return false };
        let (digest, version) = mine.fingerprint();
        let (mut for_mine, mut for_theirs) = (1, 0);
        for member in self.membership.alive() {
            match self.held_by(member.addr, theirs.incarnation) {
                Some((held, content)) if held == version => {
                    for_mine += usize::from(content == digest);
                    for_theirs += usize::from(content == theirs.digest);
                }
                _ => return false,
            }
        }
        match for_theirs.cmp(&for_mine) {
            Ordering::Equal => theirs.digest > digest,
            order => order == Ordering::Greater,
        }
    }

    fn held_by(&self, addr: std::net::SocketAddr, incarnation: IncarnationId) -> Option<([u8; 8], Digest)> {
        let same = self.peers.get(addr)?.root == Some(self.replica.root());
        if same {
            return self.replica.get(incarnation).map(|zone| (zone.state().version().hash(), zone.state().digest()));
        }
        self.peers.zone(addr, incarnation)
    }
}
