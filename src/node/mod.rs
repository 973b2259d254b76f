//! The daemon without I/O: one deterministic state machine that composes membership and replication.

mod alarms;
mod authorship;
mod bootstrap;
mod command;
mod confirmation;
mod direct;
mod durability;
mod event;
mod inspect;
#[expect(clippy::module_inception, reason = "the module's one concept has its name")]
mod node;
mod pace;
mod peers;
mod pull;
mod repair;
mod replicate;
mod sessions;
mod show;
#[cfg(test)]
mod tests;
mod transfers;
mod view;
mod wire;

use std::time::Duration;

pub use crate::replica::{
    ActorId, Cause, ClientRequest, Dot, EditOrigin, HistoryEntry, HistoryPage, HistoryQuery, IncarnationId,
    MAX_SOURCE_TEXT, Made, ShadowRule, Shadowed, Source, Stamp, Standing, Unreachable, Walk,
};
pub use event::{
    Applied, Command, CommandError, Detail, DirectEdit, Edit, Effect, Event, InboundId, Now, PersistId, RequestId,
    Severity, Spread, Ticket, Wait, WaitFor,
};
pub use inspect::{Answer, Incarnation, Question, ZoneConflicts};
pub use node::{Node, NodeConfig};
pub use view::{MemberState, MemberView, View, ZoneView};
pub use wire::PROTOCOL;

/// How long a request to a peer may take before it counts as failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
