//! What people do: edits of all kinds on whichever node is at hand, and zones that come and go.

use grapevine::node::{Command, Edit, Ticket};
use grapevine::replica::{ClientRequest, EditOrigin, Source};
use grapevine::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::oracle::origin;
use crate::script::Run;

/// How many zones come and go.
const PASSING_ZONES: u32 = 3;

impl Run {
    fn ticket(&mut self) -> (Ticket, Source) {
        self.tickets += 1;
        let request = Some(ClientRequest { id: self.tickets.to_string(), hash: [0; 8] });
        (Ticket(self.tickets), Source { request, ..Source::new(EditOrigin::Api) })
    }

    /// One edit on some machine, if it serves anything.
    pub(crate) fn edit(&mut self) {
        let index = self.any();
        let machine = &self.world.machines[index];
        if !machine.is_up() || machine.served.is_empty() {
            return;
        }
        let mut zones: Vec<&Name> =
            machine.served.iter().filter(|zone| !zone.is_hidden()).map(|z| z.origin()).collect();
        zones.sort_unstable();
        let Some(zone) = zones.choose(&mut self.world.rng).map(|zone| (*zone).clone()) else { return };
        self.edit_zone(index, &zone);
    }

    /// One edit of this zone on this machine.
    pub(crate) fn edit_zone(&mut self, index: usize, origin: &Name) {
        let Some(zone) = self.world.machines[index].served.get(origin).cloned() else { return };
        let rng = &mut self.world.rng;
        let steps = if rng.random_bool(0.2) { rng.random_range(2..5) } else { 1 };
        let fresh = self.tickets as u32 + 1;
        let mut changes: Vec<Change> = (0..steps).filter_map(|step| change(&zone, fresh * 8 + step, rng)).collect();
        if rng.random_bool(0.02) {
            // Too large for a datagram.
            changes.extend((0..40).map(|n| Change::Add(a_record(origin, &format!("bulk{n}"), fresh))));
        }
        let now = zone.soa().serial;
        let serial = rng.random_bool(0.1).then(|| now.wrapping_add(rng.random_range(0..50)));
        self.submit(index, origin, changes, serial);
    }

    /// Hands an edit to a machine.
    pub(crate) fn submit(&mut self, index: usize, zone: &Name, changes: Vec<Change>, serial: Option<u32>) {
        let (ticket, source) = self.ticket();
        self.world.oracle.ask(ticket, &changes);
        let edit = Edit { zone: zone.clone(), changes, serial, source };
        self.world.command(index, ticket, Command::Edit(edit));
    }

    /// A zone is created, or deleted if it is there.
    pub(crate) fn create_or_delete(&mut self) {
        let index = self.any();
        if !self.world.machines[index].is_up() {
            return;
        }
        let name = format!("passing{}.example.", self.world.rng.random_range(0..PASSING_ZONES));
        if self.world.machines[index].served.get(&origin(&name)).is_none() {
            let serial = self.world.rng.random_range(1..10);
            self.create(index, content(&name, serial));
        } else {
            let (ticket, source) = self.ticket();
            self.world.command(index, ticket, Command::Delete { zone: origin(&name), source });
        }
    }

    pub(crate) fn create(&mut self, index: usize, content: ZoneContent) {
        let (ticket, source) = self.ticket();
        self.world.command(index, ticket, Command::Create { content: Box::new(content.into()), source });
    }
}

/// One step of an edit. `fresh` is a number that no other step of the run has.
fn change(zone: &Zone, fresh: u32, rng: &mut StdRng) -> Option<Change> {
    let origin = zone.origin();
    let few = rng.random_range(0..3);
    Some(match rng.random_range(0..12) {
        0..3 => Change::Add(a_record(origin, &format!("r{fresh}"), fresh)),
        // Few names and few addresses: the same records come and go on all nodes.
        3..6 => Change::Add(a_record(origin, &format!("host{}", rng.random_range(0..5)), 100 + few)),
        6..9 => Change::Remove(some_record(zone, rng)?),
        9 => Change::Add(match rng.random_bool(0.5) {
            true => cname(origin, &format!("shared{few}"), &format!("r{fresh}")),
            false => a_record(origin, &format!("shared{few}"), fresh),
        }),
        10 => Change::Ttl { owner: origin.clone(), rtype: RecordType::NS, ttl: fresh },
        _ => Change::Soa(Soa { refresh: fresh, ..zone.soa().clone() }),
    })
}

/// A record that the zone serves and can do without.
fn some_record(zone: &Zone, rng: &mut StdRng) -> Option<RecordKey> {
    let nodes = zone.sorted();
    let sets: Vec<_> = nodes
        .iter()
        .filter(|node| node.owner() != zone.origin().as_wire())
        .flat_map(|node| node.rrsets().map(move |set| (node, set)))
        .collect();
    let (node, set) = sets.choose(rng)?;
    let rdatas: Vec<_> = set.rdatas().collect();
    let rdata = Rdata::new(*rdatas.choose(rng)?);
    Some(RecordKey { owner: node.name(), rtype: set.rtype, rdata })
}

fn name(zone: &Name, label: &str) -> Name {
    zone.child(label.as_bytes()).expect("short names")
}

pub(crate) fn a_record(zone: &Name, label: &str, number: u32) -> Record {
    let rdata = Rdata::new((0x0a00_0000 + number).to_be_bytes().as_slice());
    // Every writer has a TTL of its own, so that it shows whose counts.
    Record { owner: name(zone, label), rtype: RecordType::A, ttl: 300 + number, rdata }
}

fn cname(zone: &Name, label: &str, target: &str) -> Record {
    let rdata = Rdata::new(name(zone, target).as_wire());
    Record { owner: name(zone, label), rtype: RecordType::CNAME, ttl: 60, rdata }
}

/// A small zone.
pub(crate) fn content(text: &str, serial: u32) -> ZoneContent {
    let origin = origin(text);
    let primary = Rdata::new(name(&origin, "ns1").as_wire());
    let soa = Soa {
        ttl: 3600,
        mname: primary.clone(),
        rname: Rdata::new(name(&origin, "hostmaster").as_wire()),
        serial,
        refresh: 3600,
        retry: 600,
        expire: 604_800,
        minimum: 60,
    };
    let mut content = ZoneContent::new(origin.clone(), soa);
    content.add(Record { owner: origin.clone(), rtype: RecordType::NS, ttl: 3600, rdata: primary });
    for key in 0..5 {
        content.add(a_record(&origin, &format!("host{key}"), 100 + key % 2));
    }
    content
}
