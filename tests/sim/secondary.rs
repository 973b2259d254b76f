//! A secondary server that transfers zones from whichever node it happens to ask, and believes in serials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grapevine::replica::{IncarnationId, VersionHash, VersionVector};
use grapevine::zone::{Name, Zone};

/// One transfer.
struct Transfer {
    machine: usize,
    incarnation: IncarnationId,
    version: VersionVector,
    zone: Arc<Zone>,
}

/// One serial with two contents, and of which lives and versions of the zone they were.
pub(crate) struct Ambiguity {
    pub(crate) origin: Name,
    pub(crate) serial: u32,
    pub(crate) contents: [(IncarnationId, VersionVector); 2],
}

/// What it got, by zone and serial.
#[derive(Default)]
pub(crate) struct Secondary {
    transfers: BTreeMap<(Name, u32), Vec<Transfer>>,
    pub(crate) taken: u64,
    /// Serials that it saw with two contents: only while the nodes that it asked had diverged.
    pub(crate) ambiguous: Vec<Ambiguity>,
    /// Serials of which some node told its operator.
    told: BTreeSet<(Name, u32)>,
    /// Versions that it took from machines whose disks were lost before anybody else knew that they were served.
    lost: BTreeSet<(IncarnationId, VersionHash)>,
}

impl Secondary {
    /// A node tells that a serial stands for two contents.
    pub(crate) fn hear(&mut self, zone: Name, serial: u32) {
        self.told.insert((zone, serial));
    }

    /// A machine's disk is lost; others know of these versions that they were served.
    pub(crate) fn disk_is_lost(&mut self, machine: usize, known: &BTreeSet<(IncarnationId, VersionHash)>) {
        for taken in self.transfers.values().flatten().filter(|taken| taken.machine == machine) {
            let taken = (taken.incarnation, taken.version.hash());
            if !known.contains(&taken) {
                self.lost.insert(taken);
            }
        }
    }

    /// Serials that it saw with two contents and that no node told of though somebody knew of both.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &Ambiguity> {
        let is_told = |seen: &Ambiguity| self.told.contains(&(seen.origin.clone(), seen.serial));
        let is_lost = |(life, version): &(IncarnationId, VersionVector)| self.lost.contains(&(*life, version.hash()));
        self.ambiguous.iter().filter(move |seen| !is_told(seen) && !seen.contents.iter().any(is_lost))
    }

    /// Takes a zone from a machine. One serial may stand for two contents only if neither version had seen the other;
    /// returns what is wrong otherwise.
    pub(crate) fn transfer(
        &mut self,
        machine: usize,
        incarnation: IncarnationId,
        version: &VersionVector,
        zone: &Arc<Zone>,
    ) -> Option<String> {
        self.taken += 1;
        let (origin, serial) = (zone.origin().clone(), zone.soa().serial);
        let earlier = self.transfers.entry((origin.clone(), serial)).or_default();
        if earlier.iter().any(|earlier| earlier.version == *version && Arc::ptr_eq(&earlier.zone, zone)) {
            return None;
        }
        let mut wrong = None;
        for other in earlier.iter().filter(|other| other.zone.to_content() != zone.to_content()) {
            let diverged = !version.includes(&other.version) && !other.version.includes(version);
            if diverged || incarnation != other.incarnation {
                let contents = [(incarnation, version.clone()), (other.incarnation, other.version.clone())];
                self.ambiguous.push(Ambiguity { origin: origin.clone(), serial, contents });
            } else {
                wrong = Some(format!(
                    "node {} and then node {machine} handed out {origin} at serial {serial} with different contents",
                    other.machine
                ));
            }
        }
        earlier.push(Transfer { machine, incarnation, version: version.clone(), zone: zone.clone() });
        wrong
    }
}
