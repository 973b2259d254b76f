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

/// What it got, by zone and serial.
#[derive(Default)]
pub(crate) struct Secondary {
    transfers: BTreeMap<(Name, u32), Vec<Transfer>>,
    pub(crate) taken: u64,
    /// Serials that it saw with two contents: only while the nodes that it asked had diverged.
    pub(crate) ambiguous: BTreeSet<(Name, u32)>,
    /// Serials of which some node told its operator.
    told: BTreeSet<(Name, u32)>,
}

impl Secondary {
    /// A node tells that a serial stands for two contents.
    pub(crate) fn hear(&mut self, zone: Name, serial: u32) {
        self.told.insert((zone, serial));
    }

    /// Serials that it saw with two contents and that no node told of.
    pub(crate) fn untold(&self) -> impl Iterator<Item = &(Name, u32)> {
        self.ambiguous.difference(&self.told)
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
                self.ambiguous.insert((origin.clone(), serial));
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
