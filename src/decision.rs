//! What a person decides of a held file: asked for at the control interface, carried out where the zone files are kept.

use tokio::sync::oneshot;

use crate::zone::Name;

/// What a person decided about a held file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Take it over as it is.
    Approve,
    /// Put the zone as it is served back into the file.
    Reject,
}

/// A decision, and where its outcome goes: what was done, or why not, in words.
#[derive(Debug)]
pub struct DecisionRequest {
    /// The zone.
    pub origin: Name,
    /// What to do with its file.
    pub decision: Decision,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<String, String>>,
}
