//! Local edits: from a command to a staged batch, and to the answer once it is kept.

use super::node::Node;
use super::{Applied, Command, CommandError, EditOrigin, Effect, Now, Source, Ticket};
use crate::replica::{EditError, EditRequest, Replica, StageError, Staged, catalog_name};
use crate::zone::Name;

impl Command {
    /// The zone that the command concerns; of an import, which is a node's first command, the first one.
    pub fn zone(&self) -> Name {
        match self {
            Command::Edit(edit) => edit.zone.clone(),
            Command::Create { content, .. } => content.origin.clone(),
            Command::Import(contents) => contents.first().map_or_else(catalog_name, |content| content.origin.clone()),
            Command::Delete { zone, .. } | Command::Drop { zone, .. } => zone.clone(),
        }
    }
}

impl Node {
    /// Stages every waiting command whose zone has no edit under way, in order.
    pub(super) fn pump_commands(&mut self, now: Now) {
        let mut held = Vec::new();
        for (ticket, command) in std::mem::take(&mut self.commands) {
            // Commands for one zone are carried out in the order in which they came.
            if held.iter().any(|(_, earlier): &(Option<Ticket>, Command)| earlier.zone() == command.zone()) {
                held.push((ticket, command));
                continue;
            }
            match self.stage(&command, now) {
                Ok(Some(staged)) => self.persist_staged(ticket, staged),
                Ok(None) => {
                    let result = self.applied(&command.zone(), false);
                    self.done(ticket, result);
                }
                Err(StageError::Busy) => held.push((ticket, command)),
                Err(error) => self.done(ticket, Err(refusal(error, &command.zone()))),
            }
        }
        self.commands = held.into();
    }

    fn stage(&mut self, command: &Command, now: Now) -> Result<Option<Staged>, StageError> {
        let actor = self.actor();
        match command {
            Command::Edit(edit) => {
                let source = self.signed(&edit.source);
                let request = EditRequest { changes: &edit.changes, serial: edit.serial, source: &source };
                self.replica.stage_edit(&edit.zone, &request, actor, now.wall_ms)
            }
            Command::Create { content, source } => {
                let (contents, source) = (std::slice::from_ref(content), self.signed(source));
                self.replica.stage_create(contents, &source, actor, now.wall_ms).map(Some)
            }
            Command::Import(contents) => {
                let source = self.signed(&Source::new(EditOrigin::File));
                self.replica.stage_create(contents, &source, actor, now.wall_ms).map(Some)
            }
            Command::Delete { zone, source } => {
                let source = self.signed(source);
                self.replica.stage_delete(zone, &source, actor, now.wall_ms).map(Some)
            }
            Command::Drop { zone, incarnation, source } => {
                let source = self.signed(source);
                self.replica.stage_drop(zone, *incarnation, &source, actor, now.wall_ms).map(Some)
            }
        }
    }

    /// The source of an edit that this node takes.
    fn signed(&self, source: &Source) -> Source {
        Source { node: self.config.name.clone(), ..source.clone() }
    }

    fn persist_staged(&mut self, ticket: Option<Ticket>, staged: Staged) {
        let id = self.durability.next_id();
        let mut writes = self.durability.unsaved();
        writes.extend(staged.writes.iter().cloned());
        self.staged.insert(id, (ticket, staged));
        self.effects.push(Effect::Persist { id, writes });
    }

    /// An edit of this node is on disk: it counts from now on.
    pub(super) fn commit(&mut self, ticket: Option<Ticket>, staged: Staged, now: Now) {
        let zone = Replica::zone_of(&staged).clone();
        let changed = self.replica.commit(staged);
        self.on_changed(changed, None, now);
        let result = self.applied(&zone, true);
        self.done(ticket, result);
    }

    /// The zone as it is now. One that was just deleted has its last serial and no version.
    fn applied(&self, zone: &Name, changed: bool) -> Result<Applied, CommandError> {
        let state = self.replica.serving(zone).map(|zone| zone.state());
        let last = self.replica.catalog().stub(zone).map_or(0, |stub| stub.serial);
        Ok(Applied {
            serial: state.map_or(last, |state| state.serial()),
            version: state.map_or([0; 8], |state| state.version().hash()),
            changed,
        })
    }

    pub(super) fn done(&mut self, ticket: Option<Ticket>, result: Result<Applied, CommandError>) {
        match (ticket, result) {
            (Some(ticket), result) => self.answer_when_published(Effect::Done { ticket, result }),
            (None, Err(error)) => self.report(super::Severity::Warn, format!("a zone was not taken over: {error}")),
            (None, Ok(_)) => {}
        }
    }
}

fn refusal(error: StageError, zone: &Name) -> CommandError {
    match error {
        StageError::Busy => CommandError::Busy,
        StageError::NoSuchZone => CommandError::NoSuchZone(zone.clone()),
        StageError::ZoneExists => CommandError::ZoneExists(zone.clone()),
        StageError::Edit(EditError::SerialJump { wanted, current }) => CommandError::SerialJump { wanted, current },
        StageError::Edit(EditError::Invalid(reason)) => CommandError::Invalid(reason),
    }
}
