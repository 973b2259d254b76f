//! Real processes of the `grapevine` binary on real sockets and files, as people start, edit, ask and kill them.

mod backups;
mod chaos;
mod client;
mod clocks;
mod cluster;
mod crashes;
mod editors;
mod forms;
mod harness;
mod history;
mod options;
mod read_only;
mod records;
mod refusals;
mod spread;
mod strangers;
