//! What a node does with messages that no honest peer sends, with very large zones, and with groups of edits.

mod faults;
#[path = "../../../tests/sim/kept.rs"]
pub(in crate::node) mod kept;
mod large;
pub(in crate::node) mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::world::{content, name};
use super::wire::{self, Pulled, Request, Response};
use super::*;
use crate::replica::{ActorId, Batch, Dot, Hlc, IncarnationId, Saved, SoaChange, VersionVector, Write, ZoneState};
use crate::zone::{Change, Rdata, Record, RecordKey, RecordType};

fn at(ms: u64) -> Now {
    Now { mono: Duration::from_millis(ms), wall_ms: 1_700_000_000_000 + ms }
}

/// Hands over an event, keeps every write that is asked for, and returns all other effects.
fn handle(node: &mut Node, event: Event) -> Vec<Effect> {
    let (mut events, mut others) = (vec![event], Vec::new());
    while let Some(event) = events.pop() {
        for effect in node.handle(event, at(1)) {
            match effect {
                Effect::Persist { id, .. } => events.push(Event::Persisted { id, result: Ok(()) }),
                other => others.push(other),
            }
        }
    }
    others
}

/// A node with an empty disk.
fn fresh(joins: bool) -> Node {
    let config = NodeConfig {
        name: "ns1".to_owned(),
        cluster: "test".to_owned(),
        gossip: "127.0.0.1:7946".parse().expect("an address"),
        id: 1,
        seeds: Vec::new(),
        joins,
        settings: Default::default(),
        seed: 1,
    };
    Node::new(config, Saved::default(), at(0))
}

/// A node that has started a cluster with one zone.
fn started(joins: bool) -> Node {
    let mut node = fresh(joins);
    handle(&mut node, Event::Files(vec![content("corp.example.").into()]));
    node
}

fn ask(node: &mut Node, request: &Request) -> Response {
    let effects = handle(node, Event::Request { inbound: InboundId(1), payload: wire::encode(request) });
    let payload = effects.into_iter().find_map(|effect| match effect {
        Effect::Respond { payload, .. } => Some(payload),
        _ => None,
    });
    wire::decode(&payload.expect("every request is answered")).expect("what is sent can be decoded")
}

fn pull(node: &mut Node, incarnation: IncarnationId, have: VersionVector) -> Vec<Pulled> {
    match ask(node, &Request::Pull(vec![(incarnation, have)])) {
        Response::Pulled(pulled) => pulled,
        other => panic!("{other:?}"),
    }
}

fn the_zone(node: &Node) -> IncarnationId {
    node.replica().serving(&name("corp.example.")).expect("the zone").state().incarnation()
}

#[test]
fn a_request_with_absurd_counts_does_no_harm() {
    let mut node = started(false);
    let mut have = VersionVector::new();
    for actor in 0..3 {
        have.advance(Dot { actor: ActorId([actor; 16]), seq: u64::MAX });
    }
    let incarnation = the_zone(&node);
    have.advance(Dot { actor: incarnation.genesis_actor(), seq: u64::MAX });
    assert!(matches!(ask(&mut node, &Request::Pull(vec![(incarnation, have)])), Response::Gone));
}

#[test]
fn an_edit_too_large_for_one_message_is_sent_as_state() {
    let mut node = started(false);
    let incarnation = the_zone(&node);
    let have = node.replica().get(incarnation).expect("the zone").state().version().clone();
    let command = many(3_000, |index| {
        let mut rdata = [255; 16 * 256].to_vec();
        rdata[1..5].copy_from_slice(&index.to_be_bytes());
        rdata
    });
    let done = handle(&mut node, Event::Command { ticket: Ticket(1), command });
    assert!(done.iter().any(|effect| matches!(effect, Effect::Done { result: Ok(_), .. })));
    assert!(matches!(pull(&mut node, incarnation, have)[..], [Pulled::State { .. }]));
}

#[test]
fn a_batch_for_another_zone_than_its_incarnation_is_refused() {
    let mut node = started(false);
    let incarnation = the_zone(&node);
    let state = node.replica().get(incarnation).expect("the zone").state();
    let batch = Batch {
        zone: name("evil.example."),
        incarnation,
        dot: Dot { actor: ActorId([7; 16]), seq: 1 },
        deps: state.version().clone(),
        hlc: Hlc(1),
        adds: vec![RecordKey {
            owner: name("www.evil.example."),
            rtype: RecordType::A,
            rdata: Rdata::new([192, 0, 2, 1].as_slice()),
        }],
        removes: Vec::new(),
        ttls: Vec::new(),
        soa: SoaChange::default(),
        floor: None,
        serial: 0,
        source: Source::new(EditOrigin::File),
    };
    let version = state.version().clone();
    let changed = node.replica.ingest(Arc::new(batch));
    assert_eq!(changed.alarms.len(), 1);
    assert_eq!(*node.replica().get(incarnation).expect("the zone").state().version(), version);
}

#[test]
fn a_state_under_the_incarnation_of_another_zone_is_not_taken() {
    let mut node = started(false);
    let incarnation = the_zone(&node);
    let mut state = ZoneState::genesis(&content("evil.example.").into(), 1, 1);
    state.incarnation_for_test(incarnation);
    let changed = node.replica.merge(state.chunks());
    assert_eq!((changed.alarms.len(), changed.publish), (1, false));
    assert!(node.served().get(&name("evil.example.")).is_none());
}

#[test]
fn files_are_served_while_their_import_is_stored_and_shown_as_provisional() {
    let (mut node, zone) = (fresh(false), name("corp.example."));
    let mut effects = node.handle(Event::Files(vec![content("corp.example.").into()]), at(1));
    let asked = |effects: &[Effect]| -> Vec<PersistId> {
        let ids = effects.iter().map(|effect| if let Effect::Persist { id, .. } = effect { Some(*id) } else { None });
        ids.flatten().collect()
    };
    let writes = asked(&effects);
    let (import, facts) = writes.split_last().expect("an import");
    for id in facts {
        effects.extend(node.handle(Event::Persisted { id: *id, result: Ok(()) }, at(2)));
    }
    let published = |effects: &[Effect]| {
        let sets = effects.iter().rev().find_map(|effect| match effect {
            Effect::Publish(zones) => Some(zones.clone()),
            _ => None,
        });
        sets.and_then(|zones| Some(zones.get(&zone)?.version() != [0; 8]))
    };
    assert_eq!(published(&effects), Some(false), "served, but not replicated");
    assert!(node.view(at(2)).zones.iter().all(|shown| shown.provisional && shown.origin == zone));
    assert!(node.replica().serving(&zone).is_none());
    // What is answered can be edited: the edit waits for the import.
    let edit = node.handle(Event::Command { ticket: Ticket(1), command: add("corp.example.", "early") }, at(2));
    assert!(edit.is_empty(), "{edit:?}");
    let effects = node.handle(Event::Persisted { id: *import, result: Ok(()) }, at(3));
    let mut after = Vec::new();
    for id in asked(&effects) {
        after.extend(node.handle(Event::Persisted { id, result: Ok(()) }, at(4)));
    }
    assert_eq!(published(&[effects, after].concat()), Some(true));
    let view = node.view(at(4));
    assert_eq!(view.zones.iter().map(|shown| shown.provisional).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_node_that_finds_nobody_to_join_says_so() {
    let mut node = started(true);
    let mut warnings = 0;
    for second in 1..=30 {
        let effects = node.handle(Event::Tick, at(second * 1000));
        warnings += effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Report { message, .. } if message.contains("no node to join")))
            .count();
    }
    assert_eq!(warnings, 3, "after 5, 10 and 20 seconds");
}

#[test]
fn the_answer_to_a_deletion_tells_the_last_serial() {
    let mut node = started(false);
    let command = Command::Delete { zone: name("corp.example."), source: Source::new(EditOrigin::Api) };
    let done = handle(&mut node, Event::Command { ticket: Ticket(1), command });
    let serial = done.iter().find_map(|effect| match effect {
        Effect::Done { result: Ok(applied), .. } => Some(applied.serial),
        _ => None,
    });
    assert_eq!(serial, Some(1));
}

fn add(zone: &str, label: &str) -> Command {
    let owner = name(&format!("{label}.{zone}"));
    let record = Record { owner, rtype: RecordType::A, ttl: 60, rdata: Rdata::new([192, 0, 2, 1].as_slice()) };
    let source = Source::new(EditOrigin::Api);
    Command::Edit(Edit { zone: name(zone), changes: vec![Change::Add(record)], serial: None, source })
}

/// One edit that adds many records of type TXT.
fn many(count: u32, rdata: impl Fn(u32) -> Vec<u8>) -> Command {
    let record = |index| {
        let owner = name(&format!("n{index}.corp.example."));
        Change::Add(Record { owner, rtype: RecordType::TXT, ttl: 60, rdata: Rdata::new(rdata(index)) })
    };
    let (zone, changes) = (name("corp.example."), (0..count).map(record).collect());
    Command::Edit(Edit { zone, changes, serial: None, source: Source::new(EditOrigin::File) })
}

fn writes(effects: Vec<Effect>) -> Vec<(PersistId, Vec<Write>)> {
    let write = |effect| match effect {
        Effect::Persist { id, writes, .. } => Some((id, writes)),
        _ => None,
    };
    let is_edit = |writes: &[Write]| !writes.iter().all(|write| matches!(write, Write::History { .. }));
    effects.into_iter().filter_map(write).filter(|(_, writes)| is_edit(writes)).collect()
}

/// Sends edits of one zone while the first one is on its way to disk, and lets that one's write end.
fn edits_behind_a_write(node: &mut Node, result: Result<(), String>) -> Vec<(PersistId, Vec<Write>)> {
    let zone = "corp.example.";
    handle(node, Event::Command { ticket: Ticket(0), command: add(zone, "warm-up") });
    let command = |index: u64| Event::Command { ticket: Ticket(index), command: add(zone, &format!("n{index}")) };
    let mut first = writes(node.handle(command(1), at(1)));
    assert_eq!(first.len(), 1);
    for index in 2..=100 {
        assert_eq!(writes(node.handle(command(index), at(1))).len(), 0, "they wait");
    }
    let id = first.remove(0).0;
    writes(node.handle(Event::Persisted { id, result }, at(1)))
}

#[test]
fn edits_that_waited_are_kept_with_one_write() {
    let mut node = started(false);
    let mut group = edits_behind_a_write(&mut node, Ok(()));
    let (id, kept) = group.pop().expect("a write");
    let batches = kept.iter().filter(|write| matches!(write, Write::Journal { .. })).count();
    assert_eq!((group.len(), batches), (0, 99));
    let effects = handle(&mut node, Event::Persisted { id, result: Ok(()) });
    let done = effects.iter().filter(|effect| matches!(effect, Effect::Done { result: Ok(_), .. })).count();
    assert_eq!(done, 99);
    let served = node.served();
    let zone = served.get(&name("corp.example.")).expect("the zone");
    assert_eq!((zone.soa().serial, zone.record_count()), (1 + 101, 2 + 101));
}

/// The first look at the zone's file, and somebody's edit, while the zone is still on its way to disk.
#[test]
fn an_edit_behind_a_command_that_is_refused_is_made() {
    let (mut node, zone) = (fresh(false), "corp.example.");
    let mut import = writes(node.handle(Event::Files(vec![content(zone).into()]), at(1)));
    let content = Box::new(content(zone).into());
    let create = Command::Create { content, source: Source::new(EditOrigin::File) };
    for (ticket, command) in [(1, create), (2, add(zone, "new"))] {
        assert_eq!(writes(node.handle(Event::Command { ticket: Ticket(ticket), command }, at(1))).len(), 0, "it waits");
    }
    let mut answers = BTreeMap::new();
    while let Some((id, _)) = import.pop() {
        for effect in handle(&mut node, Event::Persisted { id, result: Ok(()) }) {
            if let Effect::Done { ticket, result } = effect {
                answers.insert(ticket, result.is_ok());
            }
        }
    }
    assert_eq!(answers, BTreeMap::from([(Ticket(1), false), (Ticket(2), true)]));
}

#[test]
fn edits_of_a_failed_write_leave_nothing_behind_on_disk() {
    let mut node = started(false);
    let (id, refused) = edits_behind_a_write(&mut node, Ok(())).pop().expect("a write");
    let positions = |writes: &[Write]| -> Vec<u64> {
        let position = |write: &Write| match write {
            Write::Journal { position, .. } => Some(*position),
            _ => None,
        };
        writes.iter().filter_map(position).collect()
    };
    let before = node.facts.actor;
    let effects = node.handle(Event::Persisted { id, result: Err("disk full".to_owned()) }, at(1));
    let refusals = effects.iter().filter(|effect| matches!(effect, Effect::Done { result: Err(_), .. })).count();
    assert_eq!(refusals, 99);
    let (_, erasure) = writes(effects).pop().expect("a write");
    let erased = erasure.iter().find_map(|write| match write {
        Write::Erase { positions, .. } => Some(positions.clone()),
        _ => None,
    });
    assert_eq!(erased, Some(positions(&refused)), "the disk may have them all the same");
    let command = Event::Command { ticket: Ticket(200), command: add("corp.example.", "after") };
    let (_, next) = writes(node.handle(command, at(1))).pop().expect("a write");
    assert!(positions(&next).iter().all(|position| !positions(&refused).contains(position)), "no place is taken twice");
    assert_ne!(node.facts.actor, before, "nor is a number");
}
