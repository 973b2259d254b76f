//! Who a member is: an address, a name, and which of its lives.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The most bytes in a node's name: a name must fit a DNS label, and fit many times into one datagram.
pub const MAX_NAME: usize = 63;

/// One life of one node. A restart, and a return after being declared down, is another life with a higher generation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Identity {
    /// The gossip address, by which all others reach the node.
    pub addr: SocketAddr,
    /// Which life: a later one has a higher number. See [`next_generation`].
    pub generation: u64,
    /// The node's name, as people gave it.
    pub name: String,
    /// Random; tells two processes apart that claim the same address or name.
    pub id: u64,
}

/// Why something is no identity.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The name is empty, too long or has odd characters.
    #[error("node name {0:?} is not usable: it needs 1 to {MAX_NAME} ASCII letters, digits, `-`, `_` or `.`")]
    Name(String),
    /// Nobody can send to the address.
    #[error("gossip address {0} is not one that others can send to: it needs a unicast IP address and a port")]
    Address(SocketAddr),
}

/// An identity as it comes in, before it is checked.
#[derive(Deserialize)]
struct Unchecked {
    addr: SocketAddr,
    generation: u64,
    name: String,
    id: u64,
}

impl Identity {
    /// A checked identity.
    pub fn new(addr: SocketAddr, generation: u64, name: &str, id: u64) -> Result<Identity, IdentityError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(IdentityError::Name(name.chars().take(MAX_NAME).collect()));
        }
        if !is_reachable(addr) {
            return Err(IdentityError::Address(addr));
        }
        Ok(Identity { addr, generation, name: name.to_owned(), id })
    }

    /// Stands for whoever is at `addr`: what an announcement to a mere address is sent to.
    pub(super) fn unknown_at(addr: SocketAddr) -> Identity {
        Identity { addr, generation: 0, name: String::new(), id: 0 }
    }

    /// Whether this is a mere address.
    pub(super) fn is_unknown(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether this is a later life than `other`; a total order, so that all nodes agree.
    pub fn is_later_than(&self, other: &Identity) -> bool {
        (self.generation, self.id) > (other.generation, other.id)
    }
}

impl TryFrom<Unchecked> for Identity {
    type Error = IdentityError;

    fn try_from(wire: Unchecked) -> Result<Identity, IdentityError> {
        if wire.name.is_empty() && wire.generation == 0 && wire.id == 0 && is_reachable(wire.addr) {
            return Ok(Identity::unknown_at(wire.addr));
        }
        Identity::new(wire.addr, wire.generation, &wire.name, wire.id)
    }
}

/// Whether a node can be sent to at `addr` from elsewhere. Broadcast and multicast would reach many.
fn is_reachable(addr: SocketAddr) -> bool {
    let broadcast = match addr {
        SocketAddr::V4(v4) => v4.ip().is_broadcast(),
        SocketAddr::V6(_) => false,
    };
    addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast() && !broadcast
}

impl foca::Identity for Identity {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Identity> {
        let generation = self.generation.checked_add(1)?;
        Some(Identity { generation, ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn win_addr_conflict(&self, adversary: &Identity) -> bool {
        self.is_later_than(adversary)
    }
}

/// The generation of a node that starts now: later than every one it had, even if its store or its clock went back,
/// as long as one of the two did not.
pub fn next_generation(saved: u64, wall_ms: u64) -> u64 {
    saved.saturating_add(1).max(wall_ms)
}

#[cfg(test)]
mod tests {
    use foca::Identity as _;

    use super::*;
    use crate::codec::{decode, encode};

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_generation_never_goes_back() {
        assert_eq!(next_generation(0, 1_700_000_000_000), 1_700_000_000_000);
        assert_eq!(next_generation(1_700_000_000_000, 5), 1_700_000_000_001);
        assert_eq!(next_generation(u64::MAX, 5), u64::MAX);
    }

    #[test]
    fn a_later_life_wins_the_address() {
        let old = Identity::new(addr("10.0.0.1:7946"), 7, "a", 9).unwrap();
        let new = old.renew().unwrap();
        assert!(new.win_addr_conflict(&old) && !old.win_addr_conflict(&new));
        assert_eq!((new.addr, new.name.as_str(), new.generation), (old.addr, "a", 8));
        let twin = Identity { id: 10, ..old.clone() };
        assert!(twin.win_addr_conflict(&old) && !old.win_addr_conflict(&twin));
    }

    #[test]
    fn unusable_names_and_addresses_are_refused_also_from_the_wire() {
        let at = addr("10.0.0.1:7946");
        for name in ["", "a b", "é", "a\u{1b}[2J", &"x".repeat(64)] {
            assert!(Identity::new(at, 1, name, 1).is_err(), "{name:?}");
            let wire = encode(&Identity { addr: at, generation: 1, name: name.to_owned(), id: 1 });
            assert!(decode::<Identity>(&wire).is_err(), "{name:?}");
        }
        for bad in ["0.0.0.0:7946", "[::]:7946", "10.0.0.1:0", "224.0.0.1:7946", "255.255.255.255:7946"] {
            assert!(Identity::new(addr(bad), 1, "a", 1).is_err(), "{bad}");
        }
        let good = Identity::new(at, 1, &"x".repeat(63), 1).unwrap();
        assert_eq!(decode::<Identity>(&encode(&good)).unwrap(), good);
        let unknown = Identity::unknown_at(at);
        assert_eq!(decode::<Identity>(&encode(&unknown)).unwrap(), unknown);
    }
}
