//! Waiting until a zone is as somebody wants it.

use std::time::Duration;

use super::report::WaitReport;
use crate::node::{View, ZoneView};
use crate::zone::{Name, serial_gt};

/// The longest wait that is granted: a script that forgot its timeout must not hold a connection for ever.
pub const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What is waited for; every part that is set must hold at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Condition {
    /// The zone is replicated and its content is the same on every live member.
    pub converged: bool,
    /// At least so many members are alive, this node counted.
    pub live: Option<usize>,
    /// The serial is this one or a newer one.
    pub serial: Option<u32>,
}

impl Condition {
    /// Whether it is so now.
    pub(super) fn holds(self, view: &View, zone: &ZoneView) -> bool {
        let converged = view.initialised && !zone.provisional && zone.same_on == zone.live;
        (converged || !self.converged)
            && self.live.is_none_or(|least| zone.live >= least)
            && self.serial.is_none_or(|wanted| !serial_gt(wanted, zone.serial))
    }

    /// How the wait stands. A zone that is not there may still come: a new one takes a moment to arrive.
    pub(super) fn look(self, view: &View, origin: &Name) -> WaitReport {
        let zone = view.zones.iter().find(|zone| zone.origin == *origin);
        WaitReport { reached: zone.is_some_and(|zone| self.holds(view, zone)), zone: zone.cloned() }
    }
}
