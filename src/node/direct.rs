//! Edits by records: tried again without being done twice, tried out without being done, and waited for.

use std::sync::Arc;

use super::node::Node;
use super::{Applied, Command, CommandError, Detail, DirectEdit, Edit, Now, Source, Ticket};
use crate::codec;
use crate::replica::{Batch, ClientRequest, Dot, EditRequest, IncarnationId, StageError, Staged, VersionVector};
use crate::zone::{Change, Name, Record, RecordType};

/// What settles a command without an edit: that it was done before, or that it is only tried out.
pub(super) enum Settled {
    /// Not settled; the edit is to be staged.
    No,
    /// The zone has an edit under way, which may be the same one.
    Busy,
    Yes,
}

impl Node {
    /// Answers an edit by records that needs no staging.
    pub(super) fn settle(&mut self, ticket: Option<Ticket>, direct: &DirectEdit, now: Now) -> Settled {
        let zone = &direct.edit.zone;
        let source = self.direct_source(&direct.edit);
        if let Some(request) = &source.request {
            if self.replica.is_busy(zone) {
                return Settled::Busy;
            }
            let done = self.replica.serving(zone).and_then(|zone| zone.requested(&request.id));
            if let Some((batch, serial)) = done {
                let batch = batch.clone();
                if batch.source.request.as_ref() != Some(request) {
                    let error = CommandError::RequestReused { id: request.id.clone(), serial };
                    self.done(ticket, Err(error));
                } else {
                    let detail = Detail { repeated: true, changes: changes(self, &batch), spread: None };
                    let version = batch.version_after().hash();
                    let applied = Applied { serial, version, changed: false, detail: Some(Arc::new(detail)) };
                    let needs = Some((batch.incarnation, one(batch.dot)));
                    self.answer_direct(ticket, direct, applied, needs, now);
                }
                return Settled::Yes;
            }
        }
        if direct.dry_run {
            let result = self.try_out(&direct.edit, &source);
            self.done(ticket, result);
            return Settled::Yes;
        }
        Settled::No
    }

    fn try_out(&self, edit: &Edit, source: &Source) -> Result<Applied, CommandError> {
        let request = EditRequest { changes: &edit.changes, serial: edit.serial, source };
        let batch =
            self.replica.preview(&edit.zone, &request).map_err(|error| super::command::refusal(error, &edit.zone))?;
        let changed = batch.is_some();
        let changes = batch.map(|batch| changes(self, &batch)).unwrap_or_default();
        let detail = Detail { repeated: false, changes, spread: None };
        Ok(Applied { detail: Some(Arc::new(detail)), ..self.applied(&edit.zone, changed)? })
    }

    /// Stages an edit by records.
    pub(super) fn stage_direct(&mut self, edit: &Edit, now: Now) -> Result<Option<Staged>, StageError> {
        let (actor, source) = (self.actor(), self.direct_source(edit));
        let request = EditRequest { changes: &edit.changes, serial: edit.serial, source: &source };
        self.replica.stage_direct(&edit.zone, &request, actor, now.wall_ms)
    }

    fn direct_source(&self, edit: &Edit) -> Source {
        let wish = blake3::hash(&codec::encode(&(&edit.zone, &edit.changes, edit.serial)));
        let hash = *wish.as_bytes().first_chunk().expect("32 bytes have 8");
        let source = self.signed(&edit.source);
        let request = source.request.as_ref().map(|request| ClientRequest { hash, ..request.clone() });
        Source { request, ..source }
    }

    /// An edit by records changed nothing: the zone is as wished already. Whoever waits does so for what it is now.
    pub(super) fn unchanged(&mut self, ticket: Option<Ticket>, command: &Command, now: Now) {
        let zone = command.zone();
        let applied = self.applied(&zone, false);
        let (Command::Direct(direct), Ok(applied)) = (command, applied.clone()) else {
            return self.done(ticket, applied);
        };
        let needs =
            self.replica.serving(&zone).map(|zone| (zone.state().incarnation(), zone.state().version().clone()));
        let applied = Applied { detail: Some(Arc::default()), ..applied };
        self.answer_direct(ticket, direct, applied, needs, now);
    }

    /// An edit is applied: answers whoever made it, now or when enough others have it.
    pub(super) fn answer_edit(&mut self, ticket: Option<Ticket>, zone: &Name, batches: &[Arc<Batch>], now: Now) {
        let applied = self.applied(zone, true);
        let direct = ticket.and_then(|ticket| self.direct.remove(&ticket));
        let (Some(direct), Ok(applied), [batch]) = (direct, applied.clone(), batches) else {
            return self.done(ticket, applied);
        };
        let detail = Detail { repeated: false, changes: changes(self, batch), spread: None };
        let applied = Applied { detail: Some(Arc::new(detail)), ..applied };
        self.answer_direct(ticket, &direct, applied, Some((batch.incarnation, one(batch.dot))), now);
    }

    fn answer_direct(
        &mut self,
        ticket: Option<Ticket>,
        direct: &DirectEdit,
        applied: Applied,
        needs: Option<(IncarnationId, VersionVector)>,
        now: Now,
    ) {
        match (ticket, direct.wait, needs) {
            (Some(ticket), Some(wait), Some((incarnation, version))) => {
                self.watch(ticket, applied, (incarnation, version), wait, now);
            }
            _ => self.done(ticket, Ok(applied)),
        }
    }
}

fn one(dot: Dot) -> VersionVector {
    let mut version = VersionVector::new();
    version.advance(dot);
    version
}

/// What a batch changes, as people see it.
fn changes(node: &Node, batch: &Batch) -> Vec<Change> {
    let zone = node.replica.get(batch.incarnation);
    let written = |owner: &Name, rtype: RecordType| {
        batch.ttls.iter().find(|write| write.owner == *owner && write.rtype == rtype).and_then(|write| write.ttl)
    };
    let mut changes: Vec<Change> = batch.removes.iter().map(|(key, _)| Change::Remove(key.clone())).collect();
    changes.extend(batch.adds.iter().map(|key| {
        let ttl = written(&key.owner, key.rtype).unwrap_or_default();
        Change::Add(Record { owner: key.owner.clone(), rtype: key.rtype, ttl, rdata: key.rdata.clone() })
    }));
    changes.extend(batch.ttls.iter().filter_map(|write| {
        let added = batch.adds.iter().any(|key| key.owner == write.owner && key.rtype == write.rtype);
        let ttl = write.ttl.filter(|_| !added)?;
        Some(Change::Ttl { owner: write.owner.clone(), rtype: write.rtype, ttl })
    }));
    if batch.soa != Default::default()
        && let Some(zone) = zone
    {
        changes.push(Change::Soa(zone.state().soa()));
    }
    changes
}

#[cfg(test)]
mod tests;
