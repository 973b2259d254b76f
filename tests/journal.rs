//! What a node keeps on disk stays bounded however many edits it takes: the daemon's own node and store, and a file that
//! is looked at as the edits go on.
//!
//! `GRAPEVINE_JOURNAL_EDITS=100000 cargo test --test journal -- --nocapture` makes more of them than a plain run, and
//! prints how the file grows.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use grapevine::node::{Command, DirectEdit, Edit, EditOrigin, Effect, Event, Node, NodeConfig, Now, Source, Ticket};
use grapevine::replica::Saved;
use grapevine::store::{Retention, Store};
use grapevine::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent};

/// How many edits a plain `cargo test` makes: twice what the journal holds at most before a checkpoint.
const EDITS: u64 = 12_000;
/// How many edits are on their way at once, as from clients that do not wait for each other.
const AT_ONCE: u64 = 10;
const ZONE: &str = "busy.example.";
/// Names that the edits are about. Most exist at any time, so the zone stays as large as it is.
const OWNERS: u64 = 1000;
/// How often the file is looked at.
const LOOKS: u64 = 20;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn content() -> ZoneContent {
    let server = Rdata::new(name("ns.example.").as_wire());
    let (mname, rname) = (server.clone(), server.clone());
    let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 3600, retry: 600, expire: 86_400, minimum: 60 };
    let mut content = ZoneContent::new(name(ZONE), soa);
    content.add(Record { owner: name(ZONE), rtype: RecordType::NS, ttl: 60, rdata: server });
    content
}

/// One node, alone, with its store.
struct Lone {
    node: Node,
    store: Store,
    clock: Duration,
}

fn now(clock: Duration) -> Now {
    Now { mono: clock, wall_ms: 1_700_000_000_000 + clock.as_millis() as u64 }
}

fn node(saved: Saved, clock: Duration) -> Node {
    let config = NodeConfig {
        name: "ns1".to_owned(),
        cluster: "test".to_owned(),
        gossip: "127.0.0.1:7946".parse().expect("an address"),
        id: 1,
        seeds: Vec::new(),
        joins: false,
        settings: Default::default(),
        seed: 1,
    };
    Node::new(config, saved, now(clock))
}

impl Lone {
    fn start(data: &Path, clock: Duration, files: Vec<ZoneContent>) -> Lone {
        let (store, saved) = Store::open(data).expect("the store opens");
        let mut lone = Lone { node: node(saved, clock), store, clock };
        lone.handle([Event::Files(files.into_iter().map(Zone::from).collect())]);
        lone
    }

    /// Hands over events, keeps what is to be kept, and returns how many edits are done.
    fn handle(&mut self, events: impl IntoIterator<Item = Event>) -> usize {
        let (mut events, mut done) = (VecDeque::from_iter(events), 0);
        while let Some(event) = events.pop_front() {
            for effect in self.node.handle(event, now(self.clock)) {
                match effect {
                    Effect::Persist { id, writes, .. } => {
                        self.store.commit(&[&writes]).expect("there is room");
                        events.push_back(Event::Persisted { id, result: Ok(()) });
                    }
                    Effect::Done { result, .. } => {
                        assert!(result.expect("the edit is legal").changed);
                        done += 1;
                    }
                    _ => {}
                }
            }
        }
        done
    }

    /// Lets a tenth of a second pass, and makes edits at once.
    fn edit(&mut self, numbers: std::ops::Range<u64>) {
        self.clock += Duration::from_millis(100);
        let tick = self.node.next_deadline().is_some_and(|due| due <= self.clock).then_some(Event::Tick);
        let count = numbers.end - numbers.start;
        let commands = numbers.map(|number| {
            let edit =
                Edit { zone: name(ZONE), changes: changes(number), serial: None, source: Source::new(EditOrigin::Api) };
            let command = Command::Direct(DirectEdit { edit, wait: None, dry_run: false });
            Event::Command { ticket: Ticket(number), command }
        });
        let done = self.handle(tick.into_iter().chain(commands));
        assert_eq!(done as u64, count, "they are stored at once");
    }
}

/// The edit with this number: another address for a name, or a name that goes or comes back.
fn changes(number: u64) -> Vec<Change> {
    // Spread over the names without a pattern: the golden ratio's multiples.
    let owner = name(&format!("host{}.{ZONE}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % OWNERS));
    let address = Rdata::new([10, (number >> 16) as u8, (number >> 8) as u8, number as u8].as_slice());
    let clear = Change::RemoveRrset { owner: owner.clone(), rtype: RecordType::A };
    vec![clear, Change::AddDefault(RecordKey { owner, rtype: RecordType::A, rdata: address })]
}

fn kib(data: &Path) -> u64 {
    std::fs::metadata(data.join("grapevine.redb")).expect("the store's file").len() >> 10
}

#[test]
fn the_stores_file_does_not_grow_with_the_number_of_edits() {
    let edits = std::env::var("GRAPEVINE_JOURNAL_EDITS").ok().map_or(EDITS, |text| text.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path();
    let mut lone = Lone::start(data, Duration::ZERO, vec![content()]);
    // The history is as long as it is by default in a run of 100,000, and in a shorter one a part of that.
    lone.store.retain(Retention { edits: edits / 10, ..Retention::default() });
    let (began, mut sizes) = (Instant::now(), Vec::new());
    println!("{:>8} {:>12}", "edits", "file, KiB");
    for first in (0..edits).step_by(AT_ONCE as usize) {
        let last = first + AT_ONCE;
        lone.edit(first..last);
        if last.is_multiple_of(edits / LOOKS) {
            sizes.push(kib(data));
            println!("{last:>8} {:>12}", kib(data));
        }
    }
    println!("{edits} edits in {:.1} s, {AT_ONCE} at a time, each on disk", began.elapsed().as_secs_f64());
    let (clock, roots) = (lone.clock, lone.node.replica().root());
    drop(lone);
    println!("{:>8} {:>12}", "closed", kib(data));
    let lone = Lone::start(data, clock, Vec::new());
    println!("{:>8} {:>12}", "opened", kib(data));
    assert_eq!(lone.node.replica().root(), roots, "all of it is there");
    let (first, second) = sizes.split_at(sizes.len() * 3 / 5);
    let most = |sizes: &[u64]| sizes.iter().copied().max().expect("some looks");
    assert!(most(second) <= most(first), "the file still grows after 60 % of the edits: {sizes:?} KiB");
}
