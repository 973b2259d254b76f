//! Addresses and names that two nodes claim: the second one has to go, and must be told by the first.
//!
//! foca takes a later identity at an address for the next life of the same node, which it almost always is. So a claim
//! with another name is held back while the known holder counts as alive, and the holder is asked. Only a holder that is
//! alive can answer; if it is not, it is soon held down and the claim goes through. Names are not foca's business at
//! all: the senior of two live members of one name tells the other.

use std::net::SocketAddr;

use foca::{Header, Message};

use super::codec::Packet;
use super::notice::Notice;
use super::{Clock, Identity, Membership, Output};
use crate::codec::encode;

impl Membership {
    /// Whether a packet may go to foca. If not, its sender or the member that it collides with is told.
    pub(super) fn admit(
        &mut self,
        from: SocketAddr,
        header: &Header<Identity>,
        now: Clock,
        out: &mut Vec<Output>,
    ) -> bool {
        let (src, me) = (&header.src, self.me().clone());
        if src.addr == me.addr {
            // Straggling datagrams of an earlier life come from this very address; a twin's come from elsewhere.
            if src.id != me.id && from != me.addr {
                if src.is_later_than(&me) {
                    out.push(Output::Send { to: from, payload: Notice::Taken { holder: me }.payload() });
                } else {
                    self.yield_to(src, out);
                }
            }
            return false;
        }
        if let Some(known) = self.roster.get(src.addr)
            && known.identity != *src
        {
            if known.state.is_active() && known.identity.name != src.name && known.identity.id != src.id {
                let notice = Notice::Contested { claimant: src.clone(), reply_to: from };
                out.push(Output::Send { to: src.addr, payload: notice.payload() });
                return false;
            }
            if known.identity.is_later_than(src) {
                let notice = Notice::Outdated { last: known.identity.clone() };
                out.push(Output::Send { to: from, payload: notice.payload() });
                return false;
            }
        }
        // Somebody takes a later life to be at this address, yet its packets arrive here.
        self.exceed(&header.dst, now, out);
        true
    }

    /// The packet as foca accepts it, if it is an announcement to an address that leads here but is not the one that
    /// this node goes by.
    pub(super) fn readdress(&self, packet: &Packet, bytes: &[u8]) -> Option<Vec<u8>> {
        let header = &packet.header;
        if header.message != Message::Announce || !header.dst.is_unknown() || header.dst.addr == self.me().addr {
            return None;
        }
        let mut addressed = encode(&Header { dst: self.me().clone(), ..header.clone() });
        addressed.extend_from_slice(&bytes[packet.header_len..]);
        Some(addressed)
    }

    /// Tells one that claims this node's address, from elsewhere, that it is taken.
    pub(super) fn defend_address(&self, claimant: &Identity, reply_to: SocketAddr, out: &mut Vec<Output>) {
        let me = self.me();
        if claimant.addr == me.addr && claimant.id != me.id && reply_to != me.addr {
            out.push(Output::Send { to: reply_to, payload: Notice::Taken { holder: me.clone() }.payload() });
        }
    }

    /// Tells a live member of this node's name, if it came second, that the name is taken.
    pub(super) fn defend_name(&self, other: &Identity, out: &mut Vec<Output>) {
        let me = self.me();
        if other.name == me.name && other.addr != me.addr && other.is_later_than(me) {
            out.push(Output::Send { to: other.addr, payload: Notice::Taken { holder: me.clone() }.payload() });
        }
    }

    /// The same for all members: what was told once may have been lost.
    pub(super) fn defend_names(&self, out: &mut Vec<Output>) {
        for member in self.roster.active() {
            self.defend_name(&member.identity, out);
        }
    }

    /// Gives way to a live node that has this node's address, or had its name first.
    pub(super) fn yield_to(&self, holder: &Identity, out: &mut Vec<Output>) {
        let me = self.me();
        if holder.id == me.id {
            return;
        }
        if holder.addr == me.addr {
            out.push(Output::Duplicate(format!(
                "gossip address {} is in use by the live node {}: give this node an address of its own",
                me.addr, holder.name
            )));
        } else if holder.name == me.name && me.is_later_than(holder) {
            out.push(Output::Duplicate(format!(
                "node name {} is in use by a live node at {}: give this node a name of its own",
                me.name, holder.addr
            )));
        }
    }

    /// Begins a new life if a later one than the present is known at this address: saved state was lost and the clock
    /// went back, so others would take this node for its own past.
    pub(super) fn exceed(&mut self, last: &Identity, now: Clock, out: &mut Vec<Output>) {
        let me = self.me().clone();
        if last.addr != me.addr || !last.is_later_than(&me) || last.is_unknown() {
            return;
        }
        let Some(generation) = last.generation.checked_add(1) else { return };
        let renewed = Identity { generation, ..me };
        let changed = self.with_foca(now, out, |foca, runtime| foca.change_identity(renewed.clone(), runtime));
        if let Err(error) = changed {
            tracing::warn!(%error, "new identity could not be announced");
        }
        out.push(Output::Renewed(renewed));
        // Lets foca connect again at once if members are alive.
        self.apply(Vec::new(), now, out);
    }
}

/// A packet that is sent as if by foca; for tests of what foca would never send.
#[cfg(test)]
pub(super) fn forged(header: &Header<Identity>) -> Vec<u8> {
    super::notice::swim_payload(&encode(header))
}
