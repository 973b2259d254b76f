//! Membership: who belongs to the cluster and who of them is alive, by SWIM (Das, Gupta, Motivala 2002) with the local
//! health of Lifeguard (Dadgar, Phillips, Currey 2017).
//!
//! foca runs the protocol. What it leaves to its users is here: finding again those that are held down, telling who left
//! from who failed, whole rosters, addresses and names that are used twice, and timers that stretch while this node is
//! slow itself, and suspicions of which their subjects never heard.
//!
//! Pure: no sockets, clocks or randomness of its own. The caller passes in time and datagrams and does what comes out.

mod accusation;
mod codec;
mod duplicates;
mod health;
mod identity;
mod notice;
mod rejoin;
mod roster;
mod runtime;
mod settings;
mod swim;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use codec::Malformed;
pub use health::Health;
pub use identity::{Identity, IdentityError, MAX_NAME, next_generation};
pub use roster::{Member, Record, Roster, State};
pub use runtime::{Output, Timer};
pub use settings::{MAX_PAYLOAD, Settings};
pub use swim::Membership;

/// The clocks at the moment of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Clock {
    /// Time since an arbitrary moment of this process; never goes back.
    pub mono: Duration,
    /// Milliseconds since 1970 by the wall clock; may jump. Only displays use it.
    pub wall_ms: u64,
}
