//! Real processes of the `grapevine` binary on real sockets and files, as people start, edit, ask and kill them.

mod client;
mod harness;
mod refusals;
mod strangers;
