//! What members tell each other beside SWIM's own messages.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Identity, Malformed};
use crate::codec::{decode_datagram_prefix, encode};

/// First byte of a payload that is a packet of foca's.
const SWIM: u8 = 0;
/// First byte of a payload that is a [`Notice`].
const NOTICE: u8 = 1;

/// A message of ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Notice {
    /// This life ended on purpose: its node left, it did not fail.
    Goodbye(Identity),
    /// To whoever is at the claimed address: another claims it. If you are alive, say so to `reply_to`.
    Contested {
        /// Who claims the address.
        claimant: Identity,
        /// Where its datagrams come from.
        reply_to: SocketAddr,
    },
    /// To one that claims an address or a name: the sender is alive and has it already.
    Taken {
        /// The sender.
        holder: Identity,
    },
    /// To one that came back with too low a generation: its last life was this one, and it must exceed it.
    Outdated {
        /// The last known life.
        last: Identity,
    },
}

/// A payload, told apart by its first byte.
#[derive(Debug)]
pub(super) enum Payload<'a> {
    Swim(&'a [u8]),
    Notice(Notice),
}

impl<'a> Payload<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Payload<'a>, Malformed> {
        match payload.split_first() {
            Some((&SWIM, packet)) => Ok(Payload::Swim(packet)),
            Some((&NOTICE, bytes)) => match decode_datagram_prefix(bytes)? {
                (notice, used) if used == bytes.len() => Ok(Payload::Notice(notice)),
                _ => Err(Malformed("bytes left over after a notice".to_owned())),
            },
            Some((other, _)) => Err(Malformed(format!("unknown kind {other}"))),
            None => Err(Malformed("empty".to_owned())),
        }
    }
}

/// A packet of foca's as a payload.
pub(super) fn swim_payload(packet: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + packet.len());
    payload.push(SWIM);
    payload.extend_from_slice(packet);
    payload
}

impl Notice {
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = vec![NOTICE];
        payload.extend(encode(self));
        payload
    }
}
