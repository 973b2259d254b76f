//! The store: the journal and the states of a node on its own disk, in one redb file.
//!
//! It carries out what the replica asks for ([`crate::replica::Write`]) and gives it back at start
//! ([`crate::replica::Saved`]). It decides nothing about zones, and it never deletes or replaces a file that it cannot
//! read: what it does not understand is a person's to move aside.

mod backup;
mod commit;
mod database;
mod error;
mod history;
mod home;
mod load;
mod pace;
mod rows;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::{Backup, BackupError, BackupHead, BackupZone, Snapshot};
pub use database::{FORMAT, Store};
pub use error::StoreError;
pub use history::Retention;
pub use writer::{Report, StoreGone, Writer};
