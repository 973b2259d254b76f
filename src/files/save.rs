//! What a saved file asks for: the decision, made from values alone.

use super::held::Cause;
use super::read::Hash;
use crate::master::{Marker, ZoneFile};
use crate::node::{Command, Edit, EditOrigin, Source};
use crate::zone::{Change, Zone, records_lost, serial_gt};

/// Zones with fewer records may lose any part in one save.
const SMALL_ZONE: usize = 20;

/// The part of a larger zone, in percent, that a save may take away unasked.
const MOST_LOST_PERCENT: usize = 30;

/// Everything that bears on a save.
#[derive(Debug)]
pub(super) struct Situation<'a> {
    /// What was saved.
    pub file: &'a ZoneFile,
    /// Its state.
    pub hash: Hash,
    /// The state that a person approved.
    pub approved: Option<Hash>,
    /// What the file said last under the same marker.
    pub base: Option<&'a Zone>,
    /// Whether this node has taken over or written a file of the zone before.
    pub known: bool,
    /// The replicated zone, if there is one.
    pub served: Option<&'a Zone>,
    /// What this node offered of the zone when it started.
    pub offered: Option<&'a Zone>,
    /// The file's name, for the zone's history.
    pub note: String,
    /// Whose file it is.
    pub who: String,
}

/// What to do about a save.
#[derive(Debug)]
pub(super) enum Step {
    /// It says what it said before.
    Same,
    /// Ask the node.
    Ask(Command),
    /// Hold the file.
    Hold(Cause, String),
    /// The cluster's zone wins over a file that was never part of it: keep the file aside.
    KeepAside,
}

impl Situation<'_> {
    /// Decides.
    pub(super) fn step(&self) -> Step {
        let origin = self.file.zone().origin();
        match (self.base, self.served) {
            (Some(base), _) => self.edit(base, true),
            (None, Some(served)) => {
                if self.file.marker() == marker_of(served) {
                    return self.edit(served, true);
                }
                if self.known {
                    tracing::warn!(
                        zone = %origin, file = %self.note,
                        "the file is of a version that this node does not remember: it is compared with the zone as it is served"
                    );
                    return self.edit(served, false);
                }
                match self.offered {
                    Some(offered) if offered.diff(served).is_empty() => self.edit(offered, true),
                    _ if self.file.zone().diff(served).is_empty() => Step::Same,
                    _ => Step::KeepAside,
                }
            }
            // The zone is not served yet, or not any more: the node knows.
            (None, None) if self.known => Step::Ask(self.command(Vec::new(), None)),
            (None, None) => {
                Step::Ask(Command::Create { content: Box::new(self.file.zone().clone()), source: self.source() })
            }
        }
    }

    /// The way from the base to the file. If the base is the version that the person started from, another serial is
    /// one that the person wrote.
    fn edit(&self, base: &Zone, exact: bool) -> Step {
        let content = self.file.zone();
        let changes = base.diff(content);
        let serial = self.wanted_serial(base, exact);
        let lost = records_lost(&changes);
        let records = base.record_count();
        if records >= SMALL_ZONE && lost * 100 > records * MOST_LOST_PERCENT && self.approved != Some(self.hash) {
            let origin = content.origin();
            let reason = format!(
                "it lacks {lost} of the zone's {records} records, as if it had been cut short; if that is meant: \
                 `grapevine zone approve {origin}`, to restore the file: `grapevine zone reject {origin}`"
            );
            return Step::Hold(Cause::Shrunk(self.hash), reason);
        }
        if changes.is_empty() && serial.is_none() && self.served.is_some() {
            return Step::Same;
        }
        Step::Ask(self.command(changes, serial))
    }

    fn wanted_serial(&self, base: &Zone, exact: bool) -> Option<u32> {
        let (wanted, before) = (self.file.zone().soa().serial, base.soa().serial);
        if wanted != before && !serial_gt(wanted, before) && exact {
            let zone = base.origin();
            tracing::warn!(
                %zone, wanted, before,
                "the file's serial was lowered; secondaries would stop transferring, so the serial goes on from where it was"
            );
        }
        serial_gt(wanted, before).then_some(wanted)
    }

    fn command(&self, changes: Vec<Change>, serial: Option<u32>) -> Command {
        let zone = self.file.zone().origin().clone();
        Command::Edit(Edit { zone, changes, serial, source: self.source() })
    }

    fn source(&self) -> Source {
        Source { note: self.note.clone(), who: self.who.clone(), ..Source::new(EditOrigin::File) }
    }
}

/// The marker that the file of a zone as served bears.
pub(super) fn marker_of(zone: &Zone) -> Option<Marker> {
    is_replicated(zone).then(|| Marker { serial: zone.soa().serial, version: zone.version() })
}

/// Whether a zone is the cluster's, with a file on every node: not one that is served from a file provisionally, nor
/// the catalog.
pub(super) fn is_replicated(zone: &Zone) -> bool {
    zone.version() != [0; 8] && !zone.is_hidden()
}
