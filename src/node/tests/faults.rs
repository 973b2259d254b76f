//! Batches that cannot be applied, contents that diverged, transfers that were cut, nodes of another version.

use super::mesh::Mesh;
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

fn quarantined(mesh: &Mesh, index: usize) -> usize {
    mesh.nodes[index].view(at(1)).zones[0].quarantined
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
    let mut mesh = Mesh::new(2);
    mesh.pass(3_000);
    let good = batch(&mesh.nodes[0], "");
    let bad = Enclosed { batch: vec![255; 40], ..Enclosed::new(&good) };
    let other = Batch { dot: Dot { actor: ActorId([8; 16]), seq: 1 }, ..good };
    let from = mesh.nodes[0].config.gossip;
    for batch in [&bad, &Enclosed::new(&other), &bad] {
        mesh.nodes[1].take_in(batch, from, true, at(3_100));
    }
    mesh.pass(2_000);
    let told = mesh.reports.iter().filter(|(index, severity, _)| (*index, *severity) == (1, Severity::Error)).count();
    assert_eq!((quarantined(&mesh, 1), told), (1, 1));
    let version = mesh.nodes[1].replica().get(other.incarnation).expect("the zone").state().version().clone();
    assert!(version.contains(other.dot), "the batch beside it is applied");
}

#[test]
fn the_content_of_the_majority_is_restored_where_it_was_lost() {
    let mut mesh = Mesh::new(3);
    mesh.pass(5_000);
    mesh.handle(0, Event::Command { ticket: Ticket(1), command: add("corp.example.", "www") });
    mesh.pass(2_000);
    let roots = mesh.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
    let incarnation = the_zone(&mesh.nodes[2]);
    let mut wrong = mesh.nodes[2].replica().get(incarnation).expect("the zone").state().clone();
    wrong.lose_for_test(&name("www.corp.example."));
    mesh.nodes[2].replica.repair(wrong);
    assert_ne!(mesh.roots()[2], roots[0], "one node has lost a record without a trace");
    mesh.pass(10_000);
    assert_eq!(mesh.roots(), roots);
    let repaired = |(index, severity, message): &&(usize, Severity, String)| {
        (*index, *severity) == (2, Severity::Error) && message.contains("1 records here differed")
    };
    assert_eq!(mesh.reports.iter().filter(repaired).count(), 1, "{:?}", mesh.reports);
}

#[test]
fn a_cut_transfer_goes_on_where_it_was_cut() {
    let mut mesh = Mesh::new(1);
    let changes = (0..15_000_u32).map(|index| {
        let rdata: Vec<u8> = std::iter::once(200).chain((0..200).map(|at| (index * 7 + at * index) as u8)).collect();
        let owner = name(&format!("n{index}.corp.example."));
        Change::Add(Record { owner, rtype: RecordType::TXT, ttl: 60, rdata: Rdata::new(rdata) })
    });
    let edit = Edit {
        zone: name("corp.example."),
        changes: changes.collect(),
        serial: None,
        source: Source::new(EditOrigin::File),
    };
    mesh.handle(0, Event::Command { ticket: Ticket(1), command: Command::Edit(edit) });
    mesh.chunks_left = 1;
    mesh.join();
    mesh.handle(1, Event::Files(Vec::new()));
    mesh.pass(1_000);
    assert_ne!(mesh.roots()[0], mesh.roots()[1], "the transfer is cut");
    mesh.chunks_left = usize::MAX;
    mesh.pass(5_000);
    assert_eq!(mesh.roots()[0], mesh.roots()[1]);
    let mut answered: Vec<u32> = Vec::new();
    for (_, request) in &mesh.requests {
        if let Request::Chunk { index, .. } = request {
            answered.push(*index);
        }
    }
    answered.dedup();
    assert!(answered.len() > 2 && answered.is_sorted(), "no chunk is asked for again: {answered:?}");
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
    let mut mesh = Mesh::new(3);
    mesh.pass(5_000);
    for index in 0..2 {
        let command = add("corp.example.", &format!("n{index}"));
        let effects = writes(mesh.nodes[index].handle(Event::Command { ticket: Ticket(1), command }, at(5_000)));
        for (id, _) in effects {
            // What this edit sends is lost: the other node edits without having heard of it.
            mesh.nodes[index].handle(Event::Persisted { id, result: Ok(()) }, at(5_000));
        }
    }
    mesh.pass(5_000);
    let roots = mesh.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
    let counts: Vec<u64> = mesh.nodes.iter().map(|node| node.view(at(1)).zones[0].ambiguous).collect();
    assert_eq!(counts, [1, 1, 1]);
}

fn delete(mesh: &mut Mesh, index: usize) {
    let command = Command::Delete { zone: name("corp.example."), source: Source::new(EditOrigin::Api) };
    mesh.handle(index, Event::Command { ticket: Ticket(100), command });
}

/// Cuts the first node off, edits the zone there many times, and does something else on the other side; then heals and
/// checks at every step that no serial goes back.
fn diverge(mesh: &mut Mesh, other_side: impl FnOnce(&mut Mesh)) {
    mesh.pass(5_000);
    mesh.cut = true;
    for edit in 0..20 {
        mesh.handle(0, Event::Command { ticket: Ticket(edit), command: add("corp.example.", &format!("n{edit}")) });
    }
    other_side(mesh);
    mesh.pass(2_000);
    mesh.cut = false;
    let mut last = [None; 3];
    for _ in 0..1_500 {
        mesh.pass(100);
        for (index, last) in last.iter_mut().enumerate() {
            let serial = mesh.serial(index);
            if let (Some(before), Some(now)) = (*last, serial) {
                assert!(now >= before, "node {index} went from serial {before} back to {now}");
            }
            *last = serial.or(*last);
        }
    }
    let roots = mesh.roots();
    assert_eq!((roots[0], roots[1]), (roots[1], roots[2]));
}

#[test]
fn a_zone_made_anew_elsewhere_takes_over_above_the_old_ones_serial() {
    let mut mesh = Mesh::new(3);
    diverge(&mut mesh, |mesh| {
        delete(mesh, 1);
        let command =
            Command::Create { content: content("corp.example.").into(), source: Source::new(EditOrigin::File) };
        mesh.handle(1, Event::Command { ticket: Ticket(101), command });
    });
    let zone = mesh.nodes[0].served().get(&name("corp.example.")).cloned().expect("the new life");
    assert_eq!(zone.record_count(), 2, "nothing of the old life returns");
    assert!(zone.soa().serial > 21, "serial {}", zone.soa().serial);
}

#[test]
fn a_zone_deleted_elsewhere_leaves_the_highest_serial_that_any_node_served() {
    let mut mesh = Mesh::new(3);
    diverge(&mut mesh, |mesh| delete(mesh, 1));
    let stubs: Vec<u64> = mesh
        .nodes
        .iter()
        .map(|node| node.replica().catalog().stub(&name("corp.example.")).expect("a stub").serial)
        .collect();
    assert_eq!(stubs, [21; 3]);
    let command = Command::Create { content: content("corp.example.").into(), source: Source::new(EditOrigin::File) };
    mesh.handle(2, Event::Command { ticket: Ticket(102), command });
    mesh.pass(2_000);
    assert_eq!([0, 1, 2].map(|index| mesh.serial(index)), [Some(22); 3]);
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
