//! Zone files: the directory that people edit, watched and written back.
//!
//! A save becomes an edit of the zone: the difference between the version that the person started from (the *base*) and
//! what is in the file now. An edit of another node is written back by changing only the lines concerned. A file that
//! makes no sense is held: the zone as it was keeps serving. Nothing that happens to files or directories deletes a
//! zone by itself.
//!
//! The module turns files into [`crate::node::Command`]s and published zones into files; it decides nothing about
//! zones, and what a master file says is [`crate::master`]'s to know (RFC 1035 §5).

mod approval;
mod bases;
mod directory;
mod entries;
mod entry;
mod error;
mod held;
mod kept_text;
mod look;
mod origin;
mod outcome;
mod read;
mod rewrite;
mod run;
mod save;
mod scan;
mod watcher;
mod write;
mod write_back;

#[cfg(test)]
mod tests;

pub use directory::ZoneFiles;
pub use error::FilesError;
pub use held::Held;
pub use origin::{file_name, origin_of};
pub use read::read_text;
pub use run::{CommandRequest, FilesHandle};
