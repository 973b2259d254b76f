//! What becomes of a save once the node has answered.

use super::directory::{Ask, RETRY, ZoneFiles};
use super::held::Cause;
use crate::node::{Applied, Command, CommandError, DirectEdit};
use crate::zone::Zone;

impl ZoneFiles {
    /// Draws the consequences of the node's answer.
    pub(super) fn conclude(&mut self, ask: Ask, answer: Result<Applied, CommandError>) {
        let origin = &ask.origin;
        match answer {
            Ok(applied) => {
                if applied.changed {
                    let (changes, serial) = (changes(&ask.command), applied.serial);
                    tracing::info!(zone = %origin, changes, serial, "a zone file was saved and taken over");
                }
                self.accept(origin, ask.reading, applied.serial);
                // The node takes edits: those that waited for it need not wait longer.
                for origin in std::mem::take(&mut self.deferred) {
                    self.look_again(&origin, std::time::Duration::ZERO);
                }
            }
            // Its zone was deleted while this node was down. Asked twice: a node that starts a cluster is making its
            // zones just now.
            Err(CommandError::NoSuchZone(_)) if self.bases.knows(origin) && !self.doubted.insert(origin.clone()) => {
                self.deleted(origin);
            }
            Err(CommandError::NoSuchZone(_) | CommandError::Replaced(_) | CommandError::Disowned) => {
                self.look_again(origin, RETRY)
            }
            Err(CommandError::ZoneExists(_) | CommandError::NotInitialised | CommandError::Busy) => {
                self.deferred.insert(origin.clone());
                self.readings.insert(ask.origin, ask.reading);
            }
            Err(error @ CommandError::NotStored(_)) => {
                self.refused(&ask, &error);
                self.look_again(origin, RETRY);
            }
            // The last is an answer to requests with an id, and a save has none.
            Err(
                error @ (CommandError::Invalid(_)
                | CommandError::SerialJump { .. }
                | CommandError::RequestReused { .. }),
            ) => {
                self.refused(&ask, &error);
                self.entries.update(origin, |entry| entry.dealt = Some(ask.reading.hash));
            }
        }
    }

    fn refused(&mut self, ask: &Ask, error: &CommandError) {
        let path = ask.reading.sources[0].path.clone();
        let reason = error.to_string();
        self.hold(&ask.origin, &path, Cause::Refused(reason.clone()), reason, Vec::new());
    }
}

fn changes(command: &Command) -> usize {
    match command {
        Command::Edit(edit) | Command::Direct(DirectEdit { edit, .. }) => edit.changes.len(),
        Command::Create { content, .. } => content.record_count(),
        Command::Import(contents) => contents.iter().map(Zone::record_count).sum(),
        Command::Delete { .. } | Command::Drop { .. } | Command::Remember { .. } => 0,
    }
}
