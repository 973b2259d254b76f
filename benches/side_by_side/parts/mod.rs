//! The parts of the comparison, each with its servers, its zones and its goals.

mod answering;
mod calls;
mod editing;
mod loading;
mod streaming;

pub(crate) use answering::{answers, ask, edits, generator, large, nsid, write, zones};
pub(crate) use calls::calls;
pub(crate) use editing::{bootstrap, propagation};
pub(crate) use loading::{large_edits, load, start};
pub(crate) use streaming::tcp;
