//! Telling suspected members of what they are suspected of.
//!
//! foca arms a timer for a suspicion of its own only. One that it heard of by gossip ends when its subject refutes it, and
//! the subject does when it hears of it; the gossip may have died out before. Then the suspicion would stay for as long
//! as both live, for the subject answers every probe and never says the one thing that is awaited. So whoever holds a
//! member suspect tells it, again and again, as Lifeguard's buddy system does with every probe.

use foca::{Header, Message};

use super::notice::swim_payload;
use super::{Identity, Membership, Output, State};
use crate::codec::encode;

/// How many suspected members are told at a time. More at once are suspected only when this node is cut off, and then
/// they cannot hear it.
const TELL: usize = 16;

impl Membership {
    /// Tells suspected members that they are, so that they refute it.
    pub(super) fn accuse(&mut self, out: &mut Vec<Output>) {
        let suspects = self.roster.iter().filter(|member| member.state == State::Suspect);
        let mut accusations: Vec<_> = suspects.map(|member| (member.identity.clone(), member.incarnation())).collect();
        self.choose(&mut accusations, TELL);
        for (suspect, incarnation) in accusations {
            // This node's own incarnation is foca's secret. The lowest says nothing new of a member that is known.
            let header =
                Header { src: self.me().clone(), src_incarnation: 0, dst: suspect.clone(), message: Message::Gossip };
            let to = suspect.addr;
            let suspicion = foca::Member::new(suspect, incarnation, foca::State::Suspect);
            out.push(Output::Send { to, payload: packet(&header, &[suspicion]) });
        }
    }
}

/// A packet as foca would send it: header, two bytes of count, members.
fn packet(header: &Header<Identity>, updates: &[foca::Member<Identity>]) -> Vec<u8> {
    let mut bytes = encode(header);
    bytes.extend((updates.len() as u16).to_be_bytes());
    bytes.extend(updates.iter().flat_map(encode));
    swim_payload(&bytes)
}
