//! Local edits: from a command to a staged batch, and to the answer once it is kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::node::{Node, Timer};
use super::{Applied, Command, CommandError, DirectEdit, Edit, EditOrigin, Effect, Now, Source, Ticket};
use crate::replica::{Batch, EditError, EditRequest, StageError, Staged, Wanted, catalog_name};
use crate::zone::{Name, Zone};

impl Command {
    /// The zone that the command concerns; of an import, which is a node's first command, the first one.
    pub fn zone(&self) -> Name {
        match self {
            Command::Edit(edit) | Command::Direct(DirectEdit { edit, .. }) => edit.zone.clone(),
            Command::Create { content, .. } => content.origin().clone(),
            Command::Import(contents) => contents.first().map_or_else(catalog_name, |content| content.origin().clone()),
            Command::Delete { zone, .. } | Command::Drop { zone, .. } | Command::Remember { zone, .. } => zone.clone(),
        }
    }
}

/// The most edits of one zone, and the most zones, that are kept with one write.
const MAX_GROUP: usize = 512;
/// How many changes edits that are kept together may bring: a larger edit goes alone.
const MAX_GROUP_CHANGES: usize = 10_000;

/// Who waits for a staged write: each command's ticket, its zone, and whether it changes anything.
pub(super) type Waiters = Vec<(Option<Ticket>, Name, bool)>;

/// An edit to be staged.
struct Wish {
    ticket: Option<Ticket>,
    edit: Edit,
    by_steps: bool,
}

/// Waiting commands sorted into what can be staged now. Commands for one zone keep their order.
#[derive(Default)]
struct Sorted {
    edits: BTreeMap<Name, Vec<Wish>>,
    creations: BTreeMap<Name, (Option<Ticket>, Box<Zone>, Source)>,
    /// An import or a deletion.
    catalog: Option<(Option<Ticket>, Command)>,
    held: VecDeque<(Option<Ticket>, Command)>,
    /// Zones with a held command.
    blocked: BTreeSet<Name>,
}

impl Sorted {
    /// Whether nothing is to be staged but edits of this zone.
    fn takes_only(&self, zone: &Name) -> bool {
        self.creations.is_empty() && self.catalog.is_none() && self.edits.keys().all(|edited| edited == zone)
    }
}

impl Node {
    /// Stages every waiting command whose zone has no edit under way, edits of one zone together, new zones together; in a
    /// stream after a moment for more to come.
    pub(super) fn pump_commands(&mut self, now: Now) {
        if self.commands.is_empty() || self.durability.is_behind() && !self.staged.is_empty() {
            return;
        }
        if let Some(until) = self.pace.wait_until(self.commands.len(), now.mono) {
            if !std::mem::replace(&mut self.gathering, true) {
                self.arm(until, Timer::Stage);
            }
            return;
        }
        let (mut sorted, waiting) = (Sorted::default(), self.commands.len());
        for (ticket, command) in std::mem::take(&mut self.commands) {
            self.sort(ticket, command, &mut sorted, now);
        }
        let Sorted { edits, creations, catalog, held, .. } = sorted;
        self.commands = held;
        if self.commands.len() < waiting {
            self.pace.staged(waiting - self.commands.len(), now.mono);
        }
        for (zone, edits) in edits {
            self.stage_edits(&zone, edits, now);
        }
        if !creations.is_empty() {
            self.stage_creations(creations, now);
        }
        if let Some((ticket, command)) = catalog {
            self.stage_catalog(ticket, &command, now);
        }
        // What was taken on may have been refused or have changed nothing, so that nobody would come back to the others.
        let went_on = self.commands.len() < waiting;
        if went_on && !self.commands.is_empty() && self.staged.is_empty() {
            self.pump_commands(now);
        }
    }

    fn sort(&mut self, ticket: Option<Ticket>, command: Command, sorted: &mut Sorted, now: Now) {
        let zone = command.zone();
        let edits = sorted.edits.get(&zone);
        let catalog_is_free = !self.replica.is_catalog_staged() && sorted.catalog.is_none();
        // While the disk is behind each write brings along all that failed before it, so only one is on its way at a time:
        // what a second one brought along could undo the first.
        let alone = !self.durability.is_behind() || sorted.takes_only(&zone);
        // It is answered from its file already, and takes edits as soon as its import is kept.
        let arrives = self.replica.is_catalog_staged() && self.bootstrap.is_provisional(&zone);
        let fits = alone
            && !arrives
            && !sorted.blocked.contains(&zone)
            && match &command {
                Command::Edit(edit) | Command::Direct(DirectEdit { edit, .. }) => {
                    let changes = |edit: &Edit| edit.changes.len();
                    let so_far = edits.map_or(0, |edits| edits.iter().map(|wish| changes(&wish.edit)).sum());
                    let room = edits.is_none_or(|edits| edits.len() < MAX_GROUP)
                        && (so_far == 0 || so_far + changes(edit) <= MAX_GROUP_CHANGES);
                    // The same request may be waiting to be staged: it is looked for again after that.
                    let again = |wish: &Wish| same_request(&wish.edit, edit);
                    let first = edits.is_none_or(|edits| !edits.iter().any(again));
                    room && first && !sorted.creations.contains_key(&zone) && !self.replica.is_staged(&zone)
                }
                Command::Create { .. } => {
                    let room = sorted.creations.len() < MAX_GROUP && !sorted.creations.contains_key(&zone);
                    room && catalog_is_free && edits.is_none()
                }
                Command::Import(_) | Command::Delete { .. } | Command::Drop { .. } | Command::Remember { .. } => {
                    catalog_is_free && sorted.creations.is_empty() && edits.is_none()
                }
            };
        if !fits {
            sorted.blocked.insert(zone);
            sorted.held.push_back((ticket, command));
            return;
        }
        match command {
            Command::Edit(edit) => {
                sorted.edits.entry(zone).or_default().push(Wish { ticket, edit, by_steps: false });
            }
            Command::Direct(direct) => {
                if let Some(edit) = self.settle(ticket, direct, now) {
                    sorted.edits.entry(zone).or_default().push(Wish { ticket, edit, by_steps: true });
                }
            }
            Command::Create { content, source } => {
                sorted.creations.insert(zone, (ticket, content, source));
            }
            command => sorted.catalog = Some((ticket, command)),
        }
    }

    fn stage_edits(&mut self, zone: &Name, edits: Vec<Wish>, now: Now) {
        let actor = self.actor();
        let sources: Vec<Source> = edits.iter().map(|wish| self.source_of(&wish.edit)).collect();
        let requests: Vec<EditRequest<'_>> = edits
            .iter()
            .zip(&sources)
            .map(|(Wish { edit, by_steps, .. }, source)| EditRequest {
                changes: &edit.changes,
                by_steps: *by_steps,
                serial: edit.serial,
                source,
            })
            .collect();
        let group = match self.replica.stage_edits(zone, &requests, actor, now.wall_ms) {
            Ok(group) => group,
            Err(error) => {
                let refused = refusal(error, zone);
                return edits.into_iter().for_each(|wish| self.done(wish.ticket, Err(refused.clone())));
            }
        };
        let mut waiters = Waiters::new();
        for (Wish { ticket, .. }, outcome) in edits.iter().zip(group.outcomes) {
            match outcome {
                Ok(changed) => waiters.push((*ticket, zone.clone(), changed)),
                Err(error) => self.done(*ticket, Err(refusal(error.into(), zone))),
            }
        }
        match group.staged {
            Some(staged) => self.persist_staged(waiters, staged),
            None => self.all_done(waiters, Vec::new(), now),
        }
    }

    fn stage_creations(&mut self, creations: BTreeMap<Name, (Option<Ticket>, Box<Zone>, Source)>, now: Now) {
        let actor = self.actor();
        let (mut waiters, mut contents, mut common) = (Waiters::new(), Vec::new(), None);
        for (zone, (ticket, content, source)) in creations {
            match self.replica.may_create(&content) {
                Ok(()) => {
                    common.get_or_insert(source);
                    contents.push(*content);
                    waiters.push((ticket, zone, true));
                }
                Err(error) => self.done(ticket, Err(refusal(error, &zone))),
            }
        }
        let Some(source) = common.map(|source| self.signed(&source)) else { return };
        match self.replica.stage_create(&contents, &source, actor, now.wall_ms) {
            Ok(staged) => self.persist_staged(waiters, staged),
            Err(error) => {
                for (ticket, zone, _) in waiters {
                    self.done(ticket, Err(refusal(error.clone(), &zone)));
                }
            }
        }
    }

    fn stage_catalog(&mut self, ticket: Option<Ticket>, command: &Command, now: Now) {
        let (actor, zone) = (self.actor(), command.zone());
        let staged = match command {
            Command::Import(contents) => {
                let source = self.signed(&Source::new(EditOrigin::File));
                self.replica.stage_create(contents, &source, actor, now.wall_ms)
            }
            Command::Delete { zone, source } => {
                let source = self.signed(source);
                self.replica.stage_delete(zone, &source, actor, now.wall_ms)
            }
            Command::Drop { zone, incarnation, source } => {
                let source = self.signed(source);
                self.replica.stage_drop(zone, *incarnation, &source, actor, now.wall_ms)
            }
            Command::Remember { zone, serial } => {
                let source = self.signed(&Source::new(EditOrigin::System));
                self.replica.stage_remember(zone, *serial, &source, actor, now.wall_ms)
            }
            Command::Edit(_) | Command::Direct(_) | Command::Create { .. } => return,
        };
        match staged {
            Ok(staged) => self.persist_staged(vec![(ticket, zone, true)], staged),
            Err(error) => self.done(ticket, Err(refusal(error, &zone))),
        }
    }

    /// Makes the edits that the replica needs of this node, such as a serial raised above that of an earlier life.
    pub(super) fn make_wanted(&mut self, now: Now) {
        if !self.bootstrap.is_done() {
            return;
        }
        for wanted in self.replica.take_wanted() {
            let command = match wanted {
                Wanted::Remember { zone, serial } => Command::Remember { zone, serial },
                Wanted::Raise { zone, serial } => {
                    let note = "serial raised above that of the zone's other life".to_owned();
                    let source = Source { note, ..Source::new(EditOrigin::System) };
                    Command::Edit(Edit { zone, changes: Vec::new(), serial: Some(serial), source })
                }
            };
            self.enqueue(None, command, now);
        }
    }

    /// The source of an edit that this node takes.
    pub(super) fn signed(&self, source: &Source) -> Source {
        Source { node: self.config.name.clone(), ..source.clone() }
    }

    fn persist_staged(&mut self, waiters: Waiters, staged: Staged) {
        let id = self.durability.next_id();
        let mut writes = self.durability.unsaved();
        writes.extend(staged.writes.iter().cloned());
        self.staged.insert(id, (waiters, staged));
        self.effects.push(Effect::Persist { id, writes, gathered: true });
    }

    /// Edits of this node are on disk: they count from now on.
    pub(super) fn commit(&mut self, waiters: Waiters, staged: Staged, now: Now) {
        let batches = staged.batches();
        let changed = self.replica.commit(staged);
        self.on_changed(changed, None, now);
        if let Some(lost) = batches.first().and_then(|batch| self.lost_meanwhile(batch)) {
            for (ticket, ..) in waiters {
                self.done(ticket, Err(lost.clone()));
            }
            return;
        }
        self.all_done(waiters, batches, now);
    }

    /// Why an edit that is on disk is not in the zone all the same: another node deleted the zone, or made it anew, while
    /// the edit was on its way there.
    fn lost_meanwhile(&self, batch: &Batch) -> Option<CommandError> {
        if batch.zone == catalog_name() {
            return None;
        }
        match self.replica.serving(&batch.zone) {
            None => Some(CommandError::NoSuchZone(batch.zone.clone())),
            Some(zone) if zone.state().incarnation() != batch.incarnation => {
                Some(CommandError::Replaced(batch.zone.clone()))
            }
            Some(_) => None,
        }
    }

    /// Answers commands that are carried out. Those that changed something made the batches, in their order.
    fn all_done(&mut self, waiters: Waiters, batches: Vec<Arc<Batch>>, now: Now) {
        let mut batches = batches.into_iter();
        for (ticket, zone, changed) in waiters {
            let batch = if changed { batches.next() } else { None };
            match ticket.and_then(|ticket| Some((ticket, self.direct.remove(&ticket)?))) {
                Some((ticket, wait)) => self.answer_edit(ticket, &zone, batch, wait, now),
                None => {
                    let result = self.applied(&zone, changed);
                    self.done(ticket, result);
                }
            }
        }
    }

    /// The zone as it is now. One that was just deleted has its last serial and no version.
    pub(super) fn applied(&self, zone: &Name, changed: bool) -> Result<Applied, CommandError> {
        let state = self.replica.serving(zone).map(|zone| zone.state());
        let last = self.replica.catalog().stub(zone).map_or(0, |stub| stub.serial);
        Ok(Applied {
            serial: state.map_or(last, |state| state.serial()),
            version: state.map_or([0; 8], |state| state.version().hash()),
            changed,
            detail: None,
        })
    }

    pub(super) fn done(&mut self, ticket: Option<Ticket>, result: Result<Applied, CommandError>) {
        if let Some(ticket) = ticket {
            self.direct.remove(&ticket);
        }
        match (ticket, result) {
            (Some(ticket), Ok(applied)) => {
                self.answer_when_published(Effect::Done { ticket, result: Ok(applied) });
            }
            // A refusal speaks of nothing that is still to be served: a full disk must not hold it back.
            (Some(ticket), Err(error)) => self.effects.push(Effect::Done { ticket, result: Err(error) }),
            (None, Err(error)) => self.report(super::Severity::Warn, format!("a zone was not taken over: {error}")),
            (None, Ok(_)) => {}
        }
    }
}

pub(super) fn refusal(error: StageError, zone: &Name) -> CommandError {
    match error {
        StageError::Busy => CommandError::Busy,
        StageError::NoSuchZone => CommandError::NoSuchZone(zone.clone()),
        StageError::ZoneExists => CommandError::ZoneExists(zone.clone()),
        StageError::Edit(EditError::SerialJump { wanted, current }) => CommandError::SerialJump { wanted, current },
        StageError::Edit(EditError::Invalid(reason)) => CommandError::Invalid(reason),
    }
}

fn same_request(one: &Edit, other: &Edit) -> bool {
    let id = |edit: &Edit| edit.source.request.as_ref().map(|request| request.id.clone());
    id(one).is_some() && id(one) == id(other)
}
