//! Edits by records: tried again without being done twice, tried out without being done, and waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::node::Node;
use super::{Applied, CommandError, Detail, DirectEdit, Edit, Now, Source, Ticket, Wait};
use crate::codec;
use crate::replica::{Batch, ClientRequest, EditRequest, IncarnationId, VersionVector};
use crate::zone::{Change, Name, Record};

impl Node {
    /// Answers an edit by records that is not to be made: it was done before, or is only tried out. Any other is given
    /// back to be staged. The zone has no edit under way.
    pub(super) fn settle(&mut self, ticket: Option<Ticket>, direct: DirectEdit, now: Now) -> Option<Edit> {
        let DirectEdit { edit, wait, dry_run } = direct;
        let source = self.source_of(&edit);
        if let Some(request) = &source.request
            && let Some(zone) = self.replica.serving(&edit.zone)
            && let Some((batch, serial)) = zone.requested(&request.id)
        {
            if batch.source.request.as_ref() == Some(request) {
                let (batch, version) = (batch.clone(), batch.version_after().hash());
                let detail = Detail { repeated: true, changes: self.changes(&batch), spread: None };
                let applied = Applied { serial, version, changed: false, detail: Some(Arc::new(detail)) };
                self.answer_direct(ticket, applied, Some(made_by(&batch)), wait, now);
            } else {
                let id = request.id.clone();
                self.done(ticket, Err(CommandError::RequestReused { id, serial }));
            }
            return None;
        }
        if dry_run {
            let result = self.try_out(&edit, &source);
            self.done(ticket, result);
            return None;
        }
        if let Some(ticket) = ticket {
            self.direct.insert(ticket, wait);
        }
        Some(edit)
    }

    fn try_out(&self, edit: &Edit, source: &Source) -> Result<Applied, CommandError> {
        let request = EditRequest { changes: &edit.changes, by_steps: true, serial: edit.serial, source };
        let batch = self.replica.preview(&edit.zone, &request);
        let batch = batch.map_err(|error| super::command::refusal(error, &edit.zone))?;
        let changes = batch.as_ref().map(|batch| self.changes(batch)).unwrap_or_default();
        let detail = Detail { repeated: false, changes, spread: None };
        Ok(Applied { detail: Some(Arc::new(detail)), ..self.applied(&edit.zone, batch.is_some())? })
    }

    /// The source of an edit that this node takes: its own name, and what the client asked for under its id.
    pub(super) fn source_of(&self, edit: &Edit) -> Source {
        let source = self.signed(&edit.source);
        let request = source.request.map(|request| {
            let wish = blake3::hash(&codec::encode(&(&edit.zone, &edit.changes, edit.serial)));
            ClientRequest { hash: *wish.as_bytes().first_chunk().expect("32 bytes have 8"), ..request }
        });
        Source { request, ..source }
    }

    /// An edit by records is carried out: answers whoever made it, now or when enough others have it. One that changed
    /// nothing made no batch, and whoever waits does so for the zone as it is.
    pub(super) fn answer_edit(
        &mut self,
        ticket: Ticket,
        zone: &Name,
        batch: Option<Arc<Batch>>,
        wait: Option<Wait>,
        now: Now,
    ) {
        let mut applied = match self.applied(zone, batch.is_some()) {
            Ok(applied) => applied,
            Err(error) => return self.done(Some(ticket), Err(error)),
        };
        let held = self.replica.serving(zone);
        let needs = match (&batch, held) {
            (Some(batch), Some(_)) => {
                applied.serial = batch.serial;
                Some(made_by(batch))
            }
            (None, Some(held)) => Some((held.state().incarnation(), held.state().version().clone())),
            (_, None) => None,
        };
        let changes = batch.map(|batch| self.changes(&batch)).unwrap_or_default();
        applied.detail = Some(Arc::new(Detail { repeated: false, changes, spread: None }));
        self.answer_direct(Some(ticket), applied, needs, wait, now);
    }

    fn answer_direct(
        &mut self,
        ticket: Option<Ticket>,
        applied: Applied,
        needs: Option<(IncarnationId, VersionVector)>,
        wait: Option<Wait>,
        now: Now,
    ) {
        match (ticket, wait, needs) {
            (Some(ticket), Some(wait), Some(needs)) => self.watch(ticket, applied, needs, wait, now),
            _ => self.done(ticket, Ok(applied)),
        }
    }

    /// What a batch changes, as people see it.
    fn changes(&self, batch: &Batch) -> Vec<Change> {
        let ttls: BTreeMap<_, _> =
            batch.ttls.iter().map(|write| ((&write.owner, write.rtype), write.ttl.unwrap_or_default())).collect();
        let mut added = BTreeSet::new();
        let mut changes: Vec<Change> = batch.removes.iter().map(|(key, _)| Change::Remove(key.clone())).collect();
        changes.extend(batch.adds.iter().map(|key| {
            let rrset = (&key.owner, key.rtype);
            added.insert(rrset);
            let ttl = ttls.get(&rrset).copied().unwrap_or_default();
            Change::Add(Record { owner: key.owner.clone(), rtype: key.rtype, ttl, rdata: key.rdata.clone() })
        }));
        changes.extend(batch.ttls.iter().filter_map(|write| {
            let ttl = write.ttl.filter(|_| !added.contains(&(&write.owner, write.rtype)))?;
            Some(Change::Ttl { owner: write.owner.clone(), rtype: write.rtype, ttl })
        }));
        if batch.soa != Default::default()
            && let Some(zone) = self.replica.get(batch.incarnation)
        {
            changes.push(Change::Soa(zone.state().soa()));
        }
        changes
    }
}

/// What a node holds that holds this batch: with it come those before it.
fn made_by(batch: &Batch) -> (IncarnationId, VersionVector) {
    let mut version = VersionVector::new();
    version.advance(batch.dot);
    (batch.incarnation, version)
}

#[cfg(test)]
mod tests;
