//! Batches that cannot be applied, contents that diverged, transfers that were cut, nodes of another version.

use super::kept::Kept;
use super::world::World;
use super::*;
use crate::node::wire::Enclosed;

fn batch(node: &Node, note: &str) -> Batch {
    let incarnation = the_zone(node);
    let state = node.replica().get(incarnation).expect("the zone").state();
    let owner = name("www.corp.example.");
    let rdata = Rdata::new([192, 0, 2, 1].as_slice());
    Batch {
        zone: name("corp.example."),
        incarnation,
        dot: Dot { actor: ActorId([7; 16]), seq: 1 },
        deps: state.version().clone(),
        hlc: Hlc(1),
        adds: vec![RecordKey { owner, rtype: RecordType::A, rdata }],
        removes: Vec::new(),
        ttls: Vec::new(),
        soa: SoaChange::default(),
        floor: None,
        serial: 2,
        source: Source { note: note.to_owned(), ..Source::new(EditOrigin::Api) },
    }
}

fn quarantined(world: &World, index: usize) -> usize {
    world.nodes[index].view(at(1)).zones[0].quarantined
}

#[test]
fn a_batch_that_the_program_fails_on_is_kept_out_and_told_once() {
    let mut node = started(false);
    let bad = Arc::new(batch(&node, "fail the test"));
    let incarnation = bad.incarnation;
    let before = node.replica().get(incarnation).expect("the zone").state().clone();
    let alarms: usize = (0..3).map(|_| node.replica.ingest(bad.clone()).alarms.len()).sum();
    assert_eq!(alarms, 1);
    let zone = node.replica().get(incarnation).expect("the zone");
    assert_eq!((zone.quarantined(), zone.state() == &before), (1, true));
    let done = handle(&mut node, Event::Command { ticket: Ticket(1), command: add("corp.example.", "mail") });
    assert!(
        done.iter().any(|effect| matches!(effect, Effect::Done { result: Ok(_), .. })),
        "the zone still takes edits"
    );
}

#[test]
fn a_batch_that_does_not_decode_costs_only_the_zone_its_currency() {
    let mut world = World::new(2);
    world.pass(3_000);
    let good = batch(&world.nodes[0], "");
    let bad = Enclosed { batch: vec![255; 40], ..Enclosed::new(&good) };
    let other = Batch { dot: Dot { actor: ActorId([8; 16]), seq: 1 }, ..good };
    let from = world.nodes[0].config.gossip;
    for batch in [&bad, &Enclosed::new(&other), &bad] {
        let now = world.now();
        let changed = world.nodes[1].ingest(std::slice::from_ref(batch), now);
        world.nodes[1].on_changed(changed, Some(from), now);
    }
    world.pass(2_000);
    let told = world.reports.iter().filter(|(index, severity, _)| (*index, *severity) == (1, Severity::Error)).count();
    assert_eq!((quarantined(&world, 1), told), (1, 1));
    let version = world.nodes[1].replica().get(other.incarnation).expect("the zone").state().version().clone();
    assert!(version.contains(other.dot), "the batch beside it is applied");
}

#[test]
fn the_content_of_the_majority_is_restored_where_it_was_lost() {
    let mut world = World::new(3);
    world.pass(5_000);
    world.tell(0, Event::Command { ticket: Ticket(1), command: add("corp.example.", "www") });
    world.pass(2_000);
    let roots = world.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
    let incarnation = the_zone(&world.nodes[2]);
    let mut wrong = world.nodes[2].replica().get(incarnation).expect("the zone").state().clone();
    wrong.lose_for_test(&name("www.corp.example."));
    world.nodes[2].replica.repair(wrong);
    assert_ne!(world.roots()[2], roots[0], "one node has lost a record without a trace");
    world.pass(10_000);
    assert_eq!(world.roots(), roots);
    let repaired = |(index, severity, message): &&(usize, Severity, String)| {
        (*index, *severity) == (2, Severity::Error) && message.contains("1 records here differed")
    };
    assert_eq!(world.reports.iter().filter(repaired).count(), 1, "{:?}", world.reports);
}

#[test]
fn a_cut_transfer_goes_on_where_it_was_cut() {
    let mut world = World::new(1);
    let command =
        many(15_000, |index| std::iter::once(200).chain((0..200).map(|at| (index * 7 + at * index) as u8)).collect());
    world.tell(0, Event::Command { ticket: Ticket(1), command });
    world.chunks_left = 1;
    world.join(Kept::default());
    world.pass(1_000);
    assert_ne!(world.roots()[0], world.roots()[1], "the transfer is cut");
    world.chunks_left = usize::MAX;
    world.pass(5_000);
    assert_eq!(world.roots()[0], world.roots()[1]);
    let mut answered: Vec<u32> = Vec::new();
    for (_, request) in &world.requests {
        if let Request::Chunk { index, .. } = request {
            answered.push(*index);
        }
    }
    answered.dedup();
    assert!(answered.len() > 2 && answered.is_sorted(), "no chunk is asked for again: {answered:?}");
}

#[test]
fn nothing_is_served_before_what_failed_earlier_is_kept() {
    let mut world = World::new(2);
    let before = world.published_serial(1);
    world.hung.insert(1, Vec::new());
    for last in [1, 2] {
        let RecordKey { owner, rtype, rdata } = super::world::a("new.corp.example.", last);
        world.edit(0, &[Change::Add(Record { owner, rtype, ttl: 60, rdata })]).expect("an edit");
    }
    let under_way: Vec<PersistId> = world.hung.insert(1, Vec::new()).into_iter().flatten().map(|(id, _)| id).collect();
    let (first, others) = under_way.split_first().expect("both are written");
    assert!(!others.is_empty());
    world.tell(1, Event::Persisted { id: *first, result: Err("no space left on device".to_owned()) });
    // Long enough for it to be tried again.
    world.pass(1_500);
    for id in others {
        world.tell(1, Event::Persisted { id: *id, result: Ok(()) });
    }
    assert_eq!(world.published_serial(1), before, "what came later was served together with what is not on disk");
    world.release_disk(1);
    world.pass(1_500);
    assert_eq!((world.published_serial(1), before), (world.serial(0), Some(1)));
    assert_eq!(world.disks[1].read().zones.iter().map(|zone| zone.journal.len()).max(), Some(2), "both are on disk");
}

#[test]
fn a_node_of_another_version_is_left_alone_and_told_of() {
    let mut node = started(false);
    let from = "127.0.0.9:7946".parse().expect("an address");
    let mut told = 0;
    for _ in 0..3 {
        let payload = vec![(wire::PROTOCOL + 1) << 2, 1, 2, 3];
        let effects = node.handle(Event::Datagram { from, payload }, at(1));
        let of_version = |effect: &&Effect| matches!(effect, Effect::Report { severity: Severity::Error, message } if message.contains("same release"));
        told += effects.iter().filter(of_version).count();
    }
    assert_eq!(told, 1);
    let request = Event::Request { inbound: InboundId(9), payload: vec![wire::PROTOCOL + 1, 0] };
    let answer = node.handle(request, at(1)).into_iter().find_map(|effect| match effect {
        Effect::Respond { payload, .. } => Some(payload),
        _ => None,
    });
    assert_eq!(answer.expect("an answer").first(), Some(&wire::PROTOCOL), "the asker learns which version is spoken");
}

#[test]
fn a_serial_that_stood_for_two_contents_is_told() {
    let mut world = World::new(3);
    world.pass(5_000);
    let now = world.now();
    for index in 0..2 {
        let command = add("corp.example.", &format!("n{index}"));
        let effects = writes(world.nodes[index].handle(Event::Command { ticket: Ticket(1), command }, now));
        for (id, _) in effects {
            // What this edit sends is lost: the other node edits without having heard of it.
            world.nodes[index].handle(Event::Persisted { id, result: Ok(()) }, now);
        }
    }
    world.pass(5_000);
    let roots = world.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
    let counts: Vec<u64> = world.nodes.iter().map(|node| node.view(at(1)).zones[0].ambiguous).collect();
    assert_eq!(counts, [1, 1, 1]);
}

fn delete(world: &mut World, index: usize) {
    let command = Command::Delete { zone: name("corp.example."), source: Source::new(EditOrigin::Api) };
    world.tell(index, Event::Command { ticket: Ticket(100), command });
}

/// Cuts the first node off, edits the zone there many times, and does something else on the other side; then heals and
/// checks at every step that no serial goes back.
fn diverge(world: &mut World, other_side: impl FnOnce(&mut World)) {
    world.pass(5_000);
    world.cut = true;
    for edit in 0..20 {
        world.tell(0, Event::Command { ticket: Ticket(edit), command: add("corp.example.", &format!("n{edit}")) });
    }
    other_side(world);
    world.pass(2_000);
    world.cut = false;
    let mut last = [None; 3];
    for _ in 0..1_500 {
        world.pass(100);
        for (index, last) in last.iter_mut().enumerate() {
            let serial = world.serial(index);
            if let (Some(before), Some(now)) = (*last, serial) {
                assert!(now >= before, "node {index} went from serial {before} back to {now}");
            }
            *last = serial.or(*last);
        }
    }
    let roots = world.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
}

#[test]
fn a_zone_made_anew_elsewhere_takes_over_above_the_old_ones_serial() {
    let mut world = World::new(3);
    diverge(&mut world, |world| {
        delete(world, 1);
        let command = Command::Create {
            content: Box::new(content("corp.example.").into()),
            source: Source::new(EditOrigin::File),
        };
        world.tell(1, Event::Command { ticket: Ticket(101), command });
    });
    let zone = world.nodes[0].served().get(&name("corp.example.")).cloned().expect("the new life");
    assert_eq!(zone.record_count(), 2, "nothing of the old life returns");
    assert!(zone.soa().serial > 21, "serial {}", zone.soa().serial);
}

#[test]
fn a_zone_deleted_elsewhere_leaves_the_highest_serial_that_any_node_served() {
    let mut world = World::new(3);
    diverge(&mut world, |world| delete(world, 1));
    let stubs: Vec<u64> = world
        .nodes
        .iter()
        .map(|node| node.replica().catalog().stub(&name("corp.example.")).expect("a stub").serial)
        .collect();
    assert_eq!(stubs, [21; 3]);
    let command =
        Command::Create { content: Box::new(content("corp.example.").into()), source: Source::new(EditOrigin::File) };
    world.tell(2, Event::Command { ticket: Ticket(102), command });
    world.pass(2_000);
    assert_eq!([0, 1, 2].map(|index| world.serial(index)), [Some(22); 3]);
}

#[test]
fn a_refusal_is_told_while_the_disk_takes_nothing() {
    let mut node = started(false);
    let command = |ticket, label| Event::Command { ticket: Ticket(ticket), command: add("corp.example.", label) };
    // The disk fills up after the first edit: what is told of it for the history does not fit any more.
    let first = writes(node.handle(command(1, "www"), at(1)));
    let mut events: Vec<Event> = first.into_iter().map(|(id, _)| Event::Persisted { id, result: Ok(()) }).collect();
    let mut told = Vec::new();
    for second in 1..=5 {
        if second == 2 {
            events.push(command(2, "mail"));
        }
        events.push(Event::Tick);
        for event in std::mem::take(&mut events) {
            for effect in node.handle(event, at(1_000 * second)) {
                match effect {
                    Effect::Persist { id, .. } => {
                        events.push(Event::Persisted { id, result: Err("disk full".to_owned()) });
                    }
                    Effect::Done { ticket, result } => told.push((ticket, result.is_ok())),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(told, [(Ticket(1), true), (Ticket(2), false)]);
}

#[test]
fn a_thousand_zones_take_a_few_round_trips() {
    let mut world = World::new(1);
    for number in 0..1000 {
        let content = Box::new(content(&format!("zone{number}.example.")).into());
        let command = Command::Create { content, source: Source::new(EditOrigin::File) };
        world.tell(0, Event::Command { ticket: Ticket(number), command });
    }
    world.join(Kept::default());
    world.pass(5_000);
    assert_eq!(world.roots()[0], world.roots()[1]);
    assert_eq!(world.nodes[1].served().len(), 1 + 1 + 1000, "the catalog and the first zone are there too");
    let pulls = world.requests.iter().filter(|(at, request)| *at == 1 && matches!(request, Request::Pull(_))).count();
    assert!((1..10).contains(&pulls), "{pulls} pulls");
}
