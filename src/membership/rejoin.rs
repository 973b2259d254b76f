//! Finding others: announcing this node to seeds, saved peers and members that are held down, again and again.
//!
//! SWIM never speaks to a member again once it is down. After a partition both sides would stay apart for ever.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;

use super::runtime::{Kind, after};
use super::{Clock, Identity, Membership, Output, State};

/// How many missing addresses are tried at a time while members are alive: enough to notice a healed partition soon.
const ANNOUNCE_TO: usize = 3;

/// The same while this node is alone: it has nothing else to do.
const ANNOUNCE_TO_ALONE: usize = 16;

impl Membership {
    /// Announces this node to some of those that should be members and are not, and arms the next time.
    pub(super) fn announce(&mut self, now: Clock, out: &mut Vec<Output>) {
        self.roster.forget_long_gone(now);
        let mut missing = self.missing();
        let alone = self.alive == 0;
        self.choose(&mut missing, if alone { ANNOUNCE_TO_ALONE } else { ANNOUNCE_TO });
        for addr in missing {
            let whoever = Identity::unknown_at(addr);
            let announced = self.with_foca(now, out, |foca, runtime| foca.announce(whoever, runtime));
            if let Err(error) = announced {
                tracing::warn!(%error, %addr, "announcement could not be encoded");
            }
        }
        self.defend_names(out);
        self.accuse(out);
        let period = if alone { self.settings.announce_period_alone } else { self.settings.announce_period };
        self.arm_announce(now, period, out);
    }

    /// Addresses where somebody should be: seeds, saved peers and members that failed. Those that left may stay away.
    fn missing(&self) -> Vec<SocketAddr> {
        let me = self.me().addr;
        let failed = self.roster.iter().filter(|member| member.state == State::Down);
        let mut wanted: BTreeSet<SocketAddr> = failed.map(|member| member.identity.addr).collect();
        wanted.extend(self.seeds.iter().chain(&self.saved_peers));
        let active = |addr| self.roster.get(addr).is_some_and(|member| member.state.is_active());
        wanted.retain(|&addr| addr != me && !active(addr));
        wanted.into_iter().collect()
    }

    /// Arms the next announcement, a little earlier or later than due so that nodes do not fall into step.
    pub(super) fn arm_announce(&mut self, now: Clock, period: Duration, out: &mut Vec<Output>) {
        self.announce_epoch += 1;
        let percent = self.rng.random_range(90..=110);
        after(out, now, period * percent / 100, Kind::Announce { epoch: self.announce_epoch });
    }
}
