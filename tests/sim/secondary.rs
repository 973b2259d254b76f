//! A secondary server that transfers zones from whichever node it happens to ask, and believes in serials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grapevine::replica::{IncarnationId, VersionVector};
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
}

impl Secondary {
    /// A node tells that a serial stands for two contents.
    pub(crate) fn hear(&mut self, zone: Name, serial: u32) {
        self.told.insert((zone, serial));
    }

    /// Serials that it saw with two contents and that no node told of.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &Ambiguity> {
        let is_told = |seen: &&Ambiguity| self.told.contains(&(seen.origin.clone(), seen.serial));
        self.ambiguous.iter().filter(move |seen| !is_told(seen))
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
