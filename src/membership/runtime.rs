//! What comes out of membership, and the runtime that turns foca's wishes into it.

use std::net::SocketAddr;
use std::time::Duration;

use foca::{Notification, Runtime};

use super::notice::swim_payload;
use super::{Clock, Health, Identity};

/// Something for the node to do or to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram.
    Send {
        /// A gossip address.
        to: SocketAddr,
        /// At most [`super::MAX_PAYLOAD`] bytes.
        payload: Vec<u8>,
    },
    /// Call [`super::Membership::timer`] with this timer after `delay`. Never drop one; late is fine.
    After {
        /// From now.
        delay: Duration,
        /// To be handed back.
        timer: Timer,
    },
    /// A member takes part from now on: a new one, one that came back, or one that restarted without being missed.
    Up(Identity),
    /// A member failed.
    Down(Identity),
    /// A member said good-bye. May follow [`Output::Down`] of the same life, if the good-bye came late.
    Left(Identity),
    /// This node lives on under a new generation, which must be saved.
    Renewed(Identity),
    /// Another live node has this node's address or name, and had it first: this node must end with this message.
    Duplicate(String),
    /// No member is alive any more.
    Idle,
}

/// A timer of membership's. Keep all timers in one queue ordered by due time, then by order of arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timer {
    /// When it was meant to come, by the monotonic clock.
    pub(super) due: Duration,
    /// Whether it was put off already, after a stall.
    pub(super) put_off: bool,
    pub(super) kind: Kind,
}

/// What a timer is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Foca(foca::Timer<Identity>),
    /// Try seeds and missing members again. Only the one armed last counts.
    Announce {
        epoch: u64,
    },
}

/// Arms a timer.
pub(super) fn after(out: &mut Vec<Output>, now: Clock, delay: Duration, kind: Kind) {
    out.push(Output::After { delay, timer: Timer { due: now.mono + delay, put_off: false, kind } });
}

/// Collects what foca wants during one call.
pub(super) struct Collector<'a> {
    pub(super) out: &'a mut Vec<Output>,
    pub(super) now: Clock,
    pub(super) health: Health,
    /// Whom a probe was sent to during this call.
    pub(super) probed: Option<Identity>,
}

impl Runtime<Identity> for Collector<'_> {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        // Members' changes are read from foca's state after the call: see the roster.
        if let Notification::Rejoin(identity) = notification {
            self.out.push(Output::Renewed(identity.clone()));
        }
    }

    fn send_to(&mut self, to: Identity, packet: &[u8]) {
        self.out.push(Output::Send { to: to.addr, payload: swim_payload(packet) });
    }

    fn submit_after(&mut self, timer: foca::Timer<Identity>, delay: Duration) {
        let delay = match &timer {
            foca::Timer::SendIndirectProbe { probed_id, .. } => {
                self.probed = Some(probed_id.clone());
                self.health.stretch(delay)
            }
            foca::Timer::ProbeRandomMember(_) | foca::Timer::ChangeSuspectToDown { .. } => self.health.stretch(delay),
            _ => delay,
        };
        after(self.out, self.now, delay, Kind::Foca(timer));
    }
}
